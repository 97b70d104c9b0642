"""Structure strings: networks written as a row of super blocks.

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

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from nbnas.errors import NbnasError
from nbnas.spaces.choices import text_of

KERNEL_SIZES = (3, 5, 7)
EXPANSIONS = (1, 2, 4, 6)

LARGEST_NUMBER = 999_999
"""Largest number that a structure string may hold, far beyond any network that can be trained."""

LONGEST = 5
"""Largest L that the published searches keep; longer super blocks are split."""
FIRST_PART = 3
"""L of the first part of a split super block."""


class BlockKind(NamedTuple):
    """What the name of a super block says."""

    family: Literal["convolution", "inverted", "basic", "bottleneck"]
    kernel_size: int
    expansion: int = 1


CONVOLUTIONS = {f"SuperConvK{k}BNRELU": BlockKind("convolution", k) for k in (1, *KERNEL_SIZES)}
INVERTED = {f"SuperResIDWE{e}K{k}": BlockKind("inverted", k, e) for k in KERNEL_SIZES for e in EXPANSIONS}
BASIC = {f"SuperResK{k}K{k}": BlockKind("basic", k) for k in KERNEL_SIZES}
BOTTLENECK = {f"SuperResK1K{k}K1": BlockKind("bottleneck", k) for k in KERNEL_SIZES}

KINDS = CONVOLUTIONS | INVERTED | BASIC | BOTTLENECK
"""Name of a super block -> what it stands for."""


@dataclass(frozen=True)
class SuperBlock:
    """One ``Name(args)`` of a structure string."""

    name: str
    """One of :data:`KINDS`."""
    inputs: int
    """Channels of the input."""
    outputs: int
    """Channels of the output."""
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
        """Return the text in a structure string."""
        numbers = (self.inputs, self.outputs, self.stride, self.bottleneck, self.repeats)
        return f"{self.name}({','.join(str(number) for number in numbers if number is not None)})"


_BLOCK = re.compile(r"(\w+)\(([^()]*)\)", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,5}")
_NAMES = (
    "SuperConvK{k}BNRELU, SuperResIDWE{e}K{k}, SuperResK{k}K{k}, SuperResK1K{k}K1 "
    "with k 3, 5, 7 (in SuperConv also 1) and e 1, 2, 4, 6"
)


def parse_structure(text: str) -> tuple[SuperBlock, ...]:
    """Split a structure string into its super blocks; the inverse of :func:`format_structure`.

    Surrounding white space is ignored; inside, none is allowed, nor are signs or leading zeros. An error names the
    first super block that is malformed, has a stride other than 1 and 2, or takes another number of channels than the
    one before gives, and the character at which it begins, counted from 1.
    """
    text = text_of(text, "a structure")
    blocks, position = [], 0
    while position < len(text):
        where = f"block {len(blocks) + 1} (character {position + 1})"
        match = _BLOCK.match(text, position)
        if match is None:
            raise NbnasError(f"{where} must read 'Name(args)', got {text[position : position + 40]!r}")
        block = _parse_block(match, where)
        if blocks and block.inputs != blocks[-1].outputs:
            raise NbnasError(
                f"{where} takes {block.inputs} channels, but block {len(blocks)} gives {blocks[-1].outputs}: {block}"
            )
        blocks.append(block)
        position = match.end()
    if not blocks:
        raise NbnasError("a structure needs at least one super block, got an empty string")
    return tuple(blocks)


def _parse_block(match: re.Match[str], where: str) -> SuperBlock:
    name, arguments = match.groups()
    if name not in KINDS:
        raise NbnasError(f"{where} has unknown name {name[:40]!r}; choose from {_NAMES}")
    fields = ["in", "out", "stride", *([] if name in CONVOLUTIONS else ["bottleneck"]), "L"]
    texts = arguments.split(",")
    if len(texts) != len(fields):
        raise NbnasError(f"{where} needs ({', '.join(fields)}), got {len(texts)} arguments in {match[0][:60]!r}")
    for field, text in zip(fields, texts, strict=True):
        if not _NUMBER.fullmatch(text):
            wanted = f"an integer from 1 to {LARGEST_NUMBER} for {field}"
            raise NbnasError(f"{where} needs {wanted}, got {text[:20]!r} in {match[0][:60]!r}")
    values = {field: int(text) for field, text in zip(fields, texts, strict=True)}
    if values["stride"] > 2:
        raise NbnasError(f"{where} must have stride 1 or 2, got {values['stride']} in {match[0]!r}")
    return SuperBlock(name, values["in"], values["out"], values["stride"], values.get("bottleneck"), values["L"])


def format_structure(blocks: Iterable[SuperBlock]) -> str:
    """Write super blocks as a structure string."""
    return "".join(str(block) for block in blocks)


def rechain(blocks: Sequence[SuperBlock]) -> tuple[SuperBlock, ...]:
    """Give every super block but the first the input width that the one before puts out."""
    widths = [blocks[0].inputs, *(block.outputs for block in blocks)]
    return tuple(replace(block, inputs=width) for block, width in zip(blocks, widths, strict=False))


def split_long(blocks: Iterable[SuperBlock]) -> tuple[SuperBlock, ...]:
    """Split every super block of L >= 6 into one of L = 3 and one of L - 3, until none is left.

    The second part keeps output and bottleneck width, takes as many channels as it gives, and has stride 1. It is not
    quite the same network: every super block of residual units begins with a projection, so a split adds one.
    """
    parts = []
    for rest in blocks:
        while rest.repeats > LONGEST:
            parts.append(replace(rest, repeats=FIRST_PART))
            rest = replace(rest, inputs=rest.outputs, stride=1, repeats=rest.repeats - FIRST_PART)
        parts.append(rest)
    return tuple(parts)
