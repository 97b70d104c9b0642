"""Searches simulated on NAS-Bench-201, where every cell has been trained: how fast do they come close to the best?

A search pays for every network that it trains, chooses by validation accuracy, and is judged by test accuracy:

    regret(k) = best test accuracy of all cells - test accuracy of the one, among the first k trained, with the best
                validation accuracy

``random`` trains cells in random order, ``regularised_evolution`` (Real et al., AAAI 2019) every candidate, a ranking
cells from its top down, equal ones in random order: its scores cost no training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.benchmarks import load_benchmark
from nbnas.errors import NbnasError
from nbnas.scoring.architecture_scores import load_architecture_scores
from nbnas.search.evolution import as_ranking, evolve
from nbnas.search.strategy import Evolution
from nbnas.seeding import derive_seed
from nbnas.spaces import get_space

VALIDATION_COLUMNS = {
    "cifar10": "cifar10-valid_x-valid",
    "cifar100": "cifar100_x-valid",
    "ImageNet16-120": "ImageNet16-120_x-valid",
}
"""Data set -> column of the accuracies to choose by. Those of CIFAR-10 are after training on half of the images."""
GUIDES = {name: as_ranking(name) for name in ("vkdnw_agg", "tcet_snip", "tcet_synflow")}
"""Rankings that may guide a search. T-CET takes no logarithm on NAS-Bench-201."""
BASELINES = ("random", "regularised_evolution")


@dataclass(frozen=True)
class SearchSimulation:
    """Simulated searches, and the ``source`` of the accuracies."""

    table: pd.DataFrame
    """A row per method, seed and evaluation: ``method``, ``seed``, ``evaluations``, ``validation`` and ``test``
    accuracy in percent of the cell chosen so far, ``regret``."""
    notes: Mapping[str, str]
    """Method -> which cells it can choose from, and on what its scores rest, in one line."""
    source: str

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Return mean ``regret`` per method and evaluations; ``low`` to ``high`` holds a share ``level`` of seeds."""
        groups = self.table.groupby(["method", "evaluations"], sort=False)["regret"]
        low, high = groups.quantile((1 - level) / 2), groups.quantile((1 + level) / 2)
        return pd.DataFrame({"regret": groups.mean(), "low": low, "high": high}).reset_index()


class _Cells:
    """Some cells of NAS-Bench-201 as a space to search in."""

    def __init__(self, cells: Sequence[str]) -> None:
        self._space = get_space("nasbench201")
        self._cells, self._members = cells, set(cells)

    def sample(self, rng: np.random.Generator) -> str:
        return self._cells[int(rng.integers(len(self._cells)))]

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        while True:
            mutant = self._space.mutate(arch, rng)
            if mutant in self._members:
                return mutant


def simulate(
    methods: Sequence[str] = (*BASELINES, "vkdnw_agg", "tcet_snip"),
    dataset: str = "cifar10",
    subset: str = "filtered",
    *,
    evaluations: int = 100,
    seeds: Sequence[int] = tuple(range(20)),
    source: str = "auto",
    store: Path | None = None,
) -> SearchSimulation:
    """Simulate searches on NAS-Bench-201 that train up to ``evaluations`` cells, each method once per seed.

    Methods are ``random``, ``regularised_evolution``, ``vkdnw_agg``, ``tcet_snip`` and ``tcet_synflow``. Searches
    receive validation accuracies only. The subset is what is searched, and whose best cell regret is against:
    ``filtered`` (the 9,445 cells without dead edges) or ``all``. Where scores are stored for a sample of cells only, a
    ranking can choose from these alone, and ``notes`` says so. Where accuracies (``source`` as for
    :func:`nbnas.load_benchmark`) or scores (in the folder ``store``, by default ``data/scores``) are missing, an
    :class:`NbnasError` says how to get them.
    """
    known = [*BASELINES, *GUIDES]
    unknown = [name for name in methods if name not in known]
    if unknown or not methods:
        raise NbnasError(f"unknown method {', '.join(unknown)!r}; choose from {', '.join(known)}")
    space, benchmark = get_space("nasbench201"), load_benchmark("nasbench201", source)
    test, column = benchmark.accuracy(dataset), VALIDATION_COLUMNS[dataset]
    if column not in benchmark.table:
        raise NbnasError(f"{dataset} validation accuracies are not in source {benchmark.source!r}: {benchmark.hint}")
    indices = space.subset(subset)
    if not 1 <= evaluations <= len(indices):
        raise NbnasError(f"evaluations must be from 1 to {len(indices):,} cells, got {evaluations:,}")
    validation = benchmark.table[column].to_numpy(dtype=float)[indices]
    accuracies = pd.DataFrame({"validation": validation, "test": test[indices]}, [space[index] for index in indices])
    visible, best = accuracies["validation"].to_dict(), accuracies["test"].max()
    tables, notes = [], {}
    for method in methods:
        scores, notes[method] = pd.Series(0.0, list(visible)), f"{len(indices):,} cells."
        if method in GUIDES:
            found = load_architecture_scores(GUIDES[method].scores, dataset, subset, store=store)
            scores = pd.Series(GUIDES[method].rank(found.table), [space[index] for index in found.table.index])
            least = best - accuracies["test"][scores.index].max()
            notes[method] = f"{len(scores):,} cells, of which the best has a regret of {least:.2f}. {found.description}"
        for seed in seeds:
            trained = accuracies.loc[_trained(method, visible, scores, evaluations, seed)].reset_index(drop=True)
            so_far = trained["validation"].cummax()
            # The cell with the best validation accuracy after each evaluation, of equal ones the first.
            reached = trained["test"].where(trained["validation"] > so_far.shift(fill_value=-np.inf)).ffill()
            columns = {"method": method, "seed": seed, "evaluations": trained.index + 1, "validation": so_far}
            tables.append(pd.DataFrame({**columns, "test": reached, "regret": best - reached}))
    return SearchSimulation(pd.concat(tables, ignore_index=True), notes, benchmark.source)


def _trained(method: str, visible: Mapping[str, float], scores: pd.Series, evaluations: int, seed: int) -> list[str]:
    """Return the cells that a search trains, in its order; all that it sees of them is their validation accuracy."""
    if method == "regularised_evolution":
        # As NAS-Bench-201's own runs had it (Dong & Yang, ICLR 2020).
        options = {"strategy": Evolution(method, population=10, tournament=3, in_flight=1), "progress": False}
        found = evolve(_Cells(list(visible)), visible.__getitem__, steps=evaluations, seed=seed, **options)
        return found.history["arch"].tolist()
    # Equal cells come in random order: in random search that is all of them.
    rng = np.random.default_rng(derive_seed(seed, "guided" if method in GUIDES else "random"))
    shuffled = scores.iloc[rng.permutation(len(scores))]
    return shuffled.sort_values(ascending=False, kind="stable").index[:evaluations].tolist()
