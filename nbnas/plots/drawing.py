"""What figures share."""

import io
from collections.abc import Collection, Hashable, Iterable
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

CENTRED = {"ha": "center", "va": "center"}
"""Alignment of a text about its place."""
BELOW = {"loc": "outside lower center", "frameon": False, "fontsize": 9}
"""Where and how a figure has its legend."""
THIN = {"color": "#555555", "linewidth": 0.8}
"""A line at zero, or at one."""


def grid(
    size: tuple[float, float], rows: int = 1, columns: int = 1, *, style: str | None = "whitegrid", **options: Any
) -> tuple[Figure, np.ndarray]:
    """Make a figure of a size in inches, and its axes (rows, columns)."""
    with sns.axes_style(style):
        return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)


def wrapped_grid(
    panels: int, columns: int, width: float, height: float, above: float = 0, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Make a figure and its axes (panels,) of a width and height in inches, ``columns`` to a row."""
    columns = min(columns, panels)
    rows = -(-panels // columns)
    figure, axes = grid((width * columns, above + height * rows), rows, columns, **options)
    for axis in axes.flat[panels:]:
        axis.remove()
    return figure, axes.flat[:panels]


def colours(names: Collection[Hashable]) -> dict[Hashable, tuple[float, float, float]]:
    """Return name -> colour of a palette for colour-blind eyes."""
    return dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))


def line_handles(palette: dict[Hashable, Any], **style: Any) -> list[plt.Line2D]:
    """Return entries of a legend: a line with a dot per name and colour."""
    return [plt.Line2D([], [], color=colour, marker="o", label=str(name), **style) for name, colour in palette.items()]


def name_rows(axis: plt.Axes, names: Iterable[str]) -> None:
    """Name the rows at the heights 0, 1, and so on; the first is on top."""
    names = list(names)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)


def finished(figure: Figure, alt: str, title: str | None = None) -> tuple[Figure, str]:
    """Return a figure and its alternative text, which becomes its label, too.

    The figure is detached from pyplot: a notebook then shows it once, where it is returned, with that text.
    """
    if title:
        figure.suptitle(title, fontsize=11)
    figure.set_label(alt)
    figure._repr_mimebundle_ = partial(_picture, figure)
    plt.close(figure)
    return figure, alt


def _picture(figure: Figure, **_: object) -> tuple[dict[str, bytes], dict[str, dict[str, str]]]:
    """Return a figure as notebooks show it, and its alternative text as nbconvert finds it."""
    file = io.BytesIO()
    figure.savefig(file, dpi=110, bbox_inches="tight")
    return {"image/png": file.getvalue()}, {"image/png": {"alt": figure.get_label()}}
