"""Figures of the notebooks and the report. Each function returns a figure and its alternative text."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

COLOURS = {"match": "#2e7d32", "close": "#b26a00", "differs": "#b3261e"}
"""Verdict -> colour, the same as in the report."""

METRIC_NAMES = {"kendall_tau": "Kendall's τ", "spearman_rho": "Spearman's ρ", "ndcg_1000": "nDCG@1000"}


def published_against_reproduced(table: pd.DataFrame, title: str) -> tuple[Figure, str]:
    """Draw one panel per data set: the published value as a ring, ours as a dot with its interval.

    Args:
        table: Verdicts of one item, see :func:`nbnas.verdicts.compare`; rows not attempted are left out.
        title: Title of the figure.
    """
    done = table[table["reproduced"].notna()].reset_index(drop=True)
    done["label"] = done["row"] + ", " + done["metric"].map(METRIC_NAMES).fillna(done["metric"])
    datasets = list(dict.fromkeys(done["dataset"]))
    labels = list(dict.fromkeys(done["label"]))
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            1,
            max(len(datasets), 1),
            figsize=(4.4 + 2.9 * max(len(datasets), 1), 1.3 + 0.36 * len(labels)),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
    for axis, dataset in zip(axes[0], datasets, strict=False):
        for row in done[done["dataset"] == dataset].itertuples():
            height = labels.index(row.label)
            colour = COLOURS[row.verdict]
            axis.plot(
                [row.low, row.high], [height, height], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt"
            )
            axis.plot(row.reproduced, height, "o", color=colour, markersize=6)
            axis.plot(float(row.published), height, "o", markerfacecolor="none", markeredgecolor="black", markersize=11)
        axis.set(title=dataset, xlabel="value")
        axis.set_yticks(range(len(labels)), labels)
    axes[0][0].invert_yaxis()
    figure.suptitle(f"{title}\nring: published, dot and bar: reproduced with interval", fontsize=11)
    counts = ", ".join(f"{count} {name}" for name, count in done["verdict"].value_counts().items())
    alt = (
        f"{title}: published and reproduced values for {len(labels)} rows on {', '.join(datasets)}; {counts or 'none'}."
    )
    return _closed(figure), alt


def ranked_intervals(table: pd.DataFrame, title: str, xlabel: str) -> tuple[Figure, str]:
    """Draw values with their intervals, best on top, coloured by group; a ring marks a published value.

    Args:
        table: Columns ``name``, ``group``, ``value``, ``low``, ``high`` and ``published`` (NaN where there is none).
        title: Title of the figure.
        xlabel: What the values are.
    """
    ordered = table.sort_values("value", ascending=False).reset_index(drop=True)
    groups = list(dict.fromkeys(table["group"]))
    palette = dict(zip(groups, sns.color_palette("colorblind", len(groups)), strict=True))
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(7.6, 1.2 + 0.24 * len(ordered)), layout="constrained")
    for height, row in enumerate(ordered.itertuples()):
        colour = palette[row.group]
        axis.plot([row.low, row.high], [height, height], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt")
        axis.plot(row.value, height, "o", color=colour, markersize=5)
        if not np.isnan(row.published):
            axis.plot(row.published, height, "o", markerfacecolor="none", markeredgecolor="black", markersize=10)
    axis.axvline(0, color="#555555", linewidth=0.8)
    axis.set(xlabel=xlabel, title=f"{title}\nring: published, dot and bar: reproduced with interval")
    axis.set_yticks(range(len(ordered)), ordered["name"])
    axis.set_ylim(len(ordered) - 0.4, -0.6)
    handles = [plt.Line2D([], [], color=palette[group], marker="o", linewidth=3, label=group) for group in groups]
    axis.legend(handles=handles, frameon=True, fontsize=8, loc="upper left")
    best, worst = ordered.iloc[0], ordered.iloc[-1]
    alt = (
        f"{title}: {xlabel} of {len(ordered)} scores with intervals, from {best['name']} ({best['value']:.2f}) "
        f"to {worst['name']} ({worst['value']:.2f})."
    )
    return _closed(figure), alt


def accuracy_by_predicted_position(panels: Mapping[str, tuple[Sequence[float], Sequence[int]]]) -> tuple[Figure, str]:
    """Draw accuracy against the position a ranking gives, one bar panel per ranking.

    Args:
        panels: Title -> (accuracies in predicted order, positions to highlight, counted from 1).
    """
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.4), sharey=True, layout="constrained")
    for axis, (title, (accuracies, highlighted)) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        positions = np.arange(1, len(accuracies) + 1)
        colours = ["#b3261e" if position in highlighted else "#7a9cc6" for position in positions]
        axis.bar(positions, accuracies, color=colours)
        axis.set(title=title, xlabel="position in the predicted order", xticks=positions)
        axis.grid(axis="x", visible=False)
    np.atleast_1d(axes)[0].set_ylabel("accuracy (%)")
    alt = "Bar charts of accuracy over predicted position: " + "; ".join(panels) + "."
    return _closed(figure), alt


def scores_against_accuracy(scores: pd.Series, accuracy: pd.Series, title: str) -> tuple[Figure, str]:
    """Scatter one score against accuracy in percent; names of the series label the axes."""
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
    axis.scatter(scores, accuracy, s=14, alpha=0.6, linewidths=0, color="#33658a", rasterized=True)
    axis.set(xlabel=scores.name, ylabel=accuracy.name, title=title)
    alt = f"Scatter plot of {accuracy.name} against {scores.name} for {len(scores)} networks. {title}."
    return _closed(figure), alt


def spectrum(eigenvalues: Mapping[str, Sequence[float]], title: str) -> tuple[Figure, str]:
    """Draw sorted eigenvalues on a logarithmic scale, one line per network; zeros are left out."""
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
    _draw_spectra(axis, eigenvalues)
    axis.set(xlabel="quantile", ylabel="eigenvalue", title=title)
    alt = f"Eigenvalues against their quantile on a logarithmic scale for {', '.join(eigenvalues)}. {title}."
    return _closed(figure), alt


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
    return _closed(figure), alt


def _draw_spectra(axis: plt.Axes, eigenvalues: Mapping[str, Sequence[float]]) -> None:
    for name, values in eigenvalues.items():
        ordered = np.sort(np.asarray(values))
        quantiles = np.linspace(0, 1, len(ordered))
        axis.plot(quantiles[ordered > 0], ordered[ordered > 0], label=name)
    axis.set_yscale("log")
    axis.legend(frameon=False)


def repeated_values(
    values: Mapping[str, Sequence[float]], marks: Mapping[str, Mapping[str, float]], title: str, xlabel: str, dots: str
) -> tuple[Figure, str]:
    """Draw a row per name: repeated measurements of it as dots, single values as marks.

    Args:
        values: Name -> repeated values; rows are sorted by their mean, largest on top.
        marks: Label of a kind of mark -> name -> value; at most two kinds.
        title: Title of the figure.
        xlabel: What the values are.
        dots: Label of the dots.
    """
    names = sorted(values, key=lambda name: np.mean(values[name]), reverse=True)
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(7.2, 1.7 + 0.24 * len(names)), layout="constrained")
    for height, name in enumerate(names):
        own = values[name]
        label = dots if height == 0 else None
        axis.plot(own, [height] * len(own), "o", color="#7a9cc6", alpha=0.55, markersize=4.5, label=label)
    styles = (("D", "#b3261e"), ("|", "black"))
    for (label, of_name), (marker, colour) in zip(marks.items(), styles, strict=False):
        positions = [of_name[name] for name in names]
        style = {"color": colour, "markersize": 8, "markeredgewidth": 1.6, "markerfacecolor": "none"}
        axis.plot(positions, range(len(names)), marker, label=label, **style)
    axis.set(xlabel=xlabel, title=title)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    figure.legend(loc="outside lower center", ncols=1 + len(marks), frameon=False, fontsize=9)
    spread = np.mean([np.ptp(values[name]) for name in names])
    alt = f"{title}: {dots} of {len(names)} networks, spread over {spread:.2g} on average, with {', '.join(marks)}."
    return _closed(figure), alt


def lines_with_bands(
    table: pd.DataFrame, title: str, xlabel: str, ylabel: str, *, logarithmic: bool = False
) -> tuple[Figure, str]:
    """Draw one line per name with its interval as a band.

    Args:
        table: Columns ``name``, ``x``, ``value``, ``low`` and ``high`` (NaN where there is no interval).
        title: Title of the figure.
        xlabel: What x is.
        ylabel: What the values are.
        logarithmic: Whether x has a logarithmic scale.
    """
    names = list(dict.fromkeys(table["name"]))
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(6.4, 4.3), layout="constrained")
    for name, colour in zip(names, sns.color_palette("colorblind", len(names)), strict=True):
        own = table[table["name"] == name].sort_values("x")
        axis.plot(own["x"], own["value"], "o-", color=colour, markersize=4, label=name)
        axis.fill_between(own["x"], own["low"], own["high"], color=colour, alpha=0.15, linewidth=0)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if logarithmic:
        axis.set_xscale("log")
    ticks = sorted(set(table["x"]))
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    alt = f"{title}: {ylabel} against {xlabel} for {', '.join(names)}."
    return _closed(figure), alt


def _closed(figure: Figure) -> Figure:
    """Detach from pyplot, so that a notebook shows the figure once, where it is returned."""
    plt.close(figure)
    return figure
