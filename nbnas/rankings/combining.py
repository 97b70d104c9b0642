"""Rankings made of several scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from nbnas.errors import NbnasError
from nbnas.rankings.metrics import _checked


def lexicographic_rank(*keys: ArrayLike) -> np.ndarray:
    """Dense rank (1 = worst) by the first key, equal ones by the second, and so on.

    VKDNW_single is ``lexicographic_rank(trainable_layers, vkdnw_entropy)``. Errors as for :func:`kendall_tau`.
    """
    ranks = np.zeros(1, dtype=int)
    for column in _checked(*keys):
        dense = stats.rankdata(column, "dense").astype(int)
        ranks = stats.rankdata(ranks * (dense.max() + 1) + dense, "dense").astype(int)
    return ranks


def aggregate_ranks(columns: Sequence[ArrayLike], how: str = "log") -> np.ndarray:
    """Combine several scores (n,) of the same networks into one (n,) by their ascending average ranks.

    Larger is better, in the scores and in the result. ``log`` sums ln(rank), that is ranks by the product of ranks
    (VKDNW_agg, AZ-NAS); ``sum`` sums ranks (TE-NAS). Errors as for :func:`kendall_tau`.
    """
    _check_how(how)
    ranks = np.stack([stats.rankdata(column) for column in _checked(*columns)])
    return (np.log(ranks) if how == "log" else ranks).sum(axis=0)


def worst_for_missing(table: pd.DataFrame) -> pd.DataFrame:
    """Replace NaN and minus infinity by the smallest other value of the column, infinity by the largest.

    That is what the authors of VKDNW do with failed scores.
    """
    finite = table.where(np.isfinite(table))
    return table.clip(finite.min(), finite.max(), axis=1).fillna(finite.min())


@dataclass(frozen=True)
class CombinedRanking:
    """A ranking by several scores: the ranks of its terms, combined. With a single score it is that score.

    Larger is better in every score and in the ranking. Raises :class:`NbnasError` if ``how`` is unknown.
    """

    terms: tuple[tuple[str, ...], ...]
    """Names of scores per term; of several the first decides, the next among equals."""
    how: Literal["log", "sum"] = "log"
    """See :func:`aggregate_ranks`."""

    def __post_init__(self) -> None:
        _check_how(self.how)

    @classmethod
    def of(cls, *scores: str, how: Literal["log", "sum"] = "log") -> Self:
        """Return the ranking in which each score is a term of its own."""
        return cls(tuple((name,) for name in scores), how)

    @property
    def scores(self) -> tuple[str, ...]:
        """Names in all terms, each once."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term))

    def rank(self, table: pd.DataFrame) -> np.ndarray:
        """Rank networks as the papers do, (n,): a network without a score counts as the worst of that score.

        ``table`` has a row per network and a column per score, NaN where it failed. Raises :class:`NbnasError` if no
        network has one of the scores.
        """
        absent = [name for name in self.scores if name not in table or table[name].isna().all()]
        if absent:
            raise NbnasError(f"no network has a score {', '.join(absent)}")
        return self._combine(worst_for_missing(table[list(self.scores)]))

    def evaluate(self, table: pd.DataFrame) -> np.ndarray:
        """Rank networks as a search does: a failed score is minus infinity, or NaN where it is the only one."""
        values = table[list(self.scores)].astype(float)
        return self._combine(values if len(self.scores) == 1 else values.fillna(-np.inf))

    def keys(self, values: Mapping[str, float]) -> list[tuple[float, ...]]:
        """Return per term what ranks one network; a failed score is minus infinity."""
        return [tuple(-np.inf if np.isnan(values[name]) else values[name] for name in term) for term in self.terms]

    def _combine(self, table: pd.DataFrame) -> np.ndarray:
        if len(self.scores) == 1:
            return table[self.scores[0]].to_numpy(dtype=float, copy=True)
        return aggregate_ranks([lexicographic_rank(*(table[name] for name in term)) for term in self.terms], self.how)


def _check_how(how: str) -> None:
    if how not in ("log", "sum"):
        raise NbnasError(f"how must be 'log' or 'sum', got {how!r}")
