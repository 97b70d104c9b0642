"""How well scores rank networks: rank correlation and nDCG."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from nbnas.errors import NbnasError


def kendall_tau(scores: ArrayLike, accuracy: ArrayLike) -> float:
    """Kendall's tau-b: (concordant - discordant pairs) / sqrt(pairs untied in x * pairs untied in y).

    Both columns are (n,), and infinities rank at the ends. NaN if one side is constant. Raises :class:`NbnasError` if
    the lengths differ, or a value is NaN: a failed score has no rank.

    >>> round(kendall_tau([10, 9, 8, 7], [100, 90, 70, 80]), 4)
    0.6667
    """
    return float(stats.kendalltau(*_checked(scores, accuracy), variant="b").statistic)


def partial_kendall_tau(first: ArrayLike, second: ArrayLike, accuracy: ArrayLike) -> float:
    """Correlation of two scores (n,) that their common correlation with accuracy does not explain.

    (tau_xy - tau_xz tau_yz) / sqrt((1 - tau_xz^2) (1 - tau_yz^2)), every tau of Kendall's b; z is accuracy. NaN if a
    column is constant, or if a score ranks exactly as accuracy does. Errors as for :func:`kendall_tau`.
    Source: Xiang et al., AutoML 2023 (``xiang2023tcet``), Eq. 1.
    """
    both = kendall_tau(first, second)
    with_first, with_second = kendall_tau(first, accuracy), kendall_tau(second, accuracy)
    unexplained = (1 - with_first**2) * (1 - with_second**2)
    return (both - with_first * with_second) / unexplained**0.5 if unexplained > 0 else float("nan")


def spearman_rho(scores: ArrayLike, accuracy: ArrayLike) -> float:
    """Spearman's rho: Pearson correlation of the ranks, ties given their average rank; else as :func:`kendall_tau`."""
    ranks = [stats.rankdata(column) for column in _checked(scores, accuracy)]
    if not all(map(np.ptp, ranks)):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def ndcg(scores: ArrayLike, accuracy: ArrayLike, k: int = 1000, ties: str = "average") -> float:
    """Normalised discounted cumulative gain of the k networks that the scores put first, between 0 and 1.

    1/Z sum_(j=1..k) (2^a_j - 1) / log2(1 + j), where a_j is the accuracy in percent of the network at position j and
    Z the same sum for the ideal order. One point of accuracy doubles the gain, so the very best networks decide.
    Of ``ties``, ``average`` gives each member of a group of equal scores the group's mean gain, the expectation over
    random orders; ``ignore`` keeps tied networks in the order given. Source: Tybl & Neumann, CVPR 2025
    (``tybl2025vkdnw``), Eq. 13-14, where k is P; a value above n means n. Errors as for :func:`kendall_tau`.
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


def pair_shares(scores: ArrayLike, accuracy: ArrayLike) -> tuple[float, float, float]:
    """Return the shares of pairs of networks in the right order, in the wrong one, and tied in either column.

    >>> pair_shares([1, 1, 2, 3, 3], [10, 20, 30, 25, 5])
    (0.4, 0.4, 0.2)
    """
    columns = np.stack([stats.rankdata(scores), stats.rankdata(accuracy)])

    def tied(keys: np.ndarray) -> float:
        _, counts = np.unique(keys, axis=-1, return_counts=True)
        return float((counts * (counts - 1) / 2).sum())

    pairs = columns.shape[1] * (columns.shape[1] - 1) / 2
    tied_in_scores, tied_in_accuracy, tied_in_both = tied(columns[0]), tied(columns[1]), tied(columns)
    untied = pairs - tied_in_scores - tied_in_accuracy + tied_in_both
    excess = kendall_tau(scores, accuracy) * np.sqrt((pairs - tied_in_scores) * (pairs - tied_in_accuracy))
    right, wrong = (untied + excess) / 2, (untied - excess) / 2
    return float(right / pairs), float(wrong / pairs), float((pairs - untied) / pairs)


def _checked(*columns: ArrayLike) -> list[np.ndarray]:
    arrays = [np.asarray(column, dtype=float) for column in columns]
    if len({array.shape for array in arrays}) != 1 or arrays[0].ndim != 1 or not len(arrays[0]):
        raise NbnasError(f"need one-dimensional columns of equal length, got shapes {[a.shape for a in arrays]}")
    for number, array in enumerate(arrays):
        failed = np.count_nonzero(np.isnan(array))
        if failed:
            raise NbnasError(f"column {number} has {failed} NaN; leave out failed scores and report how many")
    return arrays
