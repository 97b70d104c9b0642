"""Kendall's tau, Spearman's rho and nDCG of a ranking of NAS-Bench-201 cells, each with an interval."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nbnas.benchmarks.nasbench201 import IMPORT_HINT, Benchmark
from nbnas.errors import NbnasError
from nbnas.rankings import bootstrap_interval, kendall_tau, ndcg, ndcg_tie_interval, spearman_rho
from nbnas.spaces import get_space

METRICS = ("kendall_tau", "spearman_rho", "ndcg_1000")

PUBLISHED_DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "imagenet16-120"}
"""Data set -> its name in the published tables."""


@dataclass(frozen=True)
class Ranking:
    """Scores of some cells of a named set; larger is better.

    Scores of a sample are those of one cell per isomorphism class.
    """

    row_key: str
    subset: str
    """The set that the published number is about: ``filtered`` or ``all``."""
    cells: np.ndarray
    """NATS-Bench indices of the scored cells."""
    scores: np.ndarray
    complete: bool
    """Whether the cells are the whole set, rather than a random sample of its isomorphism classes."""
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.cells) != len(self.scores):
            raise NbnasError(f"{self.row_key}: {len(self.cells)} cells but {len(self.scores)} scores")


def evaluate(ranking: Ranking, benchmark: Benchmark, dataset: str, repeats: int = 1000) -> pd.DataFrame:
    """Measure how a ranking agrees with trained accuracies.

    A complete ranking has no sampling error. Its intervals show what ties leave open: for nDCG the range over random
    orders of tied scores, for tau and rho the range over random splits of tied accuracies, ties which exist because
    accuracies are rounded.

    A sample of classes stands for its set: every member of a sampled class in the set takes the score of its
    representative, so that classes count with their size, and whole classes are resampled for the bootstrap interval.
    nDCG at 1,000 depends on the size of the set and is computed only where every class was scored.

    Args:
        ranking: The scores.
        benchmark: The accuracies.
        dataset: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
        repeats: Number of bootstrap resamples.

    Returns:
        Three rows, one per metric, with the columns that :func:`nbnas.verdicts.compare` expects. Where the benchmark
        lacks the data set, ``reproduced`` is NaN and ``note`` says what is needed.
    """
    keys = {"row_key": ranking.row_key, "column": PUBLISHED_DATASETS[dataset]}
    if dataset not in benchmark.accuracy_columns:
        return missing(ranking.row_key, dataset, IMPORT_HINT)
    accuracy = benchmark.accuracy(dataset)
    if ranking.complete:
        rows = _complete(ranking.scores, accuracy[ranking.cells])
        notes = dict.fromkeys(METRICS, f"{len(ranking.cells):,} cells; interval over ties. {ranking.note}".strip())
    else:
        rows = _sampled(ranking, accuracy, repeats)
        count = f"sample of {len(ranking.cells):,} classes, bootstrap interval. {ranking.note}".strip()
        notes = dict.fromkeys(METRICS, count)
        if np.isnan(rows["ndcg_1000"][0]):
            notes["ndcg_1000"] = "nDCG@1000 needs the whole set, scores are a sample"
        else:
            notes["ndcg_1000"] = (
                f"every class scored once, its cells share the score; interval over ties. {ranking.note}"
            )
    table = pd.DataFrame(
        [
            {**keys, "metric": name, "reproduced": value, "low": low, "high": high}
            for name, (value, low, high) in rows.items()
        ]
    )
    return table.assign(source=benchmark.source, note=table["metric"].map(notes))


def missing(row_key: str, dataset: str, reason: str) -> pd.DataFrame:
    """Return rows that say why a ranking has no numbers on a data set."""
    rows = {"row_key": row_key, "column": PUBLISHED_DATASETS[dataset], "metric": list(METRICS)}
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
    space = get_space("nasbench201")
    score_of_class = {
        space.canonical(space[cell]): score for cell, score in zip(ranking.cells, ranking.scores, strict=True)
    }
    members = [(cell, space.canonical(space[cell])) for cell in space.subset(ranking.subset)]
    everything = len(members)
    members = [(cell, name) for cell, name in members if name in score_of_class]
    cells = [cell for cell, _ in members]
    classes = [name for _, name in members]
    scores = np.array([score_of_class[name] for name in classes])
    rows = {}
    for name, statistic in (("kendall_tau", kendall_tau), ("spearman_rho", spearman_rho)):
        low, high = bootstrap_interval(statistic, scores, accuracy[cells], groups=classes, repeats=repeats)
        rows[name] = (statistic(scores, accuracy[cells]), low, high)
    if len(members) < everything:
        return rows | {"ndcg_1000": (np.nan, np.nan, np.nan)}
    return rows | {"ndcg_1000": _ndcg_with_ties(scores, accuracy[cells])}
