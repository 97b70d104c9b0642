"""What a search maximises: one score, or the ranks of several among everything seen so far."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError
from nbnas.proxies.registry import select_proxies
from nbnas.rankings import aggregate_ranks, lexicographic_rank
from nbnas.search.population import Key
from nbnas.search.searchable import COSTS


@dataclass(frozen=True)
class Objective:
    """Terms, and how their ranks are combined; larger is better in every score.

    With a single term of a single score, the objective is that score.
    """

    terms: tuple[tuple[str, ...], ...]
    """Names of scores, or of costs, per term; of several the first decides, the next among equals."""
    how: Literal["log", "sum"] = "log"
    """``log`` sums the logarithms of the terms' ranks, ``sum`` the ranks."""

    @property
    def scores(self) -> list[str]:
        """Names in all terms, each once."""
        return list(dict.fromkeys(name for term in self.terms for name in term))

    def keys(self, values: Mapping[str, float]) -> list[Key]:
        """Return what ranks a network in each term; a failed score counts as the worst, minus infinity."""
        return [tuple(-np.inf if np.isnan(values[name]) else values[name] for name in term) for term in self.terms]

    def evaluate(self, table: pd.DataFrame) -> np.ndarray:
        """Return the objective of networks that were all seen.

        Args:
            table: A row per network with a column per score; NaN where it failed.

        Returns:
            (rows,), larger is better; NaN where a single score failed.
        """
        if len(self.scores) == 1:
            return table[self.scores[0]].to_numpy(dtype=float, copy=True)
        filled = table[self.scores].astype(float).fillna(-np.inf)
        return aggregate_ranks([lexicographic_rank(*(filled[name] for name in term)) for term in self.terms], self.how)


NAMED: Mapping[str, Objective] = {
    "te_nas": Objective((("te_nas_ntk",), ("te_nas_linear_regions",)), "sum"),
    "az_nas": Objective((("az_expressivity",), ("az_progressivity",), ("az_trainability",), ("flops",))),
    "vkdnw_single": Objective((("trainable_layers", "vkdnw_entropy"),)),
    "vkdnw_agg": Objective(
        (("trainable_layers", "vkdnw_entropy"), ("jacov",), ("az_expressivity",), ("az_trainability",), ("flops",))
    ),
}
"""Combined rankings of the papers, see :data:`nbnas.rankings.published.RANKINGS`."""


def as_objective(score: "str | Sequence[str] | Objective") -> Objective:
    """Return the objective that a user's ``score`` stands for.

    Args:
        score: Name of a score, of a cost (``params``, ``flops``, ``layers``) or of one of :data:`NAMED`; several names,
            each of which is a term; or an objective.

    Raises:
        NbnasError: If a name is unknown or there is none.
    """
    if isinstance(score, str):
        objective = NAMED.get(score) or Objective(((score,),))
    elif isinstance(score, Objective):
        objective = score
    else:
        names = list(score) if isinstance(score, Iterable) else []
        if not names or not all(isinstance(name, str) for name in names):
            raise NbnasError(f"score must name at least one score, got {score!r}")
        objective = Objective(tuple((name,) for name in names))
    if objective.how not in ("log", "sum"):
        raise NbnasError(f"how must be 'log' or 'sum', got {objective.how!r}")
    for name in objective.scores:
        if name not in COSTS and not any(name in proxy.info.scores for proxy in select_proxies(name)):
            raise NbnasError(f"{name!r} names a proxy with several scores; name one of them, such as {_first(name)!r}")
    return objective


def _first(proxy: str) -> str:
    return select_proxies(proxy)[0].info.scores[0]
