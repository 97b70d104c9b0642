"""How the candidates of a search are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nbnas.errors import NbnasError
from nbnas.search.searchable import Searchable

KINDS = ("evolution", "regularised_evolution", "random")


@dataclass(frozen=True)
class Evolution:
    """How candidates are drawn.

    >>> Evolution("regularised_evolution", population=10, tournament=3).in_flight
    16
    """

    kind: str = "evolution"
    """``evolution`` mutates a parent drawn uniformly from the ``population`` best of everything seen so far, as the
    searches of ZenNAS, AZ-NAS, T-CET and VKDNW do. ``regularised_evolution`` (Real et al., AAAI 2019) mutates the best
    of ``tournament`` draws, with replacement, from the last ``population`` candidates. ``random`` samples."""
    population: int = 64
    """Number of possible parents."""
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
        for name, value, choices in (
            ("strategy", self.kind, KINDS),
            ("duplicates", self.duplicates, ("skip", "score")),
        ):
            if value not in choices:
                raise NbnasError(f"{name} must be {' or '.join(choices)}, got {value!r}")
        for name in ("population", "tournament", "initial", "in_flight"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise NbnasError(f"{name} must be at least 1, got {value!r}")

    def completed(self, space: Searchable) -> "Evolution":
        """Return the same with nothing left to its default, and ``start`` in the space's standard spelling."""
        start = self.start
        if start is not None and hasattr(space, "normalise"):
            start = space.normalise(start)
        initial = self.population if self.initial is None else self.initial
        others = self.mutation if self.start_mutation is None else self.start_mutation
        return replace(self, start=start, initial=initial, mutation=dict(self.mutation), start_mutation=dict(others))
