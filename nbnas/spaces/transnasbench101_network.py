"""The TransNAS-Bench-101 networks for its three classification tasks as torch modules.

Source: Duan et al., CVPR 2021, and its released code. Micro and macro networks share stem, skeleton and head; they
differ in what a block is. The order in which parameters are registered is stem, blocks, head; within a cell that of
:data:`EDGES`.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from nbnas.spaces.factorized_reduction import FactorizedReduction
from nbnas.spaces.four_node_cell import EDGES, Cell, relu_conv_bn

STEM_CHANNELS = 64
"""What the stem hands to the first module, at a quarter of the resolution."""

MICRO_MODULES = (4, 1, 4, 1, 4)
"""The modules that all networks of the micro space have, by the digits of the macro space."""


def block_shapes(modules: Iterable[int]) -> list[tuple[int, int, int]]:
    """Return (input channels, output channels, stride) of all blocks; each module is two blocks.

    The first block of a module makes its change: digit 1 none, 2 doubles the channels, 3 halves the resolution, 4 both.
    """
    shapes = []
    channels = STEM_CHANNELS
    for digit in modules:
        before, channels = channels, channels * (2 if digit in (2, 4) else 1)
        shapes += [(before, channels, 2 if digit in (3, 4) else 1), (channels, channels, 1)]
    return shapes


def edge_shape(source: int, in_channels: int, out_channels: int, stride: int) -> tuple[int, int, int]:
    """Return the shape, as of a block, of an edge: edges that leave the input make the cell's change, the others none.

    The other arguments are those of the cell.
    """
    return (in_channels, out_channels, stride) if source == 0 else (out_channels, out_channels, 1)


class Zero(nn.Module):
    """The ``none`` edge: multiplies by zero, so that gradients are zeros rather than missing."""

    def __init__(self, out_channels: int, stride: int) -> None:
        super().__init__()
        self.out_channels, self.stride = out_channels, stride

    def forward(self, inputs: Tensor) -> Tensor:
        zeros = inputs[:, :1, :: self.stride, :: self.stride].mul(0.0)
        return zeros.expand(-1, self.out_channels, -1, -1)


def make_operation(digit: int, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Build one edge of a cell: 0 none, 1 skip connection, 2 1x1 convolution, 3 3x3 convolution.

    It maps (batch, in_channels, H, W) to (batch, out_channels, H / stride, W / stride), rounded up.
    """
    match digit:
        case 0:
            return Zero(out_channels, stride)
        case 1 if stride == 1 and in_channels == out_channels:
            return nn.Identity()
        case 1:
            return FactorizedReduction(in_channels, out_channels)
        case 2:
            return relu_conv_bn(in_channels, out_channels, 1, stride)
        case 3:
            return relu_conv_bn(in_channels, out_channels, 3, stride)
    raise ValueError(f"unknown operation {digit!r}")


def make_cell(operations: Sequence[int], in_channels: int, out_channels: int, stride: int) -> Cell:
    """Build a cell of six operations, in the order of :data:`EDGES`."""
    return Cell(
        make_operation(digit, *edge_shape(source, in_channels, out_channels, stride))
        for digit, (source, _) in zip(operations, EDGES, strict=True)
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the activation comes before each convolution, none after the sum."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv_a = relu_conv_bn(in_channels, out_channels, 3, stride)
        self.conv_b = relu_conv_bn(out_channels, out_channels, 3)
        self.shortcut = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, inputs: Tensor) -> Tensor:
        return self.conv_b(self.conv_a(inputs)) + self.shortcut(inputs)


class TransNasBench101Network(nn.Module):
    """Stem, blocks, pooling, classifier; neither BatchNorm nor activation between the last sum and the pooling.

    Convolutions start as published, from N(0, 2 / fan_out) with fan_out = output channels times kernel size squared.
    The classifier keeps torch's default.

    Args:
        blocks: Map ``STEM_CHANNELS`` to ``channels``.
        channels: Width C that the last block returns.
        num_classes: Number of logits K.
        tiles: Number of pictures T per sample. They pass one after the other through one encoder, so that BatchNorm in
            train mode sees one tile of each sample at a time, and a sample's features are those of all its tiles.

    Shapes: inputs (batch, 3 T, R, R), tile by tile; logits (batch, K).
    """

    def __init__(self, blocks: Iterable[nn.Module], channels: int, num_classes: int, tiles: int) -> None:
        super().__init__()
        self.tiles = tiles
        half = STEM_CHANNELS // 2
        self.encoder = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(half)),
            relu_conv_bn(half, STEM_CHANNELS, 3, stride=2),
            *blocks,
        )
        for layer in self.encoder.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(tiles * channels, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        features = torch.cat([self.encoder(tile) for tile in inputs.chunk(self.tiles, dim=1)], dim=1)
        return self.classifier(self.pooling(features).flatten(1))
