"""How much of a number is noise: of the scores, of the trained accuracies, and of the sample."""

from collections.abc import Iterator
from functools import partial
from itertools import combinations, product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from nbnas.errors import NbnasError
from nbnas.rankings import Estimate, bootstrap_estimate, kendall_tau, ndcg, spearman_rho
from nbnas.rankings.evaluation import METRICS
from nbnas.rankings.whole_set import whole_set_statistics


def seed_noise(first: pd.DataFrame, second: pd.DataFrame, accuracy: pd.Series, repeats: int = 500) -> pd.DataFrame:
    """Compare two seeds of each score: with each other, and in how they rank trained networks.

    Both tables have a row per network and a column per score; accuracies are indexed like them. The result has a row
    per score that is not constant: ``agreement`` is Kendall's tau between the seeds, with ``low`` and ``high``;
    ``tau_first`` and ``tau_second`` are those with accuracy, ``tau_low`` and ``tau_high`` the interval of the first;
    ``networks`` is the number of networks for which both seeds gave a number.
    """
    rows = {}
    for name in first.columns.intersection(second.columns):
        common = pd.concat([first[name], second[name], accuracy], axis=1, join="inner").dropna().to_numpy(dtype=float)
        one, other, trained = common.T
        if len(np.unique(one)) < 2 or len(np.unique(other)) < 2:
            continue
        agreement = bootstrap_estimate(kendall_tau, one, other, repeats=repeats)
        tau = bootstrap_estimate(kendall_tau, one, trained, repeats=repeats)
        rows[name] = (*agreement, *tau, kendall_tau(other, trained), len(common))
    columns = ["agreement", "low", "high", "tau_first", "tau_low", "tau_high", "tau_second", "networks"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("score")


def run_agreement(first: ArrayLike, second: ArrayLike) -> dict[str, float]:
    """Compare two trainings of the same networks by their accuracies (n,) in percent.

    Of nDCG@1000, ``ndcg_1000`` is the mean of both directions, ``ndcg_low`` and ``ndcg_high`` are the two values.
    ``ceiling`` bounds what any ranking can reach against one run, whatever it knows. Of two networks let q be the
    probability that a run finds the first one better. Two runs disagree on them with probability 2q(1 - q), the best
    ranking disagrees with a run with probability min(q, 1 - q), which is at least half of that. So if two runs agree to
    tau, no ranking can be expected to agree with one of them to more than (1 + tau) / 2.
    """
    tau = kendall_tau(first, second)
    directions = ndcg(first, second), ndcg(second, first)
    found = {"kendall_tau": tau, "spearman_rho": spearman_rho(first, second), "ceiling": (1 + tau) / 2}
    found["ndcg_1000"] = float(np.mean(directions))
    return found | {"ndcg_low": min(directions), "ndcg_high": max(directions)}


def random_pairs(groups: ArrayLike, seed: int = 0) -> np.ndarray:
    """Draw two members of every group that has two; return their positions in the labels (n,) as (pairs, 2)."""
    labels = np.asarray(groups)
    order = np.random.default_rng(seed).permutation(len(labels))
    shuffled = pd.DataFrame({"position": order, "group": labels[order]})
    draw = shuffled.groupby("group").cumcount()
    pairs = shuffled[draw == 0].merge(shuffled[draw == 1], on="group").sort_values("group")
    return pairs[["position_x", "position_y"]].to_numpy()


def sample_intervals(
    metric: str,
    scores: ArrayLike,
    accuracy: ArrayLike,
    groups: ArrayLike,
    size: int,
    *,
    samples: int = 200,
    intervals: int = 200,
    seed: int = 0,
    **bootstrap: float,
) -> pd.DataFrame:
    """Draw ``samples`` random samples of ``size`` of the groups (n,), and measure each as if it were all we had.

    ``metric`` is ``kendall_tau``, or ``ndcg`` with the cut-off 1000 scaled by the sample's share of all cells. A row
    per sample has ``value``, ``low`` and ``high``, the last two NaN after the first ``intervals`` samples.
    ``bootstrap`` are options of :func:`nbnas.rankings.bootstrap_interval`, such as ``repeats``.
    """
    scores, accuracy, groups = (np.asarray(column) for column in (scores, accuracy, groups))
    if metric not in ("kendall_tau", "ndcg"):
        raise NbnasError(f"cannot measure {metric!r}")
    estimates = []
    for number, chosen in enumerate(_random_samples(groups, size, samples, seed)):
        cutoff = scaled_cutoff(chosen.sum(), len(scores))
        statistic = kendall_tau if metric == "kendall_tau" else partial(ndcg, k=cutoff)
        columns = scores[chosen], accuracy[chosen]
        if number < intervals:
            options = {"groups": groups[chosen], "seed": number, **bootstrap}
            estimates.append(bootstrap_estimate(statistic, *columns, **options))
        else:
            estimates.append(Estimate(statistic(*columns)))
    return pd.DataFrame(estimates)


def whole_set_intervals(
    scores: pd.DataFrame,
    accuracy: ArrayLike,
    controls: ArrayLike,
    groups: ArrayLike,
    size: int,
    *,
    samples: int = 100,
    repeats: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw random samples of ``size`` of the groups (n,), and estimate from each the values of the whole set.

    ``scores`` has a row per architecture and a column per ranking; other arguments as for
    :func:`nbnas.rankings.whole_set.whole_set_statistics`. A row per sample, ``ranking`` (or "a - b", a difference of
    two), ``metric``, and whether it is ``controlled``: ``value``, ``low``, ``high``, and the ``truth``.
    """
    accuracy, controls, groups = np.asarray(accuracy), np.asarray(controls), np.asarray(groups)
    rankings, pairs = list(scores), combinations(range(scores.shape[1]), 2)
    wanted = {name: (column, None) for column, name in enumerate(rankings)}
    wanted |= {f"{rankings[new]} - {rankings[old]}": (new, old) for new, old in pairs}
    truths = [
        [metric(column, accuracy) for column in scores.to_numpy().T] for metric in (kendall_tau, spearman_rho, ndcg)
    ]
    found = []
    for number, chosen in enumerate(_random_samples(groups, size, samples, seed)):
        rows = np.flatnonzero(chosen)
        sample = scores.to_numpy()[rows], rows, accuracy, controls, groups[rows]
        measured = zip(METRICS, truths, whole_set_statistics(*sample, repeats=repeats, seed=number), strict=True)
        for (metric, true, statistic), name, controlled in product(measured, wanted, (True, False)):
            new, old = wanted[name]
            estimate = statistic.estimate(new, old, controlled=controlled)
            truth = true[new] - (0 if old is None else true[old])
            found.append((name, metric, controlled, *estimate, truth))
    return pd.DataFrame(found, columns=["ranking", "metric", "controlled", *Estimate._fields, "truth"])


def _random_samples(groups: np.ndarray, size: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield masks (n,) of the members of ``size`` random groups."""
    labels = np.unique(groups)
    if size > len(labels):
        raise NbnasError(f"cannot measure a sample of {size} of {len(labels)} groups")
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        yield np.isin(groups, rng.choice(labels, size, replace=False))


def scaled_cutoff(cells: int, all_cells: int, cutoff: int = 1000) -> int:
    """Cut-off that is the same share of a sample as ``cutoff`` is of all cells, at least 1."""
    return max(1, round(cutoff * cells / all_cells))


def summarise_intervals(table: pd.DataFrame, truth: float) -> dict[str, float]:
    """Say how honest the intervals of :func:`sample_intervals` are, given the value on the whole set.

    ``coverage`` is the share of intervals that contain the truth, with its own 95 % Wilson interval ``coverage_low`` to
    ``coverage_high``; ``width`` the mean width of the intervals; ``spread`` the width of the range that holds the
    middle 95 % of the samples' values; ``bias`` the mean of these values less the truth; ``intervals`` their number.
    """
    done = table.dropna()
    inside = int(((done["low"] <= truth) & (truth <= done["high"])).sum())
    share = stats.binomtest(inside, len(done)).proportion_ci(method="wilson")
    low, high = table["value"].quantile([0.025, 0.975])
    found = {"coverage": inside / len(done), "coverage_low": float(share.low), "coverage_high": float(share.high)}
    found |= {"width": float((done["high"] - done["low"]).mean()), "spread": float(high - low)}
    return found | {"bias": float(table["value"].mean() - truth), "intervals": len(done)}
