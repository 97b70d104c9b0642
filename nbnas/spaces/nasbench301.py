"""The DARTS space, at the size at which NAS-Bench-301 is scored.

Sources: Liu et al., ICLR 2019 (DARTS); Siems et al., 2020 (NAS-Bench-301). An architecture is a normal and a reduction
cell joined by ``//``. A cell is its four nodes joined by ``+``, a node is ``|op~i|op~j|``: the sum of two operations on
the outputs of nodes i < j. Nodes 0 and 1 are the outputs of the cells k-2 and k-1, nodes 2 to 5 those of the cell.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from torch import nn

from nbnas.datasets.shapes import CIFAR10, DatasetShape
from nbnas.errors import NbnasError
from nbnas.spaces.nasbench301_network import NODES, OPERATIONS, CellNodes, Edge, NasBench301Network, cell_shapes
from nbnas.spaces.space import SearchSpace

CELLS = ("normal", "reduction")

CONVOLUTIONS = {"sep": 4, "dil": 2}
"""First part of an operation's name -> its number of convolutions."""


class NasBench301(SearchSpace):
    """The search space of (180 * 7^8)^2, about 10^18, architectures; see :func:`nbnas.get_space`."""

    name = "nasbench301"
    datasets: ClassVar[Mapping[str, DatasetShape]] = {"cifar10": CIFAR10}

    def normalise(self, arch: str) -> str:
        """Return the spelling with ascending inputs in every node; raises :class:`NbnasError` where malformed."""
        return format_architecture(parse_architecture(arch))

    def sample(self, rng: np.random.Generator) -> str:
        """Draw an architecture uniformly."""
        return format_architecture(
            [
                [
                    [
                        Edge(OPERATIONS[int(rng.integers(len(OPERATIONS)))], int(source))
                        for source in rng.choice(node, 2, replace=False)
                    ]
                    for node in NODES
                ]
                for _ in CELLS
            ]
        )

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Change one operation or one input; the result always differs from ``arch``.

        Of the 16 operations and the 12 inputs that have an alternative (both inputs of node 2 are fixed), one is drawn
        uniformly, then one of its alternatives.
        """
        architecture = parse_architecture(arch)
        cells = [[list(node) for node in cell] for cell in architecture]
        decisions = []
        for cell in cells:
            for node, edges in zip(NODES, cell, strict=True):
                free = sorted(set(range(node)) - {edge.source for edge in edges})
                for place, edge in enumerate(edges):
                    others = [name for name in OPERATIONS if name != edge.operation]
                    decisions.append((edges, place, [edge._replace(operation=name) for name in others]))
                    if free:
                        decisions.append((edges, place, [edge._replace(source=source) for source in free]))
        edges, place, alternatives = decisions[int(rng.integers(len(decisions)))]
        edges[place] = alternatives[int(rng.integers(len(alternatives)))]
        return format_architecture(cells)

    def build(self, arch: str, num_classes: int = 10, *, channels: int = 32, cells: int = 8) -> nn.Module:
        """Build the network; it maps (batch, 3, R, R), R divisible by 4, to logits (batch, num_classes).

        Args:
            arch: Architecture; spellings of one architecture give the same network.
            num_classes: Number of logits.
            channels: Width of the nodes before the first reduction.
            cells: Number of cells, at least 1; those at ``cells // 3`` and ``2 * cells // 3`` halve the resolution.

        Raises:
            NbnasError: If the architecture is malformed.
        """
        return NasBench301Network(*parse_architecture(arch), num_classes, channels, cells)

    def params(self, arch: str, num_classes: int = 10, *, channels: int = 32, cells: int = 8) -> int:
        """Number of parameters; an auxiliary head is not counted, as in NASLib's records.

        The stem has 87 C; a cell of width w and inputs of a and b channels has (a + b + 4) w and its operations:
        k x k separable 2 (k^2 w + w^2), dilated k^2 w + w^2, ``skip_connect`` that halves the resolution w^2, others 0.
        """
        normal, reduction = parse_architecture(arch)
        total = 87 * channels
        for shape in cell_shapes(channels, cells):
            width = shape.width
            total += (shape.before + shape.last + 4) * width
            for node in reduction if shape.reduces else normal:
                for operation, source in node:
                    if operation == "skip_connect" and shape.reduces and source < NODES[0]:
                        total += width**2
                    elif "conv_" in operation:
                        repeats = 2 if operation.startswith("sep") else 1
                        total += repeats * (int(operation[-1]) ** 2 * width + width**2)
        return total + (len(NODES) * width + 1) * num_classes

    def flops(
        self, arch: str, resolution: int = 32, num_classes: int = 10, *, channels: int = 32, cells: int = 8
    ) -> int:
        """Operations for one image, as tensorwatch counts them (:mod:`nbnas.spaces.tensorwatch`).

        Raises:
            NbnasError: If the architecture is malformed or the resolution is not divisible by 4.
        """
        if resolution % 4:
            raise NbnasError(f"resolution must be divisible by 4, got {resolution}")
        normal, reduction = parse_architecture(arch)
        stem, before, last = 3 * channels, resolution, resolution
        total = (27 + 2) * stem * resolution**2
        for shape in cell_shapes(channels, cells):
            width, side = shape.width, last // 2 if shape.reduces else last
            # Inputs are brought to the resolution of cell k-1: ReLU, 1x1 convolution, BatchNorm with scales.
            for inputs, own in ((shape.before, before), (shape.last, last)):
                total += inputs * own**2 + (inputs + 2) * width * last**2
            for node in reduction if shape.reduces else normal:
                for operation, source in node:
                    total += _operations(operation, width, last if source < NODES[0] else side, side)
            before, last = last, side
        features = len(NODES) * width
        return total + features * (last + 1) ** 2 + features * num_classes

    def weight_layers(self, arch: str, *, cells: int = 8) -> int:
        """Number of convolutions and linear layers: stem, classifier, input projections, operations."""
        normal, reduction = parse_architecture(arch)
        total = 2
        for shape in cell_shapes(1, cells):
            # The projection of the larger input of a cell that follows a reduction is two convolutions side by side.
            total += 3 if shape.follows_reduction else 2
            for node in reduction if shape.reduces else normal:
                for operation, source in node:
                    if operation == "skip_connect":
                        total += 2 * (shape.reduces and source < NODES[0])
                    else:
                        total += CONVOLUTIONS.get(operation.partition("_")[0], 0)
        return total

    def trainable_layers(self, arch: str, *, cells: int = 8) -> int:
        """Number of parameter tensors: the weights, the classifier's bias, two for the BatchNorms that have scales."""
        return self.weight_layers(arch, cells=cells) + 1 + 2 * (1 + 2 * cells)


