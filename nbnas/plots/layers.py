"""What the layers of a network measure."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from nbnas.plots.drawing import closed


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
    return closed(figure), alt


def layer_vectors(networks: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, str]:
    """Draw the two vectors whose dot product is T-CET, layer by layer, side by side; zeros have no logarithm.

    Args:
        networks: Name -> layers, see :func:`nbnas.proxies.tcet.layer_vectors`; they are named below where there is
            room, which is for one network of up to 24 layers.
        title: Title of the figure.
    """
    panels = {"signal_to_noise": "S / σ of saliencies", "log_determinant": "ln |det K| (nats)"}
    colours = sns.color_palette("colorblind", len(networks))
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), layout="constrained")
    for axis, (column, label) in zip(axes, panels.items(), strict=True):
        for (name, layers), colour in zip(networks.items(), colours, strict=True):
            depth = range(1, len(layers) + 1)
            axis.plot(depth, layers[column], "o-", color=colour, markersize=3, linewidth=0.8, label=name)
        axis.set(xlabel="layer, in the order of the network", ylabel=label)
        axis.xaxis.get_major_locator().set_params(integer=True)
    if all((layers["signal_to_noise"] >= 0).all() for layers in networks.values()):
        axes[0].set_yscale("log")
    if len(networks) == 1:
        (layers,) = networks.values()
        if len(layers) <= 24:
            for axis in axes:
                axis.set_xticks(range(1, len(layers) + 1), layers.index, rotation=60, ha="right", fontsize=8)
    else:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(networks)), frameon=False)
    figure.suptitle(title, fontsize=11)
    counts = ", ".join(f"{len(layers)} of {name}" for name, layers in networks.items())
    return closed(figure), f"{title}: {' and '.join(panels.values())} over layers, {counts}."


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
    return closed(figure), alt
