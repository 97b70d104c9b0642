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

PUBLISHED_FAMILIES = ("op_count", "max_op_on_path", "node_degree")
"""Families behind the published rankings of VKDNW, which chose the columns with ``op_`` or ``node_`` in their names."""

_INPUT, _OUTPUT = 0, 3
_PATHS = [[EDGES.index(edge) for edge in pairwise(path)] for path in ((0, 3), (0, 1, 3), (0, 2, 3), (0, 1, 2, 3))]
"""The four paths from input to output as positions in :data:`EDGES`."""

_SETS = tuple(chosen for size in range(len(OPERATIONS) + 1) for chosen in combinations(OPERATIONS, size))


def graph_feature_table(archs: Iterable[str], families: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the features of many cells; all 15,625 take less than a second.

    >>> cell = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"
    >>> features = graph_feature_table([cell], ["op_count", "max_op_on_path"]).loc[cell]
    >>> float(features["op_count_nor_conv_3x3"]), float(features["max_op_on_path_{nor_conv_3x3}"])
    (2.0, 2.0)

    Args:
        archs: Architecture strings.
        families: Some of :data:`FAMILIES`, such as :data:`PUBLISHED_FAMILIES`; ``None`` is all five, 221 columns.

    Returns:
        A row per cell, indexed by its string in the order given, a column per feature in the order of the families.
        A name is the family, then what it counts, the operations of a set in braces:
        ``node_degree_out_degree_{skip_connect,nor_conv_3x3}``, ``min_path_len_banned_{none}``.

    Raises:
        NbnasError: If a family is unknown or a string malformed.
    """
    families = FAMILIES if families is None else families
    for family in families:
        if family not in _FUNCTIONS:
            raise NbnasError(f"unknown family of graph features {family!r}; choose from {', '.join(FAMILIES)}")
    archs = list(archs)
    codes = [[OPERATIONS.index(name) for name in parse_cell(arch)] for arch in archs]
    cells = np.array(codes, dtype=int).reshape(len(archs), len(EDGES))
    columns = {f"{family}_{name}": column for family in families for name, column in _FUNCTIONS[family](cells)}
    return pd.DataFrame(columns, index=pd.Index(archs, name="arch"), dtype=float)


# Each of these takes the operations of n cells as positions in OPERATIONS, (n, 6), and yields names and columns (n,).


def _op_count(cells: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for code, name in enumerate(OPERATIONS):
        yield name, (cells == code).sum(axis=1)


def _min_path_len(cells: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for banned in _SETS[:-1]:
        yield f"banned_{_braces(banned)}", np.min(_path_lengths(~_has(banned, cells), missing=5), axis=0)


def _max_op_on_path(cells: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for allowed in _SETS[1:]:
        yield _braces(allowed), np.max(_path_lengths(_has(allowed, cells), missing=-1), axis=0)


def _node_degree(cells: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    leaves_input = [source == _INPUT for source, _ in EDGES]
    enters_output = [target == _OUTPUT for _, target in EDGES]
    for chosen in _SETS[1:]:
        counted = _has(chosen, cells)
        yield f"in_degree_{_braces(chosen)}", counted[:, leaves_input].sum(axis=1)
        yield f"out_degree_{_braces(chosen)}", counted[:, enters_output].sum(axis=1)
        for direction in ("in", "out"):
            yield f"avg_{direction}_{_braces(chosen)}", counted.sum(axis=1) / 4


def _op_on_position(cells: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for position, (source, target) in enumerate(EDGES):
        for code, name in enumerate(OPERATIONS):
            yield f"{source}-{target}_{name}", cells[:, position] == code


_FUNCTIONS = {
    "op_count": _op_count,
    "min_path_len": _min_path_len,
    "max_op_on_path": _max_op_on_path,
    "node_degree": _node_degree,
    "op_on_position": _op_on_position,
}

FAMILIES = tuple(_FUNCTIONS)
"""All families of graph features, each a set of columns of :func:`graph_feature_table`."""


def _has(operations: Sequence[str], cells: np.ndarray) -> np.ndarray:
    """Whether the operation of each edge is one of ``operations``, (n, 6)."""
    return np.array([name in operations for name in OPERATIONS])[cells]


def _path_lengths(usable: np.ndarray, missing: int) -> list[np.ndarray]:
    """Number of edges of each path, four columns (n,); ``missing`` where an edge of the path is not usable."""
    return [np.where(usable[:, path].all(axis=1), len(path), missing) for path in _PATHS]


def _braces(operations: Sequence[str]) -> str:
    return f"{{{','.join(operations)}}}"
