"""Figures of values along a line. All are available as ``nbnas.plots.NAME``."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from nbnas.plots.drawing import BELOW, colours, finished, grid, line_handles, wrapped_grid


def lines_over_size(
    table: pd.DataFrame, title: str, xlabel: str, references: Mapping[str, float] | None = None
) -> tuple[Figure, str]:
    """Draw values against a size on a logarithmic axis, one panel per quantity, two panels to a row.

    Columns are ``panel``, ``line``, ``x``, ``value``, ``low`` and ``high`` (NaN: no bar). ``references``: panel ->
    value to mark by a dashed line.
    """
    panels, palette = table["panel"].unique(), colours(table["line"].unique())
    figure, axes = wrapped_grid(len(panels), 2, 4.6, 3.0, 0.9)
    for axis, panel in zip(axes, panels, strict=True):
        in_panel = table[table["panel"] == panel].sort_values("x")
        if references and panel in references:
            axis.axhline(references[panel], color="#555555", linewidth=1, linestyle="--")
        for number, (line, colour) in enumerate(palette.items()):
            own = in_panel[in_panel["line"] == line]
            # Lines are shifted a little, or bars at one size would hide each other.
            x = own["x"] * 1.05 ** (number - (len(palette) - 1) / 2)
            axis.vlines(x, own["low"], own["high"], color=colour, linewidth=2.5, alpha=0.5)
            axis.plot(x, own["value"], "o-", color=colour, markersize=4, linewidth=1)
        ticks = in_panel["x"].unique()
        axis.set(xscale="log", title=panel, xlabel=xlabel)
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.minorticks_off()
    figure.legend(handles=line_handles(palette), ncols=4, **BELOW)
    ends = table.sort_values("x", kind="stable").groupby(["panel", "line"], sort=False)["value"]
    changes = "; ".join(f"{panel}, {line}: {own.iloc[0]:.2f} to {own.iloc[-1]:.2f}" for (panel, line), own in ends)
    return finished(figure, f"{title}. From the smallest to the largest size ({xlabel}): {changes}.", title)


def lines_with_bands(
    table: pd.DataFrame, title: str, xlabel: str, ylabel: str, *, logarithmic: bool = False
) -> tuple[Figure, str]:
    """Draw one line per ``name`` over ``x`` with its interval as a band.

    Other columns are ``value``, ``low`` and ``high`` (NaN: no interval). ``logarithmic`` is the scale of x.
    """
    names = table["name"].unique()
    figure, [[axis]] = grid((6.4, 4.3))
    for name, colour in colours(names).items():
        own = table[table["name"] == name].sort_values("x")
        axis.plot(own["x"], own["value"], "o-", color=colour, markersize=4, label=name)
        axis.fill_between(own["x"], own["low"], own["high"], color=colour, alpha=0.15, linewidth=0)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title, xscale="log" if logarithmic else "linear")
    ticks = sorted(set(table["x"]))
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    figure.legend(ncols=2, **BELOW)
    ends = table.sort_values("x", kind="stable").groupby("name", sort=False)["value"]
    changes = "; ".join(f"{name} from {own.iloc[0]:.3g} to {own.iloc[-1]:.3g}" for name, own in ends)
    return finished(figure, f"{title}: {ylabel} against {xlabel}: {changes}.")


def swept_values(
    table: pd.DataFrame,
    columns: Mapping[str, str | None],
    order: Mapping[str, Sequence[object]],
    labels: Mapping[str, str],
    title: str | None = None,
    *,
    from_zero: bool = False,
) -> tuple[Figure, str]:
    """Draw every run as a dot, with its interval as a bar, and a line through the means.

    ``columns``: part in the figure -> column. ``x`` (from left to right), ``hue`` (lines) and ``panel`` (panels, two to
    a row) are axes of the sweep, ``y`` (upwards), ``low`` and ``high`` (ends of intervals) results. Only ``x`` and
    ``y`` are required; runs without ``y`` are left out. ``order``: axis -> its values in order, which stand at equal
    distances, whatever they are; runs at one value stand side by side. ``labels``: axis or column -> what to call it,
    where that is not its own name. ``from_zero``: whether the axis upwards begins at zero.
    """
    parts = {part: columns[part] for part in ("x", "y", "hue", "panel", "low", "high") if columns.get(part)}
    names = {part: labels.get(column, column.replace("_", " ")) for part, column in parts.items()}
    title = title or f"{names['y'][:1].upper()}{names['y'][1:]} against {names['x']}"
    steps = order[parts["x"]]
    panels, lines = (order[parts[part]] if part in parts else [""] for part in ("panel", "hue"))
    absent = {"hue": "", "panel": "", "low": float("nan"), "high": float("nan")}
    runs = pd.DataFrame(absent | {part: table[column] for part, column in parts.items()}).dropna(subset="y")
    palette, width = colours(lines), 0.6 / len(lines)  # The distance between two values of x is 1.
    figure, axes = wrapped_grid(len(panels), 2, 4.6 if len(panels) > 1 else 6.4, 3.4, 0.9, sharey=True)
    changes = []
    for axis, panel in zip(axes, panels, strict=True):
        for number, (line, colour) in enumerate(palette.items()):
            own = runs[(runs["panel"] == panel) & (runs["hue"] == line)]
            if own.empty:
                continue
            middle = own["x"].map(list(steps).index) + width * (number - (len(lines) - 1) / 2)
            count = own.groupby(middle).cumcount()
            places = middle + 0.8 * width * ((count + 0.5) / (count.max() + 1) - 0.5)
            axis.vlines(places, own["low"], own["high"], color=colour, linewidth=1.5, alpha=0.45)
            axis.plot(places, own["y"], "o", color=colour, markersize=4)
            means = own["y"].groupby(middle).mean()
            axis.plot(means, "-", color=colour, linewidth=1.2)
            named = ", ".join(str(value) for value in (panel, line) if value != "")
            changes.append(f"{named + ': ' if named else ''}{means.iloc[0]:.3g} to {means.iloc[-1]:.3g}")
        axis.set(xlabel=names["x"], ylabel=names["y"], xlim=(-0.5, len(steps) - 0.5))
        axis.set_xticks(range(len(steps)), map(str, steps))
        axis.grid(axis="x", visible=False)
        if from_zero:
            axis.set_ylim(bottom=0)
        if "panel" in parts:
            axis.set_title(f"{names['panel']} {panel}", fontsize=10)
    if "hue" in parts:
        handles = line_handles(palette, markersize=4)
        figure.legend(handles=handles, title=names["hue"], ncols=4, title_fontsize=9, **BELOW)
    intervals = ", with intervals" if "low" in parts else ""
    means = f"Mean from the first to the last {names['x']}: {'; '.join(changes) or 'none'}"
    return finished(figure, f"{title}: {len(runs)} runs{intervals}. {means}.", title)
