"""Figures of the notebooks and the report. Each function returns a figure and its alternative text."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

COLOURS = {"match": "#2e7d32", "close": "#b26a00", "differs": "#b3261e"}
"""Verdict -> colour, the same as in the report."""

METRIC_NAMES = {
    "kendall_tau": "Kendall's τ",
    "spearman_rho": "Spearman's ρ",
    "ndcg_1000": "nDCG@1000",
    "partial_kendall_tau": "partial τ",
}


def published_against_reproduced(table: pd.DataFrame, title: str) -> tuple[Figure, str]:
    """Draw one panel per data set: the published value as a ring, ours as a dot with its interval.

    Args:
        table: Verdicts of one item, see :func:`nbnas.verdicts.compare`; rows not attempted are left out.
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
    return _closed(figure), alt


def ranked_intervals(table: pd.DataFrame, title: str, xlabel: str) -> tuple[Figure, str]:
    """Draw values with their intervals, best on top, coloured by group; a ring marks a published value.

    Args:
        table: Columns ``name``, ``group``, ``value``, ``low``, ``high`` and ``published`` (NaN where there is none).
        title: Title of the figure.
        xlabel: What the values are.
    """
    ordered = table.sort_values("value", ascending=False).reset_index(drop=True)
    groups = list(dict.fromkeys(table["group"]))
    palette = dict(zip(groups, sns.color_palette("colorblind", len(groups)), strict=True))
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(7.6, 1.2 + 0.24 * len(ordered)), layout="constrained")
    for height, row in enumerate(ordered.itertuples()):
        colour = palette[row.group]
        axis.plot([row.low, row.high], [height, height], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt")
        axis.plot(row.value, height, "o", color=colour, markersize=5)
        if not np.isnan(row.published):
            axis.plot(row.published, height, "o", markerfacecolor="none", markeredgecolor="black", markersize=10)
    axis.axvline(0, color="#555555", linewidth=0.8)
    legend = "ring: published, dot and bar: reproduced with interval"
    axis.set(xlabel=xlabel, title=f"{title}\n{legend}" if ordered["published"].notna().any() else title)
    axis.set_yticks(range(len(ordered)), ordered["name"])
    axis.set_ylim(len(ordered) - 0.4, -0.6)
    handles = [plt.Line2D([], [], color=palette[group], marker="o", linewidth=3, label=group) for group in groups]
    axis.legend(handles=handles, frameon=True, fontsize=8, loc="upper left")
    best, worst = ordered.iloc[0], ordered.iloc[-1]
    alt = (
        f"{title}: {xlabel} of {len(ordered)} scores with intervals, from {best['name']} ({best['value']:.2f}) "
        f"to {worst['name']} ({worst['value']:.2f})."
    )
    return _closed(figure), alt


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
    return _closed(figure), alt


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
    return _closed(figure), alt


def heat_maps(matrices: Mapping[str, pd.DataFrame], label: str) -> tuple[Figure, str]:
    """Draw square matrices of correlations side by side, each cell with its number.

    Args:
        matrices: Title -> matrix with names on both axes.
        label: What the numbers are.
    """
    size = 1.1 + 0.85 * len(next(iter(matrices.values())))
    figure, axes = plt.subplots(
        1, len(matrices), figsize=(size * len(matrices) + 0.8, size), squeeze=False, layout="constrained"
    )
    for number, (axis, (title, matrix)) in enumerate(zip(axes[0], matrices.items(), strict=True)):
        sns.heatmap(
            matrix,
            ax=axis,
            annot=True,
            fmt=".2f",
            cmap="vlag",
            vmin=-1,
            vmax=1,
            square=True,
            cbar=number == len(matrices) - 1,
            cbar_kws={"label": label, "shrink": 0.8},
        )
        axis.set(title=title, xlabel="", ylabel="")
        axis.tick_params(axis="y", rotation=0)
        axis.tick_params(axis="x", rotation=20)
    alt = f"Heat maps of {label}: {'; '.join(matrices)}."
    return _closed(figure), alt


def ranked_bars(table: pd.DataFrame, title: str, ylabel: str) -> tuple[Figure, str]:
    """Draw published values as bars in ascending order, ours as dots with intervals where there are any.

    Args:
        table: Columns ``row``, ``group``, ``published``, ``reproduced``, ``low``, ``high``.
        title: Title of the figure.
        ylabel: What the values are.
    """
    ordered = table.assign(published=table["published"].astype(float)).sort_values("published").reset_index(drop=True)
    groups = list(dict.fromkeys(table["group"]))
    palette = dict(zip(groups, ["#c5dfc8", "#7fb685", "#2e7d32"], strict=False))
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(8, 5), layout="constrained")
    axis.bar(ordered.index, ordered["published"], color=ordered["group"].map(palette))
    own = ordered[ordered["reproduced"].notna()]
    errors = [own["reproduced"] - own["low"], own["high"] - own["reproduced"]]
    axis.errorbar(own.index, own["reproduced"], errors, fmt="o", color="black", capsize=4, markersize=5)
    axis.set(title=title, ylabel=ylabel)
    axis.set_xticks(ordered.index, ordered["row"], rotation=45, ha="right")
    axis.grid(axis="x", visible=False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=palette[group], label=f"{group}, published") for group in groups]
    handles.append(plt.Line2D([], [], color="black", marker="o", label="reproduced, with interval"))
    axis.legend(handles=handles, frameon=True, fontsize=8, loc="upper left")
    alt = (
        f"{title}: bars of {ylabel} for {len(ordered)} methods, from {ordered['row'].iloc[0]} to "
        f"{ordered['row'].iloc[-1]}; {len(own)} of them reproduced."
    )
    return _closed(figure), alt


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
    return _closed(figure), alt


