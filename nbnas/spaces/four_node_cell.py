"""The cell of four nodes that NAS-Bench-201 and TransNAS-Bench-101 share."""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from nbnas.spaces.space import ChoiceSpace

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Edges (source node, target node) of the cell, in the order of the architecture string."""


def vertices_on_paths(edges: Sequence[tuple[int, int]], output: int) -> set[int]:
    """Return the nodes on a path from node 0 to ``output``, given edges that lead to higher numbers and ascend."""
    reached, reaching = {0}, {output}
    for source, target in edges:
        if source in reached:
            reached.add(target)
    for source, target in reversed(edges):
        if target in reaching:
            reaching.add(source)
    return reached & reaching


def edges_on_paths(alive: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return those of the given edges that lie on a path from input to output; edges ascend by their target."""
    nodes = vertices_on_paths(alive, 3)
    return {edge for edge in alive if nodes.issuperset(edge)}


class FourNodeSpace(ChoiceSpace):
    """Cells with one of the options on each of :data:`EDGES`; the first option is an edge without operation."""

    places = len(EDGES)

    def live_form(self, arch: str) -> str:
        """Return the same function: the cell without operations on edges that lie on no path from input to output."""
        operations, none = self.parse(arch), self.options[0]
        live = edges_on_paths([edge for edge, name in zip(EDGES, operations, strict=True) if name != none])
        return self.format([name if edge in live else none for edge, name in zip(EDGES, operations, strict=True)])

    def has_dead_edges(self, arch: str) -> bool:
        """Whether an edge with an operation is on no path; the empty cell has no such edge, as in the papers' list."""
        return self.live_form(arch) != self.normalise(arch)


class Cell(nn.Module):
    """A module on each of :data:`EDGES`; a node is the sum of its incoming edges and the last node is the output."""

    def __init__(self, edges: Iterable[nn.Module]) -> None:
        super().__init__()
        self.edges = nn.ModuleList(edges)

    def forward(self, inputs: Tensor) -> Tensor:
        nodes: list[Tensor | None] = [inputs, None, None, None]
        for (source, target), edge in zip(EDGES, self.edges, strict=True):
            message = edge(nodes[source])
            nodes[target] = message if nodes[target] is None else nodes[target] + message
        return nodes[-1]
