"""Values along a line."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from nbnas.plots.drawing import closed


def lines_over_size(
    table: pd.DataFrame, title: str, xlabel: str, references: Mapping[str, float] | None = None
) -> tuple[Figure, str]:
    """Draw values against a size on a logarithmic axis, one panel per quantity, two panels to a row.

    Args:
        table: Columns ``panel``, ``line``, ``x``, ``value``, ``low`` and ``high`` (NaN: no bar).
        title: Title of the figure.
        xlabel: What ``x`` counts.
        references: Panel -> value to mark by a dashed line.
    """
    panels, lines = list(dict.fromkeys(table["panel"])), list(dict.fromkeys(table["line"]))
    palette = dict(zip(lines, sns.color_palette("colorblind", len(lines)), strict=True))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            rows, columns, figsize=(4.6 * columns, 0.9 + 3.0 * rows), squeeze=False, layout="constrained"
        )
    for axis, panel in zip(axes.flat, panels, strict=False):
        if references and panel in references:
            axis.axhline(references[panel], color="#555555", linewidth=1, linestyle="--")
        for line in lines:
            rows_of_line = table[(table["panel"] == panel) & (table["line"] == line)].sort_values("x")
            # Lines are shifted a little, or bars at one size would hide each other.
            x = rows_of_line["x"] * 1.05 ** (lines.index(line) - (len(lines) - 1) / 2)
            axis.vlines(x, rows_of_line["low"], rows_of_line["high"], color=palette[line], linewidth=2.5, alpha=0.5)
            axis.plot(x, rows_of_line["value"], "o-", color=palette[line], markersize=4, linewidth=1, label=line)
        ticks = sorted(set(table.loc[table["panel"] == panel, "x"]))
        axis.set(xscale="log", title=panel, xlabel=xlabel)
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.minorticks_off()
    for axis in list(axes.flat)[len(panels) :]:
        axis.remove()
    handles = [plt.Line2D([], [], color=palette[line], marker="o", label=line) for line in lines]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(lines)), frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    ends = table.sort_values("x", kind="stable").groupby(["panel", "line"], sort=False)["value"]
    changes = "; ".join(
        f"{panel}, {line}: {values.iloc[0]:.2f} to {values.iloc[-1]:.2f}" for (panel, line), values in ends
    )
    alt = f"{title}. From the smallest to the largest size ({xlabel}): {changes}."
    return closed(figure), alt


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
    return closed(figure), alt
