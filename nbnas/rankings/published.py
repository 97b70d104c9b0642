"""The training-free rankings that the papers compare."""

from collections.abc import Mapping
from itertools import combinations

from nbnas.errors import NbnasError
from nbnas.rankings import CombinedRanking

COMPONENTS = {"V": "VKDNW_single", "J": "Jacov", "E": "expressivity", "T": "trainability", "F": "FLOPs"}
"""Letter -> ranking that VKDNW_agg combines."""


def component_ranking(letters: str, entropy: str = "vkdnw_entropy") -> CombinedRanking:
    """Return the product of the ranks of some :data:`COMPONENTS`; ``VJETF`` is VKDNW_agg.

    ``entropy`` is the score that V ranks by within equal layer counts.
    """
    if not letters or len(set(letters)) < len(letters) or not set(letters) <= set(COMPONENTS):
        raise NbnasError(f"components are distinct letters out of {''.join(COMPONENTS)}, got {letters!r}")
    terms = {"J": ("jacov",), "E": ("az_expressivity",), "T": ("az_trainability",), "F": ("flops",)}
    terms["V"] = ("trainable_layers", entropy)  # Tybl & Neumann, CVPR 2025, Eq. 12: first by the number of layers.
    return CombinedRanking(tuple(terms[letter] for letter in letters))


def component_subsets() -> list[str]:
    """Return the 31 non-empty subsets of the components, small ones first, letters in the order V, J, E, T, F."""
    return ["".join(chosen) for size in range(1, 6) for chosen in combinations(COMPONENTS, size)]


def _singles(*scores: str) -> dict[str, CombinedRanking]:
    return {name: CombinedRanking.of(name) for name in scores}


RANKINGS: Mapping[str, CombinedRanking] = {
    **_singles("flops", "grad_norm", "grasp", "snip", "synflow", "jacov", "naswot", "zen", "gradsign", "zico"),
    "te_nas": CombinedRanking.of("te_nas_ntk", "te_nas_linear_regions", how="sum"),
    "az_nas": CombinedRanking.of("az_expressivity", "az_progressivity", "az_trainability", "flops"),
    **_singles("trainable_layers"),
    "vkdnw_single": component_ranking("V"),
    "vkdnw_agg": component_ranking("VJETF"),
}
"""Row key of VKDNW's tables -> training-free ranking."""

LOG_ABLATION: Mapping[str, CombinedRanking] = {
    "synflow_snr": CombinedRanking.of("ssnr_synflow"),
    "snip_snr": CombinedRanking.of("ssnr_snip"),
    "log_synflow_snr": CombinedRanking.of("ssnr_synflow_log"),
    "log_snip_snr": CombinedRanking.of("ssnr_snip_log"),
}
"""Row key of T-CET's Table A.1 -> ranking: each signal-to-noise ratio with and without logarithm."""


def tcet_rankings(logged: bool) -> Mapping[str, CombinedRanking]:
    """Return row key -> ranking of T-CET's tables, and the controls ``weight_layers`` and ``trainable_layers``.

    ``logged`` scores take the logarithm of S_l / sigma_l. The paper takes whichever ranks better: the logarithm for the
    size space of NATS-Bench and for NAS-Bench-Macro, none for NAS-Bench-201; it does not say what for
    TransNAS-Bench-101 and NAS-Bench-301.
    """
    new = {"synflow_snr": "ssnr_synflow", "snip_snr": "ssnr_snip"}
    new |= {name: name for name in ("tcet_synflow", "tcet_snip")}
    return {
        **_singles("flops", "params"),
        # The table quotes the ZiCo paper, which took the norm layer by layer.
        "grad_norm": CombinedRanking.of("grad_norm_layerwise"),
        **_singles("grasp", "snip", "synflow", "zico", "zen", "lnwot"),
        # The authors' code scores in eval mode and does not draw weights anew.
        "naswot": CombinedRanking.of("naswot_eval"),
        **{row_key: CombinedRanking.of(f"{score}_log" if logged else score) for row_key, score in new.items()},
        **_singles("weight_layers", "trainable_layers"),
    }
