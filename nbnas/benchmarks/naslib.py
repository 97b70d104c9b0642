"""CIFAR-10 accuracies of NAS-Bench-101 cells and DARTS architectures, as NASLib publishes them.

The 500 rows of NAS-Bench-101 are a random draw that favours small cells, see
:meth:`nbnas.spaces.nasbench101.NasBench101.sample`. Only 292 cells are distinct
(:meth:`~nbnas.spaces.nasbench101.NasBench101.canonical`). The accuracy of a row is that of one of the benchmark's three
training runs, drawn anew for every row, so rows of one cell can differ: report a rank correlation for the distinct
cells too. None of the 725 DARTS architectures was trained: the surrogate of NAS-Bench-301 predicts their accuracies.
"""

import ast
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from nbnas.benchmarks.benchmark import Benchmark, Sources, read_table, user_file
from nbnas.errors import NbnasError
from nbnas.spaces import get_space, nasbench101, nasbench201, nasbench301

_LABELS = ("input", "output", *nasbench101.OPERATIONS)
"""Labels of NAS-Bench-101 vertices, in the order in which NASLib numbers them."""


_CELL_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""Operations of NAS-Bench-201, in the order in which NASLib numbers them."""
_CELL_EDGES = (0, 1, 3, 2, 4, 5)
"""Position in NASLib's tuple, with edges 0-1, 0-2, 0-3, 1-2, 1-3, 2-3, of each edge of the architecture string."""


def nasbench201_cell(codes: Sequence[int]) -> str:
    """Return the string of a NAS-Bench-201 cell from the six numbers of its operations in NASLib's notation."""
    return nasbench201.format_cell([_CELL_OPERATIONS[codes[position]] for position in _CELL_EDGES])


def nasbench101_cell(codes: Sequence[int]) -> str:
    """Return the string of a cell in NASLib's notation, pruned; :class:`NbnasError` if it is no valid cell.

    ``codes`` is the 7 x 7 adjacency matrix row by row (source, target), then the numbers of 7 labels.
    """
    vertices = nasbench101.MAX_VERTICES
    if len(codes) != vertices**2 + vertices:
        raise NbnasError(f"it needs {vertices**2 + vertices} numbers, got {len(codes)}")
    matrix, labels = codes[:-vertices], codes[-vertices:]
    edges = [divmod(place, vertices) for place, present in enumerate(matrix) if present]
    return nasbench101.format_cell(nasbench101.prune([_LABELS[label] for label in labels], edges))


def nasbench301_architecture(cells: Sequence[Sequence[tuple[int, int]]]) -> str:
    """Return the architecture string of a normal and a reduction cell in NASLib's notation.

    A cell is eight pairs (input node, number of the operation), two for every node.
    """
    nodes = []
    for cell in cells:
        edges = [nasbench301.Edge(nasbench301.OPERATIONS[operation], source) for source, operation in cell]
        nodes.append([edges[i : i + 2] for i in range(0, len(edges), 2)])
    return get_space("nasbench301").normalise(nasbench301.format_architecture(nodes))


def _sources(title: str, file: str, translate: Callable[..., str], description: str, deviation: str) -> Sources:
    """Return the only source: a table of validation accuracies.

    Column ``cifar10_val`` is in percent, ``flops`` (as tensorwatch counts them) and ``params`` are in millions.
    ``translate`` makes the architecture string of the space from an entry of column ``arch``, a Python literal.
    """

    read_arch = cache(lambda text: translate(ast.literal_eval(text)))

    def read(path: Path) -> Benchmark:
        table = read_table(path, "arch", ("cifar10_val", "flops", "params"))
        archs = []
        for row, text in enumerate(table["arch"]):
            try:
                archs.append(read_arch(text))
            except Exception as error:
                raise NbnasError(f"row {row} of {path} is not a {title} architecture: {error}") from error
        columns = {"cifar10": "cifar10_val"}
        whole = f"{title} ({description})"
        return Benchmark("csv", whole, table.assign(arch=archs), columns, deviation, hint="it has only cifar10")

    return Sources(title, {"csv": user_file(file, read)})


NASBENCH101 = _sources(
    "NAS-Bench-101",
    "nasbench101_subset.csv.gz",
    nasbench101_cell,
    "500 rows of NASLib, 292 distinct cells, CIFAR-10 validation accuracy of one random training run",
    "Deviates because these are 500 random rows of NASLib, of which 292 are distinct cells.",
)
NASBENCH301 = _sources(
    "NAS-Bench-301",
    "nasbench301_subset.csv.gz",
    nasbench301_architecture,
    "725 architectures of NASLib, surrogate validation accuracy on CIFAR-10",
    "Deviates because these are NASLib's 725 architectures, not the sample of the paper.",
)
