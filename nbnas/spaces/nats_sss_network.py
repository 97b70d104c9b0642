"""The network of the NATS-Bench size space as a torch module.

Source: Dong et al., TPAMI 2021 (``dong2021nats``). It is the NAS-Bench-201 network with one cell in each stage, of
operations that are always the same, and with channels that are free.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from nbnas.spaces.four_node_cell import EDGES, Cell, relu_conv_bn
from nbnas.spaces.nasbench201_network import ReductionBlock

SKIP_EDGE = (0, 3)
"""The edge of the cell that is a skip; the other five are 3x3 convolutions."""


class BlockShape(NamedTuple):
    """Channels of a block, and which of the two kinds it is."""

    inputs: int
    outputs: int
    reduces: bool
    """Whether it is a reduction block, which halves the resolution, and not a cell."""


def block_shapes(channels: Sequence[int]) -> Iterator[BlockShape]:
    """Yield the shapes of the five blocks: cells and reduction blocks in turn."""
    inputs = channels[0]
    for place, outputs in enumerate(channels):
        yield BlockShape(inputs, outputs, reduces=place % 2 == 1)
        inputs = outputs


def make_edge(source: int, target: int, in_channels: int, out_channels: int) -> nn.Module:
    """Build an edge of the cell; those that leave its input map its channels to the new ones."""
    inputs = in_channels if source == 0 else out_channels
    if (source, target) != SKIP_EDGE:
        return relu_conv_bn(inputs, out_channels, 3)
    if inputs == out_channels:
        return nn.Identity()
    # Unlike all other convolutions before a BatchNorm, this one has no ReLU.
    return nn.Sequential(nn.Conv2d(inputs, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))


class NatsSizeNetwork(nn.Module):
    """Stem, three cells with two reduction blocks between them, BatchNorm, ReLU, global average pooling, classifier.

    Parameters are registered in the order of execution, in a cell edge by edge; in a reduction block the shortcut is
    last. Weights are drawn as torch's constructors draw them.

    Args:
        channels: Output channels of the five blocks; the stem has those of the first.
        num_classes: Number of logits K.

    Shapes: inputs (batch, 3, R, R) with R divisible by 4; logits (batch, K).
    """

    def __init__(self, channels: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels[0], 3, padding=1, bias=False), nn.BatchNorm2d(channels[0]))
        self.stages = nn.Sequential()
        for inputs, outputs, reduces in block_shapes(channels):
            if reduces:
                self.stages.append(ReductionBlock(inputs, outputs))
            else:
                self.stages.append(Cell(make_edge(*edge, inputs, outputs) for edge in EDGES))
        self.last_activation = nn.Sequential(nn.BatchNorm2d(channels[-1]), nn.ReLU())
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels[-1], num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.last_activation(self.stages(self.stem(inputs)))
        return self.classifier(self.pooling(features).flatten(1))
