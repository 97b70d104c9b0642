"""The members of a population, scored by their ranks among everything seen so far.

With r_t(i) the ascending average rank of network i in term t among the n networks seen,

    score(i) = sum_t ln r_t(i)     (VKDNW, AZ-NAS: released code has ln(r / n), the same order)
    score(i) = sum_t r_t(i)        (TE-NAS)

A new network adds 1 to the ranks of those above it and 1/2 to those of its equals, in every term. Members take these
additions at once. The others matter only when they could become members again. No rank grows by more than 1 per new
network, and the score of the worst member never falls. Whoever is below it now is therefore below it for a known number
of further networks, and is looked at again only then. These pauses grow with the search, so the cost of a step depends
on the size of the population and not on the number of networks seen. Of networks with the same values only the oldest
is looked at: many may be tied with the worst member, and no pause is then safe.
"""

import heapq
from collections.abc import Sequence

import numpy as np
from sortedcontainers import SortedList

Key = tuple[float, ...]
"""Value of a network in one term; of several numbers the first decides, the next among equals."""
PAUSES = 2 ** np.arange(40.0)
"""Numbers of further networks for which one that is no member may be left alone."""
ROUNDING = 1e-9
"""Scores that differ by less are compared exactly, that is now."""


class Population:
    """At most ``size`` networks out of all that were inserted, scored by ``log`` ranks or the ``sum`` of ranks, now.

    ``best`` keeps the best of everything seen so far, of equal ones the older; a network that left comes back when its
    ranks have grown more than those of others. ``newest`` keeps the last ``size``.
    """

    def __init__(self, size: int, *, how: str = "log", keep: str = "best") -> None:
        self.seen = 0
        # Numbers of the members, ascending, and their scores in this order; larger is better.
        self.members, self.scores = np.empty(0, dtype=int), np.empty(0)
        self._size, self._how, self._keep = size, how, keep
        self._keys: dict[int, tuple[Key, ...]] = {}
        self._agenda: list[tuple[int, int]] = []
        """A heap of (number of networks seen at which to look again, network that is no member)."""
        self._waiting: dict[tuple[Key, ...], list[int]] = {}
        """Keys -> a heap of the networks that have them and are no members; the first is on the agenda."""

    def __len__(self) -> int:
        return len(self.members)

    def insert(self, number: int, keys: Sequence[Key]) -> None:
        """Add a network, of a larger number than any before, by a key per term; minus infinity where a term failed."""
        keys = tuple(tuple(map(float, key)) for key in keys)
        if not self.seen:
            self._columns = [SortedList() for _ in keys]
            self._ranks = np.empty((len(keys), 0))
            self._member_keys = [np.empty((len(key), 0)) for key in keys]
        for ranks, column, members, key in zip(self._ranks, self._columns, self._member_keys, keys, strict=True):
            # Members gain 1 where they are larger, 1/2 where equal; the first number that differs decides.
            gain = np.full(len(self), 0.5)
            for values, value in zip(members[::-1], key[::-1], strict=True):
                gain = np.where(values == value, gain, values > value)
            ranks += gain
            column.add(key)
        self.seen += 1
        self._keys[number] = keys
        entering = [number]
        while self._agenda and self._agenda[0][0] <= self.seen:
            due = heapq.heappop(self._agenda)[1]
            # It may have entered since, or an older one of the same keys may have left.
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
        ranks, member_keys = [], []
        terms = zip(*(self._keys[number] for number in entering), strict=True)
        for old, column, members, keys in zip(self._ranks, self._columns, self._member_keys, terms, strict=True):
            own = [(column.bisect_left(key) + column.bisect_right(key) + 1) / 2 for key in keys]
            ranks.append(np.append(old, own))
            member_keys.append(np.hstack([members, np.array(keys).T]))
        ranks = np.stack(ranks)
        scores = self._aggregate(ranks)
        order = np.lexsort((numbers, -(numbers if self._keep == "newest" else scores)))
        kept, left = order[: self._size], order[self._size :]
        kept = kept[np.argsort(numbers[kept])]
        self.members, self.scores, self._ranks = numbers[kept], scores[kept], ranks[:, kept]
        self._member_keys = [keys[:, kept] for keys in member_keys]
        if len(left) and self._keep == "best" and len(self._columns) > 1:
            self._schedule(numbers[left], ranks[:, left])
        else:
            # One term ranks any two networks for ever as it does now.
            for number in numbers[left].tolist():
                del self._keys[number]

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
