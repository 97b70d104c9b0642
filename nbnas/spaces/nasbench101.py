"""NAS-Bench-101: cells that are graphs of at most 7 vertices and 9 edges with an operation on every vertex.

Source: Ying et al., ICML 2019. An architecture is its vertices, then its edges, which lead forward:
``input,conv3x3-bn-relu,output:0-1,1-2``. Vertices that are on no path from input to output do not exist for the
benchmark; :meth:`NasBench101.normalise` removes them. The cells of NAS-Bench-1Shot1 belong to this space.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from nbnas.datasets.shapes import CIFAR10, DatasetShape
from nbnas.errors import NbnasError
from nbnas.spaces.nasbench101_network import (
    OPERATIONS,
    CellGraph,
    NasBench101Network,
    module_channels,
    vertex_channels,
)
from nbnas.spaces.space import SearchSpace
from nbnas.spaces.tensorwatch import count_operations

MAX_VERTICES = 7
MAX_EDGES = 9

Edges = tuple[tuple[int, int], ...]

_PAIRS = tuple(itertools.combinations(range(MAX_VERTICES), 2))
"""Every possible edge of the largest cell."""


class NasBench101(SearchSpace):
    """The search space; see :func:`nbnas.get_space`."""

    name = "nasbench101"
    datasets: ClassVar[Mapping[str, DatasetShape]] = {"cifar10": CIFAR10}

    def normalise(self, arch: str) -> str:
        """Return the pruned cell, its vertices numbered in their old order and its edges ascending.

        Raises:
            NbnasError: If the string is malformed, an edge does not lead forward, no path leads from input to output,
                or more than 7 vertices or 9 edges are left after pruning.
        """
        return format_cell(parse_cell(arch))

    def canonical(self, arch: str) -> str:
        """Return one string for all cells that are the same labelled graph after pruning.

        It is the least of the spellings with other orders of the interior vertices. The benchmark has one record for
        all of them, although their networks can differ: where the channels of the output cannot be divided evenly, the
        first vertices get one more.
        """
        graph = parse_cell(arch)
        return min(relabel(graph.operations, order, edges) for order, edges in forward_orders(graph))

    def sample(self, rng: np.random.Generator) -> str:
        """Draw a cell as the published samples were drawn, which is far from uniform.

        Every edge between 7 vertices is there with probability 1/2 and operations are uniform; draws that are not valid
        after pruning are repeated. Cells of 4 and 5 vertices are the most frequent, one in ten is input-output alone,
        and hardly any has 7 vertices.
        """
        while True:
            edges = list(itertools.compress(_PAIRS, rng.integers(2, size=len(_PAIRS))))
            try:
                return format_cell(prune(_random_operations(rng), edges))
            except NbnasError:
                continue

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Flip one edge or change one operation at a time until another valid cell results.

        The cell is first spread over 7 vertices, so that it can grow; vertices without edges get random operations.
        Each step draws one of the 21 edges and 5 operations uniformly. A step that leaves no valid cell is undone. One
        that changes no more than vertices off every path is kept, so the result can differ by several edges.
        """
        graph = parse_cell(arch)
        unchanged = format_cell(graph)
        occupied = sorted(rng.choice(np.arange(1, MAX_VERTICES - 1), len(graph.interior), replace=False).tolist())
        number = dict(enumerate([0, *occupied, MAX_VERTICES - 1]))
        operations = _random_operations(rng)
        for vertex in graph.interior:
            operations[number[vertex]] = graph.operations[vertex]
        edges = {(number[source], number[target]) for source, target in graph.edges}
        while True:
            changed_operations, changed_edges = operations.copy(), edges
            decision = int(rng.integers(len(_PAIRS) + MAX_VERTICES - 2))
            if decision < len(_PAIRS):
                changed_edges = edges ^ {_PAIRS[decision]}
            else:
                vertex = decision - len(_PAIRS) + 1
                others = [name for name in OPERATIONS if name != operations[vertex]]
                changed_operations[vertex] = others[int(rng.integers(len(others)))]
            try:
                mutant = format_cell(prune(changed_operations, changed_edges))
            except NbnasError:
                continue
            if mutant != unchanged:
                return mutant
            operations, edges = changed_operations, changed_edges

    def build(self, arch: str, num_classes: int = 10, *, channels: int = 128) -> nn.Module:
        """Build the network; it maps (batch, 3, R, R), R at least 4, to logits (batch, num_classes).

        Args:
            arch: Cell; it is pruned first.
            num_classes: Number of logits.
            channels: Width of the stem and of the first stack.

        Raises:
            NbnasError: If the cell is not valid, or has more vertices before its output than there are channels.
        """
        return NasBench101Network(_parse_for(channels, arch), num_classes, channels)

    def params(self, arch: str, num_classes: int = 10, *, channels: int = 128) -> int:
        """Number of parameters of the pruned cell's network.

        The stem has 29 C. In a module of i input channels, a k x k convolution at a vertex of c channels has
        k^2 c^2 + 2 c and an edge from the input to it i c + 2 c, see
        :func:`nbnas.spaces.nasbench101_network.vertex_channels`.
        """
        graph = _parse_for(channels, arch)
        total = 29 * channels
        for before, after in module_channels(channels):
            widths = vertex_channels(graph, after)
            for vertex in graph.interior:
                if graph.operations[vertex].startswith("conv"):
                    kernel_size = int(graph.operations[vertex][len("conv")])
                    total += kernel_size**2 * widths[vertex] ** 2 + 2 * widths[vertex]
            total += sum((before + 2) * widths[vertex] for vertex in graph.projected)
        return total + (after + 1) * num_classes

    def flops(self, arch: str, resolution: int = 32, num_classes: int = 10, *, channels: int = 128) -> int:
        """Operations for one image, as tensorwatch counts them (:mod:`nbnas.spaces.tensorwatch`)."""
        with torch.device("meta"):
            network = self.build(arch, num_classes, channels=channels)
        return count_operations(network, (3, resolution, resolution))


