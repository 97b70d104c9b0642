"""The candidates of a search, drawn and ranked in order."""

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
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

Row = dict[str, Any]


@dataclass
class Trajectory:
    """Draws candidates and takes in their scores, in order; knows nothing of workers and files.

    A candidate is a row of a checkpoint: first what was drawn, later also its scores.
    """

    setting: Setting
    objective: CombinedRanking | None
    """``None`` until the values of the first candidate say what the terms are."""
    budget: Budget
    strategy: Evolution
    """A completed one."""
    seed: int
    steps: int
    drawn: int = 0
    """Number of candidates."""
    draws: int = 0
    """Number of draws, rejected ones included."""
    rows: list[Row] = field(default_factory=list)
    """Candidates that have their scores."""

    def __post_init__(self) -> None:
        self._space = self.setting.space
        self._form: Callable[[str], str] = getattr(self._space, "network_form", str)
        self._forms: Counter[str] = Counter()
        how, maximised = (self.objective.how, self.objective.scores) if self.objective else ("log", ())
        keep = "newest" if self.strategy.kind == "regularised_evolution" else "best"
        self._population = Population(self.strategy.population, how=how, keep=keep)
        self._counts = bool(self.budget.counted or hasattr(self._space, "costs") or set(maximised) & set(COSTS))

    @property
    def complete(self) -> bool:
        """Whether all steps were taken."""
        return (self.draws if self.strategy.count_rejected else self.drawn) >= self.steps

    def add(self, row: Row) -> int:
        """Add the next candidate, which :meth:`draw` or a checkpoint gave.

        Returns:
            How often its network was a candidate before.
        """
        form = self._form(row["arch"])
        self._forms[form] += 1
        self.drawn += 1
        self.draws += row["draws"]
        return self._forms[form] - 1

    def take_in(self, row: Row) -> None:
        """Take in the scores of the oldest candidate that has none yet."""
        if row["status"] != TOO_SLOW:
            if self.objective is None:
                self.objective = CombinedRanking.of(*row["values"])
            values, scores = row["costs"] | row["values"], self.objective.scores
            if not scores or not set(scores) <= set(values):
                expected = ", ".join(scores) or "at least one number"
                raise NbnasError(f"the score function must return {expected}, got {row['values']} for {row['arch']!r}")
            self._population.insert(row["number"], self.objective.keys(values))
        self.rows.append(row)

    def history(self) -> pd.DataFrame:
        """Return the table of :class:`SearchResult`."""
        empty = ["number", "arch", "parent", "draws", "status", "seconds", "time"]
        table = pd.DataFrame(map(_flat, self.rows), columns=None if self.rows else empty)
        table = table.drop(columns="number").rename_axis("candidate")
        table["parent"] = table["parent"].astype("Int64")
        table["objective"] = np.nan
        scored = table["status"] != TOO_SLOW
        if scored.any():
            table.loc[scored, "objective"] = self.objective.evaluate(table[scored])
        return table

    def draw(self) -> Row | None:
        """Draw the next candidate; ``None`` if there is no further."""
        strategy = self.strategy
        rng = np.random.default_rng(derive_seed(self.seed, "candidate", self.drawn))
        rejected: Counter[str] = Counter()
        most = self.steps - self.draws if strategy.count_rejected else MOST_DRAWS
        seen, parent = None, None
        for draws in range(1, most + 1):
            if seen is None:
                arch, parent = self._propose(rng)
            else:
                # All neighbours of the parents may be known; a walk leads out of them.
                arch = self._space.mutate(seen, rng, **strategy.mutation)
            costs = architecture_costs(self.setting, arch) if self._counts else {}
            reason, seen = self.budget.exceeded(costs), None
            if reason is None and strategy.duplicates == "skip" and self._forms[self._form(arch)]:
                reason, seen = "seen before", arch if strategy.kind != "random" else None
            if reason is None:
                return {"number": self.drawn, "arch": arch, "parent": parent, "draws": draws, "costs": costs}
            rejected[reason] += 1
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
        if not self.drawn:
            raise NbnasError(f"no architecture within the budget in {most} draws (rejected: {reasons})")
        if strategy.count_rejected:
            self.draws = self.steps
        else:
            warnings.warn(
                f"the search ends after {self.drawn} candidates: {most} draws in a row gave none that is new and "
                f"within the budget (rejected: {reasons})",
                stacklevel=2,
            )
        return None

    def _propose(self, rng: np.random.Generator) -> tuple[str, int | None]:
        strategy, population = self.strategy, self._population
        first = self.drawn < strategy.initial or not population
        if strategy.kind == "random" or (first and strategy.start is None):
            return self._space.sample(rng), None
        if first:
            return self._space.mutate(strategy.start, rng, **strategy.start_mutation), None
        if strategy.kind == "regularised_evolution":
            drawn = rng.integers(len(population), size=strategy.tournament)
            place = drawn[np.argmax(population.scores[drawn])]
        else:
            place = rng.integers(len(population))
        parent = int(population.members[place])
        return self._space.mutate(self.rows[parent]["arch"], rng, **strategy.mutation), parent


def _flat(row: Row) -> Row:
    """A row of the history, in which costs and scores are columns."""
    flat: Row = {}
    for name, value in row.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat
