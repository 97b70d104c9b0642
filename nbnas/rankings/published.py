"""The training-free rankings that the papers compare, as functions of scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError
from nbnas.rankings import aggregate_ranks, lexicographic_rank
from nbnas.rankings.combining import worst_for_missing

COMPONENTS = {
    "V": "VKDNW_single",
    "J": "Jacov",
    "E": "expressivity",
    "T": "trainability",
    "F": "FLOPs",
}
"""Letter -> ranking that VKDNW_agg combines."""


@dataclass(frozen=True)
class PublishedRanking:
    """Which scores a ranking needs and how it orders networks by them."""

    scores: tuple[str, ...]
    combine: Callable[[pd.DataFrame], np.ndarray]
    """Table with those columns, without NaN -> (n,), larger is better."""

    def rank(self, table: pd.DataFrame) -> np.ndarray:
        """Rank networks; a network without a score counts as the worst of that score.

        Args:
            table: A row per network, with a column per score.

        Returns:
            (n,), larger is better.

        Raises:
            NbnasError: If a score is missing or no network has it.
        """
        absent = [name for name in self.scores if name not in table or table[name].isna().all()]
        if absent:
            raise NbnasError(f"no network has a score {', '.join(absent)}")
        return np.asarray(self.combine(worst_for_missing(table[list(self.scores)])))


def component_ranking(letters: str, entropy: str = "vkdnw_entropy") -> PublishedRanking:
    """Return the product of the ranks of some components of VKDNW_agg.

    Args:
        letters: Out of V, J, E, T and F, see :data:`COMPONENTS`; ``V`` is VKDNW_single, ``VJETF`` VKDNW_agg.
        entropy: Score that V ranks by within equal layer counts.

    Raises:
        NbnasError: If a letter is unknown, twice, or there are none.
    """
    if not letters or len(set(letters)) < len(letters) or not set(letters) <= set(COMPONENTS):
        raise NbnasError(f"components are distinct letters out of {''.join(COMPONENTS)}, got {letters!r}")
    names = {"J": "jacov", "E": "az_expressivity", "T": "az_trainability", "F": "flops"}
    scores = [names[letter] for letter in letters if letter != "V"]
    if "V" in letters:
        scores += ["trainable_layers", entropy]

    def combine(table: pd.DataFrame) -> np.ndarray:
        columns = [
            # Tybl & Neumann, CVPR 2025, Eq. 12: first by the number of layers.
            lexicographic_rank(table["trainable_layers"], table[entropy]) if letter == "V" else table[names[letter]]
            for letter in letters
        ]
        return aggregate_ranks(columns)

    return PublishedRanking(tuple(scores), combine)


def component_subsets() -> list[str]:
    """Return the 31 non-empty subsets of the components, small ones first, letters in the order V, J, E, T, F."""
    letters = "".join(COMPONENTS)
    return ["".join(chosen) for size in range(1, 6) for chosen in combinations(letters, size)]


def single_score(score: str) -> PublishedRanking:
    """Rank by one score."""
    return PublishedRanking((score,), lambda table: table[score].to_numpy())


def _product(*scores: str) -> PublishedRanking:
    return PublishedRanking(scores, lambda table: aggregate_ranks([table[name] for name in scores]))


def _sum(*scores: str) -> PublishedRanking:
    return PublishedRanking(scores, lambda table: aggregate_ranks([table[name] for name in scores], how="sum"))


def _singles(names: Sequence[str]) -> Mapping[str, PublishedRanking]:
    return {name: single_score(name) for name in names}


RANKINGS: Mapping[str, PublishedRanking] = {
    **_singles(["flops", "grad_norm", "grasp", "snip", "synflow", "jacov", "naswot", "zen", "gradsign", "zico"]),
    "te_nas": _sum("te_nas_ntk", "te_nas_linear_regions"),
    "az_nas": _product("az_expressivity", "az_progressivity", "az_trainability", "flops"),
    "trainable_layers": single_score("trainable_layers"),
    "vkdnw_single": component_ranking("V"),
    "vkdnw_agg": component_ranking("VJETF"),
}
"""Row key of the published tables -> simple ranking."""


def tcet_rankings(logged: bool) -> Mapping[str, PublishedRanking]:
    """Return the rows of T-CET's tables, and the controls that those lack.

    Args:
        logged: Whether the new scores take the logarithm of S_l / sigma_l. The paper takes whichever ranks better: the
            logarithm for the size space of NATS-Bench and for NAS-Bench-Macro, none for NAS-Bench-201; it does not say
            what for TransNAS-Bench-101 and NAS-Bench-301.

    Returns:
        Row key of the published tables -> ranking, then ``weight_layers`` and ``trainable_layers``.
    """
    suffix = "_log" if logged else ""
    new = {"synflow_snr": "ssnr_synflow", "snip_snr": "ssnr_snip"}
    new |= {name: name for name in ("tcet_synflow", "tcet_snip")}
    return {
        **_singles(["flops", "params"]),
        # The table quotes the ZiCo paper, which took the norm layer by layer.
        "grad_norm": single_score("grad_norm_layerwise"),
        **_singles(["grasp", "snip", "synflow", "zico", "zen", "naswot", "lnwot"]),
        **{row_key: single_score(score + suffix) for row_key, score in new.items()},
        **_singles(["weight_layers", "trainable_layers"]),
    }


def log_ablation_rankings() -> Mapping[str, PublishedRanking]:
    """Return the rows of T-CET's Table A.1: each signal-to-noise ratio with and without logarithm."""
    return {
        "synflow_snr": single_score("ssnr_synflow"),
        "snip_snr": single_score("ssnr_snip"),
        "log_synflow_snr": single_score("ssnr_synflow_log"),
        "log_snip_snr": single_score("ssnr_snip_log"),
    }


def rank_average(*scores: str) -> PublishedRanking:
    """Return the sum of ranks, the combination that T-CET compares with (RankAve)."""
    return _sum(*scores)
