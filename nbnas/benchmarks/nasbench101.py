"""Accuracies of 500 NAS-Bench-101 cells, as NASLib publishes them.

The 500 rows are a random draw that favours small cells, see :meth:`nbnas.spaces.nasbench101.NasBench101.sample`. Only
292 cells are distinct (:meth:`~nbnas.spaces.nasbench101.NasBench101.canonical`). The accuracy of a row is that of one
of the benchmark's three training runs, drawn anew for every row, so rows of one cell can differ: report a rank
correlation for the distinct cells too.
"""

from collections.abc import Sequence

from nbnas.benchmarks.accuracy_table import naslib_source
from nbnas.benchmarks.benchmark import Sources
from nbnas.errors import NbnasError
from nbnas.spaces.nasbench101 import MAX_VERTICES, OPERATIONS, format_cell, prune

_LABELS = ("input", "output", *OPERATIONS)
"""Labels of vertices, in the order in which NASLib numbers them."""


def translate(codes: Sequence[int]) -> str:
    """Return the string of a cell in NASLib's notation, pruned.

    Args:
        codes: 7 x 7 adjacency matrix row by row (source, target), then the numbers of 7 labels.

    Raises:
        NbnasError: If they are no valid cell.
    """
    if len(codes) != MAX_VERTICES**2 + MAX_VERTICES:
        raise NbnasError(f"it needs {MAX_VERTICES**2 + MAX_VERTICES} numbers, got {len(codes)}")
    matrix, labels = codes[:-MAX_VERTICES], codes[-MAX_VERTICES:]
    edges = [divmod(place, MAX_VERTICES) for place, present in enumerate(matrix) if present]
    return format_cell(prune([_LABELS[label] for label in labels], edges))


NASBENCH101 = Sources(
    "NAS-Bench-101",
    {
        "csv": naslib_source(
            "nasbench101_subset.csv.gz",
            "NAS-Bench-101",
            "NAS-Bench-101 (500 rows of NASLib, 292 distinct cells, CIFAR-10 validation accuracy of one random "
            "training run)",
            "Deviates because these are 500 random rows of NASLib, of which 292 are distinct cells.",
            translate,
        )
    },
)
