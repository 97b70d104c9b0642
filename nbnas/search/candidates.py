"""The candidates of a search: drawn and ranked in order, each scored in this process or in a worker."""

import math
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError
from nbnas.networks.layers import weight_layers
from nbnas.rankings import CombinedRanking
from nbnas.scoring.score import score
from nbnas.scoring.setting import Setting, lay_out, single_thread
from nbnas.scoring.timing import measure_latency
from nbnas.search.population import Population
from nbnas.search.strategy import COSTS, Budget, Evolution
from nbnas.seeding import derive_seed

MOST_DRAWS = 10_000
"""Draws in a row without a candidate after which a search ends."""
TOO_SLOW = "latency above the budget"
"""Status of a candidate that was measured and not scored."""
ScoreFunction = Callable[[str], float | Mapping[str, float]]
"""Architecture -> its score, or several by name."""
Row = dict[str, Any]
"""A candidate: what was drawn, and its scores as soon as it has them. A line of a checkpoint."""


@dataclass
class Trajectory:
    """Draws candidates and takes in their scores, in order; knows nothing of workers and files.

    The strategy is a completed one. The objective has no terms until the values of the first candidate say what they
    are. ``drawn`` counts candidates, ``draws`` rejected ones too; ``rows`` are those that have their scores.
    """

    setting: Setting
    objective: CombinedRanking
    budget: Budget
    strategy: Evolution
    seed: int
    steps: int
    drawn: int = 0
    draws: int = 0
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._space = self.setting.space
        self._form: Callable[[str], str] = getattr(self._space, "network_form", str)
        self._forms: Counter[str] = Counter()
        keep = "newest" if self.strategy.kind == "regularised_evolution" else "best"
        self._population = Population(self.strategy.population, how=self.objective.how, keep=keep)
        self._counts_anyway = bool(self.budget.counted or set(self.objective.scores) & set(COSTS))

    @property
    def complete(self) -> bool:
        return (self.draws if self.strategy.count_rejected else self.drawn) >= self.steps

    def add(self, row: Row) -> int:
        """Add the next candidate, from :meth:`draw` or a checkpoint; return how often its network was one before."""
        form = self._form(row["arch"])
        self._forms[form] += 1
        self.drawn += 1
        self.draws += row["draws"]
        return self._forms[form] - 1

    def take_in(self, row: Row) -> None:
        """Take in the scores of the oldest candidate that has none yet."""
        if row["status"] != TOO_SLOW:
            if not self.objective.terms:
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
        arch = reason = None
        for draws in range(1, most + 1):
            if reason == "seen before" and strategy.kind != "random":
                # All neighbours of the parents may be known; a walk leads out of them.
                arch = self._space.mutate(arch, rng, **strategy.mutation)
            else:
                arch, parent = self._propose(rng)
            costs = self._costs(arch)
            reason = self.budget.exceeded(costs)
            if reason is None and strategy.duplicates == "skip" and self._forms[self._form(arch)]:
                reason = "seen before"
            if reason is None:
                return {"number": self.drawn, "arch": arch, "parent": parent, "draws": draws, "costs": costs}
            rejected[reason] += 1
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
        in_vain = f"within the budget in {most} draws (rejected: {reasons})"
        if not self.drawn:
            raise NbnasError(f"no architecture {in_vain}")
        if strategy.count_rejected:
            self.draws = self.steps
        else:
            warnings.warn(f"the search ends after {self.drawn} candidates: none new and {in_vain}", stacklevel=2)
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

    def _costs(self, arch: str) -> dict[str, float]:
        space, shape = self._space, self.setting.shape
        if hasattr(space, "costs") and isinstance(shape.resolution, int):
            costs = space.costs(arch, shape.resolution, shape.num_classes)
        elif self._counts_anyway:
            network = space.build(arch, shape.num_classes)
            counted = score(network, ["params", "flops"], input_shape=(1, *self.setting.input_shape[1:]))
            costs = {**counted["value"], "layers": len(weight_layers(network))}
        else:
            return {}
        # Plain numbers: a checkpoint holds them as JSON.
        return {name: float(costs[name]) for name in COSTS}


def _flat(row: Row) -> Row:
    flat: Row = {}
    for name, value in row.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat


@dataclass(frozen=True)
class CandidateScorer:
    """Scores candidates by names or a function; ``latency`` is the largest in seconds, ``None`` measures none."""

    scores: tuple[str, ...] | ScoreFunction
    setting: Setting
    seed: int
    device: str
    latency: float | None

    def __call__(self, arch: str, occurrence: int) -> Row:
        """Score an architecture whose network was a candidate ``occurrence`` times before; a failed score is NaN."""
        start = time.perf_counter()
        row: Row = {"values": {}, "status": "ok"}
        with single_thread():
            if self.latency is not None:
                row["latency"] = self._latency(arch)
            if self.latency is not None and row["latency"] > self.latency:
                row["status"] = TOO_SLOW
            elif callable(self.scores):
                row["values"] = _numbers(self.scores(arch), arch)
            elif self.scores:
                table = self.setting.score(arch, self.scores, self.seed, self.device, occurrence=occurrence)
                table = table.loc[list(self.scores)]
                row["values"] = table["value"].to_dict()
                row["status"] = next((status for status in table["status"] if status != "ok"), "ok")
        if row["status"] == "ok" and not all(map(math.isfinite, row["values"].values())):
            row["status"] = "non_finite"
        row["seconds"] = round(time.perf_counter() - start, 4)
        row["time"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        return row

    def _latency(self, arch: str) -> float:
        network = lay_out(self.setting.network(arch), self.device).to(self.device)
        return measure_latency(network, (1, *self.setting.input_shape[1:]), self.device)


def _numbers(returned: Any, arch: str) -> dict[str, float]:
    values = returned if isinstance(returned, Mapping) else {"score": returned}
    try:
        return {str(name): float(value) for name, value in values.items()}
    except (TypeError, ValueError) as error:
        expected = "a number, or several by name"
        raise NbnasError(f"the score function must return {expected}, got {returned!r} for {arch!r}") from error
