"""How well scores rank networks."""

from collections.abc import Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nbnas.plots.drawing import (
    RING_LEGEND,
    colours,
    dot_bar_and_ring,
    error_bars,
    finished,
    grid,
    line_handles,
    name_rows,
)


def ranked_intervals(table: pd.DataFrame, title: str, xlabel: str) -> tuple[Figure, str]:
    """Draw values with their intervals, best on top, coloured by group; a ring marks a published value.

    Columns are ``name``, ``group``, ``value``, ``low``, ``high`` and ``published`` (NaN where there is none).
    """
    ordered = table.sort_values("value", ascending=False)
    palette = colours(table["group"].unique())
    figure, [[axis]] = grid((7.6, 1.2 + 0.24 * len(ordered)))
    for height, row in enumerate(ordered.itertuples()):
        dot_bar_and_ring(axis, height, row, palette[row.group])
    axis.axvline(0, color="#555555", linewidth=0.8)
    axis.set(xlabel=xlabel, title=f"{title}\n{RING_LEGEND}" if ordered["published"].notna().any() else title)
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
    error_bars(axis, own.index, own, "reproduced", fmt="o", color="black", markersize=5)
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
    style = {"annot": True, "fmt": ".2f", "cmap": "vlag", "vmin": -1, "vmax": 1, "square": True}
    for axis, (title, matrix) in zip(axes, matrices.items(), strict=True):
        bar = {"label": label, "shrink": 0.8}
        sns.heatmap(matrix, ax=axis, cbar=axis is axes[-1], cbar_kws=bar, **style)
        axis.set(title=title, xlabel="", ylabel="")
        axis.tick_params(axis="y", rotation=0)
        axis.tick_params(axis="x", rotation=20)
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
