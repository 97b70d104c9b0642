"""GRAF: properties of the graph of a NAS-Bench-201 cell, counted without building the network.

With A a set of operations, a path leading from the input to the output of the cell, and ``none`` an operation like any
other:

    op_count        number of edges with one operation                                                       5 columns
    min_path_len    edges on the shortest path without the operations A; 5 if there is none                  31
    max_op_on_path  edges on the longest path with no operations but A; -1 if there is none                  31
    node_degree     number of edges with operations A: in_degree those that leave the input, out_degree
                    those that enter the output (the published names), avg_in and avg_out the mean
                    over the four nodes of the edges that enter and leave, which are equal                  124
    op_on_position  1 where an edge has an operation, else 0                                                 30

A runs over the non-empty sets, for min_path_len over all but the full set.
Source: Kadlecova et al., ICML 2024 (key ``kadlecova2024graf``).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError
from nbnas.spaces.four_node_cell import EDGES
from nbnas.spaces.nasbench201 import OPERATIONS, parse_cell

FAMILIES = ("op_count", "min_path_len", "max_op_on_path", "node_degree", "op_on_position")
"""All families of graph features, each a set of columns of :func:`graph_feature_table`."""
PUBLISHED_FAMILIES = ("op_count", "max_op_on_path", "node_degree")
"""Families behind the published rankings of VKDNW, which chose the columns with ``op_`` or ``node_`` in their names."""

_PATHS = [[EDGES.index(edge) for edge in pairwise(path)] for path in ((0, 3), (0, 1, 3), (0, 2, 3), (0, 1, 2, 3))]
"""The four paths from input to output as positions in :data:`EDGES`."""


def graph_feature_table(archs: Iterable[str], families: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the features of many cells; all 15,625 take less than a second.

    ``families`` are some of :data:`FAMILIES`, such as :data:`PUBLISHED_FAMILIES`; ``None`` is all five, 221 columns.
    The table has a row per cell, indexed by its string in the order given, and a column per feature in the order of the
    families. A name is the family, then what it counts, the operations of a set in braces:
    ``node_degree_out_degree_{skip_connect,nor_conv_3x3}``, ``min_path_len_banned_{none}``.

    >>> cell = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"
    >>> features = graph_feature_table([cell], ["op_count", "max_op_on_path"]).loc[cell]
    >>> float(features["op_count_nor_conv_3x3"]), float(features["max_op_on_path_{nor_conv_3x3}"])
    (2.0, 2.0)
    """
    families = FAMILIES if families is None else families
    for family in families:
        if family not in FAMILIES:
            raise NbnasError(f"unknown family of graph features {family!r}; choose from {', '.join(FAMILIES)}")
    archs = list(archs)
    codes = [[OPERATIONS.index(name) for name in parse_cell(arch)] for arch in archs]
    columns = dict(_features(np.array(codes, dtype=int).reshape(len(archs), len(EDGES))))
    chosen = {name: columns[name] for family in families for name in columns if name.startswith(f"{family}_")}
    return pd.DataFrame(chosen, index=pd.Index(archs, name="arch"), dtype=float)


def _features(cells: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and columns (n,), given the operations of n cells as positions in OPERATIONS, (n, 6)."""
    leaves_input, enters_output = ([edge[end] == node for edge in EDGES] for end, node in ((0, 0), (1, 3)))
    for code, name in enumerate(OPERATIONS):
        yield f"op_count_{name}", (cells == code).sum(axis=1)
    for operations in (chosen for size in range(len(OPERATIONS) + 1) for chosen in combinations(OPERATIONS, size)):
        braces = f"{{{','.join(operations)}}}"
        has = np.array([name in operations for name in OPERATIONS])[cells]
        if len(operations) < len(OPERATIONS):
            yield f"min_path_len_banned_{braces}", np.min(_path_lengths(~has, missing=5), axis=0)
        if operations:
            yield f"max_op_on_path_{braces}", np.max(_path_lengths(has, missing=-1), axis=0)
            yield f"node_degree_in_degree_{braces}", has[:, leaves_input].sum(axis=1)
            yield f"node_degree_out_degree_{braces}", has[:, enters_output].sum(axis=1)
            yield f"node_degree_avg_in_{braces}", has.sum(axis=1) / 4
            yield f"node_degree_avg_out_{braces}", has.sum(axis=1) / 4
    for position, (source, target) in enumerate(EDGES):
        for code, name in enumerate(OPERATIONS):
            yield f"op_on_position_{source}-{target}_{name}", cells[:, position] == code


def _path_lengths(usable: np.ndarray, missing: int) -> list[np.ndarray]:
    """Number of edges of each path, four columns (n,); ``missing`` where an edge of the path is not usable."""
    return [np.where(usable[:, path].all(axis=1), len(path), missing) for path in _PATHS]
