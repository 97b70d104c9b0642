"""Accuracies of 725 DARTS architectures that the surrogate of NAS-Bench-301 predicts, as NASLib publishes them.

None of the 725 was trained.
"""

from collections.abc import Sequence

from nbnas.benchmarks.accuracy_table import naslib_source
from nbnas.benchmarks.benchmark import Sources
from nbnas.spaces import get_space
from nbnas.spaces.nasbench301 import OPERATIONS, Edge, format_architecture


def translate(cells: Sequence[Sequence[tuple[int, int]]]) -> str:
    """Return the architecture string of a normal and a reduction cell in NASLib's notation.

    Args:
        cells: Per cell eight pairs (input node, number of the operation), two for every node.

    Raises:
        NbnasError: If they are no architecture of the space.
    """
    nodes = [
        [[Edge(OPERATIONS[operation], source) for source, operation in cell[i : i + 2]] for i in range(0, len(cell), 2)]
        for cell in cells
    ]
    return get_space("nasbench301").normalise(format_architecture(nodes))


NASBENCH301 = Sources(
    "NAS-Bench-301",
    {
        "csv": naslib_source(
            "nasbench301_subset.csv.gz",
            "NAS-Bench-301",
            "NAS-Bench-301 (725 architectures of NASLib, surrogate validation accuracy on CIFAR-10)",
            "Deviates because these are NASLib's 725 architectures, not the sample of the paper.",
            translate,
        )
    },
)
