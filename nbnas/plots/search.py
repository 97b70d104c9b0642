"""What a search looked at, and what it chose."""

import pandas as pd
from matplotlib.figure import Figure

from nbnas.plots.drawing import BELOW, finished, grid, wrapped_grid


def search_progress(history: pd.DataFrame, cost: str, budget: float, title: str) -> tuple[Figure, str]:
    """Draw the candidates of a search in the order in which they were scored: their objective, and their cost.

    ``history`` is as :class:`nbnas.search.SearchResult` has it; ``cost`` is one of its columns, ``budget`` its limit.
    """
    best = history["objective"].idxmax()
    figure, axes = grid((9.6, 3.6), 1, 2)
    for axis, column in zip(axes[0], ("objective", cost), strict=True):
        mutated = history["parent"].notna()
        for chosen, colour, label in ((~mutated, "#999999", "first candidates"), (mutated, "#0072b2", "mutations")):
            axis.plot(history.index[chosen], history.loc[chosen, column], ".", color=colour, label=label)
        axis.plot(best, history.loc[best, column], "*", color="#d55e00", markersize=14, label="chosen")
        axis.set(xlabel="candidate", ylabel=column)
    axes[0, 1].axhline(budget, color="black", linewidth=1, linestyle="--", label="budget")
    figure.legend(*axes[0, 1].get_legend_handles_labels(), ncols=4, **BELOW)
    alt = (
        f"{title}: objective and {cost} of {len(history)} candidates in the order of the search; the chosen one is "
        f"number {best} with {history.loc[best, cost]:.4g}, the budget {budget:.4g}."
    )
    return finished(figure, alt, title)


def searches_against_costs(history: pd.DataFrame, x: str, y: str, title: str) -> tuple[Figure, str]:
    """Draw a panel per ``search``, a column of ``history``: its candidates by two costs, and the one that it chose."""
    history = history.reset_index(drop=True)
    best = history.loc[history.groupby("search", sort=False)["objective"].idxmax()]
    figure, axes = wrapped_grid(len(best), 5, 2.1, 2.1, 0.7, sharex=True, sharey=True)
    for axis, name, *chosen in zip(axes, best["search"], best[x], best[y], strict=True):
        own = history[history["search"] == name]
        axis.plot(own[x], own[y], ".", color="#0072b2", alpha=0.5, markersize=5)
        axis.plot(*chosen, "*", color="#d55e00", markersize=13)
        axis.set_title(name, fontsize=10)
    figure.supxlabel(x, fontsize=10)
    figure.supylabel(y, fontsize=10)
    choices = ", ".join(f"{name} {value:.4g}" for name, value in zip(best["search"], best[y], strict=True))
    alt = f"{title}: {y} against {x} of the candidates of {len(best)} searches; chosen: {choices}."
    return finished(figure, alt, f"{title} (star: chosen)")
