"""The size space of NATS-Bench: 32,768 networks that differ in the channels of five blocks.

Source: Dong et al., TPAMI 2021 (``dong2021nats``). An architecture is a string ``c1:c2:c3:c4:c5`` of channel numbers
from 8, 16, ..., 64. Its index is the number that the digits c/8 - 1 write in base 8, c1 first.
"""

import itertools
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from torch import nn

from nbnas.datasets.shapes import DATASETS
from nbnas.errors import NbnasError
from nbnas.spaces.nats_sss_network import NatsSizeNetwork, block_shapes
from nbnas.spaces.space import EnumeratedSpace

CHANNELS = tuple(range(8, 65, 8))
"""Channel numbers to choose from."""

PLACES = 5
"""Channel numbers in an architecture."""


class NatsSizeSpace(EnumeratedSpace):
    """The search space; see :func:`nbnas.get_space`."""

    name = "nats_sss"
    datasets = DATASETS

    @cached_property
    def _architectures(self) -> list[str]:
        return [":".join(map(str, channels)) for channels in itertools.product(CHANNELS, repeat=PLACES)]

    def normalise(self, arch: str) -> str:
        """Return the architecture without surrounding white space; raises :class:`NbnasError` where it is malformed."""
        return ":".join(map(str, parse_channels(arch)))

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Replace one channel number, place and number drawn uniformly; the result always differs from ``arch``."""
        channels = list(parse_channels(arch))
        place = int(rng.integers(PLACES))
        alternatives = [number for number in CHANNELS if number != channels[place]]
        channels[place] = alternatives[int(rng.integers(len(alternatives)))]
        return ":".join(map(str, channels))

    def build(self, arch: str, num_classes: int = 10) -> nn.Module:
        """Build the network; it maps (batch, 3, R, R) to logits (batch, num_classes)."""
        return NatsSizeNetwork(parse_channels(arch), num_classes)

    def weight_layers(self, arch: str) -> int:
        """Number of convolutions and linear layers: 23, and one for each of c2 != c3 and c4 != c5."""
        return 23 + _convolutions_on_skips(arch)

    def trainable_layers(self, arch: str) -> int:
        """Number of parameter tensors: 66, and three for each of c2 != c3 and c4 != c5."""
        return 66 + 3 * _convolutions_on_skips(arch)

    def params(self, arch: str, num_classes: int = 10) -> int:
        """Number of parameters, BatchNorm scales and shifts included.

        29 c1 for the stem; from i to o channels 18 i o + 27 o^2 + 10 o for a cell, and i o + 2 o more where i != o;
        10 i o + 9 o^2 + 4 o for a reduction block; 2 c5 + (c5 + 1) K at the end.
        """
        sizes = _sizes(parse_channels(arch))
        return sum(size.weights + 2 * size.normalised for size in sizes) + _classifier(arch, num_classes)

    def flops(self, arch: str, resolution: int = 32, num_classes: int = 10) -> int:
        """Multiply-adds of one image, as NATS-Bench counts them.

        Convolutions and the classifier with its bias, (c5 + 1) K, count; BatchNorm, pooling and sums do not.
        """
        if resolution % 4:
            raise NbnasError(f"resolution must be divisible by 4, got {resolution}")
        sizes = _sizes(parse_channels(arch))
        convolutions = sum(size.weights * (resolution // size.divisor) ** 2 for size in sizes)
        return convolutions + _classifier(arch, num_classes)


def parse_channels(arch: str) -> tuple[int, ...]:
    """Split an architecture string into its five channel numbers.

    Raises:
        NbnasError: Names the first channel number that is wrong.
    """
    if not isinstance(arch, str):
        raise NbnasError(f"a NATS-Bench size architecture is a string, got {type(arch).__name__}")
    numbers = arch.strip().split(":")
    if len(numbers) != PLACES:
        raise NbnasError(
            f"a NATS-Bench size architecture has {PLACES} channel numbers joined by ':', got {len(numbers)} in {arch!r}"
        )
    known = {str(number): number for number in CHANNELS}
    for place, number in enumerate(numbers, start=1):
        if number not in known:
            raise NbnasError(
                f"channel number {place} is {number!r} in {arch!r}; choose from {', '.join(map(str, CHANNELS))}"
            )
    return tuple(known[number] for number in numbers)


class _Size(NamedTuple):
    """What a part of the network adds to its size."""

    weights: int
    """Weights of its convolutions, all of which have the output's resolution."""
    normalised: int
    """Channels that pass a BatchNorm."""
    divisor: int
    """By which the input's side is divided."""


def _sizes(channels: tuple[int, ...]) -> Iterator[_Size]:
    """Yield the sizes of stem, blocks and last BatchNorm."""
    yield _Size(27 * channels[0], channels[0], 1)
    divisor = 1
    for i, o, reduces in block_shapes(channels):
        if reduces:
            divisor *= 2
            yield _Size(10 * i * o + 9 * o * o, 2 * o, divisor)
        else:
            skip = int(i != o)
            yield _Size((18 + skip) * i * o + 27 * o * o, (5 + skip) * o, divisor)
    yield _Size(0, channels[-1], divisor)


def _classifier(arch: str, num_classes: int) -> int:
    return (parse_channels(arch)[-1] + 1) * num_classes


def _convolutions_on_skips(arch: str) -> int:
    return sum(not reduces and i != o for i, o, reduces in block_shapes(parse_channels(arch)))
