"""The NAS-Bench-101 network as a torch module.

Source: Ying et al., ICML 2019 (NAS-Bench-101); the details follow zero-cost-nas and the records that NASLib publishes.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

OPERATIONS = ("maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu")
"""Operations of interior vertices, in the order in which NASLib numbers them."""

STACKS = 3
MODULES_PER_STACK = 3


class CellGraph(NamedTuple):
    """A pruned cell: every vertex is on a path from the first (input) to the last (output)."""

    operations: tuple[str, ...]
    """Of all vertices; the first is ``input``, the last ``output``."""
    edges: tuple[tuple[int, int], ...]
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


def module_channels(channels: int) -> Iterator[tuple[int, int]]:
    """Yield input and output channels of every module; the width doubles at the start of stacks 2 and 3."""
    before = channels
    for stack in range(STACKS):
        for _ in range(MODULES_PER_STACK):
            after = channels * 2**stack
            yield before, after
            before = after


def vertex_channels(graph: CellGraph, out_channels: int) -> dict[int, int]:
    """Return the channels of every vertex but the input.

    Vertices with an edge to the output share its channels, the first ones taking one more each if the division leaves a
    rest. Any other vertex has as many as the widest vertex that it feeds.
    """
    widths = {graph.output: out_channels}
    if graph.concatenated:
        share, rest = divmod(out_channels, len(graph.concatenated))
        widths |= {vertex: share + (place < rest) for place, vertex in enumerate(graph.concatenated)}
    for vertex in reversed(graph.interior):
        if vertex not in widths:
            widths[vertex] = max(widths[target] for source, target in graph.edges if source == vertex)
    return widths


def conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Convolution without bias, BatchNorm, ReLU: the ReLU comes last."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def make_operation(name: str, channels: int) -> nn.Module:
    """Build the operation of one interior vertex; input and output have ``channels`` channels and one resolution."""
    match name:
        case "maxpool3x3":
            return nn.MaxPool2d(3, stride=1, padding=1)
        case "conv1x1-bn-relu":
            return conv_bn_relu(channels, channels, 1)
        case "conv3x3-bn-relu":
            return conv_bn_relu(channels, channels, 3)
    raise ValueError(f"unknown operation {name!r}")


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
        self.operations = nn.ModuleList(
            make_operation(graph.operations[vertex], self.widths[vertex]) for vertex in graph.interior
        )
        self.projections = nn.ModuleDict(
            {str(vertex): conv_bn_relu(in_channels, self.widths[vertex], 1) for vertex in graph.projected}
        )

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: dict[int, Tensor] = {}
        for vertex, operation in zip(self.graph.interior, self.operations, strict=True):
            terms = [
                outputs[source][:, : self.widths[vertex]]
                for source, target in self.graph.edges
                if target == vertex and source > 0
            ]
            outputs[vertex] = operation(self._add_projection(terms, vertex, inputs))
        concatenated = [outputs[vertex] for vertex in self.graph.concatenated]
        terms = [torch.cat(concatenated, dim=1)] if concatenated else []
        return self._add_projection(terms, self.graph.output, inputs)

    def _add_projection(self, terms: list[Tensor], vertex: int, inputs: Tensor) -> Tensor:
        if str(vertex) in self.projections:
            terms = [*terms, self.projections[str(vertex)](inputs)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


class NasBench101Network(nn.Module):
    """Stem, three stacks of three modules with max pooling between the stacks, mean over pixels, classifier.

    Convolution weights are drawn from N(0, 2 / (k^2 out_channels)), those of the classifier from N(0, 0.01^2); its
    bias is 0. Parameters are registered stem first, then module by module (operations of the vertices, then
    projections by target vertex), then the classifier.

    Args:
        graph: Cell of all modules.
        num_classes: Number of logits K.
        channels: Width C of the stem; the stacks have C, 2C and 4C channels.

    Shapes: inputs (batch, 3, R, R) with R at least 4; logits (batch, K).
    """

    def __init__(self, graph: CellGraph, num_classes: int, channels: int) -> None:
        super().__init__()
        self.stem = conv_bn_relu(3, channels, 3)
        self.stacks = nn.Sequential()
        for place, (before, after) in enumerate(module_channels(channels)):
            if place and place % MODULES_PER_STACK == 0:
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
