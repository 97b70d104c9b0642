"""The DARTS network at the size at which NAS-Bench-301 is scored, as a torch module.

Sources: Liu et al., ICLR 2019 (DARTS); Siems et al., 2020 (NAS-Bench-301). The details follow the records that
NASLib publishes: 32 channels, 8 cells, no auxiliary head, BatchNorm without scales inside the cells and after pooling.
Networks that are trained in the manner of DARTS differ, see :class:`NasBench301Network`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nbnas.spaces.factorized_reduction import FactorizedReduction
from nbnas.spaces.four_node_cell import relu_conv_bn

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""Operations, in the order in which NASLib numbers them."""

NODES = (2, 3, 4, 5)
"""Intermediate nodes of a cell; nodes 0 and 1 are the outputs of the cells k-2 and k-1."""


class Edge(NamedTuple):
    """An operation on the output of an earlier node."""

    operation: str
    source: int


CellNodes = Sequence[Sequence[Edge]]
"""Two edges for each of :data:`NODES`."""


class CellShape(NamedTuple):
    """Channels and place of a cell in the network."""

    before: int
    """Channels of the output of cell k-2."""
    last: int
    """Channels of the output of cell k-1."""
    width: int
    """Channels of every node; the output has four times as many."""
    reduces: bool
    follows_reduction: bool


def cell_shapes(channels: int, cells: int) -> Iterator[CellShape]:
    """Yield the shape of every cell; the cells ``cells // 3`` and ``2 * cells // 3`` halve the resolution."""
    reductions = {cells // 3, 2 * cells // 3}
    before = last = 3 * channels
    width = channels
    for place in range(cells):
        reduces = place in reductions
        if reduces:
            width *= 2
        yield CellShape(before, last, width, reduces, place - 1 in reductions)
        before, last = last, len(NODES) * width


def relu_separable_conv_bn(channels: int, kernel_size: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """ReLU, depthwise and pointwise convolution without bias, BatchNorm without scales."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(
            channels,
            channels,
            kernel_size,
            stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=channels,
            bias=False,
        ),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=False),
    )


def make_operation(name: str, channels: int, stride: int) -> nn.Module:
    """Build one operation; input and output have ``channels`` channels, the stride is 1 or 2."""
    match name:
        case "max_pool_3x3":
            return nn.Sequential(nn.MaxPool2d(3, stride, padding=1), nn.BatchNorm2d(channels, affine=False))
        case "avg_pool_3x3":
            pooling = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
            return nn.Sequential(pooling, nn.BatchNorm2d(channels, affine=False))
        case "skip_connect":
            return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels, affine=False)
        case "sep_conv_3x3" | "sep_conv_5x5":
            kernel_size = int(name[-1])
            return nn.Sequential(
                *relu_separable_conv_bn(channels, kernel_size, stride), *relu_separable_conv_bn(channels, kernel_size)
            )
        case "dil_conv_3x3" | "dil_conv_5x5":
            return relu_separable_conv_bn(channels, int(name[-1]), stride, dilation=2)
    raise ValueError(f"unknown operation {name!r}")


class Cell(nn.Module):
    """Two inputs and four nodes, each the sum of two edges; the output is the concatenation of the four nodes.

    Args:
        nodes: The edges, see :data:`CellNodes`.
        shape: Channels, and whether edges from the inputs halve the resolution.
    """

    def __init__(self, nodes: CellNodes, shape: CellShape) -> None:
        super().__init__()
        # The output of cell k-2 still has twice the resolution if cell k-1 reduced it.
        if shape.follows_reduction:
            self.before = FactorizedReduction(shape.before, shape.width)
        else:
            self.before = relu_conv_bn(shape.before, shape.width, 1)
        self.last = relu_conv_bn(shape.last, shape.width, 1)
        self.sources = [edge.source for node in nodes for edge in node]
        self.edges = nn.ModuleList(
            make_operation(edge.operation, shape.width, 2 if shape.reduces and edge.source < NODES[0] else 1)
            for node in nodes
            for edge in node
        )

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        nodes = [self.before(before), self.last(last)]
        for first in range(0, len(self.edges), 2):
            second = first + 1
            left, right = nodes[self.sources[first]], nodes[self.sources[second]]
            nodes.append(self.edges[first](left) + self.edges[second](right))
        return torch.cat(nodes[NODES[0] :], dim=1)


class NasBench301Network(nn.Module):
    """Stem, cells of which two halve the resolution, global average pooling, classifier.

    Weights are drawn as torch's constructors draw them, which is the initialisation of the recorded scores. Parameters
    are registered stem first, then cell by cell (input k-2, input k-1, edges in the order of ``nodes``), then the
    classifier. The order in NASLib's graph is unknown.

    Trained DARTS networks have 36 channels, 20 cells, scales in every BatchNorm, none after pooling, and an auxiliary
    head. Which network NAS-Bench-301 trained is not known to us, so only the scored one is here.

    Args:
        normal: Cell that keeps the resolution.
        reduction: Cell at the places ``cells // 3`` and ``2 * cells // 3``.
        num_classes: Number of logits K.
        channels: Width C of the nodes before the first reduction; the stem has 3 C channels.
        cells: Number of cells.

    Shapes: inputs (batch, 3, R, R) with R divisible by 4; logits (batch, K).
    """

    def __init__(self, normal: CellNodes, reduction: CellNodes, num_classes: int, channels: int, cells: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d(3 * channels))
        shapes = list(cell_shapes(channels, cells))
        self.cells = nn.ModuleList(Cell(reduction if shape.reduces else normal, shape) for shape in shapes)
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(len(NODES) * shapes[-1].width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        before = last = self.stem(inputs)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.classifier(self.pooling(last).flatten(1))
