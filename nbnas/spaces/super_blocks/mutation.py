"""Replacement of super blocks, as the published searches draw it and uniformly.

Sources: the ZenNAS line of searches (Lin et al., ICCV 2021, ``lin2021zennas``); the candidates and their weights follow
the released search code of VKDNW and T-CET.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nbnas.spaces.super_blocks.structure import SuperBlock, round_width

MULTIPLIERS = (2.5, 2, 1.5, 1.25, 1, 1 / 1.25, 1 / 1.5, 1 / 2, 1 / 2.5)
"""What a width may be multiplied by; the product is rounded to a multiple of 8, at least 8."""


class MutationRules(NamedTuple):
    """What distinguishes two spaces; ``widest`` is the largest width."""

    names: Mapping[str, int]
    """Names of residual super blocks -> multiplicity in the list from which the published search draws.

    The multiplicities differ because the published code appends to lists that it goes on using.
    """
    widest: int
    tail_outputs: int | None = None
    """Output width of every tail, or ``None`` if it may change."""


class Candidates(NamedTuple):
    """What may replace a super block, itself included: all combinations of four lists without repeats."""

    names: tuple[str, ...]
    outputs: tuple[int, ...]
    bottlenecks: tuple[int | None, ...]
    repeats: tuple[int, ...]

    @property
    def number(self) -> int:
        """How many distinct candidates there are."""
        return math.prod(map(len, self))


def candidates(blocks: Sequence[SuperBlock], place: int, rules: MutationRules) -> Candidates:
    """Return what may replace ``blocks[place]``; strides never change.

    A residual super block may get any name of the space, its output and bottleneck widths times a :data:`MULTIPLIERS`,
    and L changed by up to 2; the stem, and the tail where it is free, another output width.
    """
    block, last = blocks[place], len(blocks) - 1
    outputs = (block.outputs,) if place == last and rules.tail_outputs else _widths(block.outputs, rules)
    if place in (0, last):
        return Candidates((block.name,), outputs, (block.bottleneck,), (block.repeats,))
    lengths = tuple(range(max(1, block.repeats - 2), block.repeats + 3))
    return Candidates(tuple(rules.names), outputs, _widths(block.bottleneck, rules), lengths)


def mutate_structure(
    blocks: Sequence[SuperBlock], rules: MutationRules, rng: np.random.Generator, *, published: bool, replacements: int
) -> tuple[SuperBlock, ...]:
    """Replace super blocks by :func:`candidates` at so many places, then :func:`rechain` and :func:`split_long`.

    If ``published``, draw as the searches do: each place uniformly among all, a place drawn twice counting once; the
    name with the multiplicities of ``rules.names``, everything else uniformly. The result may be the parent. Otherwise
    draw different places uniformly among those that can change, and for each one of the candidates other than the
    present super block, all equally likely.
    """
    if published:
        places = sorted({int(rng.integers(len(blocks))) for _ in range(replacements)})
    else:
        places = rng.permutation(len(blocks) - bool(rules.tail_outputs))[:replacements].tolist()
    mutant = list(blocks)
    for place in places:
        found = candidates(blocks, place, rules)
        names = [name for name in found.names for _ in range(rules.names.get(name, 1) if published else 1)]
        while mutant[place] == blocks[place]:
            lists = (names, *found[1:])
            name, outputs, bottleneck, repeats = (values[int(rng.integers(len(values)))] for values in lists)
            mutant[place] = replace(blocks[place], name=name, outputs=outputs, bottleneck=bottleneck, repeats=repeats)
            if published:
                break
    return split_long(rechain(mutant))


def _widths(width: int, rules: MutationRules) -> tuple[int, ...]:
    """Multiples of a width in the order of :data:`MULTIPLIERS`, without repeats."""
    return tuple(dict.fromkeys(min(round_width(width * multiplier), rules.widest) for multiplier in MULTIPLIERS))


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
        while rest.repeats > 5:
            parts.append(replace(rest, repeats=3))
            rest = replace(rest, inputs=rest.outputs, stride=1, repeats=rest.repeats - 3)
        parts.append(rest)
    return tuple(parts)
