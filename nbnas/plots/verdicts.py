"""How published and reproduced numbers compare."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nbnas.plots.drawing import RING, RING_LEGEND, dot_bar_and_ring, error_bars, finished, grid, name_rows

COLOURS = {"match": "#2e7d32", "close": "#b26a00", "differs": "#b3261e"}
"""Verdict -> colour, the same as in the report."""

_METRICS = {
    "kendall_tau": "Kendall's τ",
    "spearman_rho": "Spearman's ρ",
    "ndcg_1000": "nDCG@1000",
    "partial_kendall_tau": "partial τ",
}


def published_against_reproduced(table: pd.DataFrame, title: str) -> tuple[Figure, str]:
    """Draw one panel per data set: the published value as a ring, ours as a dot with its interval.

    ``table`` has the verdicts of one item, see :func:`nbnas.reproduce.verdicts.compare`; rows not attempted are left
    out.
    """
    done = table[table["reproduced"].notna()].rename(columns={"reproduced": "value"}).astype({"published": float})
    done["label"] = done["row"] + ", " + done["metric"].map(_METRICS).fillna(done["metric"])
    labels, datasets = list(done["label"].unique()), done["dataset"].unique()
    columns = max(len(datasets), 1)
    figure, axes = grid((4.4 + 2.9 * columns, 1.3 + 0.36 * len(labels)), 1, columns, sharey=True)
    for axis, dataset in zip(axes[0], datasets, strict=False):
        for row in done[done["dataset"] == dataset].itertuples():
            dot_bar_and_ring(axis, labels.index(row.label), row, COLOURS[row.verdict])
        axis.set(title=dataset, xlabel="value")
    name_rows(axes[0, 0], labels)
    counts = ", ".join(f"{count} {name}" for name, count in done["verdict"].value_counts().items())
    rows = f"{len(labels)} rows on {', '.join(datasets)}"
    alt = f"{title}: published and reproduced values for {rows}; {counts or 'none'}."
    return finished(figure, alt, f"{title}\n{RING_LEGEND}")


def published_curves(
    table: pd.DataFrame, positions: Mapping[str, float | str], title: str, xlabel: str
) -> tuple[Figure, str]:
    """Draw one panel per data set: values over a setting, published ones as rings, ours as dots with intervals.

    ``table`` has the verdicts of one metric and a column ``setting``. ``positions``: setting -> where it stands on the
    axis, in order; numbers, or labels for equal steps.
    """
    datasets = table["dataset"].unique()
    metric = _METRICS.get(table["metric"].iloc[0], table["metric"].iloc[0])
    numeric = all(isinstance(position, int | float) for position in positions.values())
    figure, axes = grid((1.6 + 3.6 * len(datasets), 3.6), 1, len(datasets), sharey=True)
    for axis, dataset in zip(axes[0], datasets, strict=True):
        rows = table[table["dataset"] == dataset].set_index("setting")
        own = [setting for setting in positions if setting in rows.index]
        places = np.array([positions[setting] if numeric else number for number, setting in enumerate(own)])
        rows = rows.loc[own]
        done = rows["reproduced"].notna().to_numpy()
        error_bars(axis, places[done], rows[done], "reproduced", fmt="o-", color="#33658a", label="reproduced")
        published = rows["published"].astype(float)
        axis.plot(places, published, "o--", color="black", linewidth=0.8, label="published", **RING)
        if numeric:
            axis.set_xscale("log", base=2)
        axis.set_xticks(places, [str(positions[setting]) for setting in own])
        axis.minorticks_off()
        axis.set(title=dataset, xlabel=xlabel)
    axes[0, 0].set_ylabel(metric)
    axes[0, 0].legend(frameon=True, fontsize=8)
    alt = f"{title}: {metric} over {xlabel} on {', '.join(datasets)}, published and reproduced with intervals."
    return finished(figure, alt, title)
