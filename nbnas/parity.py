"""Many proxies on one sample: how each ranks trained networks, and how far two seeds of it agree."""

import numpy as np
import pandas as pd

from nbnas.benchmarks.benchmark import Benchmark
from nbnas.evaluation import Ranking, evaluate, missing
from nbnas.network_scores import NetworkScores
from nbnas.published_rankings import worst_for_missing
from nbnas.rankings import kendall_tau


def evaluate_all(scores: NetworkScores, benchmark: Benchmark, dataset: str, repeats: int = 500) -> pd.DataFrame:
    """Evaluate every column as a ranking.

    Args:
        scores: As :func:`nbnas.network_scores.load_network_scores` returns them, perhaps with more columns.
        benchmark: Trained accuracies.
        dataset: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
        repeats: Bootstrap resamples.

    Returns:
        The rows of :func:`nbnas.evaluation.evaluate`, ``row_key`` being the column's name, with the number of networks
        without a score, which rank last, in the note. NaN where no network has the score.
    """
    cells = scores.table.index.to_numpy()
    tables = []
    for name, column in worst_for_missing(scores.table).items():
        if column.isna().all():
            tables.append(missing(name, dataset, "no network has a score"))
            continue
        failed = int(scores.table[name].isna().sum())
        note = f"{failed} without a score rank last." if failed else ""
        ranking = Ranking(name, cells, column.to_numpy(), scores.complete, scores.groups, note)
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
