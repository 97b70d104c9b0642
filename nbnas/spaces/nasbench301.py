"""The DARTS space, at the size at which NAS-Bench-301 is scored.

Sources: Liu et al., ICLR 2019 (DARTS); Siems et al., 2020 (NAS-Bench-301). An architecture is a normal and a reduction
cell joined by ``//``. A cell is its four nodes joined by ``+``, a node is ``|op~i|op~j|``: the sum of two operations on
the outputs of nodes i < j. Nodes 0 and 1 are the outputs of the cells k-2 and k-1, nodes 2 to 5 those of the cell. The
details of the network follow the records that NASLib publishes: 32 channels, 8 cells, no auxiliary head, BatchNorm
without scales inside the cells and after pooling.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nbnas.datasets.shapes import CIFAR10
from nbnas.errors import NbnasError
from nbnas.spaces.nasbench201 import split_node
from nbnas.spaces.parts import Costs, FactorizedReduction, classifier_costs, conv_bn, part_costs, relu_conv_bn
from nbnas.spaces.space import CountedSpace, split_into, text_of

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


class Edge(NamedTuple):
    """An operation on the output of the node ``source``."""

    operation: str
    source: int


CellNodes = Sequence[Sequence[Edge]]
"""Two edges for each of :data:`NODES`."""


def parse_architecture(arch: str) -> list[CellNodes]:
    """Return normal and reduction cell with ascending inputs in every node; an error names the first malformed node.

    A genotype as DARTS prints it, ``Genotype(normal=[...], ...)``, is read too.
    """
    parsed = []
    text = text_of(arch)
    if text.lstrip().startswith("Genotype("):
        text = _translate_genotype(text)
    cells = split_into(2, text, "//", "a NAS-Bench-301 architecture has 2 cells")
    for name, cell in zip(("normal", "reduction"), cells, strict=True):
        nodes = split_into(4, cell, "+", f"the {name} cell must have 4 nodes")
        parsed.append([_parse_node(text, node, name) for node, text in zip(NODES, nodes, strict=True)])
    return parsed


def _translate_genotype(text: str) -> str:
    """Write what DARTS prints, two pairs (operation, source) for each node of a cell, as an architecture string."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        named = dict(zip(("normal", "normal_concat", "reduce", "reduce_concat"), call.args, strict=False))
        named |= {keyword.arg: keyword.value for keyword in call.keywords}
        cells = [ast.literal_eval(named[name]) for name in ("normal", "reduce")]
        edges = [[f"{operation}~{source}" for operation, source in cell] for cell in cells]
        outputs = {ast.unparse(named[name]) for name in ("normal_concat", "reduce_concat") if name in named}
    except (SyntaxError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise NbnasError("a genotype must read Genotype(normal=[('sep_conv_3x3', 0), ...], reduce=[...])") from error
    if other := outputs - {"[2, 3, 4, 5]", "range(2, 6)", "(2, 3, 4, 5)"}:
        raise NbnasError(f"the cells of NAS-Bench-301 join the nodes 2 to 5, a genotype joins {min(other):.60}")
    nodes = [["|".join(("", *cell[start : start + 2], "")) for start in range(0, len(cell), 2)] for cell in edges]
    return "//".join(map("+".join, nodes))


def _parse_node(text: str, node: int, cell: str) -> list[Edge]:
    where = f"node {node} of the {cell} cell"
    edges = []
    for part in split_node(text, where):
        name, _, source = part.partition("~")
        if source not in map(str, range(node)):
            raise NbnasError(f"an input of {where} must read 'operation~i' with i from 0 to {node - 1}, got {part!r}")
        if name not in OPERATIONS:
            raise NbnasError(f"{where} has unknown operation {name!r}; choose from {', '.join(OPERATIONS)}")
        edges.append(Edge(name, int(source)))
    if len(edges) != 2:
        raise NbnasError(f"{where} needs 2 inputs, got {len(edges)} in {text!r}")
    if edges[0].source == edges[1].source:
        raise NbnasError(f"the inputs of {where} must differ, got {text!r}")
    return _ascending(edges)


def _ascending(edges: Sequence[Edge]) -> list[Edge]:
    return sorted(edges, key=lambda edge: edge.source)


def format_architecture(architecture: Sequence[CellNodes]) -> str:
    """Join a normal and a reduction cell into an architecture string, with ascending inputs in every node."""
    cells = []
    for cell in architecture:
        nodes = ["|".join(f"{operation}~{source}" for operation, source in _ascending(node)) for node in cell]
        cells.append("+".join(f"|{node}|" for node in nodes))
    return "//".join(cells)


class NasBench301(CountedSpace):
    """The search space of (180 * 7^8)^2, about 10^18, architectures; costs are those of NASLib's records."""

    name = "nasbench301"
    datasets: ClassVar = {"cifar10": CIFAR10}
    divisor = 4
    parse = staticmethod(parse_architecture)
    format = staticmethod(format_architecture)

    def sample(self, rng: np.random.Generator) -> str:
        """Draw an architecture uniformly."""
        cells: list[list] = [[], []]
        for cell in cells:
            for node in NODES:
                sources = rng.choice(node, 2, replace=False).tolist()
                cell.append([Edge(OPERATIONS[int(rng.integers(len(OPERATIONS)))], source) for source in sources])
        return format_architecture(cells)

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Change one operation or one input; the result always differs from ``arch``.

        Of the 16 operations and the 12 inputs that have an alternative (both inputs of node 2 are fixed), one is drawn
        uniformly, then one of its alternatives.
        """
        cells = [[list(node) for node in cell] for cell in parse_architecture(arch)]
        decisions = []
        for cell in cells:
            for node, edges in zip(NODES, cell, strict=True):
                free = sorted(set(range(node)) - {edge.source for edge in edges})
                for place, edge in enumerate(edges):
                    others = [name for name in OPERATIONS if name != edge.operation]
                    decisions.append((edges, place, [edge._replace(operation=name) for name in others]))
                    if free:
                        decisions.append((edges, place, [edge._replace(source=source) for source in free]))
        edges, place, alternatives = decisions[int(rng.integers(len(decisions)))]
        edges[place] = alternatives[int(rng.integers(len(alternatives)))]
        return format_architecture(cells)

    def build(self, arch: str, num_classes: int = 10, *, channels: int = 32, cells: int = 8) -> nn.Module:
        """Build the network; it maps (batch, 3, R, R), R divisible by 4, to logits (batch, num_classes).

        ``channels`` is the width of the nodes before the first reduction, see :func:`cell_shapes`; ``cells`` is at
        least 1.
        """
        return NasBench301Network(*parse_architecture(arch), num_classes, channels, cells)

    def _parts(
        self, arch: str, resolution: int, num_classes: int, channels: int = 32, cells: int = 8
    ) -> Iterator[Costs]:
        normal, reduction = parse_architecture(arch)
        yield part_costs(conv_bn, (3, 3 * channels, 3), 3, resolution)
        before = last = resolution
        for shape in cell_shapes(channels, cells):
            width, side = shape.width, last // 2 if shape.reduces else last
            yield part_costs(project, (shape.before, width, shape.follows_reduction), shape.before, before)
            yield part_costs(project, (shape.last, width, False), shape.last, last)
            for node in reduction if shape.reduces else normal:
                for operation, source in node:
                    stride = shape.stride_from(source)
                    yield part_costs(make_operation, (operation, width, stride), width, side * stride)
            before, last = last, side
        yield part_costs(nn.AdaptiveAvgPool2d, (1,), len(NODES) * width, side)
        yield classifier_costs(len(NODES) * width, num_classes)


class CellShape(NamedTuple):
    """Channels of the outputs of cells k-2 and k-1, and of every node; the output has four times as many."""

    before: int
    last: int
    width: int
    reduces: bool
    follows_reduction: bool

    def stride_from(self, source: int) -> int:
        """Stride of an edge that leaves the node ``source``; those from the inputs of a reduction cell have 2."""
        return 2 if self.reduces and source < NODES[0] else 1


def cell_shapes(channels: int, cells: int) -> Iterator[CellShape]:
    """Yield the shape of every cell; the cells ``cells // 3`` and ``2 * cells // 3`` halve the resolution."""
    reductions = {cells // 3, 2 * cells // 3}
    before = last = 3 * channels
    width = channels
    for place in range(cells):
        if place in reductions:
            width *= 2
        yield CellShape(before, last, width, place in reductions, place - 1 in reductions)
        before, last = last, len(NODES) * width


def project(in_channels: int, out_channels: int, halves: bool) -> nn.Module:
    """Build the layer that brings an input of a cell to its width, and to half the resolution where it ``halves``."""
    return FactorizedReduction(in_channels, out_channels) if halves else relu_conv_bn(in_channels, out_channels, 1)


def relu_separable_conv_bn(channels: int, kernel_size: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """ReLU, depthwise and pointwise convolution without bias, BatchNorm without scales."""
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel_size, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=False),
    )


def make_operation(name: str, channels: int, stride: int) -> nn.Module:
    """Build one of :data:`OPERATIONS`; input and output have ``channels`` channels, the stride is 1 or 2."""
    kernel_size = int(name[-1]) if name[-1].isdigit() else 0
    match name[:3]:
        case "max":
            return nn.Sequential(nn.MaxPool2d(3, stride, padding=1), nn.BatchNorm2d(channels, affine=False))
        case "avg":
            pooling = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
            return nn.Sequential(pooling, nn.BatchNorm2d(channels, affine=False))
        case "sep":
            first = relu_separable_conv_bn(channels, kernel_size, stride)
            return nn.Sequential(*first, *relu_separable_conv_bn(channels, kernel_size))
        case "dil":
            return relu_separable_conv_bn(channels, kernel_size, stride, dilation=2)
    return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels, affine=False)