def parse_cell(arch: str) -> CellGraph:
    """Return the pruned graph of an architecture string.

    Raises:
        NbnasError: See :meth:`NasBench101.normalise`.
    """
    if not isinstance(arch, str):
        raise NbnasError(f"a NAS-Bench-101 architecture is a string, got {type(arch).__name__}")
    vertices, separator, connections = arch.strip().partition(":")
    if not separator:
        raise NbnasError(f"a NAS-Bench-101 cell must read 'operations:edges', got {arch!r}")
    operations = vertices.split(",")
    numbers = {str(vertex): vertex for vertex in range(len(operations))}
    edges = []
    for text in connections.split(",") if connections else []:
        source, _, target = text.partition("-")
        if source not in numbers or target not in numbers:
            last = len(operations) - 1
            raise NbnasError(f"an edge must read 's-t' with vertices s, t from 0 to {last}, got {text!r}")
        edges.append((numbers[source], numbers[target]))
    return prune(operations, edges)


def prune(operations: Sequence[str], edges: Iterable[tuple[int, int]]) -> CellGraph:
    """Keep the vertices that are on a path from the first to the last vertex, in their order.

    Args:
        operations: Of all vertices, with ``input`` first and ``output`` last.
        edges: Pairs (source, target) of vertices.

    Raises:
        NbnasError: See :meth:`NasBench101.normalise`.
    """
    output = len(operations) - 1
    if output < 1 or operations[0] != "input" or operations[-1] != "output":
        raise NbnasError(f"the first vertex must be 'input' and the last 'output', got {','.join(operations)!r}")
    for vertex, name in enumerate(operations[1:-1], start=1):
        if name not in OPERATIONS:
            raise NbnasError(f"vertex {vertex} has unknown operation {name!r}; choose from {', '.join(OPERATIONS)}")
    edges = sorted(edges)
    for source, target in edges:
        if source >= target:
            raise NbnasError(f"edges must lead to a later vertex, got {source}-{target}")
    for first, second in itertools.pairwise(edges):
        if first == second:
            raise NbnasError(f"edge {first[0]}-{first[1]} occurs twice")

    reached, reaching = {0}, {output}
    for source, target in edges:
        if source in reached:
            reached.add(target)
    for source, target in reversed(edges):
        if target in reaching:
            reaching.add(source)
    if output not in reached:
        raise NbnasError("no path leads from input to output")
    kept = sorted(reached & reaching)
    number = {vertex: place for place, vertex in enumerate(kept)}
    kept_edges = tuple((number[s], number[t]) for s, t in edges if s in number and t in number)
    if len(kept) > MAX_VERTICES:
        raise NbnasError(f"a cell has at most {MAX_VERTICES} vertices, got {len(kept)} after pruning")
    if len(kept_edges) > MAX_EDGES:
        raise NbnasError(f"a cell has at most {MAX_EDGES} edges, got {len(kept_edges)} after pruning")
    return CellGraph(tuple(operations[vertex] for vertex in kept), kept_edges)


def format_cell(graph: CellGraph) -> str:
    """Join vertices and edges into an architecture string."""
    return f"{','.join(graph.operations)}:{','.join(f'{source}-{target}' for source, target in graph.edges)}"


def forward_orders(graph: CellGraph) -> list[tuple[tuple[int, ...], Edges]]:
    """List the orders of the interior vertices in which all edges lead forward, each with the edges as they then read.

    Two pruned graphs are isomorphic if and only if the least edges of their lists are equal.
    """
    found = []
    for order in itertools.permutations(graph.interior):
        number = {0: 0, graph.output: graph.output} | {vertex: place for place, vertex in enumerate(order, start=1)}
        edges = tuple(sorted((number[source], number[target]) for source, target in graph.edges))
        if all(source < target for source, target in edges):
            found.append((order, edges))
    return found


def relabel(operations: Sequence[str], order: Sequence[int], edges: Edges) -> str:
    """Return the architecture string with the interior vertices in another order.

    Args:
        operations: Of all vertices, in the old order.
        order: Old numbers of the interior vertices, in the new order.
        edges: In new numbers.
    """
    return format_cell(CellGraph(("input", *(operations[vertex] for vertex in order), "output"), edges))


def _random_operations(rng: np.random.Generator) -> list[str]:
    interior = [OPERATIONS[code] for code in rng.integers(len(OPERATIONS), size=MAX_VERTICES - 2)]
    return ["input", *interior, "output"]


def _parse_for(channels: int, arch: str) -> CellGraph:
    graph = parse_cell(arch)
    if channels < len(graph.concatenated):
        raise NbnasError(f"{len(graph.concatenated)} vertices cannot share {channels} channels")
    return graph
