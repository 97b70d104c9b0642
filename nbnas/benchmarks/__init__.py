"""Trained accuracies of whole search spaces, as tables with named columns and a stated source."""

from collections.abc import Callable

from nbnas.benchmarks import nasbench101, nasbench201, nasbench301, nasbench_macro, transnasbench101
from nbnas.benchmarks.benchmark import Benchmark
from nbnas.benchmarks.nasbench101 import load_nasbench101
from nbnas.benchmarks.nasbench201 import load_nasbench201
from nbnas.benchmarks.nasbench301 import load_nasbench301
from nbnas.benchmarks.nasbench_macro import load_nasbench_macro
from nbnas.benchmarks.nats_sss import load_nats_sss
from nbnas.benchmarks.transnasbench101 import load_transnasbench101_macro, load_transnasbench101_micro
from nbnas.errors import NbnasError

BENCHMARKS: dict[str, Callable[..., Benchmark]] = {
    "nasbench201": load_nasbench201,
    "nats_sss": load_nats_sss,
    "nasbench101": load_nasbench101,
    "nasbench301": load_nasbench301,
    "nasbench_macro": load_nasbench_macro,
    "transnasbench101_micro": load_transnasbench101_micro,
    "transnasbench101_macro": load_transnasbench101_macro,
}
"""Search space -> loader of its trained accuracies."""

USER_FILES = (
    nasbench201.READY_TABLE,
    nasbench101.TABLE.file,
    nasbench301.TABLE.file,
    nasbench_macro.FILE,
    *transnasbench101.FILES.values(),
)
"""Files that loaders read from the folder that ``$NBNAS_DATA`` names."""


def load_benchmark(space: str, source: str = "auto") -> Benchmark:
    """Load the trained accuracies of a search space.

    Args:
        space: Name of a search space, see :data:`BENCHMARKS`.
        source: Of NAS-Bench-201, one of :data:`nbnas.benchmarks.nasbench201.SOURCES`; ``auto`` takes the first one
            present. The others have a single source.

    Raises:
        NbnasError: If there is none, or the source is unknown, absent or damaged; the message says what to do.
    """
    if space not in BENCHMARKS:
        known = ", ".join(BENCHMARKS)
        raise NbnasError(f"no trained accuracies for search space {space!r}; there are some for {known}")
    return BENCHMARKS[space]() if source == "auto" else BENCHMARKS[space](source)


__all__ = ["BENCHMARKS", "Benchmark", "load_benchmark"]
