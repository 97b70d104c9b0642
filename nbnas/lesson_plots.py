"""Figures that only the lessons draw. Each function returns a figure and its alternative text."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure


def dumbbells(table: pd.DataFrame, title: str, xlabel: str) -> tuple[Figure, str]:
    """Draw two values per row, joined by a line; rows are sorted by the first, largest on top.

    Args:
        table: Two columns, indexed by the names of the rows; the names of the columns are the legend.
        title: Title of the figure.
        xlabel: What the values are.
    """
    first, second = table.columns
    ordered = table.sort_values(first, ascending=False)
    heights = np.arange(len(ordered))
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(7.2, 1.6 + 0.26 * len(ordered)), layout="constrained")
    axis.hlines(heights, ordered[first], ordered[second], color="#bbbbbb", linewidth=2)
    axis.plot(ordered[first], heights, "o", color="#33658a", label=first)
    axis.plot(ordered[second], heights, "o", color="#b26a00", label=second)
    axis.axvline(0, color="#555555", linewidth=0.8)
    axis.set(title=title, xlabel=xlabel)
    axis.set_yticks(heights, ordered.index)
    axis.set_ylim(len(ordered) - 0.4, -0.6)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    rows = "; ".join(f"{name} {row[first]:.2f} and {row[second]:.2f}" for name, row in ordered.iterrows())
    plt.close(figure)
    return figure, f"{title}: {xlabel}, {first} and {second}, for {rows}."
