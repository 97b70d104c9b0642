"""How values are spread over groups, seeds and repeats."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from nbnas.plots.drawing import closed


def boxes_by_group(
    values: pd.DataFrame, groups: pd.Series, titles: Mapping[str, str], xlabel: str
) -> tuple[Figure, str]:
    """Draw a panel of box plots per score, without outliers, over groups of networks; infinities are left out.

    Args:
        values: A row per network, a column per score.
        groups: Group of each network; drawn in ascending order.
        titles: Column -> title of its panel, in order.
        xlabel: What the groups are.
    """
    order = sorted(groups.unique())
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            2, -(-len(titles) // 2), figsize=(11, 7), sharex=True, squeeze=False, layout="constrained"
        )
    for axis in axes.flat[len(titles) :]:
        axis.set_visible(False)
    for axis, (column, title) in zip(axes.flat, titles.items(), strict=False):
        finite = values[column][np.isfinite(values[column])]
        boxes = [finite[groups[finite.index] == group].to_numpy() for group in order]
        drawn = axis.boxplot(boxes, showfliers=False, patch_artist=True, widths=0.65)
        for box, median in zip(drawn["boxes"], drawn["medians"], strict=True):
            box.set(facecolor="#7a9cc6", edgecolor="#33658a")
            median.set(color="#b3261e", linewidth=1.6)
        axis.set_title(title)
        labels = [f"{group:g}" for group in order]
        step = 1 if len(order) <= 12 else 3
        axis.set_xticks(range(1, len(order) + 1), [label if n % step == 0 else "" for n, label in enumerate(labels)])
        axis.grid(axis="x", visible=False)
    for axis in axes[-1]:
        axis.set_xlabel(xlabel)
        axis.tick_params(axis="x", rotation=45 if len(order) > 12 else 0)
    alt = f"Box plots over {len(order)} groups by {xlabel}: {'; '.join(titles.values())}."
    return closed(figure), alt


def grouped_values(table: pd.DataFrame, title: str, ylabel: str) -> tuple[Figure, str]:
    """Draw values with their intervals side by side within groups.

    Args:
        table: Columns ``group``, ``name``, ``value``, ``low``, ``high``.
        title: Title of the figure.
        ylabel: What the values are.
    """
    groups, names = list(dict.fromkeys(table["group"])), list(dict.fromkeys(table["name"]))
    palette = dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(2.4 + 1.5 * len(groups), 4.2), layout="constrained")
    for number, name in enumerate(names):
        rows = table[table["name"] == name]
        # Side by side, in the middle of their group.
        places = [groups.index(group) + 0.7 * ((number + 0.5) / len(names) - 0.5) for group in rows["group"]]
        errors = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
        axis.errorbar(places, rows["value"], errors, fmt="o", color=palette[name], capsize=3, label=name)
    axis.axhline(0, color="#555555", linewidth=0.8)
    axis.set(title=title, ylabel=ylabel)
    axis.set_xticks(range(len(groups)), groups)
    axis.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=min(4, len(names)), frameon=False, fontsize=8)
    alt = f"{title}: {ylabel} of {', '.join(names)} for {', '.join(groups)}, with intervals."
    return closed(figure), alt


def two_seeds(table: pd.DataFrame, title: str) -> tuple[Figure, str]:
    """Draw how far two seeds of each score agree, and how each seed ranks trained networks; best agreement on top.

    Args:
        table: Columns ``agreement``, ``low``, ``high`` (between the seeds, with interval), ``tau_first`` and
            ``tau_second`` (with accuracy), indexed by score.
        title: Title of the figure.
    """
    ordered = table.sort_values("agreement", ascending=False)
    heights = np.arange(len(ordered))
    with sns.axes_style("whitegrid"):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(9.2, 1.4 + 0.22 * len(ordered)), sharey=True, layout="constrained"
        )
    left.hlines(heights, ordered["low"], ordered["high"], color="#33658a", linewidth=3, alpha=0.45)
    left.plot(ordered["agreement"], heights, "o", color="#33658a", markersize=5)
    left.set(title="seed against seed", xlabel="Kendall's τ between two seeds")
    right.hlines(heights, ordered["tau_first"], ordered["tau_second"], color="#b26a00", linewidth=1.5)
    right.plot(ordered["tau_first"], heights, "o", color="#b26a00", markersize=5, label="one seed")
    right.plot(
        ordered["tau_second"], heights, "o", markerfacecolor="white", markeredgecolor="#b26a00", label="the other seed"
    )
    right.axvline(0, color="#555555", linewidth=0.8)
    right.set(title="seed against trained accuracy", xlabel="Kendall's τ with accuracy")
    figure.legend(loc="outside lower right", ncols=2, frameon=False, fontsize=9)
    left.set_yticks(heights, ordered.index)
    left.set_ylim(len(ordered) - 0.4, -0.6)
    figure.suptitle(title, fontsize=11)
    moved = (ordered["tau_first"] - ordered["tau_second"]).abs()
    alt = (
        f"{title}: agreement of two seeds for {len(ordered)} scores, from {ordered.index[0]} "
        f"({ordered['agreement'].iloc[0]:.2f}) to {ordered.index[-1]} ({ordered['agreement'].iloc[-1]:.2f}); "
        f"between seeds the correlation with accuracy moves by at most {moved.max():.2f}."
    )
    return closed(figure), alt


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
    return closed(figure), alt
