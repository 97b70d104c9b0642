"""Kendall's tau, Spearman's rho and nDCG of rankings of trained architectures, each with an interval.

Intervals of a complete ranking show what ties leave open: for nDCG the range over random orders of tied scores, for tau
and rho the range over random splits of accuracies that are tied because they are rounded; what another seed would have
given is beside it. Of a random sample, the numbers of the whole set are estimated, with bootstrap intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nbnas.benchmarks import load_benchmark
from nbnas.benchmarks.benchmark import Benchmark
from nbnas.errors import NbnasError
from nbnas.rankings.combining import CombinedRanking
from nbnas.rankings.intervals import Estimate, ndcg_tie_interval
from nbnas.rankings.metrics import kendall_tau, ndcg, spearman_rho
from nbnas.rankings.seed_noise import seed_deviations
from nbnas.rankings.whole_set import whole_set_statistics
from nbnas.scoring.architecture_scores import SIZES, ArchitectureScores, load_architecture_scores, proxy_of
from nbnas.scoring.setting import Setting

METRICS = ("kendall_tau", "spearman_rho", "ndcg_1000")
FEWEST = 20
"""Distinct networks of a sample below which no verdict rests on it."""
FEWEST_FOR_NDCG = 100
"""The same for nDCG, which a few of the best networks decide."""


def evaluate(
    methods: Mapping[str, CombinedRanking],
    found: ArchitectureScores,
    benchmark: Benchmark,
    dataset: str,
    repeats: int = 1000,
) -> pd.DataFrame:
    """Measure how rankings by given scores, indexed by the rows of the benchmark, agree with trained accuracies.

    ``methods`` is row key -> ranking. Networks without one of its scores rank last, and the note counts them. FLOPs are
    those that the benchmark stores. Returns rows as of :func:`metric_rows`. If no network has a score, fewer than
    :data:`FEWEST` were sampled or the benchmark lacks the data set, the numbers are NaN and the note says so.
    """
    table = _with_stored_flops(found.table, benchmark, dataset)
    networks = len(np.unique(found.groups))
    complete = found.complete and not benchmark.sample
    reason, rows, rankings = "", {}, {}
    if not complete and networks < FEWEST:
        reason = f"needs compute: {networks} networks of the sample are scored, too few to judge"
    elif dataset not in benchmark.accuracy_columns:
        reason = f"needs data: {benchmark.hint}"
    for row_key, method in methods.items():
        try:
            rankings[row_key] = method.rank(table)
        except NbnasError as error:
            rows[row_key] = missing(row_key, dataset, f"needs compute: {error}")
    if reason or not rankings:
        return pd.concat(
            [rows.get(row_key, missing(row_key, dataset, reason)) for row_key in methods], ignore_index=True
        )
    accuracy = benchmark.accuracy(dataset)
    if complete:
        estimates = [_estimates_over_ties(scores, accuracy[table.index]) for scores in rankings.values()]
        note = f"{len(table):,} architectures; interval over ties."
    else:
        columns = np.stack(list(rankings.values()), axis=1).astype(float)
        statistics = whole_set_statistics(columns, *_sample(found, accuracy), repeats=repeats)
        if benchmark.sample:  # Nothing is known of the others, so nothing can be corrected.
            options, known = {"controlled": False}, statistics[:2]
            note = f"sample of {len(table):,} architectures, bootstrap interval."
        else:
            options, known = {}, statistics if networks >= FEWEST_FOR_NDCG else statistics[:2]
            note = (
                f"estimated from a sample of {len(table):,} of {len(found.whole):,} architectures, bootstrap interval."
            )
        estimates = [[one.estimate(number, **options) for one in known] for number in range(len(rankings))]
    for row_key, numbers in zip(rankings, estimates, strict=True):
        failed = int(table[list(methods[row_key].scores)].isna().any(axis=1).sum())
        last = f" {failed:,} without a score rank last." if failed else ""
        described = f"{note} {found.description}{last} {benchmark.sample}".strip()
        rows[row_key] = metric_rows(row_key, dataset, numbers, benchmark.source, described)
    return pd.concat([rows[row_key] for row_key in methods], ignore_index=True)


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
    where scores or accuracies are not there, the note says how to get them. ``seed_deviation`` of a complete ranking is
    estimated from the networks that were scored with a second seed, and NaN where there are none. A score whose
    published run fed images, but which was scored on noise for more networks, has its value on images in columns
    ``alternative``, ``alternative_low``, ``alternative_high`` and ``alternative_name``.
    """
    try:
        benchmark = load_benchmark(space, benchmark) if isinstance(benchmark, str) else benchmark
    except NbnasError as error:
        tables = [missing(row_key, dataset, f"needs data: {error}") for row_key in methods]
        return pd.concat(tables, ignore_index=True)
    rows: dict[str, pd.DataFrame] = {}
    loaded: dict[str, dict[str, ArchitectureScores]] = {}
    setting = Setting(space, dataset)
    for row_key, method in methods.items():
        try:
            found = load_architecture_scores(method.scores, setting, subset, **stored)
            loaded.setdefault(found.description, {})[row_key] = found
        except NbnasError as error:
            rows[row_key] = missing(row_key, dataset, f"needs compute: {error}")
    for same in loaded.values():  # Rankings of one sample share its resamples.
        scores = pd.concat([found.table for found in same.values()], axis=1)
        found = replace(next(iter(same.values())), table=scores.loc[:, ~scores.columns.duplicated()])
        judged = {row_key: methods[row_key] for row_key in same}
        for row_key, table in evaluate(judged, found, benchmark, dataset, repeats).groupby("row_key"):
            if found.complete and not benchmark.sample and table["reproduced"].notna().all():
                table["seed_deviation"] = _seed_deviations(methods[row_key], setting, subset, benchmark, stored)
            if stored.get("inputs", "published") == "published":
                table = table.assign(**_on_images(methods[row_key], found, setting, subset, benchmark, repeats, stored))
            rows[row_key] = table
    return pd.concat([rows[row_key] for row_key in methods], ignore_index=True)


