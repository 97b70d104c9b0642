"""The cell of four nodes that NAS-Bench-201 and TransNAS-Bench-101 share."""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Edges (source node, target node) of the cell, in the order of the architecture string."""


def edges_on_paths(alive: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return those of the given edges that lie on a path from input to output; edges ascend by their target."""
    reached, reaching = {0}, {3}
    for source, target in alive:
        if source in reached:
            reached.add(target)
    for source, target in reversed(alive):
        if target in reaching:
            reaching.add(source)
    return {(source, target) for source, target in alive if source in reached and target in reaching}


def relu_conv_bn(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution without bias, BatchNorm: the ReLU comes first."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class Cell(nn.Module):
    """Four nodes, six edges; a node is the sum of its incoming edges and the last node is the output.

    Args:
        edges: Modules of the edges, in the order of :data:`EDGES`.
    """

    def __init__(self, edges: Iterable[nn.Module]) -> None:
        super().__init__()
        self.edges = nn.ModuleList(edges)

    def forward(self, inputs: Tensor) -> Tensor:
        nodes: list[Tensor | None] = [inputs, None, None, None]
        for (source, target), edge in zip(EDGES, self.edges, strict=True):
            message = edge(nodes[source])
            nodes[target] = message if nodes[target] is None else nodes[target] + message
        return nodes[-1]