def lines_over_size(
    table: pd.DataFrame, title: str, xlabel: str, references: Mapping[str, float] | None = None
) -> tuple[Figure, str]:
    """Draw values against a size on a logarithmic axis, one panel per quantity, two panels to a row.

    Args:
        table: Columns ``panel``, ``line``, ``x``, ``value``, ``low`` and ``high`` (NaN: no bar).
        title: Title of the figure.
        xlabel: What ``x`` counts.
        references: Panel -> value to mark by a dashed line.
    """
    panels, lines = list(dict.fromkeys(table["panel"])), list(dict.fromkeys(table["line"]))
    palette = dict(zip(lines, sns.color_palette("colorblind", len(lines)), strict=True))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            rows, columns, figsize=(4.6 * columns, 0.9 + 3.0 * rows), squeeze=False, layout="constrained"
        )
    for axis, panel in zip(axes.flat, panels, strict=False):
        if references and panel in references:
            axis.axhline(references[panel], color="#555555", linewidth=1, linestyle="--")
        for line in lines:
            rows_of_line = table[(table["panel"] == panel) & (table["line"] == line)].sort_values("x")
            # Lines are shifted a little, or bars at one size would hide each other.
            x = rows_of_line["x"] * 1.05 ** (lines.index(line) - (len(lines) - 1) / 2)
            axis.vlines(x, rows_of_line["low"], rows_of_line["high"], color=palette[line], linewidth=2.5, alpha=0.5)
            axis.plot(x, rows_of_line["value"], "o-", color=palette[line], markersize=4, linewidth=1, label=line)
        ticks = sorted(set(table.loc[table["panel"] == panel, "x"]))
        axis.set(xscale="log", title=panel, xlabel=xlabel)
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.minorticks_off()
    for axis in list(axes.flat)[len(panels) :]:
        axis.remove()
    handles = [plt.Line2D([], [], color=palette[line], marker="o", label=line) for line in lines]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(lines)), frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    ends = table.sort_values("x", kind="stable").groupby(["panel", "line"], sort=False)["value"]
    changes = "; ".join(
        f"{panel}, {line}: {values.iloc[0]:.2f} to {values.iloc[-1]:.2f}" for (panel, line), values in ends
    )
    alt = f"{title}. From the smallest to the largest size ({xlabel}): {changes}."
    return _closed(figure), alt


def accuracy_by_predicted_position(panels: Mapping[str, tuple[Sequence[float], Sequence[int]]]) -> tuple[Figure, str]:
    """Draw accuracy against the position a ranking gives, one bar panel per ranking.

    Args:
        panels: Title -> (accuracies in predicted order, positions to highlight, counted from 1).
    """
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.4), sharey=True, layout="constrained")
    for axis, (title, (accuracies, highlighted)) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        positions = np.arange(1, len(accuracies) + 1)
        colours = ["#b3261e" if position in highlighted else "#7a9cc6" for position in positions]
        axis.bar(positions, accuracies, color=colours)
        axis.set(title=title, xlabel="position in the predicted order", xticks=positions)
        axis.grid(axis="x", visible=False)
    np.atleast_1d(axes)[0].set_ylabel("accuracy (%)")
    alt = "Bar charts of accuracy over predicted position: " + "; ".join(panels) + "."
    return _closed(figure), alt


