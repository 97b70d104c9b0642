"""NAS-Bench-101: cells that are graphs of at most 7 vertices and 9 edges with an operation on every vertex.

Source: Ying et al., ICML 2019; details of the network follow zero-cost-nas and the records that NASLib publishes. An
architecture is its vertices, then its edges, which lead forward: ``input,conv3x3-bn-relu,output:0-1,1-2``. Vertices
that are on no path from input to output do not exist for the benchmark; :func:`prune` removes them.
"""

import functools
import hashlib
import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nbnas.datasets.shapes import CIFAR10
from nbnas.errors import NbnasError
from nbnas.spaces.four_node_cell import vertices_on_paths
from nbnas.spaces.parts import Costs, classifier_costs, conv_bn_relu, part_costs
from nbnas.spaces.space import CountedSpace, text_of

OPERATIONS = ("maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu")
"""Operations of interior vertices, in the order in which NASLib numbers them."""

MAX_VERTICES, MAX_EDGES = 7, 9

Edges = tuple[tuple[int, int], ...]

_PAIRS = tuple(itertools.combinations(range(MAX_VERTICES), 2))
_HASHED_LABELS = {"input": -1, "output": -2, "conv3x3-bn-relu": 0, "conv1x1-bn-relu": 1, "maxpool3x3": 2}


class CellGraph(NamedTuple):
    """A pruned cell: every vertex is on a path from the first (input) to the last (output)."""

    operations: tuple[str, ...]
    """Of all vertices; the first is ``input``, the last ``output``."""
    edges: Edges
    """Pairs (source, target) with source < target, ascending."""

    @property
    def output(self) -> int:
        """Number of the last vertex."""
        return len(self.operations) - 1

    @property
    def interior(self) -> range:
        """Numbers of the vertices between input and output."""
        return range(1, self.output)

    @property
    def concatenated(self) -> list[int]:
        """Interior vertices with an edge to the output, which concatenates them."""
        return [source for source, target in self.edges if target == self.output and source > 0]

    @property
    def projected(self) -> list[int]:
        """Vertices with an edge from the input, ascending."""
        return [target for source, target in self.edges if source == 0]


def parse_cell(arch: str) -> CellGraph:
    """Return the pruned graph of an architecture string; raises :class:`NbnasError` where it is malformed."""
    vertices, separator, connections = text_of(arch).partition(":")
    if not separator:
        raise NbnasError(f"a NAS-Bench-101 cell must read 'operations:edges', got {arch!r}")
    operations = vertices.split(",")
    numbers = {str(vertex): vertex for vertex in range(len(operations))}
    edges = []
    for text in connections.split(",") if connections else []:
        ends = text.split("-")
        if len(ends) != 2 or not numbers.keys() >= set(ends):
            wanted = f"'s-t' with vertices s, t from 0 to {len(operations) - 1}"
            raise NbnasError(f"an edge must read {wanted}, got {text!r}")
        edges.append((numbers[ends[0]], numbers[ends[1]]))
    return prune(operations, edges)


