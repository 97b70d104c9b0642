"""Eigenvalues."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from nbnas.plots.drawing import closed


def spectrum(
    eigenvalues: Mapping[str, Sequence[float]], title: str, quantiles: Sequence[float] | None = None
) -> tuple[Figure, str]:
    """Draw sorted eigenvalues on a logarithmic scale, one line per network; zeros are left out.

    Args:
        eigenvalues: Name of a network -> values.
        title: Title of the figure.
        quantiles: Of the values, if they are not all eigenvalues but some of their quantiles; drawn as dots.
    """
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
    _draw_spectra(axis, eigenvalues, quantiles)
    axis.set(xlabel="quantile", ylabel="eigenvalue", title=title)
    alt = f"Eigenvalues against their quantile on a logarithmic scale for {', '.join(eigenvalues)}. {title}."
    return closed(figure), alt


def paired_spectra(
    panels: Mapping[str, Mapping[str, Sequence[float]]], title: str, rounding: float = 1e-12
) -> tuple[Figure, str]:
    """Draw two spectra per panel, and below each panel the second divided by the first, rank by rank.

    Args:
        panels: Title of a panel -> label -> eigenvalues, two labels each.
        title: Title of the figure.
        rounding: Eigenvalues smaller than this share of the largest have no ratio.
    """
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            2,
            len(panels),
            figsize=(3.5 * len(panels) + 0.4, 5.6),
            height_ratios=[2, 1],
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
    for (above, below), (name, eigenvalues) in zip(axes.T, panels.items(), strict=True):
        _draw_spectra(above, eigenvalues)
        above.set_title(name, fontsize=10)
        first, second = (np.sort(np.asarray(values)) for values in eigenvalues.values())
        kept = (first > rounding * first[-1]) & (second > rounding * second[-1])
        below.axhline(1, color="#555555", linewidth=0.8)
        below.plot(np.linspace(0, 1, len(first))[kept], second[kept] / first[kept], "o-", color="#5b3f8c", markersize=2)
        below.set_xlabel("quantile")
    axes[0, 0].set_ylabel("eigenvalue")
    axes[1, 0].set_ylabel("second / first")
    figure.suptitle(title, fontsize=11)
    alt = f"{title}: two spectra each on a logarithmic scale, and their ratio, for {'; '.join(panels)}."
    return closed(figure), alt


def _draw_spectra(
    axis: plt.Axes, eigenvalues: Mapping[str, Sequence[float]], quantiles: Sequence[float] | None = None
) -> None:
    colours = sns.color_palette("colorblind", len(eigenvalues))
    for (name, values), colour in zip(eigenvalues.items(), colours, strict=True):
        ordered = np.sort(np.asarray(values))
        places = np.linspace(0, 1, len(ordered)) if quantiles is None else np.asarray(quantiles)
        style = "-" if quantiles is None else "o-"
        axis.plot(places[ordered > 0], ordered[ordered > 0], style, color=colour, label=name)
    axis.set_yscale("log")
    if len(eigenvalues) > 1:
        axis.legend(frameon=False)
