"""Trained accuracies of whole search spaces, as tables with named columns and a stated source."""

from nbnas.benchmarks.nasbench201 import Benchmark, load_nasbench201
from nbnas.errors import NbnasError


def load_benchmark(space: str, source: str = "auto") -> Benchmark:
    """Load the trained accuracies of a search space.

    Args:
        space: ``nasbench201``.
        source: One of :data:`nbnas.benchmarks.nasbench201.SOURCES`; ``auto`` takes the first one present.

    Raises:
        NbnasError: If the source is unknown, absent or damaged; the message says what to do.
    """
    if space != "nasbench201":
        raise NbnasError(f"no trained accuracies for search space {space!r}; there are some for nasbench201")
    return load_nasbench201(source)
