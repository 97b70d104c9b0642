"""Rankings made of several scores."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from nbnas.errors import NbnasError
from nbnas.rankings.metrics import _checked


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


def worst_for_missing(table: pd.DataFrame) -> pd.DataFrame:
    """Replace NaN and minus infinity by the smallest other value of the column, infinity by the largest.

    That is what the authors of VKDNW do with failed scores.
    """
    finite = table.where(np.isfinite(table))
    clipped = table.clip(finite.min(), finite.max(), axis=1)
    return clipped.fillna(finite.min())
