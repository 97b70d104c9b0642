"""Kendall's tau, Spearman's rho and nDCG of a whole set of which only a random sample is scored.

All accuracies are known, and so are some simple scores of all architectures, the controls. A sample in which a control
agrees with accuracy better than in the whole set is a lucky one, and the ranking in question looks better than it is.
How strongly the two move together shows in the resamples of a bootstrap over networks; that part of the error is
subtracted. Such regression estimators are textbook: Cochran, *Sampling Techniques*, 1977, chapter 7.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from nbnas.errors import NbnasError
from nbnas.rankings.intervals import (
    Estimate,
    draw_counts,
    kendall_taus,
    resampled_groups,
    spearman_rhos,
    tied_weights,
    weight_chunks,
)
from nbnas.rankings.metrics import kendall_tau, ndcg, spearman_rho


@dataclass(frozen=True)
class SampledStatistic:
    """One statistic of several rankings and controls in a sample of networks and in resamples of it."""

    sample: np.ndarray
    """(rankings,)"""
    resamples: np.ndarray
    """(repeats, rankings)"""
    control_errors: np.ndarray
    """(controls,): value in the sample less that in the whole set; NaN where either has none."""
    resampled_errors: np.ndarray
    """(repeats, controls): value in a resample less that in the whole set."""
    networks: np.ndarray
    """(rankings,): how many networks decide the value; fewer than sampled where some contribute much more."""
    least: float
    """Lower end of the range of the statistic; the upper one is 1."""

    def estimate(
        self, ranking: int = 0, less: int | None = None, *, level: float = 0.95, controlled: bool = True
    ) -> Estimate:
        """Estimate the statistic of a ranking in the whole set, or by how much it exceeds that of another one.

        With t the value in the sample and c the controls' errors, it is t - b c. With T and C those of the resamples, b
        is the least-squares slope of T on C; without ``controlled``, b is 0. The interval holds the middle ``level`` of
        T - b C. It is then made wider, as regression on p controls (repeated ones left out) asks where n networks
        decide: by sqrt(n / d), and by the quantile of Student's t with d = n - 1 - p degrees of freedom over that of
        the normal distribution. NaN if t is.
        """
        value, values, networks = self.sample[ranking], self.resamples[:, ranking], self.networks[ranking]
        if less is not None:
            networks = min(networks, self.networks[less])
            value, values = value - self.sample[less], values - self.resamples[:, less]
        used = np.isfinite(self.control_errors) & controlled
        errors, controls = self.control_errors[used], self.resampled_errors[:, used]
        finite = np.isfinite(values) & np.isfinite(controls).all(axis=1)
        if not np.isfinite(value) or finite.sum() < 2:
            return Estimate(float(value))
        values, controls = values[finite], controls[finite]
        scale = np.maximum(controls.std(axis=0), np.finfo(float).tiny)
        # Least squares by singular values: controls that say the same share their slope.
        centred = (controls - controls.mean(axis=0)) / scale
        slopes, _, different, _ = np.linalg.lstsq(centred, values - values.mean(), rcond=1e-8)
        slopes = slopes / scale
        value, quantiles = value - slopes @ errors, np.array([(1 - level) / 2, (1 + level) / 2])
        freedom = max(1, networks - 1 - different)
        wider = np.sqrt(networks / freedom) * stats.t.ppf(quantiles[1], freedom) / stats.norm.ppf(quantiles[1])
        low, high = value + wider * (np.quantile(values - controls @ slopes, quantiles) - value)
        ends = (self.least, 1) if less is None else (self.least - 1, 1 - self.least)
        return Estimate(*np.clip([value, min(low, value), max(high, value)], *ends).tolist())


def whole_set_statistics(
    scores: ArrayLike,
    rows: ArrayLike,
    accuracy: ArrayLike,
    controls: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    k: int = 1000,
    repeats: int = 1000,
    seed: int = 0,
) -> list[SampledStatistic]:
    """Return Kendall's tau, Spearman's rho and nDCG@k of a sample, ready to be estimated for the whole set.

    Args:
        scores: (m,) or (m, rankings) of the sampled architectures; larger is better.
        rows: (m,) their positions in the whole set. Networks are drawn at random, with all architectures of each.
        accuracy: (n,) of the whole set, in percent.
        controls: (n, controls) scores of the whole set, such as FLOPs; (n, 0) without. nDCG has the mean gain as well.
        groups: (m,) labels: architectures that are the same network share one. ``None``: each is its own.
        k: Cut-off of nDCG in the whole set.
        repeats: Resamples of networks.
        seed: Seed of the resamples.

    Raises:
        NbnasError: If shapes do not fit, a score is NaN, an accuracy is not finite, positions are no distinct rows of
            the whole set, or the sample has no more networks than there are controls, plus 2.
    """
    accuracy, controls = np.asarray(accuracy, dtype=float), np.asarray(controls, dtype=float)
    scores, rows, labels = _checked_sample(scores, rows, accuracy, controls, groups)
    if k < 1:
        raise NbnasError(f"nDCG needs k >= 1, got {k}")
    group, draws = resampled_groups(labels, repeats, seed)
    # The sample itself is the first resample.
    counts = np.vstack([np.ones_like(draws[:1]), draw_counts(draws)])
    columns, trained, rankings = [*scores.T, *controls[rows].T], accuracy[rows], scores.shape[1]
    found = []
    for statistic, of_resamples in ((kendall_tau, kendall_taus), (spearman_rho, spearman_rhos)):
        values = np.stack([of_resamples(column, trained, group, counts) for column in columns], axis=1)
        truths, networks = [statistic(control, accuracy) for control in controls.T], np.full(rankings, counts.shape[1])
        found.append(_sampled(values, rankings, truths, networks, -1))
    gains = np.exp2(accuracy) - 1
    mean_gains = [weights @ gains[rows] / weights.sum(1) for weights in weight_chunks(group, counts)]
    values = [sample_ndcgs(column, rows, accuracy, k, group, counts) for column in columns]
    truths = [*(ndcg(control, accuracy, k) for control in controls.T), gains.mean()]
    values = np.stack([*values, np.concatenate(mean_gains)], axis=1)
    networks = np.array([_deciding_networks(column, rows, accuracy, k, group) for column in scores.T])
    return [*found, _sampled(values, rankings, truths, networks, 0)]


def whole_set_estimates(
    scores: ArrayLike,
    rows: ArrayLike,
    accuracy: ArrayLike,
    controls: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    level: float = 0.95,
    **options: int,
) -> list[Estimate]:
    """Estimate tau, rho and nDCG@k of the whole set from the scores (m,) of a sample, in this order.

    The interval holds the value of the whole set with probability ``level`` and does not get narrower because the set
    is finite. Estimates stay in the range of the statistic; of a sample that is the whole set they are its values.
    Other arguments, ``options`` and errors as for :func:`whole_set_statistics`.
    """
    found = whole_set_statistics(scores, rows, accuracy, controls, groups, **options)
    return [statistic.estimate(level=level) for statistic in found]


def whole_set_differences(
    new: ArrayLike, old: ArrayLike, *sample: ArrayLike, level: float = 0.95, **options: int
) -> list[Estimate]:
    """Estimate by how much tau, rho and nDCG@k of a ranking exceed those of another one, scored on the same sample.

    Both use the same resamples, so what they share cancels. ``sample`` and ``options`` are the arguments of
    :func:`whole_set_statistics` after the scores.
    """
    if np.shape(new) != np.shape(old) or np.ndim(new) != 1:
        raise NbnasError(f"need two columns of scores of equal length, got shapes {np.shape(new)} and {np.shape(old)}")
    found = whole_set_statistics(np.stack([new, old], axis=1), *sample, **options)
    return [statistic.estimate(0, less=1, level=level) for statistic in found]


def sample_ndcgs(
    scores: np.ndarray, rows: np.ndarray, accuracy: np.ndarray, k: int, group: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Estimate nDCG@k of the whole set from every resample, (resamples,), each architecture standing for n / m of it.

    In the order of the scores (m,), an architecture covers the positions from a to b = a + n / m. It adds
    (2^accuracy - 1) (D(b) - D(a)), where D(j) is the sum of 1 / log2(1 + r) over r <= min(j, k), linear in between.
    Equal scores share the positions of all of them. The ideal order is that of all accuracies (n,). ``group`` and
    ``counts`` as for :func:`kendall_taus`.
    """
    gains, size, values = np.exp2(accuracy) - 1, len(accuracy), []
    ideal = np.sort(gains)[::-1] @ _covered_discounts(np.arange(1, size + 1), size, k)
    # About half of these lie behind the cut-off and add nothing; the others need not be looked at.
    first = scores >= np.sort(scores)[-min(len(rows), 50 + 2 * math.ceil(k * len(rows) / size))]
    for weights in weight_chunks(group, counts):
        share = size / weights.sum(1, keepdims=True)
        kept = first if (weights[:, first].sum(1, keepdims=True) * share >= k).all() else np.ones_like(first)
        tied, _ = tied_weights(-scores[kept], weights[:, kept])
        tied_gains, _ = tied_weights(-scores[kept], weights[:, kept] * gains[rows[kept]])
        covered = _covered_discounts(tied.cumsum(1) * share, size, k)
        mean_gains = np.divide(tied_gains, tied, out=np.zeros_like(tied), where=tied > 0)
        values.append(np.einsum("rv,rv->r", mean_gains, covered) / ideal)
    return np.concatenate(values)