def prune(operations: Sequence[str], edges: Iterable[tuple[int, int]]) -> CellGraph:
    """Keep the vertices that are on a path from the first to the last, in order.

    Raises :class:`NbnasError` if an edge does not lead forward or occurs twice, no path leads from input to output, or
    more than 7 vertices or 9 edges are left.
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
        if edges.count((source, target)) > 1:
            raise NbnasError(f"edge {source}-{target} occurs twice")
    kept = sorted(vertices_on_paths(edges, output))
    if not kept:
        raise NbnasError("no path leads from input to output")
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


def module_hash(graph: CellGraph) -> str:
    """Return the 32 hexadecimal digits under which the benchmark keeps its record of a cell.

    Cells that are the same labelled graph share them. With md5 of texts, d+ and d- for the edges that leave and enter a
    vertex and n vertices,

        h_v = md5("(d+_v, d-_v, label_v)"), then n times, for all vertices at once,
        h_v = md5("{hashes of predecessors}|{of successors}|{h_v}"), both sorted and written without separator;

    the result is the md5 of Python's text of the sorted list of all h_v. Source: Ying et al., ICML 2019, their code.
    """
    before: list[list[int]] = [[] for _ in graph.operations]
    after: list[list[int]] = [[] for _ in graph.operations]
    for source, target in graph.edges:
        after[source].append(target)
        before[target].append(source)
    around = list(zip(before, after, strict=True))
    labels = [_HASHED_LABELS[name] for name in graph.operations]
    hashes = [_md5(str((len(a), len(b), label))) for (b, a), label in zip(around, labels, strict=True)]

    def joined(vertices: list[int]) -> str:
        # Most vertices have one neighbour on a side, which needs no sorting.
        return hashes[vertices[0]] if len(vertices) == 1 else "".join(sorted([hashes[vertex] for vertex in vertices]))

    for _ in labels:
        hashes = [_md5(f"{joined(b)}|{joined(a)}|{own}") for (b, a), own in zip(around, hashes, strict=True)]
    return _md5(str(sorted(hashes)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class NasBench101(CountedSpace):
    """The search space. FLOPs are those of NASLib's records.

    The standard spelling is that of the pruned cell, its vertices in their old order and its edges ascending.
    """

    name = "nasbench101"
    datasets: ClassVar = {"cifar10": CIFAR10}
    parse = staticmethod(parse_cell)
    format = staticmethod(format_cell)

    def canonical(self, arch: str) -> str:
        """Return one string for all cells that are the same labelled graph after pruning.

        It is the least of the spellings with other orders of the interior vertices. The benchmark has one record for
        all of them, although their networks can differ, see :func:`vertex_channels`.
        """
        graph = parse_cell(arch)
        return min(relabel(graph.operations, order, edges) for order, edges in forward_orders(graph))

    def sample(self, rng: np.random.Generator) -> str:
        """Draw a cell as the published samples were drawn, which is far from uniform.

        Every edge between 7 vertices is there with probability 1/2, operations are uniform, and draws that are invalid
        after pruning are repeated. Most cells have 4 or 5 vertices, one in ten is input-output alone, hardly any has 7.
        """
        while True:
            edges = list(itertools.compress(_PAIRS, rng.integers(2, size=len(_PAIRS))))
            with suppress(NbnasError):
                return format_cell(prune(_random_operations(rng), edges))

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Flip one edge or change one operation at a time until another valid cell results.

        The cell is first spread over 7 vertices, so that it can grow; vertices without edges get random operations.
        Each step draws one of the 21 edges and 5 operations uniformly. A step that leaves no valid cell is undone. One
        that changes no more than vertices off every path is kept, so the result can differ by several edges.
        """
        graph = parse_cell(arch)
        unchanged = format_cell(graph)
        occupied = sorted(rng.choice(np.arange(1, MAX_VERTICES - 1), len(graph.interior), replace=False).tolist())
        number = [0, *occupied, MAX_VERTICES - 1]
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
        """Build the network of the pruned cell; it maps (batch, 3, R, R), R at least 4, to logits (batch, num_classes).

        No more vertices may feed the output than there are ``channels`` in the stem and the first stack.
        """
        return NasBench101Network(self.parse(arch), num_classes, channels)

    def _parts(self, arch: str, resolution: int, num_classes: int, channels: int = 128) -> Iterator[Costs]:
        graph, side = self.parse(arch), resolution
        yield part_costs(conv_bn_relu, (3, channels, 3), 3, side)
        for halves, before, after in module_shapes(channels):
            if halves:
                yield part_costs(nn.MaxPool2d, (2, 2), before, side)
                side //= 2
            widths = vertex_channels(graph, after)
            for vertex in graph.interior:
                yield part_costs(make_operation, (graph.operations[vertex], widths[vertex]), widths[vertex], side)
            for vertex in graph.projected:
                yield part_costs(conv_bn_relu, (before, widths[vertex], 1), before, side)
        yield classifier_costs(after, num_classes)


def forward_orders(graph: CellGraph) -> Iterator[tuple[tuple[int, ...], Edges]]:
    """Yield the orders of the interior vertices in which all edges lead forward, each with the edges as they then read.

    Two pruned graphs are isomorphic if and only if the least of these edges are equal.
    """
    for order in itertools.permutations(graph.interior):
        number = {vertex: place for place, vertex in enumerate((0, *order, graph.output))}
        edges = tuple(sorted((number[source], number[target]) for source, target in graph.edges))
        if all(source < target for source, target in edges):
            yield order, edges


def relabel(operations: Sequence[str], order: Sequence[int], edges: Edges) -> str:
    """Return the string with the interior vertices in another order, of old numbers; ``edges`` has the new ones."""
    return format_cell(CellGraph(("input", *(operations[vertex] for vertex in order), "output"), edges))


