"""Kendall's tau, Spearman's rho and nDCG of a ranking of trained architectures, each with an interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nbnas.benchmarks import load_benchmark
from nbnas.benchmarks.benchmark import Benchmark
from nbnas.errors import NbnasError
from nbnas.rankings import bootstrap_interval, kendall_tau, ndcg, ndcg_tie_interval, spearman_rho
from nbnas.rankings.published import PublishedRanking, single_score
from nbnas.scoring.architecture_scores import ArchitectureScores, load_architecture_scores

METRICS = ("kendall_tau", "spearman_rho", "ndcg_1000")

FEWEST = 20
"""Distinct networks of a sample below which no verdict rests on it."""

NDCG_OF_SAMPLE = "nDCG@1000 needs the whole set, scores are a sample"


def published_name(dataset: str) -> str:
    """Name of a data set in the published tables."""
    return dataset.lower()


@dataclass(frozen=True)
class Ranking:
    """Scores of some architectures; larger is better."""

    row_key: str
    cells: np.ndarray
    """Rows of the scored architectures in the benchmark."""
    scores: np.ndarray
    complete: bool = True
    """Whether they are the whole set that the published number is about, rather than a random sample of it."""
    groups: np.ndarray | None = None
    """Labels of architectures that share one network's scores; whole groups are resampled for an interval."""
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.cells) != len(self.scores):
            raise NbnasError(f"{self.row_key}: {len(self.cells)} cells but {len(self.scores)} scores")


def evaluate(ranking: Ranking, benchmark: Benchmark, dataset: str, repeats: int = 1000) -> pd.DataFrame:
    """Measure how a ranking agrees with trained accuracies.

    A complete ranking has no sampling error. Its intervals show what ties leave open: for nDCG the range over random
    orders of tied scores, for tau and rho the range over random splits of tied accuracies, ties which exist because
    accuracies are rounded.

    A sample has bootstrap intervals. nDCG at 1,000 depends on the size of the set and is computed only for all of it.

    Args:
        ranking: The scores.
        benchmark: The accuracies.
        dataset: A data set of the space.
        repeats: Number of bootstrap resamples.

    Returns:
        Three rows, one per metric, with the columns that ``nbnas.reproduce.verdicts.compare`` expects. Where the
        benchmark lacks the data set, ``reproduced`` is NaN and ``note`` says what is needed.
    """
    keys = {"row_key": ranking.row_key, "column": published_name(dataset)}
    if dataset not in benchmark.accuracy_columns:
        return missing(ranking.row_key, dataset, benchmark.hint)
    accuracy = benchmark.accuracy(dataset)[ranking.cells]
    if ranking.complete:
        rows = _complete(ranking.scores, accuracy)
        notes = dict.fromkeys(
            METRICS, f"{len(ranking.cells):,} architectures; interval over ties. {ranking.note}".strip()
        )
    else:
        rows = _sampled(ranking, accuracy, repeats)
        count = f"sample of {len(ranking.cells):,} architectures, bootstrap interval. {ranking.note}".strip()
        notes = dict.fromkeys(METRICS, count) | {"ndcg_1000": NDCG_OF_SAMPLE}
    table = pd.DataFrame(
        [
            {**keys, "metric": name, "reproduced": value, "low": low, "high": high}
            for name, (value, low, high) in rows.items()
        ]
    )
    return table.assign(source=benchmark.source, note=table["metric"].map(notes))


def evaluate_methods(
    methods: Mapping[str, PublishedRanking],
    benchmark: Benchmark,
    dataset: str,
    subset: str | None = None,
    *,
    space: str = "nasbench201",
    inputs: str = "published",
    seed: int = 0,
    repeats: int = 1000,
    store: Path | None = None,
) -> pd.DataFrame:
    """Evaluate published rankings, each on as much of the set as its scores are stored for.

    Args:
        methods: Row key -> ranking, see :data:`nbnas.rankings.published.RANKINGS`.
        benchmark: The accuracies.
        dataset: A data set of the space.
        subset: See :func:`nbnas.scoring.architecture_scores.load_architecture_scores`, like the next two.
        space: Name of the search space.
        inputs: ``published``, ``gaussian`` or ``images``.
        seed: Seed of the scores.
        repeats: Number of bootstrap resamples.
        store: Folder of score tables; ``None`` is ``data/scores``.

    Returns:
        The rows of :func:`evaluate` of every method. Where scores are not stored, ``reproduced`` is NaN and ``note``
        says which command computes them. The note counts networks without a score, which rank last.
    """
    tables = []
    for row_key, method in methods.items():
        try:
            found = load_architecture_scores(
                method.scores, dataset, subset, space=space, inputs=inputs, seed=seed, store=store
            )
        except NbnasError as error:
            tables.append(missing(row_key, dataset, str(error)))
        else:
            tables.append(evaluate_method(row_key, method, found, benchmark, dataset, repeats))
    return pd.concat(tables, ignore_index=True)