def scores_against_accuracy(scores: pd.Series, accuracy: pd.Series, title: str) -> tuple[Figure, str]:
    """Scatter one score against accuracy in percent; names of the series label the axes."""
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
    axis.scatter(scores, accuracy, s=14, alpha=0.6, linewidths=0, color="#33658a", rasterized=True)
    axis.set(xlabel=scores.name, ylabel=accuracy.name, title=title)
    alt = f"Scatter plot of {accuracy.name} against {scores.name} for {len(scores)} networks. {title}."
    return _closed(figure), alt


def spectrum(eigenvalues: Mapping[str, Sequence[float]], title: str) -> tuple[Figure, str]:
    """Draw sorted eigenvalues on a logarithmic scale, one line per network; zeros are left out."""
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
    _draw_spectra(axis, eigenvalues)
    axis.set(xlabel="quantile", ylabel="eigenvalue", title=title)
    alt = f"Eigenvalues against their quantile on a logarithmic scale for {', '.join(eigenvalues)}. {title}."
    return _closed(figure), alt


def paired_spectra(
    panels: Mapping[str, Mapping[str, Sequence[float]]], title: str, rounding: float = 1e-12
) -> tuple[Figure, str]:
    """Draw two spectra per panel, and below each panel the second divided by the first, rank by rank.

    Args:
        panels: Title of a panel -> label -> eigenvalues, two labels each.
        title: Title of the figure.
        rounding: Eigenvalues smaller than this share of the largest have no ratio.
    """
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            2,
            len(panels),
            figsize=(3.5 * len(panels) + 0.4, 5.6),
            height_ratios=[2, 1],
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
    for (above, below), (name, eigenvalues) in zip(axes.T, panels.items(), strict=True):
        _draw_spectra(above, eigenvalues)
        above.set_title(name, fontsize=10)
        first, second = (np.sort(np.asarray(values)) for values in eigenvalues.values())
        kept = (first > rounding * first[-1]) & (second > rounding * second[-1])
        below.axhline(1, color="#555555", linewidth=0.8)
        below.plot(np.linspace(0, 1, len(first))[kept], second[kept] / first[kept], "o-", color="#5b3f8c", markersize=2)
        below.set_xlabel("quantile")
    axes[0, 0].set_ylabel("eigenvalue")
    axes[1, 0].set_ylabel("second / first")
    figure.suptitle(title, fontsize=11)
    alt = f"{title}: two spectra each on a logarithmic scale, and their ratio, for {'; '.join(panels)}."
    return _closed(figure), alt


def _draw_spectra(axis: plt.Axes, eigenvalues: Mapping[str, Sequence[float]]) -> None:
    for name, values in eigenvalues.items():
        ordered = np.sort(np.asarray(values))
        quantiles = np.linspace(0, 1, len(ordered))
        axis.plot(quantiles[ordered > 0], ordered[ordered > 0], label=name)
    axis.set_yscale("log")
    axis.legend(frameon=False)


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
    return _closed(figure), alt


def lines_with_bands(
    table: pd.DataFrame, title: str, xlabel: str, ylabel: str, *, logarithmic: bool = False
) -> tuple[Figure, str]:
    """Draw one line per name with its interval as a band.

    Args:
        table: Columns ``name``, ``x``, ``value``, ``low`` and ``high`` (NaN where there is no interval).
        title: Title of the figure.
        xlabel: What x is.
        ylabel: What the values are.
        logarithmic: Whether x has a logarithmic scale.
    """
    names = list(dict.fromkeys(table["name"]))
    with sns.axes_style("whitegrid"):
        figure, axis = plt.subplots(figsize=(6.4, 4.3), layout="constrained")
    for name, colour in zip(names, sns.color_palette("colorblind", len(names)), strict=True):
        own = table[table["name"] == name].sort_values("x")
        axis.plot(own["x"], own["value"], "o-", color=colour, markersize=4, label=name)
        axis.fill_between(own["x"], own["low"], own["high"], color=colour, alpha=0.15, linewidth=0)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if logarithmic:
        axis.set_xscale("log")
    ticks = sorted(set(table["x"]))
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    alt = f"{title}: {ylabel} against {xlabel} for {', '.join(names)}."
    return _closed(figure), alt


