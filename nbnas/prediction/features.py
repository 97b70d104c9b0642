"""Scores that the published model-driven rankings learn from, by their names in :func:`nbnas.list_proxies`.

VKDNW_m learns from :data:`VKDNW_FEATURES`, (VKDNW+ZCS)_m from both lists, (VKDNW+ZCS+GRAF)_m from both and the graph
features of :data:`nbnas.prediction.graf.PUBLISHED_FAMILIES`, GRAF from those graph features alone.
Source: Tybl & Neumann, CVPR 2025 (key ``tybl2025vkdnw``), Table 1.
"""

VKDNW_FEATURES = (*(f"vkdnw_decile_{decile}" for decile in range(1, 10)), "trainable_layers", "flops")
"""Deciles of the Fisher spectrum and the size of the network; their entropy is not among them."""

ZERO_COST_FEATURES = (
    "az_expressivity",
    "az_progressivity",
    "az_trainability",
    "jacov",
    "gradsign",
    "zico",
    "zen",
    "grad_norm",
    "naswot",
    "synflow",
    "snip",
    "grasp",
    "te_nas_ntk",
    "te_nas_linear_regions",
)
"""Scores by other methods."""
