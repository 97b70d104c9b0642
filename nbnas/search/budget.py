"""Limits that every candidate of a search keeps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from nbnas.errors import NbnasError


@dataclass(frozen=True)
class Budget:
    """Largest costs of a network; ``None`` is no limit.

    >>> Budget(params=1e6, layers=18).exceeded({"params": 2e6, "flops": 1e8, "layers": 18})
    'params'

    Parameters, operations and layers are counted as the space counts them, see :class:`~nbnas.search.Searchable`; of
    ``zen_resnet`` and ``mobilenetv2`` that is as published. A candidate above one of these is drawn anew.

    Latency is measured where the candidate is scored, before it is: the median of ten forward passes of one image, in
    eval mode on one thread. A candidate above it is not scored and never a parent. As the measurement differs from run
    to run, so does a search that it limits, unless resumed from a checkpoint, which holds what was measured.
    """

    params: float | None = None
    flops: float | None = None
    """Operations for one image."""
    layers: float | None = None
    latency: float | None = None
    """Seconds."""

    def __post_init__(self) -> None:
        for name, limit in asdict(self).items():
            if limit is not None and not limit > 0:
                raise NbnasError(f"the budget of {name} must be positive, got {limit!r}")

    @property
    def counted(self) -> dict[str, float]:
        """Limits of what is counted rather than measured."""
        return {name: limit for name, limit in asdict(self).items() if limit is not None and name != "latency"}

    def exceeded(self, costs: Mapping[str, float]) -> str | None:
        """Return the name of the first limit that counted costs exceed, or ``None``."""
        return next((name for name, limit in self.counted.items() if costs[name] > limit), None)
