"""Figures of what networks measure: their layers, their eigenvalues, and the candidates of a search."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nbnas.plots.drawing import BELOW, THIN, colours, finished, grid, wrapped_grid

_DOTTED = {"marker": "o", "markersize": 3, "linewidth": 0.8}


def layer_profiles(
    panels: Mapping[str, Mapping[str, pd.DataFrame]], rows: Sequence[tuple], title: str, logarithmic: Sequence[str] = ()
) -> tuple[Figure, str]:
    """Draw quantities of layers over depth: a column of panels per set of networks, a row per quantity.

    ``panels``: title -> name of a network -> its layers, with a column ``depth``. ``rows``: column to draw, column of
    its reference (drawn dashed) or None, and label. ``logarithmic``: columns with such a scale.
    """
    size = (1.2 + 4.6 * len(panels), 1.2 + 2.2 * len(rows))
    figure, axes = grid(size, len(rows), len(panels), sharex="col", sharey="row")
    for column, (name, networks) in zip(axes.T, panels.items(), strict=True):
        for axis, (quantity, reference, label) in zip(column, rows, strict=True):
            for network, colour in colours(networks).items():
                layers = networks[network].set_index("depth")
                if reference:
                    style = {"linewidth": 1, "linestyle": "--", "drawstyle": "steps-mid", "alpha": 0.7}
                    axis.plot(layers[reference], color=colour, **style)
                axis.plot(layers[quantity], color=colour, label=network, **_DOTTED)
            axis.set(xlabel="layer", ylabel=label, yscale="log" if quantity in logarithmic else "linear")
            axis.label_outer()
        column[0].set_title(name, fontsize=11)
        column[-1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), frameon=False, fontsize=9)
    dashed = "; dashed: from sizes alone" if any(reference for _, reference, _ in rows) else ""
    drawn = "; ".join(f"{name}: {', '.join(networks)}" for name, networks in panels.items())
    alt = f"{title}: {', '.join(label for *_, label in rows)} over layers for {drawn}."
    return finished(figure, alt, title + dashed)


def layer_vectors(networks: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, str]:
    """Draw the two vectors whose dot product is T-CET, a dot per layer, one above the other; zeros have no logarithm.

    ``networks``: name -> layers, see :func:`nbnas.proxies.tcet.layer_vectors`. They are named below where there is
    room, which is for one network of up to 24 layers.
    """
    panels = {"signal_to_noise": "S / σ of saliencies", "log_determinant": "ln |det K| (nats)"}
    figure, axes = grid((6.2, 5.6), 2, 1, sharex=True)
    axes = axes[:, 0]
    for axis, (column, label) in zip(axes, panels.items(), strict=True):
        for (name, colour), marker in zip(colours(networks).items(), cycle("os^Dv"), strict=False):
            depth = range(1, len(networks[name]) + 1)
            axis.plot(depth, networks[name][column], marker, color=colour, label=name, markersize=4)
        axis.set_ylabel(label)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[-1].set_xlabel("layer, in the order of the network")
    if all((layers["signal_to_noise"] >= 0).all() for layers in networks.values()):
        axes[0].set_yscale("log")
    names = next(iter(networks.values())).index
    if len(networks) > 1:
        figure.legend(*axes[0].get_legend_handles_labels(), ncols=4, **BELOW)
    elif len(names) <= 24:
        axes[-1].set_xticks(range(1, len(names) + 1), names, rotation=60, ha="right", fontsize=8)
    counts = ", ".join(f"{len(layers)} of {name}" for name, layers in networks.items())
    return finished(figure, f"{title}: {' and '.join(panels.values())} over layers, {counts}.", title)


def layers_against_size(
    table: pd.DataFrame, references: Mapping[str, tuple], title: str, xlabel: str, ylabel: str, logarithmic: bool = True
) -> tuple[Figure, str]:
    """Scatter a quantity of layers against their size, one panel per set of networks.

    ``table`` has a row per layer: ``panel``, ``group`` (colour), ``x`` (the size, on a logarithmic scale) and ``y`` (on
    one, too, if ``logarithmic``). ``references``: label of a dashed line in every panel -> its x and y.
    """
    panels = table["panel"].value_counts(sort=False)
    figure, axes = grid((0.6 + 4.4 * len(panels), 4.4), 1, len(panels), sharex=True, sharey=True)
    for axis, panel in zip(axes[0], panels.index, strict=True):
        for (label, (x, y)), style in zip(references.items(), ("--", ":", "-."), strict=False):
            axis.plot(x, y, color="black", linewidth=1, linestyle=style, label=label)
        for group, colour in colours(table["group"].unique()).items():
            own = table[(table["panel"] == panel) & (table["group"] == group)]
            axis.plot(own["x"], own["y"], "o", color=colour, markersize=4, alpha=0.5, markeredgewidth=0, label=group)
        axis.set(xscale="log", yscale="log" if logarithmic else "linear", title=panel, xlabel=xlabel)
    axes[0, 0].set_ylabel(ylabel)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), ncols=4, **BELOW)
    counts = ", ".join(f"{count} of {panel}" for panel, count in panels.items())
    alt = f"{title}: scatter of {ylabel} against {xlabel} for layers, {counts}, with {', '.join(references)}."
    return finished(figure, alt, title)


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
        below.axhline(1, **THIN)
        below.plot(np.linspace(0, 1, len(first))[kept], second[kept] / first[kept], "o-", color="#5b3f8c", markersize=2)
        below.set_xlabel("quantile")
    axes[0, 0].set_ylabel("eigenvalue")
    axes[1, 0].set_ylabel("second / first")
    alt = f"{title}: two spectra each on a logarithmic scale, and their ratio, for {'; '.join(panels)}."
    return finished(figure, alt, title)


def _draw_spectra(axis: plt.Axes, eigenvalues: Mapping, quantiles: Sequence[float] | None = None) -> None:
    for name, colour in colours(eigenvalues).items():
        ordered = pd.Series(np.sort(eigenvalues[name]), quantiles)
        if quantiles is None:
            ordered.index = np.linspace(0, 1, len(ordered))
        axis.plot(ordered[ordered > 0], "-" if quantiles is None else "o-", color=colour, label=name)
    axis.set_yscale("log")
    if len(eigenvalues) > 1:
        axis.legend(frameon=False)


def search_progress(history: pd.DataFrame, cost: str, budget: float, title: str) -> tuple[Figure, str]:
    """Draw the candidates of a search in the order in which they were scored: their objective, and their cost.

    ``history`` is as :class:`nbnas.search.SearchResult` has it; ``cost`` is one of its columns, ``budget`` its limit.
    """
    best = history["objective"].idxmax()
    mutated = history["parent"].notna()
    figure, axes = grid((6.4, 5.2), 2, 1, sharex=True)
    axes = axes[:, 0]
    for axis, column in zip(axes, ("objective", cost), strict=True):
        axis.plot(history[column][~mutated], ".", color="#999999", label="first candidates")
        axis.plot(history[column][mutated], ".", color="#0072b2", label="mutations")
        axis.plot(best, history.loc[best, column], "*", color="#d55e00", markersize=14, label="chosen")
        axis.set_ylabel(column)
    axes[1].set_xlabel("candidate, in the order of the search")
    axes[1].axhline(budget, color="black", linewidth=1, linestyle="--", label="budget")
    figure.legend(*axes[1].get_legend_handles_labels(), ncols=4, **BELOW)
    chosen = f"the chosen one is number {best} with {history.loc[best, cost]:.4g}, the budget {budget:.4g}"
    alt = f"{title}: objective and {cost} of {len(history)} candidates in the order of the search; {chosen}."
    return finished(figure, alt, title)


def searches_against_costs(history: pd.DataFrame, x: str, y: str, title: str) -> tuple[Figure, str]:
    """Draw a panel per ``search``, a column of ``history``: its candidates by two costs, and the one that it chose."""
    searches = history.reset_index(drop=True).groupby("search", sort=False)
    figure, axes = wrapped_grid(len(searches), 5, 2.1, 2.1, 0.7, sharex=True, sharey=True)
    choices = []
    for axis, (name, own) in zip(axes, searches, strict=True):
        best = own.loc[own["objective"].idxmax()]
        axis.plot(own[x], own[y], ".", color="#0072b2", alpha=0.5, markersize=5)
        axis.plot(best[x], best[y], "*", color="#d55e00", markersize=13)
        axis.set_title(name, fontsize=10)
        choices.append(f"{name} {best[y]:.4g}")
    figure.supxlabel(x, fontsize=10)
    figure.supylabel(y, fontsize=10)
    alt = f"{title}: {y} against {x} of the candidates of {len(choices)} searches; chosen: {', '.join(choices)}."
    return finished(figure, alt, f"{title} (star: chosen)")