def evaluate_space(
    methods: Mapping[str, PublishedRanking],
    space: str,
    dataset: str,
    subset: str | None = None,
    *,
    source: str = "auto",
    repeats: int = 1000,
    store: Path | None = None,
) -> pd.DataFrame:
    """Evaluate rankings on a space; where its accuracies are not there, the rows say how to get them.

    Arguments and result as for :func:`evaluate_methods`, with the source of :func:`nbnas.load_benchmark`.
    """
    try:
        benchmark = load_benchmark(space, source)
    except NbnasError as error:
        return pd.concat([missing(row_key, dataset, str(error)) for row_key in methods], ignore_index=True)
    return evaluate_methods(methods, benchmark, dataset, subset, space=space, repeats=repeats, store=store)


def evaluate_method(
    row_key: str,
    method: PublishedRanking,
    found: ArchitectureScores,
    benchmark: Benchmark,
    dataset: str,
    repeats: int = 1000,
) -> pd.DataFrame:
    """Evaluate one published ranking on given scores; result as of :func:`evaluate`.

    NaN if no network has a score, or fewer than :data:`FEWEST` were sampled.
    """
    failed = int(found.table[list(method.scores)].isna().any(axis=1).sum())
    note = f"{found.description} {failed:,} without a score rank last." if failed else found.description
    index = found.table.index.to_numpy()
    try:
        scores = method.rank(found.table)
    except NbnasError as error:
        return missing(row_key, dataset, str(error))
    networks = len(np.unique(found.groups))
    if not found.complete and networks < FEWEST:
        return missing(row_key, dataset, f"{networks} networks of the sample are scored, too few to judge")
    return evaluate(Ranking(row_key, index, scores, found.complete, found.groups, note), benchmark, dataset, repeats)


def evaluate_scores(found: ArchitectureScores, benchmark: Benchmark, dataset: str, repeats: int = 1000) -> pd.DataFrame:
    """Evaluate every column as a ranking of its own; result as of :func:`evaluate_method`."""
    tables = [
        evaluate_method(name, single_score(name), found, benchmark, dataset, repeats) for name in found.table.columns
    ]
    return pd.concat(tables, ignore_index=True)


def missing(row_key: str, dataset: str, reason: str) -> pd.DataFrame:
    """Return rows that say why a ranking has no numbers on a data set."""
    rows = {"row_key": row_key, "column": published_name(dataset), "metric": list(METRICS)}
    return pd.DataFrame(rows).assign(reproduced=np.nan, low=np.nan, high=np.nan, source="", note=reason)


def _complete(scores: ArrayLike, accuracy: np.ndarray, splits: int = 20) -> dict[str, tuple[float, float, float]]:
    rng = np.random.default_rng(0)
    # Positions in the order of accuracy, equal ones in random order.
    untied = [np.argsort(np.lexsort((rng.random(len(accuracy)), accuracy))) for _ in range(splits)]
    rows = {}
    for name, statistic in (("kendall_tau", kendall_tau), ("spearman_rho", spearman_rho)):
        value = statistic(scores, accuracy)
        values = [value, *(statistic(scores, order) for order in untied)]
        rows[name] = (value, min(values), max(values))
    return rows | {"ndcg_1000": _ndcg_with_ties(scores, accuracy)}


def _ndcg_with_ties(scores: ArrayLike, accuracy: np.ndarray) -> tuple[float, float, float]:
    value = ndcg(scores, accuracy)
    low, high = ndcg_tie_interval(scores, accuracy)
    return value, min(low, value), max(high, value)


def _sampled(ranking: Ranking, accuracy: np.ndarray, repeats: int) -> dict[str, tuple[float, float, float]]:
    rows = {}
    for name, statistic in (("kendall_tau", kendall_tau), ("spearman_rho", spearman_rho)):
        low, high = bootstrap_interval(statistic, ranking.scores, accuracy, groups=ranking.groups, repeats=repeats)
        rows[name] = (statistic(ranking.scores, accuracy), low, high)
    return rows | {"ndcg_1000": (np.nan, np.nan, np.nan)}
