"""Figures of the notebooks and the report. Each function returns a figure and its alternative text.

Cells, spectra, rankings and layers of one's own are drawn by :mod:`nbnas.show`, which calls on these modules.
"""

from nbnas.plots.distributions import boxes_by_group, grouped_values, repeated_values, two_seeds
from nbnas.plots.layers import layer_profiles, layers_against_size
from nbnas.plots.lines import lines_over_size, lines_with_bands, swept_values
from nbnas.plots.rankings import (
    accuracy_by_predicted_position,
    heat_maps,
    ranked_bars,
    ranked_intervals,
)
from nbnas.plots.search import search_progress, searches_against_costs
from nbnas.plots.spectra import paired_spectra
from nbnas.plots.verdicts import COLOURS, METRIC_NAMES, published_against_reproduced, published_curves

__all__ = [
    "COLOURS",
    "METRIC_NAMES",
    "accuracy_by_predicted_position",
    "boxes_by_group",
    "grouped_values",
    "heat_maps",
    "layer_profiles",
    "layers_against_size",
    "lines_over_size",
    "lines_with_bands",
    "paired_spectra",
    "published_against_reproduced",
    "published_curves",
    "ranked_bars",
    "ranked_intervals",
    "repeated_values",
    "search_progress",
    "searches_against_costs",
    "swept_values",
    "two_seeds",
]