def _covered_discounts(ends: np.ndarray, size: int, k: int) -> np.ndarray:
    """Sum of the discounts of the positions from each end's predecessor to the end, along the last axis."""
    discounts = np.where(np.arange(1, size + 1) <= k, 1 / np.log2(np.arange(2, size + 2)), 0)
    up_to = np.concatenate([[0], discounts.cumsum()])
    return np.diff(np.interp(ends, np.arange(size + 1), up_to), prepend=0)


def _deciding_networks(scores: np.ndarray, rows: np.ndarray, accuracy: np.ndarray, k: int, group: np.ndarray) -> float:
    """Kish's effective sample size (sum g)^2 / sum g^2, where g is what a network adds to the gain up to position k."""
    tied, number = tied_weights(-scores, np.ones((1, len(scores))))
    discounts = _covered_discounts(tied.cumsum(1) * (len(accuracy) / len(scores)), len(accuracy), k) / tied
    added = np.bincount(group, (np.exp2(accuracy[rows]) - 1) * discounts[0, number])
    return float(added.sum() ** 2 / (added**2).sum())


def _sampled(
    values: np.ndarray, rankings: int, truths: list[float], networks: np.ndarray, least: float
) -> SampledStatistic:
    errors = values[:, rankings:] - np.array(truths, dtype=float)
    return SampledStatistic(values[0, :rankings], values[1:, :rankings], errors[0], errors[1:], networks, least)


