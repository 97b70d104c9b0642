"""NAS-Bench-201: 15,625 cells in the index order of NATS-Bench, and their networks.

Sources: Dong & Yang, ICLR 2020 (``dong2020nasbench201``); Dong et al., TPAMI 2021 (``dong2021nats``).
An architecture is its string ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``: node by node, ``op~i`` is the operation on the
edge from node i. No number below is tabulated: order, classes and costs follow from rules.
"""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import ClassVar

from torch import Tensor, nn

from nbnas.datasets.shapes import DATASETS
from nbnas.errors import NbnasError
from nbnas.spaces.four_node_cell import EDGES, Cell, FourNodeSpace
from nbnas.spaces.parts import Costs, classifier_costs, classifier_network, conv_bn, part_costs, relu_conv_bn
from nbnas.spaces.space import split_into, text_of

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""Edge operations, in the order in which NATS-Bench numbers them."""


def parse_cell(arch: str) -> tuple[str, ...]:
    """Return six operations in the order of :data:`EDGES`; an error names the first edge that is malformed."""
    operations = []
    for target, node in enumerate(split_into(3, text_of(arch), "+", "a NAS-Bench-201 cell has 3 nodes"), start=1):
        edges = split_node(node, f"node {target}")
        if len(edges) != target:
            raise NbnasError(f"node {target} needs {target} incoming edges, got {len(edges)} in {node!r}")
        for source, edge in enumerate(edges):
            name, separator, tail = edge.partition("~")
            where = f"edge {source}-{target}"
            if not separator or tail != str(source):
                raise NbnasError(f"{where} must read 'operation~{source}', got {edge!r}")
            if name not in OPERATIONS:
                raise NbnasError(f"{where} has unknown operation {name!r}; choose from {', '.join(OPERATIONS)}")
            operations.append(name)
    return tuple(operations)


def split_node(text: str, where: str) -> list[str]:
    """Return the edges of a node ``|edge|edge|``."""
    if not (text.startswith("|") and text.endswith("|") and len(text) > 1):
        raise NbnasError(f"{where} must be enclosed in '|', got {text!r}")
    return text[1:-1].split("|")


def format_cell(operations: Sequence[str]) -> str:
    """Write six operations, in the order of :data:`EDGES`, as an architecture string."""
    a, b, c, d, e, f = operations
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


class NasBench201(FourNodeSpace):
    """The search space.

    Its sets are ``all`` cells, the 9,445 ``filtered`` ones without dead edges (the set of the papers' main tables), the
    5,260 of ``filtered-unique`` (of each distinct network the filtered cell of lowest index), and the 6,180 with
    ``dead-edges``. Parameters on a dead edge count in size and in many scores, so each of these is scored for itself.

    With the benchmark's skeleton on CIFAR-10, n3 edges of 3x3 and n1 of 1x1 convolutions, a network has 73,306 +
    243,040 n3 + 28,000 n1 parameters and 7,783,050 + 35,389,440 n3 + 3,932,160 n1 multiply-adds. NATS-Bench counts
    convolutions and the classifier with its bias; BatchNorm, pooling and sums are free.
    """

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
    options = OPERATIONS
    convention = "multiply_adds"
    divisor = 4
    parse = staticmethod(parse_cell)
    format = staticmethod(format_cell)

    @cached_property
    def _architectures(self) -> list[str]:
        # NATS-Bench shuffled the lexicographic order with this seed; its index has been the name of a cell ever since.
        architectures = super()._architectures
        random.Random(88).shuffle(architectures)
        return architectures

    def canonical(self, arch: str) -> str:
        """Return the expression the cell computes, in NATS-Bench's canonical form (6,466 classes).

        ``skip_connect`` vanishes, ``none`` and all that only it feeds become ``#``, and the terms of a sum are sorted.
        Cells of one class can be several networks, see :meth:`network_form`. One network can be in several classes,
        because ``#`` stays in sums.
        """
        operation = dict(zip(EDGES, parse_cell(arch), strict=True))
        nodes = ["0"]
        for target in (1, 2, 3):
            terms = []
            for source, node in enumerate(nodes):
                name = operation[source, target]
                if name == "none" or node == "#":
                    terms.append("#")
                else:
                    terms.append(node if name == "skip_connect" else f"({node})@{name}")
            nodes.append("+".join(sorted(terms)))
        return nodes[-1]

    def network_form(self, arch: str) -> str:
        """Return a text that two cells share if they are the same network up to the order of its parameters.

        In an expression of :meth:`canonical`, ``conv(x) + conv(x)`` may be one convolution whose output is used twice,
        or two convolutions with weights of their own. Here every convolution has a number, and of all numberings the
        first text in alphabetical order is taken. Sums are flattened and zeros dropped. Convolutions on dead edges
        leave no trace.
        """
        operation = dict(zip(EDGES, parse_cell(arch), strict=True))
        alike = [[edge for edge in EDGES if operation[edge] == name] for name in ("nor_conv_1x1", "nor_conv_3x3")]
        forms = []
        for orders in itertools.product(*map(itertools.permutations, alike)):
            number = {edge: place for order in orders for place, edge in enumerate(order)}
            nodes = [["0"]]
            for target in (1, 2, 3):
                terms = []
                for source, node in enumerate(nodes):
                    name = operation[source, target]
                    if name == "skip_connect":
                        terms += node
                    elif name != "none" and node:
                        terms.append(f"({'+'.join(node)})@{name}{number.get((source, target), '')}")
                nodes.append(sorted(terms))
            forms.append("+".join(nodes[-1]))
        return min(forms)

    @cached_property
    def _subsets(self) -> dict[str, list[int]]:
        dead = [index for index, arch in enumerate(self) if self.has_dead_edges(arch)]
        filtered = sorted(set(range(len(self))) - set(dead))
        unique = sorted({self.network_form(self[i]): i for i in reversed(filtered)}.values())
        return super()._subsets | {"filtered": filtered, "filtered-unique": unique, "dead-edges": dead}

    def build(self, arch: str, num_classes: int = 10, *, channels: int = 16, cells_per_stage: int = 5) -> nn.Module:
        """Build the network; it maps (batch, 3, R, R), R divisible by 4, to logits (batch, num_classes).

        The three stages of ``cells_per_stage`` cells have ``channels``, twice and four times as many channels. The
        order in which parameters are registered is part of the contract: VKDNW reads the first 128 parameter tensors.
        """
        operations = parse_cell(arch)

        def stages() -> Iterator[nn.Module]:
            for stage in range(3):
                width = channels * 2**stage
                if stage > 0:
                    yield ReductionBlock(width // 2, width)
                for _ in range(cells_per_stage):
                    yield Cell(make_operation(name, width) for name in operations)

        return staged_network(channels, stages(), 4 * channels, num_classes)

    def _parts(
        self, arch: str, resolution: int, num_classes: int, channels: int = 16, cells_per_stage: int = 5
    ) -> Iterator[Costs]:
        operations = parse_cell(arch)
        yield part_costs(conv_bn, (3, channels, 3), 3, resolution)
        for stage in range(3):
            width, side = channels * 2**stage, resolution // 2**stage
            if stage > 0:
                yield part_costs(ReductionBlock, (width // 2, width), width // 2, 2 * side)
            for name in operations:
                yield part_costs(make_operation, (name, width), width, side, cells_per_stage)
        yield from end_costs(4 * channels, num_classes)


class Zero(nn.Module):
    """The ``none`` edge: multiplies by zero, so that gradients are zeros rather than missing."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.mul(0.0)


def make_operation(name: str, channels: int) -> nn.Module:
    """Build one of :data:`OPERATIONS`; input and output have ``channels`` channels and the same resolution."""
    if name.startswith("nor_conv"):
        return relu_conv_bn(channels, channels, int(name[-1]))
    pooling = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return {"none": Zero(), "skip_connect": nn.Identity(), "avg_pool_3x3": pooling}[name]


class ReductionBlock(nn.Module):
    """Residual block that halves the resolution; no activation after the sum."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_a = relu_conv_bn(in_channels, out_channels, 3, stride=2)
        self.conv_b = relu_conv_bn(out_channels, out_channels, 3)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, stride=2), nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.conv_b(self.conv_a(inputs)) + self.downsample(inputs)


def staged_network(first: int, stages: Iterable[nn.Module], last: int, num_classes: int) -> nn.Sequential:
    """Build stem, stages with ``first`` and ``last`` channels at their ends, BatchNorm, ReLU, pooling and classifier.

    Weights are drawn as torch's constructors draw them, in this order if ``stages`` is an iterator.
    """
    stem, body = conv_bn(3, first, 3), nn.Sequential(*stages)
    activation = nn.Sequential(nn.BatchNorm2d(last), nn.ReLU())
    return classifier_network(last, num_classes, stem=stem, stages=body, last_activation=activation)


def end_costs(channels: int, num_classes: int) -> list[Costs]:
    """Return the costs of what follows the stages of :func:`staged_network`; NATS-Bench counts the last bias."""
    last_norm, last_bias = Costs(2 * channels, 0, 2), Costs(multiply_adds=num_classes)
    return [last_norm, classifier_costs(channels, num_classes), last_bias]
