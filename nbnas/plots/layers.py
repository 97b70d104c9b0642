"""What the layers of a network measure."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from nbnas.plots.drawing import BELOW, colours, finished, grid

_DOTTED = {"marker": "o", "markersize": 3, "linewidth": 0.8}


def layer_profiles(
    panels: Mapping[str, Mapping[str, pd.DataFrame]],
    rows: Sequence[tuple[str, str | None, str]],
    title: str,
    logarithmic: Sequence[str] = (),
) -> tuple[Figure, str]:
    """Draw quantities of layers over depth: a column of panels per set of networks, a row per quantity.

    ``panels``: title -> name of a network -> its layers, with a column ``depth``. ``rows``: column to draw, column of
    its reference (drawn dashed) or None, and label. ``logarithmic``: columns with such a scale.
    """
    size = (1.2 + 4.6 * len(panels), 1.2 + 2.2 * len(rows))
    figure, axes = grid(size, len(rows), len(panels), sharex="col", sharey="row")
    for column, (name, networks) in zip(axes.T, panels.items(), strict=True):
        for axis, (quantity, reference, _) in zip(column, rows, strict=True):
            for network, colour in colours(networks).items():
                layers = networks[network]
                if reference:
                    style = {"color": colour, "linewidth": 1, "linestyle": "--", "drawstyle": "steps-mid"}
                    axis.plot(layers["depth"], layers[reference], alpha=0.7, **style)
                axis.plot(layers["depth"], layers[quantity], color=colour, label=network, **_DOTTED)
            axis.set_yscale("log" if quantity in logarithmic else "linear")
        column[0].set_title(name, fontsize=11)
        column[-1].set_xlabel("layer")
        column[-1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), frameon=False, fontsize=9)
    for axis, (*_, label) in zip(axes[:, 0], rows, strict=True):
        axis.set_ylabel(label)
    dashed = "; dashed: from sizes alone" if any(reference for _, reference, _ in rows) else ""
    drawn = "; ".join(f"{name}: {', '.join(networks)}" for name, networks in panels.items())
    alt = f"{title}: {', '.join(label for *_, label in rows)} over layers for {drawn}."
    return finished(figure, alt, title + dashed)


def layer_vectors(networks: Mapping[str, pd.DataFrame], title: str) -> tuple[Figure, str]:
    """Draw the two vectors whose dot product is T-CET, layer by layer, side by side; zeros have no logarithm.

    ``networks``: name -> layers, see :func:`nbnas.proxies.tcet.layer_vectors`. They are named below where there is
    room, which is for one network of up to 24 layers.
    """
    panels = {"signal_to_noise": "S / σ of saliencies", "log_determinant": "ln |det K| (nats)"}
    figure, [axes] = grid((9.6, 4.2), 1, 2)
    for axis, (column, label) in zip(axes, panels.items(), strict=True):
        for name, colour in colours(networks).items():
            depth = range(1, len(networks[name]) + 1)
            axis.plot(depth, networks[name][column], color=colour, label=name, **_DOTTED)
        axis.set(xlabel="layer, in the order of the network", ylabel=label)
        axis.xaxis.get_major_locator().set_params(integer=True)
    if all((layers["signal_to_noise"] >= 0).all() for layers in networks.values()):
        axes[0].set_yscale("log")
    names = next(iter(networks.values())).index
    if len(networks) > 1:
        figure.legend(*axes[0].get_legend_handles_labels(), ncols=4, **BELOW)
    elif len(names) <= 24:
        for axis in axes:
            axis.set_xticks(range(1, len(names) + 1), names, rotation=60, ha="right", fontsize=8)
    counts = ", ".join(f"{len(layers)} of {name}" for name, layers in networks.items())
    return finished(figure, f"{title}: {' and '.join(panels.values())} over layers, {counts}.", title)


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

    ``table`` has a row per layer: ``panel``, ``group`` (colour), ``x`` (the size, on a logarithmic scale) and ``y`` (on
    one, too, if ``logarithmic``). ``references``: label of a dashed line in every panel -> its x and y.
    """
    panels = table["panel"].value_counts(sort=False)
    figure, axes = grid((0.6 + 4.4 * len(panels), 4.4), 1, len(panels), sharex=True, sharey=True)
    for axis, panel in zip(axes[0], panels.index, strict=True):
        for (label, (x, y)), style in zip(references.items(), ("--", ":", "-."), strict=False):
            axis.plot(x, y, color="black", linewidth=1, linestyle=style, label=label)
        for group, colour in colours(table["group"].unique()).items():
            own = table[(table["panel"] == panel) & (table["group"] == group)]
            axis.plot(own["x"], own["y"], "o", color=colour, markersize=4, alpha=0.5, markeredgewidth=0, label=group)
        axis.set(xscale="log", yscale="log" if logarithmic else "linear", title=panel, xlabel=xlabel)
    axes[0, 0].set_ylabel(ylabel)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), ncols=4, **BELOW)
    counts = ", ".join(f"{count} of {panel}" for panel, count in panels.items())
    alt = f"{title}: scatter of {ylabel} against {xlabel} for layers, {counts}, with {', '.join(references)}."
    return finished(figure, alt, title)
