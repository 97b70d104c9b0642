"""A growing sorted collection that counts how many of its entries are smaller than a key, and how many equal it."""

from bisect import bisect_left, bisect_right, insort
from typing import Any

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
