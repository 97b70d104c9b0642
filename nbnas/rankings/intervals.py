"""Intervals of rankings: bootstrap over networks, random orders of ties.

A resample only changes how often every network counts. So for rank correlations the networks are sorted, or compared in
pairs, once, and the resamples are weights on the result.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, stats

from nbnas.errors import NbnasError
from nbnas.rankings.metrics import _checked, kendall_tau, ndcg, spearman_rho

MOST_GROUPS, MOST_ARCHITECTURES = 1500, 8000
"""Sizes up to which :func:`kendall_taus`, which holds all pairs, is faster than one resample after the other."""
_CHUNK = 1 << 22
"""Numbers held at a time where there is one per resample and architecture."""


class Estimate(NamedTuple):
    """A number and the ends of its interval, NaN where it has none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def ndcg_tie_interval(
    scores: ArrayLike, accuracy: ArrayLike, k: int = 1000, *, orders: int = 500, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the range of nDCG over random ``orders`` of tied networks: what a sort that ignores ties may return.

    Its ends are the quantiles (1 ± level) / 2 over the orders. Arguments and errors as for :func:`ndcg`.
    """
    scores, accuracy = _checked(scores, accuracy)
    rng = np.random.default_rng(seed)
    shuffles = (rng.permutation(len(scores)) for _ in range(orders))
    return _central([ndcg(scores[order], accuracy[order], k, ties="ignore") for order in shuffles], level)


def paired_difference(statistic: Callable[..., float]) -> Callable[..., float]:
    """Return the function (new, old, accuracy) -> statistic(new, accuracy) - statistic(old, accuracy).

    Its :func:`bootstrap_interval` compares two scores on the same resampled networks, so what they share cancels.

    >>> round(paired_difference(kendall_tau)([1, 2, 3], [1, 3, 2], [70, 80, 90]), 4)
    0.6667
    """
    return lambda new, old, accuracy: statistic(new, accuracy) - statistic(old, accuracy)


def bootstrap_interval(
    statistic: Callable[..., float],
    *columns: ArrayLike,
    groups: ArrayLike | None = None,
    repeats: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the ends of the percentile bootstrap interval of a statistic over architectures.

    The columns (n,) are resampled together ``repeats`` times; the interval holds a share ``level`` of the resamples.
    With labels ``groups`` (n,), whole groups are resampled instead of rows: use it where scores were computed once per
    network. :func:`kendall_tau` and :func:`spearman_rho` are computed for all resamples at once.
    """
    if repeats < 2:
        raise NbnasError(f"a bootstrap interval needs at least 2 resamples, got {repeats}")
    arrays = _checked(*columns)
    labels = np.arange(len(arrays[0])) if groups is None else np.asarray(groups)
    if len(labels) != len(arrays[0]):
        raise NbnasError(f"groups has {len(labels)} entries, the columns have {len(arrays[0])}")
    _, group, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    draws = np.random.default_rng(seed).integers(len(sizes), size=(repeats, len(sizes)))
    few = len(sizes) <= MOST_GROUPS and len(group) <= MOST_ARCHITECTURES
    if statistic is spearman_rho or (statistic is kendall_tau and few):
        counts = np.stack([np.bincount(draw, minlength=len(sizes)) for draw in draws])
        at_once = kendall_taus if statistic is kendall_tau else spearman_rhos
        return _central(at_once(*arrays, group, counts), level)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(sizes)[:-1])
    resamples = (np.concatenate([members[number] for number in draw]) for draw in draws)
    return _central([statistic(*(array[drawn] for array in arrays)) for drawn in resamples], level)


def bootstrap_estimate(statistic: Callable[..., float], *columns: ArrayLike, **options: object) -> Estimate:
    """Return a statistic with its :func:`bootstrap_interval`, which takes the options."""
    return Estimate(statistic(*columns), *bootstrap_interval(statistic, *columns, **options))


def _central(values: Sequence[float], level: float) -> tuple[float, float]:
    if np.isnan(values).all():  # A constant column has no rank correlation.
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def kendall_taus(x: np.ndarray, y: np.ndarray, group: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return Kendall's tau-b of x and y (n,) in every resample; NaN where it leaves one value in a column.

    ``group`` (n,) numbers the groups that are resampled as a whole, from 0; ``counts`` (resamples, groups) says how
    often a resample holds each.
    """
    own = np.ones(len(group), dtype=np.float32)
    members = sparse.csr_matrix((own, (group, np.arange(len(group)))), shape=(counts.shape[1], len(group)))
    weights = counts.astype(np.float32)

    def summed(signs: np.ndarray) -> np.ndarray:
        between_groups = members @ signs.astype(np.float32) @ members.T
        # The product is of whole numbers small enough for 32 bits, their sum is not.
        return np.einsum("rg,rg->r", weights @ between_groups, weights, dtype=np.float64)

    order_x, order_y = _pair_signs(x), _pair_signs(y)
    untied = summed(order_x * order_x) * summed(order_y * order_y)
    with np.errstate(invalid="ignore"):
        return summed(order_x * order_y) / np.sqrt(untied)


def spearman_rhos(x: np.ndarray, y: np.ndarray, group: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return Spearman's rho of every resample, ties at their average rank; arguments as for :func:`kendall_taus`."""
    values, size = [], max(1, _CHUNK // len(x))
    for start in range(0, len(counts), size):
        weights = counts[start : start + size, group].astype(float)
        middle = weights.sum(1, keepdims=True) / 2
        left, right = _weighted_ranks(x, weights) - middle, _weighted_ranks(y, weights) - middle
        pairs = (left, right), (left, left), (right, right)
        both, of_left, of_right = (np.einsum("rn,rn,rn->r", weights, a, b) for a, b in pairs)
        with np.errstate(invalid="ignore"):
            values.append(both / np.sqrt(of_left * of_right))
    return np.concatenate(values)


def _weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks less 1/2 in every resample, (resamples, n), where an entry counts as often as its weight says."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    return (tied.cumsum(1) - tied / 2)[:, group]


def _pair_signs(values: np.ndarray) -> np.ndarray:
    ranks = stats.rankdata(values, method="dense").astype(np.int32)
    return np.sign(np.subtract.outer(ranks, ranks)).astype(np.int8)
