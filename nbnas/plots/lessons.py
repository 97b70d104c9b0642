"""Figures that only the lessons draw."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nbnas.plots.drawing import BELOW, CENTRED, THIN, finished, grid, name_rows, wrapped_grid


def dumbbells(table: pd.DataFrame, title: str, xlabel: str) -> tuple[Figure, str]:
    """Draw the two columns of a table row by row, joined by a line, sorted by the first, largest on top."""
    first, second = table.columns
    ordered = table.sort_values(first, ascending=False)
    heights = range(len(ordered))
    figure, [[axis]] = grid((6.2, 1.6 + 0.26 * len(ordered)))
    axis.hlines(heights, ordered[first], ordered[second], color="#bbbbbb", linewidth=2)
    axis.plot(ordered[first], heights, "o", color="#33658a", label=first)
    axis.plot(ordered[second], heights, "o", color="#b26a00", label=second)
    axis.axvline(0, **THIN)
    axis.set(title=title, xlabel=xlabel)
    name_rows(axis, ordered.index)
    figure.legend(ncols=2, **BELOW)
    rows = "; ".join(f"{name} {row[first]:.2f} and {row[second]:.2f}" for name, row in ordered.iterrows())
    return finished(figure, f"{title}: {xlabel}, {first} and {second}, for {rows}.")


def diagram(
    boxes: Mapping[str, Mapping[str, tuple[float, float]]], arrows: Mapping[tuple[str, str], str], title: str
) -> tuple[Figure, str]:
    """Draw an idea as boxes and arrows.

    ``boxes``: kind -> label -> its column and row; each kind has a colour, named below where there are several.
    ``arrows``: labels of two boxes -> what to write beside the arrow; it is dashed if that ends in a question mark.
    """
    places = {label: place for of_kind in boxes.values() for label, place in of_kind.items()}
    palette = dict(zip(boxes, sns.color_palette("pastel", len(boxes)), strict=True))
    columns, rows = (np.ptp([place[axis] for place in places.values()]) for axis in (0, 1))
    figure, [[axis]] = grid((1.5 + 1.35 * columns, 1.5 + 0.8 * rows), style=None)
    texts = {}
    for kind, of_kind in boxes.items():
        for label, place in of_kind.items():
            box = {"facecolor": palette[kind], "edgecolor": "#555555", "boxstyle": "round,pad=0.4"}
            texts[label] = axis.text(*place, label, fontsize=9, bbox=box, **CENTRED)
    for (start, end), label in arrows.items():
        patches = {"patchA": texts[start].get_bbox_patch(), "patchB": texts[end].get_bbox_patch()}
        style = {"arrowstyle": "-|>", "color": "#555555", "linestyle": "--" if label.endswith("?") else "-"}
        axis.annotate("", places[end], places[start], arrowprops={**style, **patches, "shrinkA": 1, "shrinkB": 1})
        middle = np.mean([places[start], places[end]], axis=0)
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axis.text(*middle, label, fontsize=8, color="#333333", bbox=paper if label else None, **CENTRED)
    low, high = (np.array([limit(place[axis] for place in places.values()) for axis in (0, 1)]) for limit in (min, max))
    axis.set(xlim=(low[0] - 0.55, high[0] + 0.55), ylim=(high[1] + 0.5, low[1] - 0.5), title=title)
    axis.axis("off")
    if len(boxes) > 1:
        figure.legend(handles=[Patch(color=colour, label=kind) for kind, colour in palette.items()], ncols=4, **BELOW)
    steps = (f"{start} to {end}" + (f" ({label})" if label else "") for (start, end), label in arrows.items())
    return finished(figure, " ".join(f"{title}: {'; '.join(steps)}.".split()))


def heat_table(table: pd.DataFrame, title: str, label: str) -> tuple[Figure, str]:
    """Draw a table of numbers as coloured cells, each with its number; ``label`` says what they are."""
    figure, [[axis]] = grid((2.6 + 0.8 * table.shape[1], 1.4 + 0.42 * len(table)), style=None)
    sns.heatmap(table, ax=axis, annot=True, fmt=".1f", cmap="viridis", cbar_kws={"label": label})
    axis.set(title=title, ylabel=table.index.name or "", xlabel=table.columns.name or "")
    axis.tick_params(axis="y", rotation=0)
    cells = table.stack()
    low, high = (f"{cells[at]:.1f} ({', '.join(map(str, at))})" for at in (cells.idxmin(), cells.idxmax()))
    return finished(figure, f"{title}: {label}, from {low} to {high}.")


def rank_contours(surfaces: Mapping[str, np.ndarray], points: Mapping[str, tuple[int, int]]) -> tuple[Figure, str]:
    """Draw lines of equal aggregate over two ranks, one panel per rule; some pairs of ranks are marked.

    ``surfaces``: rule -> aggregate (n, n) of the ranks 1 to n, rows by the second rank. ``points``: label -> two ranks.
    """
    figure, [axes] = grid((3.2 * len(surfaces), 3.4), 1, len(surfaces), style=None, sharey=True)
    box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
    beside = {"xytext": (-8, 8), "textcoords": "offset points", "ha": "right", "bbox": box}
    for axis, (rule, surface) in zip(axes, surfaces.items(), strict=True):
        ranks = np.arange(1, len(surface) + 1)
        levels = np.unique(np.diag(surface)[9:-1:10])
        pale = surface.min() + 1.8 * np.ptp(surface)  # Lines and labels must stand out.
        axis.contourf(ranks, ranks, surface, levels=30, cmap="Blues", vmin=surface.min(), vmax=pale)
        axis.contour(ranks, ranks, surface, levels=levels, colors="#33658a", linewidths=0.9)
        for label, place in points.items():
            axis.plot(*place, "o", color="#b3261e")
            axis.annotate(label, place, color="#b3261e", **beside)
        axis.set(title=rule, xlabel="rank by the first score", aspect="equal")
    axes[0].set_ylabel("rank by the second score")
    alt = f"Lines of equal {' and of equal '.join(surfaces)} over two ranks, with {', '.join(points)} marked."
    return finished(figure, alt)


def values_by_group(table: pd.DataFrame, group: str, columns: list[str], title: str, xlabel: str) -> tuple[Figure, str]:
    """Draw every row as a dot over its group, with its index as label, one panel for each of ``columns``,
    one below the other.

    ``group`` is a column of whole numbers that places a row from left to right.
    """
    figure, axes = wrapped_grid(len(columns), 1, 6.2, 5.2)
    line = {"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.6}
    for axis, column in zip(axes, columns, strict=True):
        apart = np.ptp(table[column]) / 45  # About the height of a label.
        for place, members in table.groupby(group):
            heights = {"left": -np.inf, "right": -np.inf}
            for label, value in members[column].sort_values().items():
                # On the side whose last label is further below; pushed up where even that one is too near.
                side = "left" if heights["left"] <= heights["right"] else "right"
                heights[side] = max(value, heights[side] + apart)
                beside = place + (-0.15 if side == "left" else 0.15), heights[side]
                facing = {"ha": "right" if side == "left" else "left", "va": "center"}
                axis.plot(place, value, "o", color="#33658a", markersize=4)
                axis.annotate(label, (place, value), xytext=beside, fontsize=8, arrowprops=line, **facing)
        axis.set(title=column, xlabel=xlabel, xticks=sorted(table[group].unique()))
        axis.set_xlim(table[group].min() - 0.6, table[group].max() + 0.6)
        axis.grid(axis="x", visible=False)
    best = {column: table[column].idxmax() for column in columns}
    described = "; ".join(f"best {column} {table.loc[name, column]:.2f} of {name}" for column, name in best.items())
    return finished(figure, f"{title} against {xlabel}: {described}.", title)
