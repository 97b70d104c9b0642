"""The size space of NATS-Bench: 32,768 networks that differ in the channels of five blocks.

Source: Dong et al., TPAMI 2021 (``dong2021nats``). An architecture is a string ``c1:c2:c3:c4:c5`` of channel numbers
from 8, 16, ..., 64. Its index is the number that the digits c/8 - 1 write in base 8, c1 first. The network is that of
NAS-Bench-201 with one cell in each stage, of operations that are always the same, and with channels that are free.
"""

from collections.abc import Iterator, Sequence
from functools import cache

from torch import nn

from nbnas.datasets.shapes import DATASETS
from nbnas.errors import NbnasError
from nbnas.spaces.choices import ChoiceSpace, text_of
from nbnas.spaces.convolutions import conv_bn, relu_conv_bn
from nbnas.spaces.counting import Costs, CountedSpace, conv_bn_costs, total
from nbnas.spaces.four_node_cell import EDGES, Cell
from nbnas.spaces.nasbench201 import ReductionBlock, end_costs, reduction_costs, staged_network

CHANNELS = tuple(range(8, 65, 8))
"""Channel numbers to choose from."""

SKIP_EDGE = (0, 3)
"""The edge of the cell that is a skip; the other five are 3x3 convolutions."""


class NatsSizeSpace(CountedSpace, ChoiceSpace):
    """The search space; see :func:`nbnas.get_space`.

    FLOPs are multiply-adds as NATS-Bench counts them, the classifier's bias among them.
    """

    name = "nats_sss"
    datasets = DATASETS
    options = CHANNELS
    places = 5
    convention = "multiply_adds"
    divisor = 4

    @staticmethod
    def parse(arch: str) -> tuple[int, ...]:
        """Return the channel numbers; raises :class:`NbnasError` that names the first one that is wrong."""
        numbers = text_of(arch, "a NATS-Bench size architecture").split(":")
        if len(numbers) != 5:
            raise NbnasError(
                f"a NATS-Bench size architecture has 5 channel numbers joined by ':', got {len(numbers)} in {arch!r}"
            )
        known = {str(number): number for number in CHANNELS}
        for place, number in enumerate(numbers, start=1):
            if number not in known:
                raise NbnasError(f"channel number {place} is {number!r} in {arch!r}; choose from {', '.join(known)}")
        return tuple(known[number] for number in numbers)

    @staticmethod
    def format(choices: Sequence[int]) -> str:
        """Write channel numbers as an architecture string."""
        return ":".join(map(str, choices))

    def build(self, arch: str, num_classes: int = 10) -> nn.Module:
        """Build the network; it maps (batch, 3, R, R), R divisible by 4, to logits (batch, num_classes).

        Parameters are registered in the order of execution, in a cell edge by edge; in a reduction block the shortcut
        is last.
        """
        channels = self.parse(arch)
        blocks = (make_block(*shape) for shape in block_shapes(channels))
        return staged_network(channels[0], blocks, channels[-1], num_classes)

    def _parts(self, arch: str, resolution: int, num_classes: int) -> Iterator[Costs]:
        channels, side = self.parse(arch), resolution
        yield conv_bn_costs(3, channels[0], 3, side)
        for inputs, outputs, reduces in block_shapes(channels):
            if reduces:
                side //= 2
                yield from reduction_costs(inputs, outputs, side)
            else:
                yield _cell_costs(inputs, outputs, side)
        yield from end_costs(channels[-1], num_classes)


@cache
def _cell_costs(in_channels: int, out_channels: int, side: int) -> Costs:
    """Costs of the edges of a cell, of which two 3x3 convolutions and the skip leave the input."""
    edges = [(in_channels, 3)] * 2 + [(out_channels, 3)] * 3 + [(in_channels, 1)] * (in_channels != out_channels)
    return total(conv_bn_costs(channels, out_channels, kernel_size, side) for channels, kernel_size in edges)


def block_shapes(channels: Sequence[int]) -> Iterator[tuple[int, int, bool]]:
    """Yield input and output channels of the five blocks: cells and, where true, reduction blocks in turn."""
    for place, outputs in enumerate(channels):
        yield channels[max(place - 1, 0)], outputs, place % 2 == 1


def make_block(in_channels: int, out_channels: int, reduces: bool) -> nn.Module:
    """Build a block; the edges of a cell that leave its input map its channels to the new ones."""
    if reduces:
        return ReductionBlock(in_channels, out_channels)
    return Cell(_make_edge(edge, out_channels if edge[0] else in_channels, out_channels) for edge in EDGES)


def _make_edge(edge: tuple[int, int], in_channels: int, out_channels: int) -> nn.Module:
    if edge != SKIP_EDGE:
        return relu_conv_bn(in_channels, out_channels, 3)
    # Unlike all other convolutions before a BatchNorm, this one has no ReLU.
    return nn.Identity() if in_channels == out_channels else conv_bn(in_channels, out_channels, 1)
