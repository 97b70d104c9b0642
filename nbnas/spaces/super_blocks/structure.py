"""Structure strings, networks written as a row of super blocks, and what a super block is made of.

Source: the ZenNAS line of searches (Lin et al., ICCV 2021, ``lin2021zennas``), whose format VKDNW and T-CET keep. A
network is ``Name(args)`` once per super block, without separators, as in
``SuperConvK3BNRELU(3,8,1,1)SuperResK3K3(8,16,1,8,1)SuperConvK1BNRELU(16,128,1,1)``:

=======================  ==================================  ====================================================
name                     arguments                           meaning
=======================  ==================================  ====================================================
``SuperConvK{k}BNRELU``  (in, out, stride, L)                L times: convolution k x k, BatchNorm, ReLU
``SuperResIDWE{e}K{k}``  (in, out, stride, bottleneck, L)    L times: two inverted bottlenecks of expansion e
``SuperResK{k}K{k}``     (in, out, stride, bottleneck, L)    L times: one basic unit, k x k and k x k
``SuperResK1K{k}K1``     (in, out, stride, bottleneck, L)    L times: two bottleneck units 1 x 1, k x k, 1 x 1
=======================  ==================================  ====================================================

A convolution may have k = 1 too; otherwise k is 3, 5 or 7. An expansion is 1, 2, 4 or 6.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from nbnas.errors import NbnasError
from nbnas.spaces.space import text_of

LARGEST_NUMBER = 999_999
"""Largest number that a structure string may hold, far beyond any network that can be trained."""


class BlockKind(NamedTuple):
    """What the name of a super block says."""

    family: Literal["convolution", "inverted", "basic", "bottleneck"]
    kernel_size: int
    expansion: int = 1


CONVOLUTIONS = {f"SuperConvK{k}BNRELU": BlockKind("convolution", k) for k in (1, 3, 5, 7)}
INVERTED = {f"SuperResIDWE{e}K{k}": BlockKind("inverted", k, e) for k in (3, 5, 7) for e in (1, 2, 4, 6)}
BASIC = {f"SuperResK{k}K{k}": BlockKind("basic", k) for k in (3, 5, 7)}
BOTTLENECK = {f"SuperResK1K{k}K1": BlockKind("bottleneck", k) for k in (3, 5, 7)}
KINDS = CONVOLUTIONS | INVERTED | BASIC | BOTTLENECK
"""Name of a super block -> what it stands for."""


@dataclass(frozen=True)
class SuperBlock:
    """One ``Name(args)`` of a structure string; ``inputs`` and ``outputs`` are numbers of channels."""

    name: str
    """One of :data:`KINDS`."""
    inputs: int
    outputs: int
    stride: int
    """Stride of the first k x k convolution, 1 or 2; all others have stride 1."""
    bottleneck: int | None
    """Inner width; ``None`` for convolutions."""
    repeats: int
    """L, the number of times that the unit is repeated; also the layers that the super block counts for."""

    @property
    def kind(self) -> BlockKind:
        """Family, kernel size and expansion."""
        return KINDS[self.name]

    def __str__(self) -> str:
        """Return ``Name(args)``."""
        numbers = (self.inputs, self.outputs, self.stride, self.bottleneck, self.repeats)
        return f"{self.name}({','.join(str(number) for number in numbers if number is not None)})"


def parse_structure(text: str) -> tuple[SuperBlock, ...]:
    """Split a structure string into its super blocks; the inverse of :func:`format_structure`.

    White space may surround it; inside, none is allowed, nor are signs or leading zeros. An error names the first super
    block that is malformed, has a stride other than 1 and 2, or takes another number of channels than the one before
    gives, and its first character, counted from 1.
    """
    text = text_of(text)
    blocks, position = [], 0
    while position < len(text):
        where = f"block {len(blocks) + 1} (character {position + 1})"
        match = re.compile(r"(\w+)\(([^()]*)\)", re.ASCII).match(text, position)
        if match is None:
            raise NbnasError(f"{where} must read 'Name(args)', got {text[position : position + 40]!r}")
        block = _parse_block(match, where)
        given = blocks[-1].outputs if blocks else block.inputs
        if block.inputs != given:
            raise NbnasError(f"{where} takes {block.inputs} channels, but block {len(blocks)} gives {given}: {block}")
        blocks.append(block)
        position = match.end()
    if not blocks:
        raise NbnasError("a structure needs at least one super block, got an empty string")
    return tuple(blocks)


def _parse_block(match: re.Match[str], where: str) -> SuperBlock:
    name, arguments = match.groups()
    if name not in KINDS:
        raise NbnasError(f"{where} has unknown name {name[:40]!r}; choose from {', '.join(KINDS)}")
    fields = ["in", "out", "stride", *([] if name in CONVOLUTIONS else ["bottleneck"]), "L"]
    texts = arguments.split(",")
    if len(texts) != len(fields):
        raise NbnasError(f"{where} needs ({', '.join(fields)}), got {len(texts)} arguments in {match[0][:60]!r}")
    for field, text in zip(fields, texts, strict=True):
        if not re.fullmatch("[1-9][0-9]{0,5}", text):
            wanted = f"an integer from 1 to {LARGEST_NUMBER} for {field}"
            raise NbnasError(f"{where} needs {wanted}, got {text[:20]!r} in {match[0][:60]!r}")
    inputs, outputs, stride, *bottleneck, repeats = map(int, texts)
    if stride > 2:
        raise NbnasError(f"{where} must have stride 1 or 2, got {stride} in {match[0]!r}")
    return SuperBlock(name, inputs, outputs, stride, bottleneck[0] if bottleneck else None, repeats)


def format_structure(blocks: Iterable[SuperBlock]) -> str:
    """Write super blocks as a structure string."""
    return "".join(str(block) for block in blocks)


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
    """Convolutions in a row, the sum with a shortcut where it is ``residual``, ReLU.

    The shortcut is a ``projection`` with bias and BatchNorm, or the identity.
    """

    convolutions: tuple[Convolution, ...]
    residual: bool
    projection: Convolution | None


@lru_cache(maxsize=10_000)
def block_units(block: SuperBlock, *, residual: bool = True) -> tuple[Unit, ...]:
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
    residual &= block.kind.family != "convolution"
    for convolutions in _rows(block):
        inputs, outputs = convolutions[0].inputs, convolutions[-1].outputs
        projection = None
        if residual and not (units and inputs == outputs):
            projection = Convolution(inputs, outputs, stride=math.prod(part.stride for part in convolutions))
        units.append(Unit(convolutions, residual, projection))
    return tuple(units)


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


def _bottleneck(inputs: int, hidden: int, outputs: int, kernel_size: int, stride: int, groups: int = 1) -> tuple:
    middle = Convolution(hidden, hidden, kernel_size, stride, groups, gated=True)
    return Convolution(inputs, hidden), middle, Convolution(hidden, outputs)
