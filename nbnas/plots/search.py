"""What a search looked at, and what it chose."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from nbnas.plots.drawing import closed


def search_progress(history: pd.DataFrame, cost: str, budget: float, title: str) -> tuple[Figure, str]:
    """Draw the candidates of a search in the order in which they were scored: their objective, and their cost.

    Args:
        history: As :class:`nbnas.search.SearchResult` has it, with a column ``cost``.
        cost: Name of that column.
        budget: Limit of the cost.
        title: Title of the figure.
    """
    best = history["objective"].idxmax()
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
    for axis, column in zip(axes, ("objective", cost), strict=True):
        mutated = history["parent"].notna()
        for chosen, colour, label in ((~mutated, "#999999", "first candidates"), (mutated, "#0072b2", "mutations")):
            axis.plot(history.index[chosen], history.loc[chosen, column], ".", color=colour, label=label)
        axis.plot(best, history.loc[best, column], "*", color="#d55e00", markersize=14, label="chosen")
        axis.set(xlabel="candidate", ylabel=column)
    axes[1].axhline(budget, color="black", linewidth=1, linestyle="--", label="budget")
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(title)
    alt = (
        f"{title}: objective and {cost} of {len(history)} candidates in the order of the search; the chosen one is "
        f"number {best} with {history.loc[best, cost]:.4g}, the budget {budget:.4g}."
    )
    return closed(figure), alt


def searches_against_costs(history: pd.DataFrame, x: str, y: str, title: str) -> tuple[Figure, str]:
    """Draw a panel per search: its candidates by two costs, and the one that it chose.

    Args:
        history: Histories of several searches with a column ``search``.
        x: Column of the first cost.
        y: Column of the second.
        title: Title of the figure.
    """
    searches = list(dict.fromkeys(history["search"]))
    columns = min(len(searches), 5)
    rows = -(-len(searches) // columns)
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            rows,
            columns,
            figsize=(2.1 * columns, 0.7 + 2.1 * rows),
            sharex=True,
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
    chosen = {}
    for axis, name in zip(axes.flat, searches, strict=False):
        own = history[history["search"] == name].reset_index(drop=True)
        best = own["objective"].idxmax()
        chosen[name] = own.loc[best, y]
        axis.plot(own[x], own[y], ".", color="#0072b2", alpha=0.5, markersize=5)
        axis.plot(own.loc[best, x], own.loc[best, y], "*", color="#d55e00", markersize=13)
        axis.set_title(name, fontsize=10)
    for axis in axes.flat[len(searches) :]:
        axis.set_visible(False)
    figure.supxlabel(x, fontsize=10)
    figure.supylabel(y, fontsize=10)
    figure.suptitle(f"{title} (star: chosen)", fontsize=11)
    choices = ", ".join(f"{name} {value:.4g}" for name, value in chosen.items())
    return closed(figure), f"{title}: {y} against {x} of the candidates of {len(searches)} searches; chosen: {choices}."