def paired_differences(
    rankings: Mapping[str, tuple[CombinedRanking, ArchitectureScores]],
    reference: str,
    benchmark: Benchmark,
    dataset: str,
    repeats: int = 1000,
) -> pd.DataFrame:
    """Estimate by how much each ranking, row key -> (ranking, scores), exceeds the one named ``reference``.

    All are measured on the networks that all of them have and use the same resamples, so what they share cancels: the
    intervals are much narrower than those of the rankings. Columns: ``row_key``, ``column``, ``metric``,
    ``difference``, ``low``, ``high``; no rows if the benchmark lacks the data set.
    """
    names = ["row_key", "column", "metric", "difference", "low", "high"]
    if dataset not in benchmark.accuracy_columns:
        return pd.DataFrame(columns=names)
    common = None
    for _, found in rankings.values():
        common = found.table.index if common is None else common.intersection(found.table.index)
    if common is None or len(common) < FEWEST:
        raise NbnasError(f"{0 if common is None else len(common)} architectures have all scores, too few to compare")
    found = rankings[reference][1]
    groups = found.groups[found.table.index.get_indexer(common)]
    columns = []
    for method, own in rankings.values():
        columns.append(method.rank(_with_stored_flops(own.table.loc[common], benchmark, dataset)))
    sample = _sample(replace(found, table=found.table.loc[common], groups=groups), benchmark.accuracy(dataset))
    statistics = whole_set_statistics(np.stack(columns, axis=1).astype(float), *sample, repeats=repeats)
    first, rows = list(rankings).index(reference), []
    for number, row_key in enumerate(rankings):
        for metric, statistic in zip(METRICS, statistics, strict=True):
            if row_key != reference:
                rows.append((row_key, dataset.lower(), metric, *statistic.estimate(number, less=first)))
    return pd.DataFrame(rows, columns=names)