class Cell(nn.Module):
    """Two inputs and four nodes, each the sum of two edges; the output is the concatenation of the four nodes."""

    def __init__(self, nodes: CellNodes, shape: CellShape) -> None:
        super().__init__()
        # The output of cell k-2 still has twice the resolution if cell k-1 reduced it.
        self.before = project(shape.before, shape.width, shape.follows_reduction)
        self.last = project(shape.last, shape.width, halves=False)
        self.sources = [edge.source for node in nodes for edge in node]
        self.edges = nn.ModuleList()
        for name, source in (edge for node in nodes for edge in node):
            self.edges.append(make_operation(name, shape.width, shape.stride_from(source)))

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        nodes = [self.before(before), self.last(last)]
        for first in range(0, len(self.edges), 2):
            left, right = (self.edges[place](nodes[self.sources[place]]) for place in (first, first + 1))
            nodes.append(left + right)
        return torch.cat(nodes[NODES[0] :], dim=1)


class NasBench301Network(nn.Module):
    """Stem, cells of which two halve the resolution, global average pooling, classifier.

    Weights are drawn as torch's constructors draw them, as for the recorded scores. Parameters are registered stem
    first, then cell by cell (input k-2, input k-1, edges), then the classifier. NASLib's order is unknown.

    Only the network that was scored is here. Which one NAS-Bench-301 trained is not known to us. Trained DARTS networks
    have 36 channels, 20 cells, scales in every BatchNorm, no BatchNorm after pooling, and an auxiliary head.
    """

    def __init__(self, normal: CellNodes, reduction: CellNodes, num_classes: int, channels: int, cells: int) -> None:
        super().__init__()
        self.stem = conv_bn(3, 3 * channels, 3)
        shapes = list(cell_shapes(channels, cells))
        self.cells = nn.ModuleList(Cell(reduction if shape.reduces else normal, shape) for shape in shapes)
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(len(NODES) * shapes[-1].width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        before = last = self.stem(inputs)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.classifier(self.pooling(last).flatten(1))
