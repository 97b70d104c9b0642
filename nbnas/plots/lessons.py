"""Figures that only the lessons draw. Each function returns a figure and its alternative text."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from nbnas.plots.drawing import CENTRED, closed


def dumbbells(table: pd.DataFrame, title: str, xlabel: str) -> tuple[Figure, str]:
    """Draw two values per row, joined by a line; rows are sorted by the first, largest on top.

    Args:
        table: Two columns, indexed by the names of the rows; the names of the columns are the legend.
        title: Title of the figure.
        xlabel: What the values are.
    """
    first, second = table.columns
    ordered = table.sort_values(first, ascending=False)
    heights = np.arange(len(ordered))
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(7.2, 1.6 + 0.26 * len(ordered)), layout="constrained")
    axis.hlines(heights, ordered[first], ordered[second], color="#bbbbbb", linewidth=2)
    axis.plot(ordered[first], heights, "o", color="#33658a", label=first)
    axis.plot(ordered[second], heights, "o", color="#b26a00", label=second)
    axis.axvline(0, color="#555555", linewidth=0.8)
    axis.set(title=title, xlabel=xlabel)
    axis.set_yticks(heights, ordered.index)
    axis.set_ylim(len(ordered) - 0.4, -0.6)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    rows = "; ".join(f"{name} {row[first]:.2f} and {row[second]:.2f}" for name, row in ordered.iterrows())
    return closed(figure), f"{title}: {xlabel}, {first} and {second}, for {rows}."


def stacked_blocks(blocks: Sequence[tuple[str, str]], title: str) -> tuple[Figure, str]:
    """Draw the parts of a network as a row of boxes, input on the left.

    Args:
        blocks: Label and kind of each part; parts of one kind have one colour.
        title: Title of the figure.
    """
    kinds = list(dict.fromkeys(kind for _, kind in blocks))
    palette = dict(zip(kinds, sns.color_palette("pastel", len(kinds)), strict=True))
    figure, axis = plt.subplots(figsize=(0.6 + 0.85 * len(blocks), 1.5), layout="constrained")
    for place, (label, kind) in enumerate(blocks):
        box = {"facecolor": palette[kind], "edgecolor": "#555555", "boxstyle": "round,pad=0.35"}
        axis.text(place, 0, label, fontsize=8, bbox=box, **CENTRED)
        if place:
            arrow = {"arrowstyle": "-|>", "color": "#555555"}
            axis.annotate("", xy=(place - 0.42, 0), xytext=(place - 0.6, 0), arrowprops=arrow)
    axis.set(xlim=(-0.6, len(blocks) - 0.4), ylim=(-1, 1), title=title)
    axis.axis("off")
    return closed(figure), f"{title}: " + ", ".join(label.replace("\n", " ") for label, _ in blocks) + "."


def heat_table(table: pd.DataFrame, title: str, label: str) -> tuple[Figure, str]:
    """Draw a table of numbers as coloured cells, each with its number.

    Args:
        table: Numbers, with names on both axes.
        title: Title of the figure.
        label: What the numbers are.
    """
    figure, axis = plt.subplots(figsize=(2.6 + 0.8 * table.shape[1], 1.4 + 0.42 * len(table)), layout="constrained")
    sns.heatmap(table, ax=axis, annot=True, fmt=".1f", cmap="viridis", cbar_kws={"label": label})
    axis.set(title=title, ylabel=table.index.name or "", xlabel=table.columns.name or "")
    axis.tick_params(axis="y", rotation=0)
    low, high = table.stack().idxmin(), table.stack().idxmax()
    return closed(figure), (
        f"{title}: {label}, from {table.loc[low]:.1f} ({', '.join(map(str, low))}) "
        f"to {table.loc[high]:.1f} ({', '.join(map(str, high))})."
    )


def rank_contours(surfaces: Mapping[str, np.ndarray], points: Mapping[str, tuple[int, int]]) -> tuple[Figure, str]:
    """Draw lines of equal aggregate over two ranks, one panel per rule; some pairs of ranks are marked.

    Args:
        surfaces: Rule -> aggregate (n, n) of the ranks 1 to n, rows by the second rank.
        points: Label -> the two ranks of a network.
    """
    figure, axes = plt.subplots(
        1, len(surfaces), figsize=(4.4 * len(surfaces), 3.9), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (rule, surface) in zip(axes[0], surfaces.items(), strict=True):
        ranks = np.arange(1, len(surface) + 1)
        levels = np.unique([surface[place - 1, place - 1] for place in range(10, len(surface), 10)])
        pale = surface.min() + 1.8 * np.ptp(surface)  # Lines and labels must stand out.
        axis.contourf(ranks, ranks, surface, levels=30, cmap="Blues", vmin=surface.min(), vmax=pale)
        axis.contour(ranks, ranks, surface, levels=levels, colors="#33658a", linewidths=0.9)
        for label, place in points.items():
            axis.plot(*place, "o", color="#b3261e")
            box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
            axis.annotate(
                label, place, xytext=(-8, 8), textcoords="offset points", color="#b3261e", ha="right", bbox=box
            )
        axis.set(title=rule, xlabel="rank by the first score", aspect="equal")
    axes[0, 0].set_ylabel("rank by the second score")
    alt = f"Lines of equal {' and of equal '.join(surfaces)} over two ranks, with {', '.join(points)} marked."
    return closed(figure), alt


def values_by_group(
    table: pd.DataFrame, group: str, columns: Sequence[str], title: str, xlabel: str
) -> tuple[Figure, str]:
    """Draw every row as a labelled dot over its group, one panel per column.

    Args:
        table: Indexed by the labels.
        group: Column of whole numbers that places a row from left to right.
        columns: Columns to draw.
        title: Title of the figure.
        xlabel: What the groups are.
    """
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            1, len(columns), figsize=(5.2 * len(columns), 6.4), squeeze=False, layout="constrained"
        )
    for axis, column in zip(axes[0], columns, strict=True):
        apart = np.ptp(table[column]) / 45  # About the height of a label.
        for _, members in table.groupby(group):
            height = {False: -np.inf, True: -np.inf}
            for label, row in members.sort_values(column).iterrows():
                # On the side whose last label is further below; pushed up where even that one is too near.
                left = bool(height[True] <= height[False])
                height[left] = max(row[column], height[left] + apart)
                axis.plot(row[group], row[column], "o", color="#33658a", markersize=4)
                axis.annotate(
                    label,
                    (row[group], row[column]),
                    xytext=(row[group] + (-0.15 if left else 0.15), height[left]),
                    ha="right" if left else "left",
                    va="center",
                    fontsize=8,
                    arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.6},
                )
        axis.set(title=column, xlabel=xlabel, xticks=sorted(table[group].unique()))
        axis.set_xlim(table[group].min() - 0.6, table[group].max() + 0.6)
        axis.grid(axis="x", visible=False)
    figure.suptitle(title, fontsize=11)
    best = {column: table[column].idxmax() for column in columns}
    described = "; ".join(f"best {column} {table.loc[name, column]:.2f} of {name}" for column, name in best.items())
    return closed(figure), f"{title} against {xlabel}: {described}."
