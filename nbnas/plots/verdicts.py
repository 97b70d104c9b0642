"""How published and reproduced numbers compare."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from nbnas.plots.drawing import closed

COLOURS = {"match": "#2e7d32", "close": "#b26a00", "differs": "#b3261e"}
"""Verdict -> colour, the same as in the report."""

METRIC_NAMES = {
    "kendall_tau": "Kendall's τ",
    "spearman_rho": "Spearman's ρ",
    "ndcg_1000": "nDCG@1000",
    "partial_kendall_tau": "partial τ",
}
"""Name of a metric in tables -> as figures print it."""


def published_against_reproduced(table: pd.DataFrame, title: str) -> tuple[Figure, str]:
    """Draw one panel per data set: the published value as a ring, ours as a dot with its interval.

    Args:
        table: Verdicts of one item, see :func:`nbnas.reproduce.verdicts.compare`; rows not attempted are left out.
        title: Title of the figure.
    """
    done = table[table["reproduced"].notna()].reset_index(drop=True)
    done["label"] = done["row"] + ", " + done["metric"].map(METRIC_NAMES).fillna(done["metric"])
    datasets = list(dict.fromkeys(done["dataset"]))
    labels = list(dict.fromkeys(done["label"]))
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            1,
            max(len(datasets), 1),
            figsize=(4.4 + 2.9 * max(len(datasets), 1), 1.3 + 0.36 * len(labels)),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
    for axis, dataset in zip(axes[0], datasets, strict=False):
        for row in done[done["dataset"] == dataset].itertuples():
            height = labels.index(row.label)
            colour = COLOURS[row.verdict]
            axis.plot(
                [row.low, row.high], [height, height], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt"
            )
            axis.plot(row.reproduced, height, "o", color=colour, markersize=6)
            axis.plot(float(row.published), height, "o", markerfacecolor="none", markeredgecolor="black", markersize=11)
        axis.set(title=dataset, xlabel="value")
        axis.set_yticks(range(len(labels)), labels)
    axes[0][0].invert_yaxis()
    figure.suptitle(f"{title}\nring: published, dot and bar: reproduced with interval", fontsize=11)
    counts = ", ".join(f"{count} {name}" for name, count in done["verdict"].value_counts().items())
    alt = (
        f"{title}: published and reproduced values for {len(labels)} rows on {', '.join(datasets)}; {counts or 'none'}."
    )
    return closed(figure), alt


def published_curves(
    table: pd.DataFrame, positions: Mapping[str, float | str], title: str, xlabel: str
) -> tuple[Figure, str]:
    """Draw one panel per data set: values over a setting, published ones as rings, ours as dots with intervals.

    Args:
        table: Verdicts of one metric with a column ``setting``.
        positions: Setting -> where it stands on the axis, in order: numbers, or labels for equal steps.
        title: Title of the figure.
        xlabel: What the setting is.
    """
    datasets = list(dict.fromkeys(table["dataset"]))
    metric = METRIC_NAMES.get(table["metric"].iloc[0], table["metric"].iloc[0])
    numeric = all(isinstance(position, int | float) for position in positions.values())
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            1, len(datasets), figsize=(1.6 + 3.6 * len(datasets), 3.6), sharey=True, squeeze=False, layout="constrained"
        )
    for axis, dataset in zip(axes[0], datasets, strict=True):
        rows = table[table["dataset"] == dataset].set_index("setting")
        own = [setting for setting in positions if setting in rows.index]
        places = np.array([positions[setting] if numeric else number for number, setting in enumerate(own)])
        rows = rows.loc[own]
        done = rows["reproduced"].notna().to_numpy()
        values = rows[done]
        errors = [values["reproduced"] - values["low"], values["high"] - values["reproduced"]]
        axis.errorbar(
            places[done], values["reproduced"], errors, fmt="o-", color="#33658a", capsize=3, label="reproduced"
        )
        axis.plot(
            places,
            rows["published"].astype(float),
            "o--",
            markerfacecolor="none",
            color="black",
            markersize=10,
            linewidth=0.8,
            label="published",
        )
        if numeric:
            axis.set_xscale("log", base=2)
        axis.set_xticks(places, [str(positions[setting]) for setting in own])
        axis.minorticks_off()
        axis.set(title=dataset, xlabel=xlabel)
    axes[0][0].set_ylabel(metric)
    axes[0][0].legend(frameon=True, fontsize=8)
    figure.suptitle(title, fontsize=11)
    alt = f"{title}: {metric} over {xlabel} on {', '.join(datasets)}, published and reproduced with intervals."
    return closed(figure), alt