def metric_rows(row_key: str, dataset: str, estimates: Sequence[Estimate], source: str, note: str) -> pd.DataFrame:
    """Return a row per metric with the columns that ``nbnas.reproduce.verdicts.compare`` expects.

    They are ``row_key``, ``column`` (the data set in lower case, as in the published tables), ``metric``,
    ``reproduced``, ``low``, ``high``, ``source``, ``note`` and ``seed_deviation``, here 0. Without a third estimate
    there is no nDCG, and its note says so.
    """
    numbers = pd.DataFrame(estimates, columns=["reproduced", "low", "high"], dtype=float).reindex(range(len(METRICS)))
    keys = pd.DataFrame({"row_key": row_key, "column": dataset.lower(), "metric": METRICS})
    table = keys.join(numbers).assign(source=source, note=note, seed_deviation=0.0)
    if len(estimates) == 2:
        table.loc[2, "note"] = f"needs compute: too few networks are scored for nDCG. {note}"
    return table


def as_alternative(table: pd.DataFrame, name: str) -> dict[str, object]:
    """Return numbers computed otherwise as the columns ``alternative`` ... of other rows in the same order."""
    columns = {"alternative": "reproduced", "alternative_low": "low", "alternative_high": "high"}
    return {new: table[old].to_numpy() for new, old in columns.items()} | {"alternative_name": name}


def missing(row_key: str, dataset: str, reason: str) -> pd.DataFrame:
    """Return rows of NaN whose note says why a ranking has no numbers on a data set."""
    return metric_rows(row_key, dataset, [], "", reason)


def _with_stored_flops(table: pd.DataFrame, benchmark: Benchmark, dataset: str) -> pd.DataFrame:
    flops = benchmark.stored_flops(dataset) if "flops" in table else None
    return table if flops is None else table.assign(flops=flops[table.index])


def _sample(found: ArchitectureScores, accuracy: np.ndarray) -> tuple[np.ndarray, ...]:
    """Arguments of the estimators of a whole set after the scores."""
    rows = found.whole.index.get_indexer(found.table.index)
    return rows, accuracy[found.whole.index], found.whole.to_numpy(dtype=float), found.groups


def _seed_deviations(
    method: CombinedRanking, setting: Setting, subset: str | None, benchmark: Benchmark, stored: Mapping[str, object]
) -> list[float] | float:
    if set(method.scores) <= set(SIZES):
        return 0.0
    seed = stored.get("seed", 0)
    options = {**stored, "inputs": "gaussian"}
    try:
        first, second = (
            load_architecture_scores(method.scores, setting, subset, **{**options, "seed": seed + more})
            for more in (0, 1)
        )
    except NbnasError:
        return float("nan")
    both = second.table.index.isin(first.table.index)
    tables = (_with_stored_flops(table, benchmark, setting.dataset) for table in (first.table, second.table[both]))
    accuracy = benchmark.accuracy(setting.dataset)[first.table.index]
    return seed_deviations(method, *tables, second.groups[both], accuracy, (kendall_tau, spearman_rho, ndcg))


def _on_images(
    method: CombinedRanking,
    used: ArchitectureScores,
    setting: Setting,
    subset: str | None,
    benchmark: Benchmark,
    repeats: int,
    stored: Mapping[str, object],
) -> dict[str, object]:
    if len(method.scores) > 1 or method.scores[0] in SIZES or proxy_of(method.scores[0]).info.inputs != "images":
        return {}
    try:
        found = load_architecture_scores(method.scores, setting, subset, **{**stored, "inputs": "images"})
    except NbnasError:
        return {}
    if found.table.equals(used.table[list(method.scores)]):
        return {}
    table = evaluate({"": method}, found, benchmark, setting.dataset, repeats)
    return as_alternative(table, f"The same on images ({found.description.rstrip('.')})")


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
