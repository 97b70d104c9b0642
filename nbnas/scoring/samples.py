"""Named sets of architectures, and random samples of them: a smaller sample is the beginning of a larger one."""

from functools import cache
from typing import Any

from nbnas.benchmarks import load_benchmark
from nbnas.seeding import derive_seed
from nbnas.spaces import get_space


def named_set(space: Any, name: str) -> dict[int, str]:
    """Return a named set of a space: row in the benchmark -> architecture.

    Raises :class:`NbnasError` if there is no such set, or its architectures stand in a file that is absent.
    """
    return space.named_set(name, lambda: load_benchmark(space.name).archs)


def sample_architectures(space: Any, name: str | None = None, size: int | None = None) -> list[str]:
    """Return the first ``size`` architectures of a named set, by default all, in the order of a hash.

    That order is the same everywhere. ``space`` is a search space or its name; without a name, the set is the
    ``default_set`` of the space.
    """
    found = get_space(space) if isinstance(space, str) else space
    return list(_shuffled(tuple(named_set(found, name or found.default_set).values()))[:size])


@cache
def _shuffled(archs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(archs), key=lambda arch: derive_seed(0, "sample", arch)))
