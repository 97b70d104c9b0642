"""How well scores rank networks: correlation, nDCG, aggregation of rankings, intervals.

One layout everywhere: one-dimensional arrays, one entry per architecture, larger is better.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from nbnas import resampling
from nbnas.errors import NbnasError


def kendall_tau(scores: ArrayLike, accuracy: ArrayLike) -> float:
    """Kendall's tau-b: (concordant - discordant pairs) / sqrt(pairs untied in x * pairs untied in y).

    >>> round(kendall_tau([10, 9, 8, 7], [100, 90, 70, 80]), 4)
    0.6667

    Args:
        scores: (n,); infinities rank at the ends.
        accuracy: (n,).

    Returns:
        Between -1 and 1; NaN if one side is constant.

    Raises:
        NbnasError: If the lengths differ, or a value is NaN: a failed score has no rank.
    """
    scores, accuracy = _checked(scores, accuracy)
    return float(stats.kendalltau(scores, accuracy, variant="b").statistic)


def partial_kendall_tau(first: ArrayLike, second: ArrayLike, accuracy: ArrayLike) -> float:
    """Correlation of two scores that their common correlation with accuracy does not explain.

    (tau_xy - tau_xz tau_yz) / sqrt((1 - tau_xz^2) (1 - tau_yz^2)), every tau of Kendall's b; z is accuracy.

    Source: Xiang et al., AutoML 2023 (``xiang2023tcet``), Eq. 1.

    Args:
        first: (n,).
        second: (n,).
        accuracy: (n,).

    Returns:
        Between -1 and 1; NaN if a column is constant, or if a score ranks exactly as accuracy does.

    Raises:
        NbnasError: As :func:`kendall_tau`.
    """
    both, with_first, with_second = (
        kendall_tau(first, second),
        kendall_tau(first, accuracy),
        kendall_tau(second, accuracy),
    )
    unexplained = (1 - with_first**2) * (1 - with_second**2)
    return (both - with_first * with_second) / unexplained**0.5 if unexplained > 0 else float("nan")


def spearman_rho(scores: ArrayLike, accuracy: ArrayLike) -> float:
    """Spearman's rho: Pearson correlation of the ranks, ties given their average rank.

    Arguments, result and errors as for :func:`kendall_tau`.
    """
    scores, accuracy = _checked(scores, accuracy)
    if np.ptp(stats.rankdata(scores)) == 0 or np.ptp(stats.rankdata(accuracy)) == 0:
        return float("nan")
    return float(np.corrcoef(stats.rankdata(scores), stats.rankdata(accuracy))[0, 1])


def ndcg(scores: ArrayLike, accuracy: ArrayLike, k: int = 1000, ties: str = "average") -> float:
    """Normalised discounted cumulative gain of the k networks that the scores put first.

    1/Z sum_(j=1..k) (2^a_j - 1) / log2(1 + j), where a_j is the accuracy in percent of the network at position j and
    Z the same sum for the ideal order. One point of accuracy doubles the gain, so the very best networks decide.

    Source: Tybl & Neumann, CVPR 2025 (``tybl2025vkdnw``), Eq. 13-14.

    Args:
        scores: (n,).
        accuracy: (n,), in percent.
        k: Cut-off P of the paper; a value above n means n.
        ties: ``average`` gives each member of a group of equal scores the group's mean gain, the expectation over
            random orders; ``ignore`` keeps tied networks in the order given.

    Returns:
        Between 0 and 1.

    Raises:
        NbnasError: If an argument is unusable; see :func:`kendall_tau`.
    """
    scores, accuracy = _checked(scores, accuracy)
    if k < 1 or ties not in ("average", "ignore"):
        raise NbnasError(f"ndcg needs k >= 1 and ties 'average' or 'ignore', got k={k!r}, ties={ties!r}")
    gains = np.exp2(accuracy) - 1
    discounts = 1 / np.log2(np.arange(2, len(scores) + 2))
    discounts[k:] = 0
    order = np.argsort(-scores, kind="stable")
    ranked_gains = gains[order]
    if ties == "average":
        _, group = np.unique(-scores[order], return_inverse=True)
        ranked_gains = (np.bincount(group, ranked_gains) / np.bincount(group))[group]
    return float(ranked_gains @ discounts / (np.sort(gains)[::-1] @ discounts))


def ndcg_tie_interval(
    scores: ArrayLike, accuracy: ArrayLike, k: int = 1000, *, orders: int = 500, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Range of nDCG over random orders of tied networks: what a sort that ignores ties may return.

    Args:
        scores: (n,).
        accuracy: (n,), in percent.
        k: Cut-off.
        orders: Number of random orders.
        level: Share of the orders inside the interval.
        seed: Seed of the orders.

    Returns:
        Quantiles (1 - level) / 2 and (1 + level) / 2.
    """
    scores, accuracy = _checked(scores, accuracy)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(orders):
        shuffled = rng.permutation(len(scores))
        values.append(ndcg(scores[shuffled], accuracy[shuffled], k, ties="ignore"))
    return _central(values, level)