def _checked_sample(
    scores: ArrayLike, rows: ArrayLike, accuracy: np.ndarray, controls: np.ndarray, groups: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, rows = np.asarray(scores, dtype=float), np.asarray(rows)
    labels = np.arange(len(rows)) if groups is None else np.asarray(groups)
    scores = scores[:, None] if scores.ndim == 1 else scores
    if scores.ndim != 2 or not rows.shape == labels.shape == (len(scores),):
        raise NbnasError(
            f"need scores, rows and groups of equal length, got {scores.shape}, {rows.shape}, {labels.shape}"
        )
    if accuracy.ndim != 1 or controls.ndim != 2 or len(controls) != len(accuracy):
        raise NbnasError(f"need accuracies (n,) and controls (n, c), got {accuracy.shape} and {controls.shape}")
    if np.isnan(scores).any() or np.isnan(controls).any() or not np.isfinite(accuracy).all():
        raise NbnasError(
            "scores and controls must be numbers, accuracies finite; leave out failed scores and say how many"
        )
    if rows.dtype.kind not in "iu" or len(set(rows.tolist()) & set(range(len(accuracy)))) < len(rows):
        raise NbnasError(f"rows must be distinct positions in the whole set, from 0 to {len(accuracy) - 1}")
    networks = len(np.unique(labels))
    if networks <= controls.shape[1] + 2:
        raise NbnasError(f"{networks} networks are too few for {controls.shape[1]} controls")
    return scores, rows, labels
