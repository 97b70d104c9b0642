"""Figures of how scores rank networks, how they spread, and how published and reproduced numbers compare."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nbnas.plots.drawing import BELOW, THIN, colours, finished, grid, line_handles, name_rows
from nbnas.plots.names import readable

STYLES = {
    "match": ("#009e73", "o"),
    "consistent": ("#56b4e9", "s"),
    "close": ("#e69f00", "D"),
    "explained": ("#0072b2", "^"),
    "differs": ("#d55e00", "X"),
    "not comparable": ("#cc79a7", "P"),
}
"""Verdict -> colour of the palette of Okabe and Ito, and marker."""
_RING = {"markerfacecolor": "none", "markeredgecolor": "black", "markersize": 10}
_RING_LEGEND = "ring: published, dot and bar: reproduced with interval"


def published_against_reproduced(table: pd.DataFrame, title: str) -> tuple[Figure, str]:
    """Draw one panel per data set: the published value as a ring, ours as a dot with its interval.

    ``table`` has verdicts of one item, see :func:`nbnas.reproduce.verdicts.compare`; rows not attempted are left out.
    """
    done = table[table["reproduced"].notna()].rename(columns={"reproduced": "value"}).astype({"published": float})
    metrics = [readable(metric) for metric in done["metric"].unique()]
    # One metric names the axis, several name the rows.
    done["label"] = done["row"] if len(metrics) == 1 else done["row"] + ", " + done["metric"].map(readable)
    labels, datasets = list(done["label"].unique()), done["dataset"].unique()
    columns = max(len(datasets), 1)
    figure, [axes] = grid((4.4 + 2.9 * columns, 1.3 + 0.36 * len(labels)), 1, columns, sharey=True)
    for axis, dataset in zip(axes, datasets, strict=False):
        for row in done[done["dataset"] == dataset].itertuples():
            _dot_bar_and_ring(axis, labels.index(row.label), row, *STYLES[row.verdict])
        axis.set(title=readable(dataset), xlabel=metrics[0] if len(metrics) == 1 else "value")
    name_rows(axes[0], labels)
    figure.legend(handles=_verdict_handles(done["verdict"]), ncols=6, **BELOW)
    counts = ", ".join(f"{count} {name}" for name, count in done["verdict"].value_counts().items())
    rows = f"{len(labels)} rows on {', '.join(map(readable, datasets))}"
    alt = f"{title}: published and reproduced values for {rows}; {counts or 'none'}."
    return finished(figure, alt, f"{title}\n{_RING_LEGEND}")


def differences_at_a_glance(table: pd.DataFrame) -> tuple[Figure, str]:
    """Draw each correlation and nDCG that was judged: its distance from the published value over its uncertainty.

    ``table`` has verdicts, see :func:`nbnas.reproduce.verdicts.compare`. Below the diagonal, the published value is in
    our interval. Distances below 0.0005, which is rounding, are drawn there.
    """
    drawn = table[table["metric"].str.contains("tau|rho|ndcg") & table["reproduced"].notna()]
    width = ((drawn["high"] - drawn["low"]) / 2).clip(lower=5e-4)
    distance = drawn["difference"].abs().clip(lower=5e-4)
    figure, [[axis]] = grid((8, 4.6))
    for verdict, (colour, marker) in STYLES.items():
        chosen = drawn["verdict"] == verdict
        axis.scatter(width[chosen], distance[chosen], s=22, color=colour, marker=marker, alpha=0.65, linewidths=0)
    axis.axline((1e-3, 1e-3), (1e-2, 1e-2), **THIN)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="uncertainty of ours (half of the 95 % interval)",
        ylabel="|ours - published|",
    )
    figure.legend(handles=_verdict_handles(drawn["verdict"]), ncols=6, **BELOW)
    counts = ", ".join(f"{count} {name}" for name, count in drawn["verdict"].value_counts().items())
    alt = f"Distance from the published value over our uncertainty, for {len(drawn)} numbers: {counts}."
    return finished(figure, alt, "Every correlation and nDCG: below the line, the published value lies in our interval")


def published_curves(table: pd.DataFrame, positions: dict[str, Any], title: str, xlabel: str) -> tuple[Figure, str]:
    """Draw one panel per data set: values over a setting, published ones as rings, ours as dots with intervals.

    ``table`` has the verdicts of one metric and a column ``setting``. ``positions``: setting -> where it stands on the
    axis, in order; numbers, or labels for equal steps.
    """
    datasets = table["dataset"].unique()
    metric = readable(table["metric"].iloc[0])
    numeric = all(isinstance(position, int | float) for position in positions.values())
    figure, [axes] = grid((1.6 + 3.6 * len(datasets), 3.6), 1, len(datasets), sharey=True)
    for axis, dataset in zip(axes, datasets, strict=True):
        rows = table[table["dataset"] == dataset].set_index("setting")
        rows = rows.loc[[setting for setting in positions if setting in rows.index]].astype({"published": float})
        labels = [positions[setting] for setting in rows.index]
        rows.index = labels if numeric else range(len(labels))
        done = rows[rows["reproduced"].notna()]
        _error_bars(axis, done.index, done, "reproduced", fmt="o-", color="#33658a", label="reproduced")
        axis.plot(rows["published"], "o--", color="black", linewidth=0.8, label="published", **_RING)
        if numeric:
            axis.set_xscale("log", base=2)
        axis.set_xticks(rows.index, map(str, labels))
        axis.minorticks_off()
        axis.set(title=readable(dataset), xlabel=xlabel)
    axes[0].set_ylabel(metric)
    axes[0].legend(frameon=True, fontsize=8)
    names = ", ".join(map(readable, datasets))
    alt = f"{title}: {metric} over {xlabel} on {names}, published and reproduced with intervals."
    return finished(figure, alt, title)


def ranked_intervals(table: pd.DataFrame, title: str, xlabel: str) -> tuple[Figure, str]:
    """Draw values with their intervals, best on top, coloured by group; a ring marks a published value.

    Columns are ``name``, ``group``, ``value``, ``low``, ``high`` and ``published`` (NaN where there is none).
    """
    ordered = table.sort_values("value", ascending=False)
    palette = colours(table["group"].unique())
    figure, [[axis]] = grid((7.6, 1.2 + 0.24 * len(ordered)))
    for height, row in enumerate(ordered.itertuples()):
        _dot_bar_and_ring(axis, height, row, palette[row.group])
    axis.axvline(0, **THIN)
    axis.set(xlabel=xlabel, title=f"{title}\n{_RING_LEGEND}" if ordered["published"].notna().any() else title)
    name_rows(axis, ordered["name"])
    axis.legend(handles=line_handles(palette, linewidth=3), frameon=True, fontsize=8, loc="upper left")
    best, worst = (f"{row['name']} ({row['value']:.2f})" for row in (ordered.iloc[0], ordered.iloc[-1]))
    alt = f"{title}: {xlabel} of {len(ordered)} scores with intervals, from {best} to {worst}."
    return finished(figure, alt)


def ranked_bars(table: pd.DataFrame, title: str, ylabel: str) -> tuple[Figure, str]:
    """Draw published values as bars in ascending order, ours as dots with intervals where there are any.

    Columns are ``row``, ``group``, ``published``, ``reproduced``, ``low``, ``high``.
    """
    ordered = table.astype({"published": float}).sort_values("published", ignore_index=True)
    palette = dict(zip(table["group"].unique(), ["#c5dfc8", "#7fb685", "#2e7d32"], strict=False))
    figure, [[axis]] = grid((8, 5))
    axis.bar(ordered.index, ordered["published"], color=ordered["group"].map(palette))
    own = ordered[ordered["reproduced"].notna()]
    _error_bars(axis, own.index, own, "reproduced", color="black", markersize=5)
    axis.set(title=title, ylabel=ylabel)
    axis.set_xticks(ordered.index, ordered["row"], rotation=45, ha="right")
    axis.grid(axis="x", visible=False)
    handles = [Patch(color=colour, label=f"{name}, published") for name, colour in palette.items()]
    handles += line_handles({"reproduced, with interval": "black"})
    axis.legend(handles=handles, frameon=True, fontsize=8, loc="upper left")
    methods = f"{len(ordered)} methods, from {ordered['row'].iloc[0]} to {ordered['row'].iloc[-1]}"
    return finished(figure, f"{title}: bars of {ylabel} for {methods}; {len(own)} of them reproduced.")


def heat_maps(matrices: Mapping[str, pd.DataFrame], label: str) -> tuple[Figure, str]:
    """Draw square matrices of correlations side by side, title -> matrix; ``label`` says what the numbers are."""
    size = 1.1 + 0.85 * len(next(iter(matrices.values())))
    figure, [axes] = grid((size * len(matrices) + 0.8, size), 1, len(matrices), style=None)
    signed = min(matrix.min(axis=None) for matrix in matrices.values()) < 0  # Else the colours need no middle.
    colour = {"cmap": "vlag", "vmin": -1} if signed else {"cmap": "Blues", "vmin": 0}
    style = {"annot": True, "fmt": ".2f", "vmax": 1, "square": True, **colour}
    for axis, (title, matrix) in zip(axes, matrices.items(), strict=True):
        sns.heatmap(matrix, ax=axis, cbar=axis is axes[-1], cbar_kws={"label": label, "shrink": 0.8}, **style)
        axis.set(title=title, xlabel="", ylabel="")
        axis.tick_params(axis="y", rotation=0)
        axis.tick_params(axis="x", rotation=20 if max(map(len, matrix.columns)) > 2 else 0)
    return finished(figure, f"Heat maps of {label}: {'; '.join(matrices)}.")


def accuracy_by_predicted_position(panels: Mapping[str, tuple[Sequence[float], Sequence[int]]]) -> tuple[Figure, str]:
    """Draw accuracy against the position a ranking gives, one bar panel per ranking.

    ``panels``: title -> (accuracies in predicted order, positions to highlight, counted from 1).
    """
    figure, [axes] = grid((4.6 * len(panels), 3.4), 1, len(panels), sharey=True)
    for axis, (title, (accuracies, highlighted)) in zip(axes, panels.items(), strict=True):
        positions = range(1, len(accuracies) + 1)
        axis.bar(positions, accuracies, color=["#b3261e" if place in highlighted else "#7a9cc6" for place in positions])
        axis.set(title=title, xlabel="position in the predicted order", xticks=positions)
        axis.grid(axis="x", visible=False)
    axes[0].set_ylabel("accuracy (%)")
    return finished(figure, f"Bar charts of accuracy over predicted position: {'; '.join(panels)}.")


def scores_against_accuracy(scores: pd.Series, accuracy: pd.Series, title: str) -> tuple[Figure, str]:
    """Scatter one score against accuracy in percent; names of the series label the axes."""
    figure, [[axis]] = grid((5.6, 3.8))
    size = 14 if len(scores) > 200 else 32
    axis.scatter(scores, accuracy, s=size, alpha=0.6, linewidths=0, color="#33658a", rasterized=True)
    axis.set(xlabel=scores.name, ylabel=accuracy.name, title=title)
    described = title.replace("\n", ": ")
    alt = f"Scatter plot of {accuracy.name} against {scores.name} for {len(scores)} networks. {described}."
    return finished(figure, alt)


def boxes_by_group(values: pd.DataFrame, groups: pd.Series, titles: dict[str, str], xlabel: str) -> tuple[Figure, str]:
    """Draw a panel of box plots per score, without outliers, over groups of networks; infinities are left out.

    ``values`` has a row per network and a column per score, ``groups`` the group of each network, drawn in ascending
    order. ``titles``: column -> title of its panel, in order.
    """
    order = sorted(groups.unique())
    crowded = len(order) > 12  # Then every third group is named.
    labels = [f"{group:g}" if not crowded or n % 3 == 0 else "" for n, group in enumerate(order)]
    columns = -(-len(titles) // 2)
    figure, axes = grid((5.5 * columns + 0.7, 7), 2, columns, sharex=True)
    for axis in axes.flat[len(titles) :]:
        axis.set_visible(False)
    style = {"boxprops": {"facecolor": "#7a9cc6", "edgecolor": "#33658a"}}
    style |= {"medianprops": {"color": "#b3261e", "linewidth": 1.6}}
    for axis, (column, title) in zip(axes.flat, titles.items(), strict=False):
        finite = values[column][np.isfinite(values[column])]
        boxes = [finite[groups[finite.index] == group] for group in order]
        axis.boxplot(boxes, showfliers=False, patch_artist=True, widths=0.65, **style)
        axis.set_title(title)
        axis.set_xticks(range(1, len(order) + 1), labels)
        axis.grid(axis="x", visible=False)
    for axis in axes[:, 0]:
        axis.set_ylabel("score")
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
        _error_bars(axis, places, rows, "value", color=colour, label=name)
    axis.axhline(0, **THIN)
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
    heights = range(len(table))
    figure, [[left, right]] = grid((9.2, 1.4 + 0.22 * len(table)), 1, 2, sharey=True)
    left.hlines(heights, table["low"], table["high"], color="#33658a", linewidth=3, alpha=0.45)
    left.plot(table["agreement"], heights, "o", color="#33658a", markersize=5)
    left.set(title="seed against seed", xlabel="Kendall's τ between two seeds")
    right.hlines(heights, first, second, color="#b26a00", linewidth=1.5)
    right.plot(first, heights, "o", color="#b26a00", markersize=5, label="one seed")
    right.plot(second, heights, "o", markerfacecolor="white", markeredgecolor="#b26a00", label="the other seed")
    right.axvline(0, **THIN)
    right.set(title="seed against trained accuracy", xlabel="Kendall's τ with accuracy")
    figure.legend(ncols=2, **BELOW | {"loc": "outside lower right"})
    name_rows(left, table.index)
    best, worst = (f"{table.index[at]} ({table['agreement'].iloc[at]:.2f})" for at in (0, -1))
    moves = f"between seeds the correlation with accuracy moves by at most {(first - second).abs().max():.2f}"
    alt = f"{title}: agreement of two seeds for {len(table)} scores, from {best} to {worst}; {moves}."
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
    for (label, of_name), kind, colour in zip(marks.items(), "D|", ("#b3261e", "black"), strict=False):
        axis.plot([of_name[name] for name in names], range(len(names)), kind, color=colour, label=label, **style)
    axis.set(xlabel=xlabel, title=title)
    name_rows(axis, names)
    figure.legend(ncols=1 + len(marks), **BELOW)
    spread = np.mean([np.ptp(values[name]) for name in names])
    alt = f"{title}: {dots} of {len(names)} networks, spread over {spread:.2g} on average, with {', '.join(marks)}."
    return finished(figure, alt)


def _dot_bar_and_ring(axis: plt.Axes, height: int, row: Any, colour: Any, marker: str = "o") -> None:
    """Draw ``value``, the interval ``low`` to ``high`` and ``published`` (NaN: no ring) of a row of a table."""
    axis.plot([row.low, row.high], [height, height], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt")
    axis.plot(row.value, height, marker, color=colour, markersize=6)
    if not np.isnan(row.published):
        axis.plot(row.published, height, "o", **_RING)


def _verdict_handles(verdicts: Iterable[str]) -> list[plt.Line2D]:
    """Entries of a legend for the verdicts that occur."""
    occurring = {verdict: style for verdict, style in STYLES.items() if verdict in set(verdicts)}
    return [
        plt.Line2D([], [], color=colour, marker=marker, linestyle="", label=verdict)
        for verdict, (colour, marker) in occurring.items()
    ]


def _error_bars(axis: plt.Axes, places: Any, rows: pd.DataFrame, value: str, **style: Any) -> None:
    """Draw dots of a column with the intervals ``low`` to ``high``."""
    ends = [rows[value] - rows["low"], rows["high"] - rows[value]]
    axis.errorbar(places, rows[value], ends, **{"fmt": "o", "capsize": 3} | style)
