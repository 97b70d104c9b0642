"""Eigenvalues."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from nbnas.plots.drawing import colours, finished, grid


def spectrum(
    eigenvalues: Mapping[str, Sequence[float]], title: str, quantiles: Sequence[float] | None = None
) -> tuple[Figure, str]:
    """Draw sorted eigenvalues on a logarithmic scale, one line per network; zeros are left out.

    Where values are not all eigenvalues but some of their quantiles, ``quantiles`` says which; they are drawn as dots.
    """
    figure, [[axis]] = grid((5.6, 3.8))
    _draw_spectra(axis, eigenvalues, quantiles)
    axis.set(xlabel="quantile", ylabel="eigenvalue", title=title)
    alt = f"Eigenvalues against their quantile on a logarithmic scale for {', '.join(eigenvalues)}. {title}."
    return finished(figure, alt)


def paired_spectra(panels: Mapping[str, Mapping[str, Sequence[float]]], title: str) -> tuple[Figure, str]:
    """Draw two spectra per panel, and below each panel the second divided by the first, rank by rank.

    ``panels``: title -> label -> eigenvalues. Those smaller than 1e-12 of the largest are rounding and have no ratio.
    """
    size = (3.5 * len(panels) + 0.4, 5.6)
    figure, axes = grid(size, 2, len(panels), height_ratios=[2, 1], sharex=True)
    for (above, below), (name, eigenvalues) in zip(axes.T, panels.items(), strict=True):
        _draw_spectra(above, eigenvalues)
        above.set_title(name, fontsize=10)
        first, second = map(np.sort, eigenvalues.values())
        kept = (first > 1e-12 * first[-1]) & (second > 1e-12 * second[-1])
        below.axhline(1, color="#555555", linewidth=0.8)
        below.plot(np.linspace(0, 1, len(first))[kept], second[kept] / first[kept], "o-", color="#5b3f8c", markersize=2)
        below.set_xlabel("quantile")
    axes[0, 0].set_ylabel("eigenvalue")
    axes[1, 0].set_ylabel("second / first")
    alt = f"{title}: two spectra each on a logarithmic scale, and their ratio, for {'; '.join(panels)}."
    return finished(figure, alt, title)


def _draw_spectra(
    axis: plt.Axes, eigenvalues: Mapping[str, Sequence[float]], quantiles: Sequence[float] | None = None
) -> None:
    for name, colour in colours(eigenvalues).items():
        ordered = np.sort(eigenvalues[name])
        places = np.linspace(0, 1, len(ordered)) if quantiles is None else np.asarray(quantiles)
        style = "-" if quantiles is None else "o-"
        axis.plot(places[ordered > 0], ordered[ordered > 0], style, color=colour, label=name)
    axis.set_yscale("log")
    if len(eigenvalues) > 1:
        axis.legend(frameon=False)
