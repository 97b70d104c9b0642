"""Figures of the notebooks and the report. Each function returns a figure and its alternative text.

``title`` is the title of the figure, ``xlabel`` and ``ylabel`` say what its axes show. Cells, spectra, rankings and
layers of your own are drawn by :mod:`nbnas.show`, which calls on these modules.
"""

from nbnas.errors import NbnasError

try:
    import matplotlib
    import seaborn
except ImportError as error:
    raise NbnasError("figures need matplotlib and seaborn: run pip install 'nbnas[lab]'") from error

from nbnas.plots.lines import lines_over_size, lines_with_bands, swept_values
from nbnas.plots.networks import (
    layer_profiles,
    layers_against_size,
    paired_spectra,
    search_progress,
    searches_against_costs,
)
from nbnas.plots.rankings import (
    STYLES,
    accuracy_by_predicted_position,
    boxes_by_group,
    grouped_values,
    heat_maps,
    published_against_reproduced,
    published_curves,
    ranked_bars,
    ranked_intervals,
    repeated_values,
    two_seeds,
)
