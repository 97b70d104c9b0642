"""NAS-Bench-1Shot1: three families of NAS-Bench-101 cells in which every node has a given number of parents.

Source: Zela et al., ICLR 2020. Parents of nodes 1, 2, ... and of the output: SS1 1, 2, 2, 2 | 2; SS2 1, 1, 2, 2 | 3;
SS3 1, 1, 1, 2, 2 | 2. What leads nowhere is pruned, and the networks are those of NAS-Bench-101. The indices are ours:
cells that are the same labelled graph are one architecture, in the alphabetical order of their canonical spellings.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np

from nbnas.errors import NbnasError
from nbnas.spaces.nasbench101 import OPERATIONS, CellGraph, NasBench101, forward_orders, parse_cell, prune, relabel
from nbnas.spaces.space import EnumeratedSpace


class NasBench1Shot1(EnumeratedSpace, NasBench101):
    """What the three families share; ``parents`` are the numbers of node 1, 2, ..., and of the output last."""

    parents: ClassVar[tuple[int, ...]]
    default_set = "trained"
    set_names: ClassVar = {"trained": "cells with accuracies", "all": "cells"}
    ranked_sets: ClassVar = {"trained": {"trained": "trained"}}

    @cached_property
    def _architectures(self) -> list[str]:
        cells = set()
        for graph in self._graphs():
            orders = list(forward_orders(graph))
            for interior in itertools.product(OPERATIONS, repeat=len(graph.interior)):
                operations = ("input", *interior, "output")
                cells.add(min(relabel(operations, order, edges) for order, edges in orders))
        return sorted(cells)

    def _graphs(self) -> set[CellGraph]:
        """Pruned graphs without regard to operations, one of each isomorphism class."""
        graphs = set()
        options = [itertools.combinations(range(node), count) for node, count in enumerate(self.parents, start=1)]
        for chosen in itertools.product(*options):
            edges = [(source, target) for target, sources in enumerate(chosen, start=1) for source in sources]
            # Any operation stands for all: only the edges count here.
            graph = prune(["input", *OPERATIONS[:1] * (len(self.parents) - 1), "output"], edges)
            graphs.add(graph._replace(edges=min(edges for _, edges in forward_orders(graph))))
        return graphs

    def parse(self, arch: str) -> CellGraph:
        """Return the cell in its canonical spelling; raises :class:`NbnasError` for what is no cell of this family."""
        listed = isinstance(arch, str) and arch in self._indices  # Then it is canonical, which is dear to find out.
        cell = arch if listed else self.canonical(arch)
        if cell not in self._indices:
            raise NbnasError(f"{cell!r} is not a cell of {self.name}")
        return parse_cell(cell)

    def named_set(self, name: str, trained: Callable[[], Sequence[str]]) -> dict[int, str]:
        """Return ``all``, index -> cell, or ``trained``: row of the table of accuracies, which lacks most -> cell."""
        return dict(enumerate(trained())) if name == "trained" else super().named_set(name, trained)

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Mutate as in NAS-Bench-101 until another cell of the family results."""
        current = self.normalise(arch)
        while True:
            mutant = self.canonical(super().mutate(current, rng))
            if mutant != current and mutant in self._indices:
                return mutant


class NasBench1Shot1SS1(NasBench1Shot1):
    """The first family: 2,685 cells from 14,580 configurations."""

    name = "nasbench1shot1_ss1"
    parents = (1, 2, 2, 2, 2)


class NasBench1Shot1SS2(NasBench1Shot1):
    """The second family: 7,773 cells from 29,160 configurations."""

    name = "nasbench1shot1_ss2"
    parents = (1, 1, 2, 2, 3)


class NasBench1Shot1SS3(NasBench1Shot1):
    """The third family: 55,854 cells from 1,312,200 configurations."""

    name = "nasbench1shot1_ss3"
    parents = (1, 1, 1, 2, 2, 2)
