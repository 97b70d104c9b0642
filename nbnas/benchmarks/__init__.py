"""Trained accuracies of whole search spaces, as tables with named columns and a stated source."""

from pathlib import Path

from nbnas.benchmarks.benchmark import Benchmark, Sources
from nbnas.benchmarks.nasbench1shot1 import NASBENCH1SHOT1
from nbnas.benchmarks.nasbench201 import NASBENCH201
from nbnas.benchmarks.nasbench_macro import NASBENCH_MACRO
from nbnas.benchmarks.naslib import NASBENCH101, NASBENCH301
from nbnas.benchmarks.nats_sss import NATS_SSS
from nbnas.benchmarks.transnasbench101 import TRANSNASBENCH101_MACRO, TRANSNASBENCH101_MICRO
from nbnas.errors import NbnasError

BENCHMARKS: dict[str, Sources] = {
    "nasbench201": NASBENCH201,
    "nats_sss": NATS_SSS,
    "nasbench101": NASBENCH101,
    **NASBENCH1SHOT1,
    "nasbench301": NASBENCH301,
    "nasbench_macro": NASBENCH_MACRO,
    "transnasbench101_micro": TRANSNASBENCH101_MICRO,
    "transnasbench101_macro": TRANSNASBENCH101_MACRO,
}
"""Search space -> sources of its trained accuracies."""


def load_benchmark(space: str, source: str = "auto") -> Benchmark:
    """Load the trained accuracies of a search space.

    Args:
        space: Name of a search space, see :data:`BENCHMARKS`.
        source: Name of a source, of NAS-Bench-201 ``nats``, ``csv``, ``fetched`` or ``analog``; ``auto`` takes the
            first present.

    Raises:
        NbnasError: If there is none, or the source is unknown, absent or damaged; the message says what to do.
    """
    if space not in BENCHMARKS:
        known = ", ".join(BENCHMARKS)
        raise NbnasError(f"no trained accuracies for search space {space!r}; choose from {known}")
    return BENCHMARKS[space].load(source)


def accuracy_files() -> list[Path]:
    """Return the files of all sources that are present."""
    paths = [source.find() for sources in BENCHMARKS.values() for source in sources.by_name.values()]
    return [path for path in paths if path is not None]


__all__ = ["BENCHMARKS", "Benchmark", "accuracy_files", "load_benchmark"]