def _operations(operation: str, width: int, before: int, after: int) -> int:
    """Operations of an edge whose input and output have ``before`` and ``after`` pixels on a side."""
    inputs, outputs = width * before**2, width * after**2
    if operation == "skip_connect":
        return 0 if before == after else inputs + (width + 1) * outputs
    if operation.endswith("pool_3x3"):
        return (9 + 1) * outputs
    convolved = (int(operation[-1]) ** 2 + width + 1) * outputs
    return inputs + convolved if operation.startswith("dil") else inputs + convolved + outputs + convolved


def parse_architecture(arch: str) -> tuple[CellNodes, CellNodes]:
    """Split an architecture string into normal and reduction cell; the inputs of every node ascend.

    Raises:
        NbnasError: Names the first cell and node that are malformed.
    """
    if not isinstance(arch, str):
        raise NbnasError(f"a NAS-Bench-301 architecture is a string, got {type(arch).__name__}")
    cells = arch.strip().split("//")
    if len(cells) != 2:
        raise NbnasError(f"a NAS-Bench-301 architecture has 2 cells joined by '//', got {len(cells)} in {arch!r}")
    normal, reduction = (_parse_cell(cell, name) for cell, name in zip(cells, CELLS, strict=True))
    return normal, reduction


def format_architecture(architecture: CellNodes) -> str:
    """Join a normal and a reduction cell into an architecture string, with ascending inputs in every node."""
    return "//".join(
        "+".join(
            f"|{'|'.join(f'{operation}~{source}' for operation, source in sorted(node, key=lambda edge: edge.source))}|"
            for node in cell
        )
        for cell in architecture
    )


def _parse_cell(text: str, cell: str) -> CellNodes:
    nodes = text.split("+")
    if len(nodes) != len(NODES):
        raise NbnasError(f"the {cell} cell must have {len(NODES)} nodes joined by '+', got {len(nodes)} in {text!r}")
    return tuple(_parse_node(node, number, cell) for number, node in zip(NODES, nodes, strict=True))


def _parse_node(text: str, node: int, cell: str) -> tuple[Edge, ...]:
    where = f"node {node} of the {cell} cell"
    if not (text.startswith("|") and text.endswith("|") and len(text) > 1):
        raise NbnasError(f"{where} must be enclosed in '|', got {text!r}")
    parts = text[1:-1].split("|")
    if len(parts) != 2:
        raise NbnasError(f"{where} needs 2 inputs, got {len(parts)} in {text!r}")
    sources = {str(source): source for source in range(node)}
    edges = []
    for part in parts:
        name, _, source = part.partition("~")
        if source not in sources:
            raise NbnasError(f"an input of {where} must read 'operation~i' with i from 0 to {node - 1}, got {part!r}")
        if name not in OPERATIONS:
            raise NbnasError(f"{where} has unknown operation {name!r}; choose from {', '.join(OPERATIONS)}")
        edges.append(Edge(name, sources[source]))
    if edges[0].source == edges[1].source:
        raise NbnasError(f"the inputs of {where} must differ, got {text!r}")
    return tuple(sorted(edges, key=lambda edge: edge.source))
