"""Replacement of super blocks, as the published searches draw it and uniformly.

Sources: the ZenNAS line of searches (Lin et al., ICCV 2021, ``lin2021zennas``); the candidates and their weights
follow the released search code of VKDNW and T-CET.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nbnas.spaces.super_blocks.structure import SuperBlock, rechain, split_long
from nbnas.spaces.super_blocks.units import round_width

MULTIPLIERS = (2.5, 2, 1.5, 1.25, 1, 1 / 1.25, 1 / 1.5, 1 / 2, 1 / 2.5)
"""What a width may be multiplied by; the product is rounded to a multiple of 8, at least 8."""
LENGTH_STEPS = (-2, -1, 0, 1, 2)
"""What may be added to L, as long as it stays positive."""


@dataclass(frozen=True)
class MutationRules:
    """What distinguishes the mutations of two spaces."""

    names: Mapping[str, int]
    """Names of residual super blocks -> multiplicity in the list from which the published search draws.

    The multiplicities differ because the published code appends to lists that it goes on using.
    """
    widest: int
    """Largest width."""
    tail_changes: bool
    """Whether the output width of the tail may change."""


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
    """Return what may replace ``blocks[place]``; the stride always stays.

    A residual super block may get any name of the space, its output and bottleneck widths times a :data:`MULTIPLIERS`,
    and L changed by a :data:`LENGTH_STEPS`; the stem, and the tail where it is free, another output width.
    """
    block, last = blocks[place], len(blocks) - 1
    outputs = (block.outputs,) if place == last and not rules.tail_changes else _widths(block.outputs, rules)
    if place in (0, last):
        return Candidates((block.name,), outputs, (block.bottleneck,), (block.repeats,))
    lengths = tuple(block.repeats + step for step in LENGTH_STEPS if block.repeats + step > 0)
    return Candidates(tuple(rules.names), outputs, _widths(block.bottleneck, rules), lengths)


def mutate_structure(
    blocks: Sequence[SuperBlock],
    rules: MutationRules,
    rng: np.random.Generator,
    *,
    published: bool = False,
    replacements: int = 1,
) -> tuple[SuperBlock, ...]:
    """Replace super blocks at so many places, then re-chain input widths and split long super blocks.

    If ``published``, draw as the searches do: each place uniformly among all, a place drawn twice counting once; the
    name with the multiplicities of ``rules.names``, everything else uniformly. The result may be the parent. Otherwise
    draw different places uniformly among those that can change, and for each one of the candidates other than the
    present super block, all equally likely.
    """
    mutant = list(blocks)
    if published:
        for place in sorted({int(rng.integers(len(blocks))) for _ in range(replacements)}):
            mutant[place] = _draw(blocks, place, rules, rng, published=True)
    else:
        free = len(blocks) if rules.tail_changes else len(blocks) - 1
        for place in rng.permutation(free)[:replacements].tolist():
            while mutant[place] == blocks[place]:
                mutant[place] = _draw(blocks, place, rules, rng, published=False)
    return split_long(rechain(mutant))


def _draw(
    blocks: Sequence[SuperBlock], place: int, rules: MutationRules, rng: np.random.Generator, *, published: bool
) -> SuperBlock:
    """Draw one of the candidates for a place, with the multiplicities of names if ``published``."""
    found = candidates(blocks, place, rules)
    tickets = [name for name in found.names for _ in range(rules.names.get(name, 1) if published else 1)]
    name, outputs, bottleneck, repeats = (
        values[int(rng.integers(len(values)))] for values in (tickets, found.outputs, found.bottlenecks, found.repeats)
    )
    return replace(blocks[place], name=name, outputs=outputs, bottleneck=bottleneck, repeats=repeats)


def _widths(width: int, rules: MutationRules) -> tuple[int, ...]:
    """Return the multiples of a width in the order of :data:`MULTIPLIERS`, without repeats."""
    return tuple(dict.fromkeys(min(round_width(width * multiplier), rules.widest) for multiplier in MULTIPLIERS))
