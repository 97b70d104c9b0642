"""The members of a population, scored by their ranks among everything seen so far.

With r_t(i) the ascending average rank of network i in term t among the n networks seen,

    score(i) = sum_t ln r_t(i)     (VKDNW, AZ-NAS: released code has ln(r / n), the same order)
    score(i) = sum_t r_t(i)        (TE-NAS)

A new network changes the ranks, and so the scores, of everything seen: to the ranks of those above it, it adds 1, to
those of its equals 1/2. Only members need to be up to date. Their ranks take these additions, a vector each. The others
matter when they could become members again. No rank grows by more than 1 per new network, and the score of the worst
member never falls; so whoever is below it now is below it for a known number of further networks, and is looked at
again only then. The longer a search has run, the less a new network moves, and the longer these pauses are: the cost of
a step depends on the size of the population and not on the number of networks seen. Of networks with the same values
only the oldest is looked at, for many may be tied with the worst member, and no pause is then safe.
"""

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

Key = tuple[float, ...]
"""Value of a network in one term; of several numbers the first decides, the next among equals."""

PAUSES = 2 ** np.arange(40.0)
"""Numbers of further networks for which one that is no member may be left alone."""

ROUNDING = 1e-9
"""Scores that differ by less are compared exactly, that is now."""


class Population:
    """At most ``size`` networks out of all that were inserted, with up-to-date scores.

    Args:
        terms: Number of terms.
        size: Largest number of members.
        how: ``log`` sums the logarithms of ranks, ``sum`` the ranks.
        keep: ``best`` keeps the best of everything seen so far, of equal ones the older; a network that left comes
            back when the others' ranks have grown less than its own. ``newest`` keeps the last ``size``.
    """

    def __init__(
        self, terms: int, size: int, *, how: Literal["log", "sum"] = "log", keep: Literal["best", "newest"] = "best"
    ) -> None:
        self.seen = 0
        self.members = np.empty(0, dtype=int)
        """Numbers of the members, ascending."""
        self.scores = np.empty(0)
        """Scores of the members, in their order; larger is better."""
        self._size, self._how, self._keep = size, how, keep
        self._columns = [SortedBlocks() for _ in range(terms)]
        self._keys: dict[int, tuple[Key, ...]] = {}
        self._member_keys: list[np.ndarray] | None = None
        self._ranks = np.empty((terms, 0))
        self._agenda: list[tuple[int, int]] = []
        """A heap of (number of networks seen at which to look again, network that is no member)."""
        self._waiting: dict[tuple[Key, ...], list[int]] = {}
        """Keys -> a heap of the networks that have them and are no members; the first is on the agenda."""

    def __len__(self) -> int:
        return len(self.members)

    def insert(self, number: int, keys: Sequence[Key]) -> None:
        """Add a network.

        Args:
            number: Larger than that of any network before.
            keys: One per term, without NaN; a network that failed in a term has minus infinity there.
        """
        keys = tuple(tuple(map(float, key)) for key in keys)
        if self._member_keys is None:
            self._member_keys = [np.empty((len(key), 0)) for key in keys]
        for ranks, column, members, key in zip(self._ranks, self._columns, self._member_keys, keys, strict=True):
            ranks += _rank_gain(members, key)
            column.insert(key)
        self.seen += 1
        self._keys[number] = keys
        entering = [number]
        while self._agenda and self._agenda[0][0] <= self.seen:
            due = heapq.heappop(self._agenda)[1]
            # It may have entered since, or an older one of the same keys have left.
            if self._waiting.get(self._keys[due], [None])[0] == due:
                entering.append(self._call(self._keys[due]))
        while entering:
            self._admit(entering)
            # Who has the same keys as a new member may be one too.
            admitted = np.intersect1d(entering, self.members).tolist()
            entering = [self._call(keys) for keys in map(self._keys.get, admitted) if keys in self._waiting]

    def _call(self, keys: tuple[Key, ...]) -> int:
        """Take the oldest network of these keys from those that wait."""
        waiting = self._waiting[keys]
        number = heapq.heappop(waiting)
        if not waiting:
            del self._waiting[keys]
        return number

    def _admit(self, entering: list[int]) -> None:
        numbers = np.append(self.members, entering)
        entering_ranks = np.array([self._rank(number) for number in entering]).T
        ranks = np.concatenate([self._ranks, entering_ranks], axis=1)
        member_keys = [
            np.concatenate([members, np.array([self._keys[number][term] for number in entering]).T], axis=1)
            for term, members in enumerate(self._member_keys)
        ]
        scores = self._aggregate(ranks)
        preference = numbers if self._keep == "newest" else scores
        order = np.lexsort((numbers, -preference))
        kept, left = np.sort(order[: self._size]), order[self._size :]
        kept = kept[np.argsort(numbers[kept])]
        self.members, self.scores, self._ranks = numbers[kept], scores[kept], ranks[:, kept]
        self._member_keys = [members[:, kept] for members in member_keys]
        if len(left) and self._keep == "best" and len(self._columns) > 1:
            self._schedule(numbers[left], ranks[:, left])
        else:
            # One term ranks any two networks for ever as it does now.
            for number in numbers[left].tolist():
                del self._keys[number]

    def _rank(self, number: int) -> list[float]:
        """Average rank in each term, of a network that is among those counted."""
        counts = [column.count(key) for column, key in zip(self._columns, self._keys[number], strict=True)]
        return [smaller + (equal + 1) / 2 for smaller, equal in counts]

    def _schedule(self, numbers: np.ndarray, ranks: np.ndarray) -> None:
        """Say when networks that are no members must be looked at again."""
        highest = self._aggregate(ranks[:, :, None] + PAUSES)
        safe = (highest < self.scores.min() - ROUNDING).sum(axis=1)
        pauses = np.where(safe > 0, PAUSES[safe - 1], 0)
        for number, pause in zip(numbers.tolist(), pauses.tolist(), strict=True):
            waiting = self._waiting.setdefault(self._keys[number], [])
            heapq.heappush(waiting, number)
            if waiting[0] == number:
                heapq.heappush(self._agenda, (self.seen + int(pause) + 1, number))

    def _aggregate(self, ranks: np.ndarray) -> np.ndarray:
        return (np.log(ranks) if self._how == "log" else ranks).sum(axis=0)


