"""The candidates of a search, drawn and ranked in order."""

import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError
from nbnas.rankings import CombinedRanking
from nbnas.scoring.setting import Setting
from nbnas.search.budget import Budget
from nbnas.search.candidate_scoring import TOO_SLOW
from nbnas.search.population import Population
from nbnas.search.searchable import COSTS, architecture_costs
from nbnas.search.strategy import Evolution
from nbnas.seeding import derive_seed

MOST_DRAWS = 10_000
"""Draws in a row without a candidate after which a search ends."""


@dataclass(frozen=True)
class Candidate:
    """An architecture to score."""

    number: int
    arch: str
    parent: int | None
    draws: int
    costs: Mapping[str, float]
    occurrence: int
    """How often its network was a candidate before."""


class Trajectory:
    """Draws candidates and takes in their scores, in order; knows nothing of workers and files.

    Without an objective, the terms are the values of the first candidate. ``strategy`` is a completed one.
    """

    def __init__(
        self,
        setting: Setting,
        objective: CombinedRanking | None,
        budget: Budget,
        strategy: Evolution,
        seed: int,
        steps: int,
    ) -> None:
        self.drawn = 0
        """Number of candidates."""
        self.draws = 0
        """Number of draws, rejected ones included."""
        self.rows: list[dict[str, Any]] = []
        """Of the candidates that have their scores."""
        self._setting, self._objective, self._budget = setting, objective, budget
        self.strategy, self._seed, self._steps = strategy, seed, steps
        self._space = setting.space
        self._form: Callable[[str], str] = getattr(self._space, "network_form", str)
        self._forms: Counter[str] = Counter()
        self._archs: list[str] = []
        self._population = Population(
            strategy.population,
            how=objective.how if objective else "log",
            keep="newest" if strategy.kind == "regularised_evolution" else "best",
        )
        scores = objective.scores if objective else ()
        self._counts = bool(budget.counted or hasattr(self._space, "costs") or set(scores) & set(COSTS))

    @property
    def complete(self) -> bool:
        """Whether all steps were taken."""
        return (self.draws if self.strategy.count_rejected else self.drawn) >= self._steps

    def next_candidate(self, logged: Mapping[str, Any] | None) -> Candidate | None:
        """Draw the next candidate, or take it from its row in a checkpoint; ``None`` if there is no further."""
        if self.complete:
            return None
        if logged is None:
            found = self._draw()
            if found is None:
                return None
        else:
            found = tuple(logged[name] for name in ("arch", "parent", "draws", "costs"))
        arch, _, draws, _ = found
        form = self._form(arch)
        candidate = Candidate(self.drawn, *found, self._forms[form])
        self._forms[form] += 1
        self._archs.append(arch)
        self.drawn += 1
        self.draws += draws
        return candidate

    def take_in(self, candidate: Candidate, row: Mapping[str, Any]) -> None:
        """Take in the scores of the oldest candidate that has none yet."""
        values = {**candidate.costs, **row["values"]}
        if row["status"] != TOO_SLOW:
            if self._objective is None:
                self._objective = CombinedRanking.of(*row["values"])
            if not self._objective.scores or not set(self._objective.scores) <= set(values):
                expected = ", ".join(self._objective.scores) or "at least one number"
                raise NbnasError(
                    f"the score function must return {expected}, got {row['values']} for {candidate.arch!r}"
                )
            self._population.insert(candidate.number, self._objective.keys(values))
        drawn = {name: getattr(candidate, name) for name in ("arch", "parent", "draws")}
        measured = {name: row[name] for name in ("status", "latency", "seconds", "time") if name in row}
        self.rows.append(drawn | values | measured)

    def history(self) -> pd.DataFrame:
        """Return the table of :class:`SearchResult`."""
        empty = ["arch", "parent", "draws", "status", "seconds", "time"]
        table = pd.DataFrame(self.rows, columns=None if self.rows else empty).rename_axis("candidate")
        table["parent"] = table["parent"].astype("Int64")
        table["objective"] = np.nan
        scored = table["status"] != TOO_SLOW
        if scored.any():
            table.loc[scored, "objective"] = self._objective.evaluate(table[scored])
        return table

    def _draw(self) -> tuple[str, int | None, int, Mapping[str, float]] | None:
        strategy = self.strategy
        rng = np.random.default_rng(derive_seed(self._seed, "candidate", self.drawn))
        rejected: Counter[str] = Counter()
        most = self._steps - self.draws if strategy.count_rejected else MOST_DRAWS
        seen, parent = None, None
        for draws in itertools.count(1):
            if seen is None:
                arch, parent = self._propose(rng)
            else:
                # All neighbours of the parents may be known; a walk leads out of them.
                arch = self._space.mutate(seen, rng, **strategy.mutation)
            costs = architecture_costs(self._setting, arch) if self._counts else {}
            reason, seen = self._budget.exceeded(costs), None
            if reason is None and strategy.duplicates == "skip" and self._forms[self._form(arch)]:
                reason, seen = "seen before", arch if strategy.kind != "random" else None
            if reason is None:
                return arch, parent, draws, costs
            rejected[reason] += 1
            if draws >= most:
                break
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
        if not self.drawn:
            raise NbnasError(f"no architecture within the budget in {draws} draws (rejected: {reasons})")
        if strategy.count_rejected:
            self.draws = self._steps
        else:
            warnings.warn(
                f"the search ends after {self.drawn} candidates: {draws} draws in a row gave none that is new and "
                f"within the budget (rejected: {reasons})",
                stacklevel=2,
            )
        return None

    def _propose(self, rng: np.random.Generator) -> tuple[str, int | None]:
        strategy, population = self.strategy, self._population
        if strategy.kind == "random":
            return self._space.sample(rng), None
        if self.drawn < strategy.initial or not population:
            if strategy.start is None:
                return self._space.sample(rng), None
            return self._space.mutate(strategy.start, rng, **strategy.start_mutation), None
        if strategy.kind == "regularised_evolution":
            drawn = rng.integers(len(population), size=strategy.tournament)
            place = drawn[np.argmax(population.scores[drawn])]
        else:
            place = rng.integers(len(population))
        parent = int(population.members[place])
        return self._space.mutate(self._archs[parent], rng, **strategy.mutation), parent
