"""NAS-Bench-201: 15,625 cells in the index order of NATS-Bench.

Sources: Dong & Yang, ICLR 2020 (``dong2020nasbench201``); Dong et al., TPAMI 2021 (``dong2021nats``).
An architecture is its string ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``: node by node, ``op~i`` is the
operation on the edge from node i. No number below is tabulated: order, classes and costs follow from rules.
"""

import itertools
import random
from functools import cached_property
from typing import ClassVar

import numpy as np
from torch import nn

from nbnas.datasets.shapes import DATASETS
from nbnas.errors import NbnasError
from nbnas.spaces.four_node_cell import EDGES, edges_on_paths
from nbnas.spaces.nasbench201_network import OPERATIONS, NasBench201Network
from nbnas.spaces.space import EnumeratedSpace


class NasBench201(EnumeratedSpace):
    """The search space; see :func:`nbnas.get_space`."""

    name = "nasbench201"
    default_set = "filtered-unique"
    set_names: ClassVar = {
        "all": "cells",
        "filtered": "cells without dead edges",
        "filtered-unique": "distinct networks without dead edges",
        "dead-edges": "cells with dead edges",
    }
    ranked_sets: ClassVar = {
        "filtered": {"filtered": "filtered-unique"},
        "all": {"filtered": "filtered-unique", "dead-edges": "dead-edges"},
    }
    datasets = DATASETS

    @cached_property
    def _architectures(self) -> list[str]:
        # NATS-Bench shuffled the lexicographic enumeration with Python's generator seeded with 88,
        # and its index has been the name of a cell ever since.
        architectures = [format_cell(operations) for operations in itertools.product(OPERATIONS, repeat=6)]
        random.Random(88).shuffle(architectures)
        return architectures

    def normalise(self, arch: str) -> str:
        """Return the standard spelling of a cell; raises :class:`NbnasError` where it is malformed."""
        return format_cell(parse_cell(arch))

    def canonical(self, arch: str) -> str:
        """Return the expression the cell computes, in NATS-Bench's canonical form (6,466 classes).

        ``skip_connect`` vanishes, ``none`` and all that only it feeds become ``#``, and the terms of a sum are
        sorted. Cells of one class need not be one network, see :meth:`network_form`, and because ``#`` stays in sums,
        one network can be in several classes.
        """
        operation = dict(zip(EDGES, parse_cell(arch), strict=True))
        nodes = ["0"]
        for target in (1, 2, 3):
            terms = []
            for source in range(target):
                name = operation[source, target]
                if name == "none" or nodes[source] == "#":
                    terms.append("#")
                elif name == "skip_connect":
                    terms.append(nodes[source])
                else:
                    terms.append(f"({nodes[source]})@{name}")
            nodes.append("+".join(sorted(terms)))
        return nodes[-1]

    def network_form(self, arch: str) -> str:
        """Return a text that two cells share if they are the same network up to the order of its parameters.

        An isomorphism class of the benchmark joins cells by the expression they compute, in which ``conv(x) + conv(x)``
        may be one convolution whose output is used twice, or two convolutions with weights of their own. Here every
        convolution has a number, and of all numberings the first text in alphabetical order is taken. Sums are
        flattened and zeros dropped. Convolutions on dead edges leave no trace.
        """
        operation = dict(zip(EDGES, parse_cell(arch), strict=True))
        alike = [[edge for edge in EDGES if operation[edge] == name] for name in ("nor_conv_1x1", "nor_conv_3x3")]
        forms = []
        for numbers in itertools.product(*(itertools.permutations(range(len(edges))) for edges in alike)):
            label = {
                edge: n for edges, own in zip(alike, numbers, strict=True) for edge, n in zip(edges, own, strict=True)
            }
            nodes = [["0"]]
            for target in (1, 2, 3):
                terms = []
                for source in range(target):
                    name = operation[source, target]
                    if name == "skip_connect":
                        terms += nodes[source]
                    elif name != "none" and nodes[source]:
                        terms.append(f"({'+'.join(nodes[source])})@{name}{label.get((source, target), '')}")
                nodes.append(sorted(terms))
            forms.append("+".join(nodes[-1]))
        return min(forms)

    def has_dead_edges(self, arch: str) -> bool:
        """Whether an edge other than ``none`` lies on no path from input to output (False for 9,445 cells).

        The empty cell has no such edge and counts as free of dead edges, as in the papers' list.
        """
        return self.live_form(arch) != self.normalise(arch)

    def live_form(self, arch: str) -> str:
        """Return the cell with ``none`` on every edge that lies on no path from input to output: the same function."""
        operations = parse_cell(arch)
        live = edges_on_paths([edge for edge, name in zip(EDGES, operations, strict=True) if name != "none"])
        return format_cell(
            tuple(name if edge in live else "none" for edge, name in zip(EDGES, operations, strict=True))
        )

    @cached_property
    def _subsets(self) -> dict[str, list[int]]:
        dead = [index for index, arch in enumerate(self) if self.has_dead_edges(arch)]
        filtered = sorted(set(range(len(self))) - set(dead))
        return {
            "all": list(range(len(self))),
            "filtered": filtered,
            "filtered-unique": sorted({self.network_form(self[i]): i for i in reversed(filtered)}.values()),
            "dead-edges": dead,
        }

    def subset(self, name: str) -> list[int]:
        """Return the ascending indices of a named set of cells.

        Args:
            name: ``all`` (15,625), ``filtered`` (the 9,445 without dead edges, the set of the papers' main
                tables), ``filtered-unique`` (5,260: of each distinct network the filtered cell of lowest index) or
                ``dead-edges`` (the other 6,180: parameters that no input reaches count in size and in many scores, so
                each cell is scored for itself).
        """
        return super().subset(name)

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Replace the operation of one edge, both drawn uniformly; the result always differs from ``arch``."""
        operations = list(parse_cell(arch))
        edge = int(rng.integers(len(EDGES)))
        alternatives = [name for name in OPERATIONS if name != operations[edge]]
        operations[edge] = alternatives[int(rng.integers(len(alternatives)))]
        return format_cell(tuple(operations))

    def build(self, arch: str, num_classes: int = 10, *, channels: int = 16, cells_per_stage: int = 5) -> nn.Module:
        """Build the network; it maps (batch, 3, R, R) to logits (batch, num_classes)."""
        return NasBench201Network(parse_cell(arch), num_classes, channels, cells_per_stage)

    def flops(
        self, arch: str, resolution: int = 32, num_classes: int = 10, *, channels: int = 16, cells_per_stage: int = 5
    ) -> int:
        """Multiply-adds of one image, as NATS-Bench counts them.

        Convolutions and the classifier with its bias count; BatchNorm, pooling and sums do not. With the
        benchmark's macro network on CIFAR-10: 7,783,050 + 35,389,440 n3 + 3,932,160 n1 for n3, n1 edges of 3x3, 1x1.
        """
        if resolution % 4:
            raise NbnasError(f"resolution must be divisible by 4, got {resolution}")
        n3, n1 = _count_convolutions(arch)
        total = 27 * channels * resolution**2 + (4 * channels + 1) * num_classes
        for stage in range(3):
            width, pixels = channels * 2**stage, (resolution // 2**stage) ** 2
            total += cells_per_stage * (9 * n3 + n1) * width**2 * pixels
            if stage > 0:
                # From width w/2: 3x3 at w/2 * w, 3x3 at w * w, 1x1 shortcut at w/2 * w, all at the new resolution.
                total += 14 * width**2 * pixels
        return total

    def params(self, arch: str, num_classes: int = 10, *, channels: int = 16, cells_per_stage: int = 5) -> int:
        """Number of parameters, BatchNorm scales and shifts included.

        With the benchmark's macro network on CIFAR-10: 73,306 + 243,040 n3 + 28,000 n1.
        """
        n3, n1 = _count_convolutions(arch)
        total = 29 * channels + 8 * channels + (4 * channels + 1) * num_classes
        for stage in range(3):
            width = channels * 2**stage
            total += cells_per_stage * ((9 * n3 + n1) * width**2 + 2 * (n3 + n1) * width)
            if stage > 0:
                total += 14 * width**2 + 4 * width
        return total

    def weight_layers(self, arch: str) -> int:
        """Number of convolutions and linear layers: 8 + 15 per convolution edge."""
        return 8 + 15 * sum(_count_convolutions(arch))

    def trainable_layers(self, arch: str, *, cells_per_stage: int = 5) -> int:
        """Number of parameter tensors (the papers' "trainable layers"): 21 + 9 N per convolution edge, N = 5."""
        return 21 + 9 * cells_per_stage * sum(_count_convolutions(arch))


def parse_cell(arch: str) -> tuple[str, ...]:
    """Split an architecture string into its six operations, in the order of :data:`EDGES`.

    Raises:
        NbnasError: Names the first edge that is malformed.
    """
    if not isinstance(arch, str):
        raise NbnasError(f"a NAS-Bench-201 architecture is a string, got {type(arch).__name__}")
    nodes = arch.strip().split("+")
    if len(nodes) != 3:
        raise NbnasError(f"a NAS-Bench-201 cell has 3 nodes joined by '+', got {len(nodes)} in {arch!r}")
    operations = []
    for target, node in enumerate(nodes, start=1):
        if not (node.startswith("|") and node.endswith("|") and len(node) > 1):
            raise NbnasError(f"node {target} must be enclosed in '|', got {node!r}")
        edges = node[1:-1].split("|")
        if len(edges) != target:
            raise NbnasError(f"node {target} needs {target} incoming edges, got {len(edges)} in {node!r}")
        for source, edge in enumerate(edges):
            name, separator, tail = edge.partition("~")
            if not separator or tail != str(source):
                raise NbnasError(f"edge {source}-{target} must read 'operation~{source}', got {edge!r}")
            if name not in OPERATIONS:
                raise NbnasError(
                    f"edge {source}-{target} has unknown operation {name!r}; choose from {', '.join(OPERATIONS)}"
                )
            operations.append(name)
    return tuple(operations)


def format_cell(operations: tuple[str, ...]) -> str:
    """Join six operations, in the order of :data:`EDGES`, into an architecture string."""
    edges = [f"{name}~{source}" for name, (source, _) in zip(operations, EDGES, strict=True)]
    return "+".join(f"|{'|'.join(node)}|" for node in (edges[:1], edges[1:3], edges[3:]))


def _count_convolutions(arch: str) -> tuple[int, int]:
    operations = parse_cell(arch)
    return operations.count("nor_conv_3x3"), operations.count("nor_conv_1x1")
