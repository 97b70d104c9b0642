"""Figures of the notebooks and the report. Each function returns a figure and its alternative text.

``title`` is the title of the figure, ``xlabel`` and ``ylabel`` say what its axes show. Cells, spectra, rankings and
layers of your own are drawn by :mod:`nbnas.show`, which calls on these modules.
"""

from nbnas.errors import NbnasError

try:
    import matplotlib  # noqa: F401
    import seaborn  # noqa: F401
except ImportError as error:
    raise NbnasError("figures need matplotlib and seaborn: run pip install 'nbnas[lab]'") from error

from nbnas.plots.distributions import boxes_by_group, grouped_values, repeated_values, two_seeds
from nbnas.plots.layers import layer_profiles, layers_against_size
from nbnas.plots.lines import lines_over_size, lines_with_bands, swept_values
from nbnas.plots.rankings import accuracy_by_predicted_position, heat_maps, ranked_bars, ranked_intervals
from nbnas.plots.search import search_progress, searches_against_costs
from nbnas.plots.spectra import paired_spectra
from nbnas.plots.verdicts import COLOURS, published_against_reproduced, published_curves

__all__ = [
    "COLOURS",
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
