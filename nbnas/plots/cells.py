"""Cells as graphs: nodes in a row, edges as arcs between them."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from nbnas.errors import NbnasError
from nbnas.plots.drawing import CENTRED, finished, wrapped_grid
from nbnas.spaces import get_space, nasbench101, nasbench301, transnasbench101
from nbnas.spaces.four_node_cell import EDGES
from nbnas.spaces.nasbench301 import NODES

_STYLES = {"live": "-", "dead": "--", "none": ":"}
"""An edge on a path from input to output, one that is on none, one without an operation -> its line."""
_COLOURS = {
    "none": "#999999",
    "skip": "#4d4d4d",
    "conv 1x1": "#d55e00",
    "conv 3x3": "#0072b2",
    "sep 3x3": "#0072b2",
    "sep 5x5": "#d55e00",
    "dil 3x3": "#cc79a7",
    "dil 5x5": "#e69f00",
    "max 3x3": "#009e73",
    "pool 3x3": "#009e73",
}
"""Okabe and Ito's colours, which stay apart for colour-blind eyes; operations are named as well."""


class _Edge(NamedTuple):
    source: int
    target: int
    operation: str | None  # Short name; None where operations are on the nodes.
    height: float  # Of its arc; above the nodes where positive.
    style: str = "live"


class _Graph(NamedTuple):
    nodes: tuple[str, ...]
    edges: list[_Edge]
    name: str = ""  # Of the cell, where an architecture has several.


def cell_graphs(cells: Mapping[str, str], space: str = "nasbench201", columns: int = 2) -> tuple[Figure, str]:
    """Draw cells, title -> architecture string, as graphs, see :func:`nbnas.show.cell`."""
    if space not in CELL_SPACES:
        get_space(space)
        raise NbnasError(f"architectures of {space} are no cells; those of {', '.join(CELL_SPACES)} are")
    panels = [(title, graph) for title, arch in cells.items() for graph in CELL_SPACES[space](arch)]
    longest = max(len(graph.nodes) for _, graph in panels)
    # One unit of an axis is the distance between two nodes.
    spacing = 1.35 if longest == 4 else 1.15
    heights = [0, *(edge.height for _, graph in panels for edge in graph.edges)]
    low, high = min(heights) - 0.3, max(heights) + 0.3
    width, height = (longest - 0.1) * spacing, (high - low) * spacing + 0.3
    figure, axes = wrapped_grid(len(panels), columns, width, height, style=None)
    for axis, (title, graph) in zip(axes, panels, strict=True):
        axis.axis("off")
        for edge in graph.edges:
            _draw_edge(axis, edge, graph.nodes)
        for place, name in enumerate(graph.nodes):
            shape = "circle,pad=0.35" if len(name) < 4 else "round,pad=0.45"
            colour = _COLOURS.get(name, "black")
            box = {"facecolor": "#eef2f6", "edgecolor": colour, "linewidth": 1.5, "boxstyle": shape}
            axis.text(place, 0, name, fontsize=9, bbox=box, **CENTRED)
        axis.set(xlim=(-0.45, longest - 0.55), ylim=(low, high), aspect="equal")
        axis.set_title(", ".join(filter(None, (title, graph.name))), fontsize=10)
    described = "; ".join(f"{title}: {arch}" for title, arch in cells.items())
    return finished(figure, f"Cells of {space} as graphs. {described}.")


def _draw_edge(axis: plt.Axes, edge: _Edge, nodes: tuple[str, ...]) -> None:
    ends = edge.source, edge.target
    bend = -2 * edge.height / (edge.target - edge.source)
    style = {"linestyle": _STYLES[edge.style], "edgecolor": _COLOURS[edge.operation or "skip"]}
    # Straight edges end at the boxes of their nodes, whose half width in points this is about.
    gaps = [14 if edge.height else 13 if len(nodes[end]) < 4 else 8 + 2.4 * len(nodes[end]) for end in ends]
    arrow = {"arrowstyle": "-|>", "mutation_scale": 12, "connectionstyle": f"arc3,rad={bend}"}
    arrow |= {"facecolor": style["edgecolor"], "linewidth": 1 if edge.style == "none" else 2}
    axis.add_patch(FancyArrowPatch(*((end, 0) for end in ends), shrinkA=gaps[0], shrinkB=gaps[1], **arrow, **style))
    if edge.operation is not None:
        box = {"facecolor": "white", "boxstyle": "round,pad=0.25", **style}
        axis.text(sum(ends) / 2, edge.height, edge.operation, fontsize=8, bbox=box, **CENTRED)


def _short(operation: str) -> str:
    """Shorten "max_pool_3x3" to "max 3x3", "1x1 convolution" to "conv 1x1", "input" to "in"."""
    kinds = re.findall("skip|sep|dil|max|avg|conv|in|out|none", operation)
    return " ".join([kinds[0].replace("avg", "pool"), *re.findall(r"\dx\d", operation)])


_HEIGHTS = {(0, 1): 0.0, (1, 2): 0.0, (2, 3): 0.0, (0, 2): 0.55, (1, 3): -0.55, (0, 3): 1.05}


def _four_nodes(space_name: str, arch: str) -> Iterator[_Graph]:
    space, edges = get_space(space_name), []
    for edge, choice, kept in zip(EDGES, space.parse(arch), space.parse(space.live_form(arch)), strict=True):
        name = transnasbench101.OPERATIONS[choice] if isinstance(choice, int) else choice
        style = "none" if name == "none" else "live" if choice == kept else "dead"
        edges.append(_Edge(*edge, _short(name), _HEIGHTS[edge], style))
    yield _Graph(("in", "1", "2", "out"), edges)


def _nasbench101(arch: str) -> Iterator[_Graph]:
    graph = nasbench101.parse_cell(arch)
    edges = []
    for source, target in graph.edges:
        # Straight to the next; above to the output, below to the others.
        bend = 0 if target == source + 1 else 0.5 if target == graph.output else -0.5
        edges.append(_Edge(source, target, None, bend * (target - source) / 2))
    yield _Graph(tuple(map(_short, graph.operations)), edges)


def _nasbench301(arch: str) -> Iterator[_Graph]:
    for name, cell in zip(("normal", "reduction"), nasbench301.parse_architecture(arch), strict=True):
        # The nearer input arrives from below, the farther one from above.
        edges = [
            _Edge(edge.source, target, _short(edge.operation), side * (target - edge.source))
            for target, node in zip(NODES, cell, strict=True)
            for edge, side in zip(node, (0.3, -0.3), strict=True)
        ]
        yield _Graph(("k-2", "k-1", *map(str, NODES)), edges, f"{name} cell")


CELL_SPACES: Mapping[str, Callable[[str], Iterator[_Graph]]] = {
    **{name: partial(_four_nodes, name) for name in ("nasbench201", "transnasbench101_micro")},
    **dict.fromkeys(("nasbench101", *(f"nasbench1shot1_ss{number}" for number in (1, 2, 3))), _nasbench101),
    "nasbench301": _nasbench301,
}
"""Space whose architectures are cells -> the graphs of one, two where it has a normal and a reduction cell."""
