"""Tables of NATS-Bench accuracies: the columns that the papers rank against, reading, checks."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from nbnas.errors import NbnasError

PAPER_COLUMNS = {
    "cifar10": "cifar10_ori-test",
    "cifar100": "cifar100_x-test",
    "ImageNet16-120": "ImageNet16-120_x-test",
}
"""Data set -> column of test accuracies that the papers rank against."""


def read_imported_table(path: Path) -> pd.DataFrame | None:
    """Read a table that ``nbnas data import-nats`` wrote; None if there is none.

    Raises:
        NbnasError: If it is damaged.
    """
    if not path.exists():
        return None
    try:
        return pd.read_parquet(path)
    except Exception as error:
        raise NbnasError(
            f"{path} is damaged ({type(error).__name__}); delete it and import the archive again"
        ) from error


def check_nats_table(table: pd.DataFrame, path: Path, archs: Iterable[str], noun: str) -> None:
    """Check that a table lists all architectures in order, with a number in each of :data:`PAPER_COLUMNS`.

    Args:
        table: With the architectures in column ``arch_str``.
        path: Its file, for messages.
        archs: The architectures of the space.
        noun: What they are called in messages, in the plural.

    Raises:
        NbnasError: Says what is wrong.
    """
    expected = list(archs)
    missing = {"arch_str", *PAPER_COLUMNS.values()} - set(table.columns)
    if missing:
        raise NbnasError(f"{path} lacks the columns {', '.join(sorted(missing))}")
    if table["arch_str"].tolist() != expected:
        raise NbnasError(f"{path} does not list the {len(expected):,} {noun} in NATS-Bench order")
    for name in PAPER_COLUMNS.values():
        if not pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().any():
            raise NbnasError(f"{path} has {noun} without a number in column {name}")
