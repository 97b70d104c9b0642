"""Kendall's tau, Spearman's rho and nDCG of rankings of trained architectures, each with an interval.

Intervals of a complete ranking show what ties leave open: for nDCG the range over random orders of tied scores, for tau
and rho the range over random splits of accuracies that are tied because they are rounded. A random sample has bootstrap
intervals; nDCG at 1,000 depends on the size of the set and is computed only for all of it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nbnas.benchmarks import load_benchmark
from nbnas.benchmarks.benchmark import Benchmark
from nbnas.errors import NbnasError
from nbnas.rankings.combining import CombinedRanking
from nbnas.rankings.intervals import Estimate, bootstrap_estimate, ndcg_tie_interval
from nbnas.rankings.metrics import kendall_tau, ndcg, spearman_rho
from nbnas.scoring.architecture_scores import ArchitectureScores, load_architecture_scores
from nbnas.scoring.setting import Setting

METRICS = ("kendall_tau", "spearman_rho", "ndcg_1000")
FEWEST = 20
"""Distinct networks of a sample below which no verdict rests on it."""
NDCG_OF_SAMPLE = "nDCG@1000 needs scores of the whole set; here only a sample is scored"


def evaluate(
    row_key: str,
    method: CombinedRanking,
    found: ArchitectureScores,
    benchmark: Benchmark,
    dataset: str,
    repeats: int = 1000,
) -> pd.DataFrame:
    """Measure how a ranking by given scores, indexed by the rows of the benchmark, agrees with trained accuracies.

    Networks without one of the scores rank last, and the note counts them. Returns rows as of :func:`metric_rows`. If
    no network has a score, fewer than :data:`FEWEST` were sampled or the benchmark lacks the data set, the numbers are
    NaN and the note says so.
    """
    failed = int(found.table[list(method.scores)].isna().any(axis=1).sum())
    description = f"{found.description} {failed:,} without a score rank last." if failed else found.description
    try:
        scores = method.rank(found.table)
    except NbnasError as error:
        return missing(row_key, dataset, str(error))
    networks = len(np.unique(found.groups))
    complete = found.complete and not benchmark.sample
    if not complete and networks < FEWEST:
        return missing(row_key, dataset, f"{networks} networks of the sample are scored, too few to judge")
    if dataset not in benchmark.accuracy_columns:
        return missing(row_key, dataset, benchmark.hint)
    accuracy = benchmark.accuracy(dataset)[found.table.index]
    if complete:
        estimates, note = _estimates_over_ties(scores, accuracy), f"{len(scores):,} architectures; interval over ties."
    else:
        options = {"groups": found.groups, "repeats": repeats}
        estimates = [bootstrap_estimate(metric, scores, accuracy, **options) for metric in (kendall_tau, spearman_rho)]
        note = f"sample of {len(scores):,} architectures, bootstrap interval."
    note = f"{note} {description} {benchmark.sample}".strip()
    return metric_rows(row_key, dataset, estimates, benchmark.source, note)


def evaluate_methods(
    methods: Mapping[str, CombinedRanking],
    benchmark: Benchmark | str,
    dataset: str,
    subset: str | None = None,
    *,
    space: str = "nasbench201",
    repeats: int = 1000,
    **stored: object,
) -> pd.DataFrame:
    """Evaluate rankings, row key -> ranking, each on as much of the set as its scores are stored for.

    ``benchmark`` is the accuracies, or their source, see :func:`nbnas.load_benchmark`; ``subset`` and ``stored`` are
    options of :func:`nbnas.scoring.architecture_scores.load_architecture_scores`. Returns rows as of :func:`evaluate`;
    where scores or accuracies are not there, the note says how to get them.
    """
    tables = []
    for row_key, method in methods.items():
        try:
            benchmark = load_benchmark(space, benchmark) if isinstance(benchmark, str) else benchmark
            found = load_architecture_scores(method.scores, Setting(space, dataset), subset, **stored)
        except NbnasError as error:
            tables.append(missing(row_key, dataset, str(error)))
        else:
            tables.append(evaluate(row_key, method, found, benchmark, dataset, repeats))
    return pd.concat(tables, ignore_index=True)


def metric_rows(row_key: str, dataset: str, estimates: Sequence[Estimate], source: str, note: str) -> pd.DataFrame:
    """Return a row per metric with the columns that ``nbnas.reproduce.verdicts.compare`` expects.

    They are ``row_key``, ``column`` (the data set in lower case, as in the published tables), ``metric``,
    ``reproduced``, ``low``, ``high``, ``source`` and ``note``. Of a sample there are two estimates; nDCG is then NaN.
    """
    numbers = pd.DataFrame(estimates, columns=["reproduced", "low", "high"], dtype=float).reindex(range(len(METRICS)))
    keys = pd.DataFrame({"row_key": row_key, "column": dataset.lower(), "metric": METRICS})
    table = keys.join(numbers).assign(source=source, note=note)
    if len(estimates) == 2:
        table.loc[2, "note"] = NDCG_OF_SAMPLE
    return table


def missing(row_key: str, dataset: str, reason: str) -> pd.DataFrame:
    """Return rows of NaN whose note says why a ranking has no numbers on a data set."""
    return metric_rows(row_key, dataset, [], "", reason)


def _estimates_over_ties(scores: ArrayLike, accuracy: np.ndarray) -> list[Estimate]:
    rng = np.random.default_rng(0)
    # Positions in the order of accuracy, equal ones in random order.
    untied = [np.argsort(np.lexsort((rng.random(len(accuracy)), accuracy))) for _ in range(20)]
    estimates = []
    for statistic in (kendall_tau, spearman_rho):
        values = [statistic(scores, order) for order in (accuracy, *untied)]
        estimates.append(Estimate(values[0], min(values), max(values)))
    value, (low, high) = ndcg(scores, accuracy), ndcg_tie_interval(scores, accuracy)
    return [*estimates, Estimate(value, min(low, value), max(high, value))]
