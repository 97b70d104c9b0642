"""What figures share."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

CENTRED = {"ha": "center", "va": "center"}
"""Alignment of a text about its place."""


def closed(figure: Figure) -> Figure:
    """Detach from pyplot, so that a notebook shows the figure once, where it is returned."""
    plt.close(figure)
    return figure
