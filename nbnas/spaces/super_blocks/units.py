"""What a super block is made of: convolutions and shortcuts, from which networks are built and costs counted.

Sources: the ZenNAS line of searches (Lin et al., ICCV 2021, ``lin2021zennas``); the released code of VKDNW and T-CET.
"""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from nbnas.spaces.super_blocks.structure import SuperBlock


def round_width(width: float) -> int:
    """Return the nearest multiple of 8, at least 8; of two equally near, the even multiple: 12 -> 16, 20 -> 16."""
    return max(8, 8 * round(width / 8))


class Convolution(NamedTuple):
    """A convolution without bias, followed by BatchNorm and, unless it is the last of its unit, ReLU."""

    inputs: int
    outputs: int
    kernel_size: int = 1
    stride: int = 1
    groups: int = 1
    gated: bool = False
    """Whether squeeze-excitation, where it is wanted, comes after the ReLU."""

    @property
    def weights(self) -> int:
        """Number of weights: k^2 in out / groups."""
        return self.kernel_size**2 * self.inputs * self.outputs // self.groups


class Unit(NamedTuple):
    """Convolutions in a row, the sum with a shortcut, ReLU."""

    convolutions: tuple[Convolution, ...]
    shortcut: Literal["none", "identity", "projection"]
    """A projection is a 1x1 convolution with bias and the stride of the unit, then BatchNorm."""

    @property
    def inputs(self) -> int:
        """Channels of the input."""
        return self.convolutions[0].inputs

    @property
    def outputs(self) -> int:
        """Channels of the output."""
        return self.convolutions[-1].outputs

    @property
    def stride(self) -> int:
        """Product of the strides."""
        return math.prod(convolution.stride for convolution in self.convolutions)


def squeezed_width(channels: int) -> int:
    """Inner width of squeeze-excitation: a quarter, rounded half to even, at least 1."""
    return max(1, round(channels / 4))


def block_units(block: SuperBlock, *, residual: bool = True) -> list[Unit]:
    """Return the units of a super block in order.

    Per repetition, from the current width w (the input, then the output width), bottleneck b and output width o:

    - convolution: k x k, w -> o;
    - basic: k x k, w -> b -> o;
    - bottleneck: 1 x 1, k x k, 1 x 1, w -> b -> b -> o, and again from o;
    - inverted: 1 x 1, depthwise k x k, 1 x 1, w -> r(e b) -> r(e b) -> b, then b -> r(e o) -> r(e o) -> o, with
      r = :func:`round_width`.

    The stride is that of the first k x k convolution. The first residual unit of a super block has a projection
    whatever its shape; a later one has the identity, or a projection where its width changes. If not ``residual``, no
    unit has a shortcut; BatchNorm and ReLU stay.
    """
    units: list[Unit] = []
    for convolutions in _rows(block):
        if block.kind.family == "convolution" or not residual:
            shortcut = "none"
        elif units and convolutions[0].inputs == convolutions[-1].outputs:
            shortcut = "identity"
        else:
            shortcut = "projection"
        units.append(Unit(convolutions, shortcut))
    return units


def _rows(block: SuperBlock) -> Iterator[tuple[Convolution, ...]]:
    """Yield the convolutions of each unit."""
    family, kernel_size, expansion = block.kind
    width, bottleneck, outputs, stride = block.inputs, block.bottleneck, block.outputs, block.stride
    for _ in range(block.repeats):
        match family:
            case "convolution":
                yield (Convolution(width, outputs, kernel_size, stride),)
            case "basic":
                first = Convolution(width, bottleneck, kernel_size, stride, gated=True)
                yield first, Convolution(bottleneck, outputs, kernel_size)
            case "bottleneck":
                yield _bottleneck(width, bottleneck, outputs, kernel_size, stride)
                yield _bottleneck(outputs, bottleneck, outputs, kernel_size, 1)
            case "inverted":
                hidden = round_width(expansion * bottleneck)
                yield _bottleneck(width, hidden, bottleneck, kernel_size, stride, groups=hidden)
                hidden = round_width(expansion * outputs)
                yield _bottleneck(bottleneck, hidden, outputs, kernel_size, 1, groups=hidden)
        width, stride = outputs, 1


def _bottleneck(
    inputs: int, hidden: int, outputs: int, kernel_size: int, stride: int, groups: int = 1
) -> tuple[Convolution, ...]:
    return (
        Convolution(inputs, hidden),
        Convolution(hidden, hidden, kernel_size, stride, groups, gated=True),
        Convolution(hidden, outputs),
    )
