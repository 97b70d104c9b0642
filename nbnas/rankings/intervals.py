"""Intervals of rankings: bootstrap over networks, random orders of ties.

A resample only changes how often every network counts. So for rank correlations the networks are sorted, or compared in
pairs, once, and the resamples are weights on the result.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, stats

from nbnas.errors import NbnasError
from nbnas.rankings.metrics import _checked, kendall_tau, ndcg, spearman_rho

_CHUNK = 1 << 22
"""Numbers held at a time where there is one per resample and architecture, or per pair of architectures."""


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
    arrays = _checked(*columns)
    labels = np.arange(len(arrays[0])) if groups is None else np.asarray(groups)
    if len(labels) != len(arrays[0]):
        raise NbnasError(f"groups has {len(labels)} entries, the columns have {len(arrays[0])}")
    group, draws = resampled_groups(labels, repeats, seed)
    if statistic in (kendall_tau, spearman_rho):
        at_once = kendall_taus if statistic is kendall_tau else spearman_rhos
        return _central(at_once(*arrays, group, draw_counts(draws)), level)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
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


def resampled_groups(labels: np.ndarray, repeats: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the groups that share a label from 0, (n,), and draw as many as there are, (repeats, groups)."""
    if repeats < 2:
        raise NbnasError(f"a bootstrap interval needs at least 2 resamples, got {repeats}")
    different, group = np.unique(labels, return_inverse=True)
    return group, np.random.default_rng(seed).integers(len(different), size=(repeats, len(different)))


def draw_counts(draws: np.ndarray) -> np.ndarray:
    """How often every resample holds each group, (repeats, groups)."""
    return np.stack([np.bincount(draw, minlength=draws.shape[1]) for draw in draws])


def kendall_taus(x: np.ndarray, y: np.ndarray, group: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return Kendall's tau-b of x and y (n,) in every resample; NaN where it leaves one value in a column.

    ``group`` (n,) numbers the groups that are resampled as a whole, from 0; ``counts`` (resamples, groups) says how
    often a resample holds each.
    """
    own = np.ones(len(group), dtype=np.float32)
    members = sparse.csr_matrix((own, (group, np.arange(len(group)))), shape=(counts.shape[1], len(group)))
    ranks = [stats.rankdata(column, method="dense").astype(np.int32) for column in (x, y)]
    weights, excess, size = counts.astype(np.float32), np.zeros(len(counts)), max(1, _CHUNK // len(x))
    for start in range(0, len(x), size):
        rows = slice(start, start + size)
        first, second = (_pair_signs(column, column[rows]) for column in ranks)
        of_groups = weights @ (members @ (first * second).astype(np.float32))
        # The product is of whole numbers small enough for 32 bits, their sum is not.
        excess += np.einsum("rn,rn->r", of_groups, weights[:, group[rows]], dtype=np.float64)
    untied = [_untied_pairs(column, group, counts) for column in ranks]
    with np.errstate(invalid="ignore"):
        return excess / np.sqrt(untied[0] * untied[1])


def spearman_rhos(x: np.ndarray, y: np.ndarray, group: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return Spearman's rho of every resample, ties at their average rank; arguments as for :func:`kendall_taus`."""
    values = []
    for weights in weight_chunks(group, counts):
        middle = weights.sum(1, keepdims=True) / 2
        left, right = _weighted_ranks(x, weights) - middle, _weighted_ranks(y, weights) - middle
        pairs = (left, right), (left, left), (right, right)
        both, of_left, of_right = (np.einsum("rn,rn,rn->r", weights, a, b) for a, b in pairs)
        with np.errstate(invalid="ignore"):
            values.append(both / np.sqrt(of_left * of_right))
    return np.concatenate(values)


def weight_chunks(group: np.ndarray, counts: np.ndarray) -> Iterator[np.ndarray]:
    """Yield how often some of the resamples at a time hold every architecture, (resamples, n)."""
    size = max(1, _CHUNK // len(group))
    for start in range(0, len(counts), size):
        yield counts[start : start + size, group].astype(float)


def tied_weights(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum weights (resamples, n) over equal values (n,).

    Returns the sums, (resamples, distinct values), smallest value first, and the number of each entry's value, (n,).
    """
    _, number = np.unique(values, return_inverse=True)
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    return np.add.reduceat(weights[:, order], starts, axis=1), number


def _weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks less 1/2 in every resample, (resamples, n), where an entry counts as often as its weight says."""
    tied, number = tied_weights(values, weights)
    return (tied.cumsum(1) - tied / 2)[:, number]


def _untied_pairs(values: np.ndarray, group: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Ordered pairs with different values in every resample, (resamples,)."""
    sums = (tied_weights(values, weights)[0] for weights in weight_chunks(group, counts))
    return np.concatenate([tied.sum(1) ** 2 - np.einsum("rv,rv->r", tied, tied) for tied in sums])


def _pair_signs(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    rows = rows[:, None]
    return (rows > values).view(np.int8) - (rows < values).view(np.int8)
