"""What a search is told: a space to draw candidates from, how to draw them, and limits that they keep."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from torch import nn

from nbnas.errors import NbnasError

COSTS = ("params", "flops", "layers")
"""What budgets limit without running anything."""
KINDS = ("evolution", "regularised_evolution", "random")


class Searchable(Protocol):
    """A set of architectures, written as strings, as :func:`nbnas.search.evolve` needs it.

    Every :class:`nbnas.spaces.SearchSpace` is one, and any object of yours with these methods. Where candidates are
    scored in other processes, it must be an instance of a class in a module.

    Three more methods are used where they exist. ``costs(arch, resolution, num_classes)`` returns ``params``,
    ``flops`` (operations for one image) and ``layers``; without it, or for inputs that are not square, the built
    network is counted, its layers being convolutions and linear layers. ``network_form(arch)`` returns a text that
    architectures of one network share, by which duplicates are recognised; without it that is the architecture itself.
    ``normalise(arch)`` checks an architecture that the user gives as a start, and returns its standard spelling.
    """

    def sample(self, rng: np.random.Generator) -> str:
        """Draw an architecture."""

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Change an architecture a little."""

    def build(self, arch: str, num_classes: int = 10) -> nn.Module:
        """Build the network; it maps images to logits (batch, num_classes). Only scores of networks need it."""


@dataclass(frozen=True)
class Budget:
    """Largest costs of a network; ``None`` is no limit.

    >>> Budget(params=1e6, layers=18).exceeded({"params": 2e6, "flops": 1e8, "layers": 18})
    'params'

    Parameters, operations for one image and layers are counted as the space does (:class:`~nbnas.search.Searchable`);
    in ``zen_resnet`` and ``mobilenetv2`` that is as published. A candidate above one of these is drawn anew.

    Latency is the median of ten forward passes of one image in seconds, in eval mode on one thread, measured where the
    candidate is scored. A candidate above it is not scored and never a parent. As the measurement differs from run to
    run, a search that it limits does too, unless resumed from a checkpoint, which holds what was measured.
    """

    params: float | None = None
    flops: float | None = None
    layers: float | None = None
    latency: float | None = None

    def __post_init__(self) -> None:
        for name, limit in asdict(self).items():
            if limit is not None and not limit > 0:
                raise NbnasError(f"the budget of {name} must be positive, got {limit!r}")

    @property
    def counted(self) -> dict[str, float]:
        """Limits of what is counted rather than measured."""
        return {name: limit for name in COSTS if (limit := getattr(self, name)) is not None}

    def exceeded(self, costs: Mapping[str, float]) -> str | None:
        """Return the name of the first limit that counted costs exceed, or ``None``."""
        return next((name for name, limit in self.counted.items() if costs[name] > limit), None)


@dataclass(frozen=True)
class Evolution:
    """How candidates are drawn."""

    kind: str = "evolution"
    """``evolution`` mutates a parent drawn uniformly from the ``population`` best of everything seen so far, as the
    searches of ZenNAS, AZ-NAS, T-CET and VKDNW do. ``regularised_evolution`` (Real et al., AAAI 2019) mutates the best
    of ``tournament`` draws, with replacement, from the last ``population`` candidates. ``random`` samples."""
    population: int = 64
    tournament: int = 10
    start: str | None = None
    """Architecture from which the first candidates are mutated; ``None`` samples them."""
    initial: int | None = None
    """Number of these; ``None`` is ``population``."""
    mutation: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the space's ``mutate``."""
    start_mutation: Mapping[str, Any] | None = None
    """The same for mutations of ``start``; ``None`` is ``mutation``."""
    duplicates: str = "skip"
    """``skip`` mutates a network that was a candidate before further, until it is new (``random`` samples again).
    ``score`` scores it again with other weights and inputs, and keeps both, as the published searches do."""
    count_rejected: bool = False
    """Whether every draw is a step, also one above the budget or skipped."""
    in_flight: int = 16
    """Number of candidates being scored at a time. 1 is the published order, in which every candidate knows the scores
    of all before it; it leaves nothing to share between workers."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise NbnasError(f"strategy must be {' or '.join(KINDS)}, got {self.kind!r}")
        if self.duplicates not in ("skip", "score"):
            raise NbnasError(f"duplicates must be skip or score, got {self.duplicates!r}")
        for name in ("population", "tournament", "initial", "in_flight"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise NbnasError(f"{name} must be at least 1, got {value!r}")

    def completed(self, space: Searchable) -> "Evolution":
        """Return the same with nothing left to its default, and ``start`` in the space's standard spelling."""
        known = self.start is not None and hasattr(space, "normalise")
        start, initial = space.normalise(self.start) if known else self.start, self.initial or self.population
        others = self.mutation if self.start_mutation is None else self.start_mutation
        return replace(self, start=start, initial=initial, mutation=dict(self.mutation), start_mutation=dict(others))