def _rank_gain(members: np.ndarray, key: Key) -> np.ndarray:
    """What a new network adds to the ranks of members: 1 where they are larger, 1/2 where equal."""
    equal = np.ones(members.shape[1], dtype=bool)
    gain = np.zeros(members.shape[1])
    for values, value in zip(members, key, strict=True):
        gain[equal & (values > value)] = 1
        equal &= values == value
    gain[equal] = 0.5
    return gain


BLOCK = 512
"""A block that grows to twice this many entries is split in halves."""


class SortedBlocks:
    """Entries in ascending order, in blocks short enough to insert into.

    An insertion moves at most ``2 * BLOCK`` entries, where one sorted list would move half of all. Entries are numbers
    or tuples of numbers, of one kind; NaN has no place in an order and is not checked for.
    """

    def __init__(self) -> None:
        self._blocks: list[list[Any]] = []
        self._largest: list[Any] = []
        self._sizes: list[int] = []

    def __len__(self) -> int:
        return sum(self._sizes)

    def insert(self, key: Any) -> None:
        """Add an entry; equal ones may be added again."""
        if not self._blocks:
            self._blocks, self._largest, self._sizes = [[key]], [key], [1]
            return
        place = min(bisect_left(self._largest, key), len(self._blocks) - 1)
        block = self._blocks[place]
        insort(block, key)
        self._largest[place] = block[-1]
        self._sizes[place] += 1
        if len(block) >= 2 * BLOCK:
            self._blocks[place : place + 1] = [block[:BLOCK], block[BLOCK:]]
            self._largest[place : place + 1] = [block[BLOCK - 1], block[-1]]
            self._sizes[place : place + 1] = [BLOCK, len(block) - BLOCK]

    def count(self, key: Any) -> tuple[int, int]:
        """Return how many entries are smaller than ``key``, and how many equal it."""
        # A run of equal entries may span blocks.
        smaller = self._count_before(bisect_left(self._largest, key), bisect_left, key)
        up_to = self._count_before(bisect_right(self._largest, key), bisect_right, key)
        return smaller, up_to - smaller

    def _count_before(self, place: int, bisect: Any, key: Any) -> int:
        inside = bisect(self._blocks[place], key) if place < len(self._blocks) else 0
        return sum(self._sizes[:place]) + inside
