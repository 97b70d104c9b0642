"""The size space of NATS-Bench: 32,768 networks that differ in the channels of five blocks.

Source: Dong et al., TPAMI 2021 (``dong2021nats``). An architecture is a string ``c1:c2:c3:c4:c5`` of channel numbers
from 8, 16, ..., 64. Its index is the number that the digits c/8 - 1 write in base 8, c1 first. The network is that of
NAS-Bench-201 with one cell in each stage, of operations that are always the same, and with channels that are free.
"""

from collections.abc import Iterator, Sequence

from torch import nn

from nbnas.datasets.shapes import DATASETS
from nbnas.errors import NbnasError
from nbnas.spaces.four_node_cell import EDGES, Cell
from nbnas.spaces.nasbench201 import ReductionBlock, end_costs, staged_network
from nbnas.spaces.parts import Costs, conv_bn, part_costs, relu_conv_bn
from nbnas.spaces.space import ChoiceSpace, split_into, text_of

CHANNELS = tuple(range(8, 65, 8))


class NatsSizeSpace(ChoiceSpace):
    """The search space. FLOPs are multiply-adds as NATS-Bench counts them, the classifier's bias among them."""

    name = "nats_sss"
    datasets = DATASETS
    options = CHANNELS
    places = 5
    convention = "multiply_adds"
    divisor = 4

    @staticmethod
    def parse(arch: str) -> tuple[int, ...]:
        """Return the channel numbers; raises :class:`NbnasError` that names the first one that is wrong."""
        numbers = split_into(5, text_of(arch), ":", "a NATS-Bench size architecture has 5 channel numbers")
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

        Parameters are registered in the order of execution, in a cell edge by edge, in a reduction block shortcut last.
        """
        channels = self.parse(arch)
        blocks = (make_block(*shape) for shape in block_shapes(channels))
        return staged_network(channels[0], blocks, channels[-1], num_classes)

    def _parts(self, arch: str, resolution: int, num_classes: int) -> Iterator[Costs]:
        channels, side = self.parse(arch), resolution
        yield part_costs(conv_bn, (3, channels[0], 3), 3, side)
        for inputs, outputs, reduces in block_shapes(channels):
            if reduces:
                yield part_costs(ReductionBlock, (inputs, outputs), inputs, side)
                side //= 2
                continue
            for width in (inputs, inputs, outputs, outputs, outputs):
                yield part_costs(relu_conv_bn, (width, outputs, 3), width, side)
            if inputs != outputs:
                yield part_costs(conv_bn, (inputs, outputs, 1), inputs, side)
        yield from end_costs(channels[-1], num_classes)


def block_shapes(channels: Sequence[int]) -> Iterator[tuple[int, int, bool]]:
    """Yield input and output channels of the five blocks: cells and, where true, reduction blocks in turn."""
    for place, outputs in enumerate(channels):
        yield channels[max(place - 1, 0)], outputs, place % 2 == 1


def make_block(in_channels: int, out_channels: int, reduces: bool) -> nn.Module:
    """Build a block; the edges of a cell that leave its input map its channels to the new ones.

    Edge 0-3 is a skip, the other five are 3x3 convolutions.
    """
    if reduces:
        return ReductionBlock(in_channels, out_channels)

    def edges() -> Iterator[nn.Module]:
        for edge in EDGES:
            if edge != (0, 3):
                yield relu_conv_bn(out_channels if edge[0] else in_channels, out_channels, 3)
            else:
                # Unlike all other convolutions before a BatchNorm, this one has no ReLU.
                yield nn.Identity() if in_channels == out_channels else conv_bn(in_channels, out_channels, 1)

    return Cell(edges())
