"""How values are spread over groups, seeds and repeats."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nbnas.plots.drawing import BELOW, colours, error_bars, finished, grid, name_rows


def boxes_by_group(
    values: pd.DataFrame, groups: pd.Series, titles: Mapping[str, str], xlabel: str
) -> tuple[Figure, str]:
    """Draw a panel of box plots per score, without outliers, over groups of networks; infinities are left out.

    ``values`` has a row per network and a column per score, ``groups`` the group of each network, drawn in ascending
    order. ``titles``: column -> title of its panel, in order.
    """
    order = sorted(groups.unique())
    # Many groups: every third is named.
    crowded = len(order) > 12
    labels = [f"{group:g}" if not crowded or n % 3 == 0 else "" for n, group in enumerate(order)]
    figure, axes = grid((11, 7), 2, -(-len(titles) // 2), sharex=True)
    for axis in axes.flat[len(titles) :]:
        axis.set_visible(False)
    for axis, (column, title) in zip(axes.flat, titles.items(), strict=False):
        finite = values[column][np.isfinite(values[column])]
        axis.boxplot(
            [finite[groups[finite.index] == group].to_numpy() for group in order],
            showfliers=False,
            patch_artist=True,
            widths=0.65,
            boxprops={"facecolor": "#7a9cc6", "edgecolor": "#33658a"},
            medianprops={"color": "#b3261e", "linewidth": 1.6},
        )
        axis.set_title(title)
        axis.set_xticks(range(1, len(order) + 1), labels)
        axis.grid(axis="x", visible=False)
    for axis in axes[-1]:
        axis.set_xlabel(xlabel)
        axis.tick_params(axis="x", rotation=45 if crowded else 0)
    return finished(figure, f"Box plots over {len(order)} groups by {xlabel}: {'; '.join(titles.values())}.")


def grouped_values(table: pd.DataFrame, title: str, ylabel: str) -> tuple[Figure, str]:
    """Draw each ``value`` of a ``name``, with its interval ``low`` to ``high``, side by side within each ``group``."""
    groups, names = list(table["group"].unique()), table["name"].unique()
    figure, [[axis]] = grid((2.4 + 1.5 * len(groups), 4.2))
    for number, (name, colour) in enumerate(colours(names).items()):
        rows = table[table["name"] == name]
        # Side by side, in the middle of their group.
        places = [groups.index(group) + 0.7 * ((number + 0.5) / len(names) - 0.5) for group in rows["group"]]
        error_bars(axis, places, rows, "value", fmt="o", color=colour, label=name)
    axis.axhline(0, color="#555555", linewidth=0.8)
    axis.set(title=title, ylabel=ylabel)
    axis.set_xticks(range(len(groups)), groups)
    axis.grid(axis="x", visible=False)
    figure.legend(ncols=4, **BELOW)
    return finished(figure, f"{title}: {ylabel} of {', '.join(names)} for {', '.join(groups)}, with intervals.")


def two_seeds(table: pd.DataFrame, title: str) -> tuple[Figure, str]:
    """Draw how far two seeds of each score agree, and how each seed ranks trained networks; best agreement on top.

    Columns are ``agreement``, ``low``, ``high`` (between the seeds, with interval), ``tau_first`` and ``tau_second``
    (with accuracy), indexed by score.
    """
    table = table.sort_values("agreement", ascending=False)
    first, second = table["tau_first"], table["tau_second"]
    heights = np.arange(len(table))
    figure, [[left, right]] = grid((9.2, 1.4 + 0.22 * len(table)), 1, 2, sharey=True)
    left.hlines(heights, table["low"], table["high"], color="#33658a", linewidth=3, alpha=0.45)
    left.plot(table["agreement"], heights, "o", color="#33658a", markersize=5)
    left.set(title="seed against seed", xlabel="Kendall's τ between two seeds")
    right.hlines(heights, first, second, color="#b26a00", linewidth=1.5)
    right.plot(first, heights, "o", color="#b26a00", markersize=5, label="one seed")
    right.plot(second, heights, "o", markerfacecolor="white", markeredgecolor="#b26a00", label="the other seed")
    right.axvline(0, color="#555555", linewidth=0.8)
    right.set(title="seed against trained accuracy", xlabel="Kendall's τ with accuracy")
    figure.legend(ncols=2, **BELOW | {"loc": "outside lower right"})
    name_rows(left, table.index)
    best, worst = (f"{table.index[at]} ({table['agreement'].iloc[at]:.2f})" for at in (0, -1))
    alt = (
        f"{title}: agreement of two seeds for {len(table)} scores, from {best} to {worst}; "
        f"between seeds the correlation with accuracy moves by at most {(first - second).abs().max():.2f}."
    )
    return finished(figure, alt, title)


def repeated_values(
    values: Mapping[str, Sequence[float]], marks: Mapping[str, Mapping[str, float]], title: str, xlabel: str, dots: str
) -> tuple[Figure, str]:
    """Draw a row per name: repeated measurements of it as dots, single values as marks; the largest mean is on top.

    ``values``: name -> repeated values, which ``dots`` names in the legend. ``marks``: label -> name -> value, for at
    most two kinds of marks.
    """
    names = sorted(values, key=lambda name: np.mean(values[name]), reverse=True)
    figure, [[axis]] = grid((7.2, 1.7 + 0.24 * len(names)))
    for height, name in enumerate(names):
        label = dots if height == 0 else None
        heights = [height] * len(values[name])
        axis.plot(values[name], heights, "o", color="#7a9cc6", alpha=0.55, markersize=4.5, label=label)
    style = {"markersize": 8, "markeredgewidth": 1.6, "markerfacecolor": "none"}
    for (label, of_name), kind in zip(marks.items(), ("D", "|"), strict=False):
        colour = "#b3261e" if kind == "D" else "black"
        axis.plot([of_name[name] for name in names], range(len(names)), kind, color=colour, label=label, **style)
    axis.set(xlabel=xlabel, title=title)
    name_rows(axis, names)
    figure.legend(ncols=1 + len(marks), **BELOW)
    spread = np.mean([np.ptp(values[name]) for name in names])
    alt = f"{title}: {dots} of {len(names)} networks, spread over {spread:.2g} on average, with {', '.join(marks)}."
    return finished(figure, alt)