def lexicographic_rank(*keys: ArrayLike) -> np.ndarray:
    """Dense rank (1 = worst) by the first key, equal ones by the second, and so on.

    VKDNW_single is ``lexicographic_rank(trainable_layers, vkdnw_entropy)``.

    Raises:
        NbnasError: As :func:`kendall_tau`.
    """
    columns = _checked(*keys)
    # numpy sorts by the last key first.
    order = np.lexsort(columns[::-1])
    stacked = np.stack(columns)[:, order]
    differs = np.concatenate([[True], (stacked[:, 1:] != stacked[:, :-1]).any(axis=0)])
    ranks = np.empty(len(order), dtype=int)
    ranks[order] = np.cumsum(differs)
    return ranks


def aggregate_ranks(columns: Sequence[ArrayLike], how: str = "log") -> np.ndarray:
    """Combine several scores of the same networks into one by their ascending average ranks.

    Args:
        columns: Scores, each (n,).
        how: ``log`` sums ln(rank), that is ranks by the product of ranks (VKDNW_agg, AZ-NAS); ``sum`` sums ranks
            (TE-NAS).

    Returns:
        (n,), larger is better.

    Raises:
        NbnasError: If ``how`` is neither; else as :func:`kendall_tau`.
    """
    if how not in ("log", "sum"):
        raise NbnasError(f"how must be 'log' or 'sum', got {how!r}")
    ranks = np.stack([stats.rankdata(column) for column in _checked(*columns)])
    return (np.log(ranks) if how == "log" else ranks).sum(axis=0)


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
    """Percentile bootstrap interval of a statistic over architectures.

    Args:
        statistic: Function of the columns. :func:`kendall_tau` and :func:`spearman_rho` are computed for all resamples
            at once, see :mod:`nbnas.resampling`.
        columns: Arrays (n,), resampled together.
        groups: (n,) labels; whole groups are resampled instead of rows. Use it where scores were computed once per
            network.
        repeats: Number of resamples.
        level: Share of the resamples inside the interval.
        seed: Seed of the resampling; the global random state has no effect.

    Returns:
        Lower and upper end.

    Raises:
        NbnasError: If the lengths differ or there are fewer than 2 resamples.
    """
    if repeats < 2:
        raise NbnasError(f"a bootstrap interval needs at least 2 resamples, got {repeats}")
    arrays = _checked(*columns)
    labels = np.arange(len(arrays[0])) if groups is None else np.asarray(groups)
    if len(labels) != len(arrays[0]):
        raise NbnasError(f"groups has {len(labels)} entries, the columns have {len(arrays[0])}")
    _, group = np.unique(labels, return_inverse=True)
    groups_there = int(group.max()) + 1
    draws = np.random.default_rng(seed).integers(groups_there, size=(repeats, groups_there))
    at_once = _at_once(statistic, groups_there, len(group))
    if at_once:
        counts = np.stack([np.bincount(draw, minlength=groups_there) for draw in draws])
        return _central(at_once(*arrays, group, counts), level)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    resamples = (np.concatenate([members[number] for number in draw]) for draw in draws)
    return _central([statistic(*(array[drawn] for array in arrays)) for drawn in resamples], level)


def _at_once(statistic: Callable[..., float], groups: int, architectures: int) -> Callable[..., np.ndarray] | None:
    few = groups <= resampling.MOST_GROUPS and architectures <= resampling.MOST_ARCHITECTURES
    if statistic is kendall_tau and few:
        return resampling.kendall_taus
    return resampling.spearman_rhos if statistic is spearman_rho else None


def _central(values: Sequence[float], level: float) -> tuple[float, float]:
    if np.isnan(values).all():  # A constant column has no rank correlation.
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _checked(*columns: ArrayLike) -> list[np.ndarray]:
    arrays = [np.asarray(column, dtype=float) for column in columns]
    if len({array.shape for array in arrays}) != 1 or arrays[0].ndim != 1 or not len(arrays[0]):
        raise NbnasError(f"need one-dimensional columns of equal length, got shapes {[a.shape for a in arrays]}")
    for number, array in enumerate(arrays):
        if np.isnan(array).any():
            raise NbnasError(
                f"column {number} has {int(np.isnan(array).sum())} NaN; leave failed scores out and say so"
            )
    return arrays
