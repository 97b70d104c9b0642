"""How well scores rank networks."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from nbnas.plots.drawing import closed


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
    legend = "ring: published, dot and bar: reproduced with interval"
    axis.set(xlabel=xlabel, title=f"{title}\n{legend}" if ordered["published"].notna().any() else title)
    axis.set_yticks(range(len(ordered)), ordered["name"])
    axis.set_ylim(len(ordered) - 0.4, -0.6)
    handles = [plt.Line2D([], [], color=palette[group], marker="o", linewidth=3, label=group) for group in groups]
    axis.legend(handles=handles, frameon=True, fontsize=8, loc="upper left")
    best, worst = ordered.iloc[0], ordered.iloc[-1]
    alt = (
        f"{title}: {xlabel} of {len(ordered)} scores with intervals, from {best['name']} ({best['value']:.2f}) "
        f"to {worst['name']} ({worst['value']:.2f})."
    )
    return closed(figure), alt


def ranked_bars(table: pd.DataFrame, title: str, ylabel: str) -> tuple[Figure, str]:
    """Draw published values as bars in ascending order, ours as dots with intervals where there are any.

    Args:
        table: Columns ``row``, ``group``, ``published``, ``reproduced``, ``low``, ``high``.
        title: Title of the figure.
        ylabel: What the values are.
    """
    ordered = table.assign(published=table["published"].astype(float)).sort_values("published").reset_index(drop=True)
    groups = list(dict.fromkeys(table["group"]))
    palette = dict(zip(groups, ["#c5dfc8", "#7fb685", "#2e7d32"], strict=False))
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(8, 5), layout="constrained")
    axis.bar(ordered.index, ordered["published"], color=ordered["group"].map(palette))
    own = ordered[ordered["reproduced"].notna()]
    errors = [own["reproduced"] - own["low"], own["high"] - own["reproduced"]]
    axis.errorbar(own.index, own["reproduced"], errors, fmt="o", color="black", capsize=4, markersize=5)
    axis.set(title=title, ylabel=ylabel)
    axis.set_xticks(ordered.index, ordered["row"], rotation=45, ha="right")
    axis.grid(axis="x", visible=False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=palette[group], label=f"{group}, published") for group in groups]
    handles.append(plt.Line2D([], [], color="black", marker="o", label="reproduced, with interval"))
    axis.legend(handles=handles, frameon=True, fontsize=8, loc="upper left")
    alt = (
        f"{title}: bars of {ylabel} for {len(ordered)} methods, from {ordered['row'].iloc[0]} to "
        f"{ordered['row'].iloc[-1]}; {len(own)} of them reproduced."
    )
    return closed(figure), alt


def heat_maps(matrices: Mapping[str, pd.DataFrame], label: str) -> tuple[Figure, str]:
    """Draw square matrices of correlations side by side, each cell with its number.

    Args:
        matrices: Title -> matrix with names on both axes.
        label: What the numbers are.
    """
    size = 1.1 + 0.85 * len(next(iter(matrices.values())))
    figure, axes = plt.subplots(
        1, len(matrices), figsize=(size * len(matrices) + 0.8, size), squeeze=False, layout="constrained"
    )
    for number, (axis, (title, matrix)) in enumerate(zip(axes[0], matrices.items(), strict=True)):
        sns.heatmap(
            matrix,
            ax=axis,
            annot=True,
            fmt=".2f",
            cmap="vlag",
            vmin=-1,
            vmax=1,
            square=True,
            cbar=number == len(matrices) - 1,
            cbar_kws={"label": label, "shrink": 0.8},
        )
        axis.set(title=title, xlabel="", ylabel="")
        axis.tick_params(axis="y", rotation=0)
        axis.tick_params(axis="x", rotation=20)
    alt = f"Heat maps of {label}: {'; '.join(matrices)}."
    return closed(figure), alt


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
    return closed(figure), alt


def scores_against_accuracy(scores: pd.Series, accuracy: pd.Series, title: str) -> tuple[Figure, str]:
    """Scatter one score against accuracy in percent; names of the series label the axes."""
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
    size = 14 if len(scores) > 200 else 32
    axis.scatter(scores, accuracy, s=size, alpha=0.6, linewidths=0, color="#33658a", rasterized=True)
    axis.set(xlabel=scores.name, ylabel=accuracy.name, title=title)
    alt = f"Scatter plot of {accuracy.name} against {scores.name} for {len(scores)} networks. {title}.".replace(
        "\n", ": "
    )
    return closed(figure), alt