def _random_operations(rng: np.random.Generator) -> list[str]:
    interior = [OPERATIONS[code] for code in rng.integers(len(OPERATIONS), size=MAX_VERTICES - 2)]
    return ["input", *interior, "output"]


def module_shapes(channels: int) -> Iterator[tuple[bool, int, int]]:
    """Yield of every module whether it begins stack 2 or 3, its input channels and its output channels.

    Three modules are a stack. At the beginning of stacks 2 and 3 pooling halves the resolution and the width doubles.
    """
    before = channels
    for place in range(9):
        after = channels * 2 ** (place // 3)
        yield place in (3, 6), before, after
        before = after


def vertex_channels(graph: CellGraph, out_channels: int) -> dict[int, int]:
    """Return the channels of every vertex but the input.

    Vertices with an edge to the output share its channels, the first ones taking one more each if the division leaves a
    rest. Any other vertex has as many as the widest vertex that it feeds.
    """
    widths = {graph.output: out_channels}
    if sharing := len(graph.concatenated):
        share, rest = divmod(out_channels, sharing)
        if not share:
            raise NbnasError(f"{sharing} vertices cannot share {out_channels} channels")
        widths |= {vertex: share + (place < rest) for place, vertex in enumerate(graph.concatenated)}
    for vertex in reversed(graph.interior):
        if vertex not in widths:
            widths[vertex] = max(widths[target] for source, target in graph.edges if source == vertex)
    return widths


def make_operation(name: str, channels: int) -> nn.Module:
    """Build one of :data:`OPERATIONS`, which keep channels and resolution."""
    if name == "maxpool3x3":
        return nn.MaxPool2d(3, stride=1, padding=1)
    return conv_bn_relu(channels, channels, int(name[len("conv")]))


class CellModule(nn.Module):
    """One cell as a module of the network.

    A vertex applies its operation to the sum of its predecessors, each cut to the first channels of the vertex. The
    input reaches a vertex through a 1x1 projection of its own, even if the channels are equal. The output is the
    concatenation of its predecessors plus, where there is an edge from input to output, a projection of the input.
    """

    def __init__(self, graph: CellGraph, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.graph = graph
        self.widths = vertex_channels(graph, out_channels)
        widths, names = self.widths, graph.operations
        self.operations = nn.ModuleList(make_operation(names[vertex], widths[vertex]) for vertex in graph.interior)
        projections = {str(vertex): conv_bn_relu(in_channels, widths[vertex], 1) for vertex in graph.projected}
        self.projections = nn.ModuleDict(projections)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: dict[int, Tensor] = {}
        for vertex, operation in zip(self.graph.interior, self.operations, strict=True):
            sources = [source for source, target in self.graph.edges if target == vertex and source > 0]
            terms = [outputs[source][:, : self.widths[vertex]] for source in sources]
            outputs[vertex] = operation(self._add_projection(terms, vertex, inputs))
        concatenated = [outputs[vertex] for vertex in self.graph.concatenated]
        terms = [torch.cat(concatenated, dim=1)] if concatenated else []
        return self._add_projection(terms, self.graph.output, inputs)

    def _add_projection(self, terms: list[Tensor], vertex: int, inputs: Tensor) -> Tensor:
        if str(vertex) in self.projections:
            terms = [*terms, self.projections[str(vertex)](inputs)]
        return functools.reduce(operator.add, terms)


class NasBench101Network(nn.Module):
    """Stem, three stacks of three modules with max pooling between the stacks, mean over pixels, classifier.

    Convolution weights are drawn from N(0, 2 / (k^2 out_channels)), those of the classifier from N(0, 0.01^2); its
    bias is 0. Parameters are registered stem first, then module by module (operations of the vertices, then
    projections by target vertex), then the classifier. The stacks have C, 2C and 4C channels, C = ``channels``.
    """

    def __init__(self, graph: CellGraph, num_classes: int, channels: int) -> None:
        super().__init__()
        self.stem = conv_bn_relu(3, channels, 3)
        self.stacks = nn.Sequential()
        for halves, before, after in module_shapes(channels):
            if halves:
                self.stacks.append(nn.MaxPool2d(2, stride=2))
            self.stacks.append(CellModule(graph, before, after))
        self.classifier = nn.Linear(after, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(self.stacks(self.stem(inputs)).mean((2, 3)))