def _closed(figure: Figure) -> Figure:
    """Detach from pyplot, so that a notebook shows the figure once, where it is returned."""
    plt.close(figure)
    return figure


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
    return _closed(figure), alt


def layer_profiles(
    panels: Mapping[str, Mapping[str, pd.DataFrame]],
    rows: Sequence[tuple[str, str | None, str]],
    title: str,
    logarithmic: Sequence[str] = (),
) -> tuple[Figure, str]:
    """Draw quantities of layers over depth: a column of panels per set of networks, a row per quantity.

    Args:
        panels: Title -> name of a network -> its layers, with a column ``depth``.
        rows: Column to draw, column of its reference (drawn dashed) or None, and label.
        title: Title of the figure.
        logarithmic: Columns with a logarithmic scale.
    """
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            len(rows),
            len(panels),
            figsize=(1.2 + 4.6 * len(panels), 1.2 + 2.2 * len(rows)),
            sharex="col",
            sharey="row",
            squeeze=False,
            layout="constrained",
        )
    for column, (name, networks) in enumerate(panels.items()):
        colours = sns.color_palette("colorblind", len(networks))
        for row, (quantity, reference, label) in enumerate(rows):
            axis = axes[row, column]
            for (network, layers), colour in zip(networks.items(), colours, strict=True):
                if reference:
                    style = {"color": colour, "linewidth": 1, "linestyle": "--", "drawstyle": "steps-mid"}
                    axis.plot(layers["depth"], layers[reference], alpha=0.7, **style)
                axis.plot(
                    layers["depth"], layers[quantity], "o-", color=colour, markersize=3, linewidth=0.8, label=network
                )
            if quantity in logarithmic:
                axis.set_yscale("log")
            if column == 0:
                axis.set_ylabel(label)
        axes[0, column].set_title(name, fontsize=11)
        axes[-1, column].set_xlabel("layer")
        handles = axes[0, column].get_legend_handles_labels()[0]
        axes[-1, column].legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.25), frameon=False, fontsize=9
        )
    dashed = "; dashed: from sizes alone" if any(reference for _, reference, _ in rows) else ""
    figure.suptitle(f"{title}{dashed}", fontsize=11)
    drawn = "; ".join(f"{name}: {', '.join(networks)}" for name, networks in panels.items())
    alt = f"{title}: {', '.join(label for *_, label in rows)} over layers for {drawn}."
    return _closed(figure), alt


def layers_against_size(
    table: pd.DataFrame,
    references: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    xlabel: str,
    ylabel: str,
    *,
    logarithmic: bool = True,
) -> tuple[Figure, str]:
    """Scatter a quantity of layers against their size, one panel per set of networks.

    Args:
        table: A row per layer: ``panel``, ``group`` (colour), ``x``, ``y``.
        references: Label of a dashed line in every panel -> its x and y.
        title: Title of the figure.
        xlabel: What the size is; its scale is logarithmic.
        ylabel: What the quantity is.
        logarithmic: Whether it has a logarithmic scale, too.
    """
    panels, groups = list(dict.fromkeys(table["panel"])), list(dict.fromkeys(table["group"]))
    palette = dict(zip(groups, sns.color_palette("colorblind", len(groups)), strict=True))
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(
            1,
            len(panels),
            figsize=(0.6 + 4.4 * len(panels), 4.4),
            sharex=True,
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
    for axis, panel in zip(axes[0], panels, strict=True):
        for (label, (x, y)), style in zip(references.items(), ("--", ":", "-."), strict=False):
            axis.plot(x, y, color="black", linewidth=1, linestyle=style, label=label)
        for group, colour in palette.items():
            own = table[(table["panel"] == panel) & (table["group"] == group)]
            axis.plot(own["x"], own["y"], "o", color=colour, markersize=4, alpha=0.5, markeredgewidth=0, label=group)
        axis.set(xscale="log", title=panel, xlabel=xlabel)
        if logarithmic:
            axis.set_yscale("log")
    axes[0, 0].set_ylabel(ylabel)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(handles)), frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    counts = ", ".join(f"{(table['panel'] == panel).sum()} of {panel}" for panel in panels)
    alt = f"{title}: scatter of {ylabel} against {xlabel} for layers, {counts}, with {', '.join(references)}."
    return _closed(figure), alt
