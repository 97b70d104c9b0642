"""Random samples of architectures in a fixed order, so that smaller samples begin larger ones."""

from nbnas.benchmarks import load_benchmark
from nbnas.errors import NbnasError
from nbnas.seeding import derive_seed
from nbnas.spaces import EnumeratedSpace, get_space

TRAINED = "trained"
"""The set of a space that cannot be listed: the architectures of which a benchmark knows the accuracy."""


def default_set(space: str) -> str:
    """Name of the set that is scored unless another is asked for."""
    found = get_space(space)
    return found.networks if isinstance(found, EnumeratedSpace) else TRAINED


def sample_architectures(space: str, name: str | None = None, size: int | None = None, seed: int = 0) -> list[str]:
    """Return architectures of a named set in the order of a hash, which is the same everywhere.

    Args:
        space: Name of a search space.
        name: Named set of a space that can be listed, see ``subset`` there; else ``trained``. ``None`` is
            :func:`default_set`.
        size: Number of architectures; ``None`` or more than there are means all of them.
        seed: Seed of the order.

    Raises:
        NbnasError: If there is no such set, or its architectures stand in a file that is absent.
    """
    found, name = get_space(space), name or default_set(space)
    if isinstance(found, EnumeratedSpace):
        return [found[index] for index in found.sample_subset(name, size, seed)]
    if name != TRAINED:
        raise NbnasError(f"{space} cannot be listed; its only set of architectures is {TRAINED!r}, not {name!r}")
    known = dict.fromkeys(load_benchmark(space).archs)
    return sorted(known, key=lambda arch: derive_seed(seed, "sample", arch))[:size]
