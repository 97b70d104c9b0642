"""Accuracies of 725 DARTS architectures that the surrogate of NAS-Bench-301 predicts, as NASLib publishes them."""

from collections.abc import Sequence

from nbnas.benchmarks.benchmark import Benchmark
from nbnas.benchmarks.csv_table import ReadyTable
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


TABLE = ReadyTable(
    title="NAS-Bench-301",
    file="nasbench301_subset.csv.gz",
    description="NAS-Bench-301 (725 architectures of NASLib, surrogate validation accuracy on CIFAR-10)",
    deviation="Deviates because these are NASLib's 725 architectures, not the sample of the paper.",
    translate=translate,
)


def load_nasbench301(source: str = "auto") -> Benchmark:
    """Load the table; see :func:`nbnas.load_benchmark`.

    Column ``cifar10_val`` is the surrogate's prediction in percent, none of it trained; ``flops`` (as tensorwatch
    counts them) and ``params`` are in millions.

    Raises:
        NbnasError: If the file is absent or damaged; the message says which file to put where.
    """
    return TABLE.load(source)
