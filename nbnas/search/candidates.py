"""Candidates of a search, and the settings that decide how they are drawn."""

import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError
from nbnas.search.budget import Budget
from nbnas.search.candidate_scoring import (
    TOO_SLOW,
    NetworkScoring,
    score_seed,
)
from nbnas.search.objective import Objective
from nbnas.search.population import Population
from nbnas.search.searchable import COSTS, Searchable, architecture_costs, space_name
from nbnas.seeding import derive_seed

STRATEGIES = ("evolution", "regularised_evolution", "random")


MOST_DRAWS = 10_000
"""Draws in a row without a candidate after which a search ends."""


@dataclass(frozen=True)
class _Settings:
    """What, besides space, score, budget and scoring, decides the trajectory."""

    population: int
    seed: int
    strategy: str
    tournament: int
    start: str | None
    initial: int
    mutation: Mapping[str, Any]
    start_mutation: Mapping[str, Any]
    duplicates: str
    count_rejected: bool
    in_flight: int

    def __post_init__(self) -> None:
        for name, choices in (("strategy", STRATEGIES), ("duplicates", ("skip", "score"))):
            if getattr(self, name) not in choices:
                raise NbnasError(f"{name} must be {' or '.join(choices)}, got {getattr(self, name)!r}")
        for name in ("population", "tournament", "initial", "in_flight"):
            if not getattr(self, name) >= 1:
                raise NbnasError(f"{name} must be at least 1, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class _Candidate:
    number: int
    arch: str
    parent: int | None
    draws: int
    occurrence: int
    """How often its network was a candidate before."""
    costs: Mapping[str, float]


class _Search:
    """Draws candidates and takes in their scores, in order; knows nothing of workers and files."""

    def __init__(
        self,
        space: Searchable,
        objective: Objective | None,
        budget: Budget,
        settings: _Settings,
        scoring: NetworkScoring,
        steps: int,
    ) -> None:
        self.drawn = 0
        """Number of candidates."""
        self.draws = 0
        """Number of draws, rejected ones included."""
        self.count_rejected = settings.count_rejected
        self._space, self._objective, self._budget, self._settings = space, objective, budget, settings
        self._scoring, self._steps = scoring, steps
        self._form: Callable[[str], str] = getattr(space, "network_form", str)
        self._forms: Counter[str] = Counter()
        self._archs: list[str] = []
        self._rows: list[dict[str, Any]] = []
        self._population: Population | None = None
        self._counts = (
            budget.counted or hasattr(space, "costs") or bool(objective and set(objective.scores) & set(COSTS))
        )

    def next_candidate(self, logged: Mapping[str, Any] | None) -> _Candidate | None:
        """Draw the next candidate, or take it from its row in a checkpoint; ``None`` if there is no further."""
        if self.complete:
            return None
        if logged is None:
            found = self._draw()
            if found is None:
                return None
            arch, parent, draws, costs = found
        else:
            arch, parent, draws, costs = (logged[name] for name in ("arch", "parent", "draws", "costs"))
        form = self._form(arch)
        candidate = _Candidate(self.drawn, arch, parent, draws, self._forms[form], costs)
        self._forms[form] += 1
        self._archs.append(arch)
        self.drawn += 1
        self.draws += draws
        return candidate

    @property
    def taken_in(self) -> int:
        """Number of candidates that have their scores."""
        return len(self._rows)

    @property
    def complete(self) -> bool:
        """Whether all steps were taken."""
        return (self.draws if self.count_rejected else self.drawn) >= self._steps

    def score_seed(self, candidate: _Candidate) -> int:
        """Seed of the weights and inputs with which a candidate is scored."""
        return score_seed(self._settings.seed, space_name(self._space), candidate.arch, candidate.occurrence)

    def take_in(self, candidate: _Candidate, row: Mapping[str, Any]) -> None:
        """Take in the scores of the oldest candidate that has none yet."""
        values = {**candidate.costs, **row["values"]}
        if row["status"] != TOO_SLOW:
            if self._objective is None:
                self._objective = Objective(tuple((name,) for name in row["values"]))
            if not self._objective.scores or not set(self._objective.scores) <= set(values):
                expected = ", ".join(self._objective.scores) or "at least one number"
                raise NbnasError(
                    f"the score function must return {expected}, got {row['values']} for {candidate.arch!r}"
                )
            if self._population is None:
                keep = "newest" if self._settings.strategy == "regularised_evolution" else "best"
                self._population = Population(
                    len(self._objective.terms), self._settings.population, how=self._objective.how, keep=keep
                )
            self._population.insert(candidate.number, self._objective.keys(values))
        self._rows.append(
            {
                "arch": candidate.arch,
                "parent": candidate.parent,
                "draws": candidate.draws,
                **values,
                "status": row["status"],
                **({"latency": row["latency"]} if "latency" in row else {}),
                "seconds": row["seconds"],
                "time": row["time"],
            }
        )

    def history(self) -> pd.DataFrame:
        """Return the table of :class:`SearchResult`."""
        table = pd.DataFrame(self._rows).rename_axis("candidate")
        if table.empty:
            table = table.reindex(columns=["arch", "parent", "draws", "status", "seconds", "time"])
        table["parent"] = table["parent"].astype("Int64")
        table["objective"] = np.nan
        scored = table["status"] != TOO_SLOW
        if self._objective is not None and scored.any():
            table.loc[scored, "objective"] = self._objective.evaluate(table[scored])
        return table

    def _draw(self) -> tuple[str, int | None, int, Mapping[str, float]] | None:
        rng = np.random.default_rng(derive_seed(self._settings.seed, "candidate", self.drawn))
        rejected: Counter[str] = Counter()
        most = self._steps - self.draws if self.count_rejected else MOST_DRAWS
        seen, parent = None, None
        for draws in itertools.count(1):
            if seen is None:
                arch, parent = self._propose(rng)
            else:
                # All neighbours of the parents may be known; a walk leads out of them.
                arch = self._space.mutate(seen, rng, **self._settings.mutation)
            costs = self._costs(arch)
            reason, seen = self._budget.exceeded(costs), None
            if reason is None and self._settings.duplicates == "skip" and self._forms[self._form(arch)]:
                reason, seen = "seen before", arch if self._settings.strategy != "random" else None
            if reason is None:
                return arch, parent, draws, costs
            rejected[reason] += 1
            if draws >= most:
                break
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
        if not self.drawn:
            raise NbnasError(f"no architecture within the budget in {draws} draws (rejected: {reasons})")
        if self.count_rejected:
            self.draws = self._steps
        else:
            warnings.warn(
                f"the search ends after {self.drawn} candidates: {draws} draws in a row gave none that is new and "
                f"within the budget (rejected: {reasons})",
                stacklevel=2,
            )
        return None

    def _propose(self, rng: np.random.Generator) -> tuple[str, int | None]:
        settings, population = self._settings, self._population
        if settings.strategy == "random":
            return self._space.sample(rng), None
        if self.drawn < settings.initial or not population:
            if settings.start is None:
                return self._space.sample(rng), None
            return self._space.mutate(settings.start, rng, **settings.start_mutation), None
        if settings.strategy == "regularised_evolution":
            drawn = rng.integers(len(population), size=settings.tournament)
            place = drawn[np.argmax(population.scores[drawn])]
        else:
            place = rng.integers(len(population))
        parent = int(population.members[place])
        return self._space.mutate(self._archs[parent], rng, **settings.mutation), parent

    def _costs(self, arch: str) -> Mapping[str, float]:
        if not self._counts:
            return {}
        costs = architecture_costs(self._space, arch, self._scoring.input_shape, self._scoring.num_classes)
        # Plain numbers: a checkpoint holds them as JSON.
        return {name: float(costs[name]) for name in COSTS}
