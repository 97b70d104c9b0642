"""Values along a line."""

from collections.abc import Mapping, Sequence

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


SPREAD = 0.6
"""Share of the distance between two values of x that the runs at one value take up."""


def swept_values(
    table: pd.DataFrame,
    x: str,
    y: str,
    *,
    hue: str | None = None,
    panel: str | None = None,
    interval: tuple[str, str] | None = None,
    order: Mapping[str, Sequence[object]],
    labels: Mapping[str, str],
    title: str | None = None,
    from_zero: bool = False,
) -> tuple[Figure, str]:
    """Draw every run as a dot, with its interval as a bar, and a line through the means.

    The values of an axis stand at equal distances in the order given, whatever they are. Runs at one value, of several
    lines or seeds, stand side by side.

    Args:
        table: A row per run; rows without a value of ``y`` are left out.
        x: Axis from left to right.
        y: Column upwards.
        hue: Axis that gives the lines.
        panel: Axis that gives the panels, two to a row.
        interval: Columns of the lower and upper ends.
        order: Axis -> its values in order.
        labels: Axis or column -> what to call it; its own name where there is none.
        title: Title; by default y against x.
        from_zero: Whether the axis upwards begins at zero.
    """
    names = {name: labels.get(name, name.replace("_", " ")) for name in (x, y, hue, panel) if name}
    title = title or f"{names[y][:1].upper()}{names[y][1:]} against {names[x]}"
    table = table[table[y].notna()]
    positions = {value: position for position, value in enumerate(order[x])}
    lines, panels = (list(order[axis]) if axis else [None] for axis in (hue, panel))
    palette = dict(zip(lines, sns.color_palette("colorblind", len(lines)), strict=True))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            rows,
            columns,
            figsize=(6.4 if columns == 1 else 9.2, 0.9 + 3.4 * rows),
            squeeze=False,
            sharey=True,
            layout="constrained",
        )
    changes = []
    for axis, shown in zip(axes.flat, panels, strict=False):
        in_panel = table if panel is None else table[table[panel] == shown]
        for number, line in enumerate(lines):
            own = in_panel if hue is None else in_panel[in_panel[hue] == line]
            if own.empty:
                continue
            width = SPREAD / len(lines)
            centre = width * (number - (len(lines) - 1) / 2)
            runs = own.groupby(x).cumcount()
            shift = (runs + 0.5) / (runs.max() + 1) - 0.5
            places = own[x].map(positions) + centre + 0.8 * width * shift
            if interval:
                axis.vlines(places, own[interval[0]], own[interval[1]], color=palette[line], linewidth=1.5, alpha=0.45)
            axis.plot(places, own[y], "o", color=palette[line], markersize=4)
            means = own.groupby(own[x].map(positions))[y].mean()
            axis.plot(means.index + centre, means, "-", color=palette[line], linewidth=1.2)
            named = ", ".join(str(value) for value in (shown, line) if value is not None)
            changes.append(f"{named + ': ' if named else ''}{means.iloc[0]:.3g} to {means.iloc[-1]:.3g}")
        axis.set(xlabel=names[x], ylabel=names[y], xlim=(-0.5, len(positions) - 0.5))
        if from_zero:
            axis.set_ylim(bottom=0)
        if panel:
            axis.set_title(f"{names[panel]} {shown}", fontsize=10)
        axis.set_xticks(range(len(positions)), [str(value) for value in positions])
        axis.grid(axis="x", visible=False)
    for axis in list(axes.flat)[len(panels) :]:
        axis.remove()
    if hue:
        handles = [plt.Line2D([], [], color=palette[line], marker="o", markersize=4, label=str(line)) for line in lines]
        figure.legend(
            handles=handles,
            title=names[hue],
            loc="outside lower center",
            ncols=min(4, len(lines)),
            frameon=False,
            fontsize=9,
            title_fontsize=9,
        )
    figure.suptitle(title, fontsize=11)
    bars = ", with intervals" if interval else ""
    alt = (
        f"{title}: {len(table)} runs{bars}. Mean from the first to the last {names[x]}: {'; '.join(changes) or 'none'}."
    )
    return closed(figure), alt
