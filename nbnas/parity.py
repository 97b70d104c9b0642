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
    """Kendall's tau between two seeds of each score, over the networks that both have.

    Args:
        first: Scores of one seed, as from :func:`nbnas.load_score_matrix`.
        second: Scores of the other.

    Returns:
        One number per score; NaN where a score is constant.
    """
    common = first.index.intersection(second.index)
    one, other = rank_last(first.loc[common]), rank_last(second.loc[common])
    return pd.Series({name: kendall_tau(one[name], other[name]) for name in first.columns.intersection(second.columns)})
