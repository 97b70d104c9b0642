"""Rank correlations of many bootstrap resamples at once.

A resample only changes how often every architecture counts. So the architectures are sorted, or compared in pairs,
once, and the resamples are weights on the result.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse, stats

MOST_GROUPS, MOST_ARCHITECTURES = 1500, 8000
"""Sizes up to which :func:`kendall_taus`, which holds all pairs, is faster than one resample after the other."""

_CHUNK = 1 << 22
"""Numbers held at a time where there is one per resample and architecture."""


def kendall_taus(x: np.ndarray, y: np.ndarray, group: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of every resample; NaN where it leaves one value in a column.

    Args:
        x: (n,).
        y: (n,).
        group: (n,) numbers from 0 of the groups that are resampled as a whole.
        counts: (resamples, groups) how often a resample holds each group.
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
    """Spearman's rho of every resample, ties at their average rank; arguments and NaN as for :func:`kendall_taus`."""
    values = []
    for part in _parts(counts, len(x)):
        weights = part[:, group].astype(float)
        total = weights.sum(1, keepdims=True)
        left, right = _weighted_ranks(x, weights) - total / 2, _weighted_ranks(y, weights) - total / 2

        def moment(a: np.ndarray, b: np.ndarray, weights: np.ndarray = weights) -> np.ndarray:
            return np.einsum("rn,rn,rn->r", weights, a, b)

        with np.errstate(invalid="ignore"):
            values.append(moment(left, right) / np.sqrt(moment(left, left) * moment(right, right)))
    return np.concatenate(values)


def _parts(counts: np.ndarray, architectures: int) -> Iterator[np.ndarray]:
    size = max(1, _CHUNK // architectures)
    return (counts[start : start + size] for start in range(0, len(counts), size))


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
