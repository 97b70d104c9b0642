"""Many proxies on one sample: how each ranks trained networks, and how far two seeds of it agree."""

import numpy as np
import pandas as pd

from nbnas.benchmarks.nasbench201 import Benchmark
from nbnas.evaluation import Ranking, evaluate
from nbnas.rankings import kendall_tau


def rank_last(scores: pd.DataFrame) -> pd.DataFrame:
    """Put networks without a score last, as the papers do, by minus infinity for NaN."""
    return scores.fillna(-np.inf)


def evaluate_all(scores: pd.DataFrame, benchmark: Benchmark, dataset: str, repeats: int = 500) -> pd.DataFrame:
    """Evaluate every column as a ranking of the cells without dead edges.

    Args:
        scores: A row per class of cells, indexed by ``arch_index``, a column per ranking; NaN ranks last.
        benchmark: Trained accuracies.
        dataset: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
        repeats: Bootstrap resamples.

    Returns:
        The rows of :func:`nbnas.evaluation.evaluate`, ``row_key`` being the column's name, with the number of networks
        without a score in the note.
    """
    tables = []
    for name, column in rank_last(scores).items():
        failed = int(scores[name].isna().sum())
        note = f"{failed} without a score rank last." if failed else ""
        ranking = Ranking(name, "filtered", scores.index.to_numpy(), column.to_numpy(), complete=False, note=note)
        tables.append(evaluate(ranking, benchmark, dataset, repeats))
    return pd.concat(tables, ignore_index=True)


def seed_agreement(first: pd.DataFrame, second: pd.DataFrame) -> pd.Series:
    """Kendall's tau between two seeds of each score, over the networks for which both gave a number.

    Args:
        first: Scores of one seed, as from :func:`nbnas.load_score_matrix`.
        second: Scores of the other.

    Returns:
        One number per score; NaN where fewer than two networks are left or a score is constant.
    """
    agreement = {}
    for name in first.columns.intersection(second.columns):
        pairs = pd.concat([first[name], second[name]], axis=1, join="inner").dropna().to_numpy()
        agreement[name] = kendall_tau(pairs[:, 0], pairs[:, 1]) if len(pairs) > 1 else np.nan
    return pd.Series(agreement)
