"""Tables of architectures with accuracy and cost, as the user puts them into the folder ``$NBNAS_DATA``."""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nbnas.benchmarks.benchmark import Benchmark
from nbnas.errors import NbnasError, first_line
from nbnas.machine.paths import user_data_file

COLUMNS = ("cifar10_val", "flops", "params")
"""Accuracy in percent; operations and parameters in millions."""


def read_ready_table(title: str, file: str, columns: Sequence[str]) -> tuple[Path, pd.DataFrame]:
    """Read a gzipped csv of the user's data folder that has ``arch`` and the given columns, those of numbers.

    Args:
        title: Name of the benchmark in messages.
        file: Name of the file.
        columns: Columns that must be there, with a number in every row.

    Raises:
        NbnasError: If the file is absent or damaged.
    """
    path = user_data_file(file)
    if path is None:
        raise NbnasError(f"no {title} accuracies found: set NBNAS_DATA to a folder with {file}")
    try:
        table = pd.read_csv(path)
    except Exception as error:
        raise NbnasError(f"{path} cannot be read as a gzipped csv: {first_line(error)}") from error
    missing = {"arch", *columns} - set(table.columns)
    if missing:
        raise NbnasError(f"{path} lacks the columns {', '.join(sorted(missing))}")
    for name in columns:
        if not pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().any():
            raise NbnasError(f"{path} has rows without a number in column {name}")
    return path, table


@dataclass(frozen=True)
class ReadyTable:
    """A gzipped csv with the columns ``arch`` and :data:`COLUMNS`, of one benchmark."""

    title: str
    """Name of the benchmark in messages."""
    file: str
    description: str
    deviation: str
    translate: Callable[[object], str]
    """From the entry in column ``arch``, a Python literal, to the architecture string of the space."""

    def load(self, source: str = "auto") -> Benchmark:
        """Load the table; its column ``arch`` gets the space's strings, in the order of the file.

        Raises:
            NbnasError: If the source is unknown, or the file is absent or damaged.
        """
        if source not in ("auto", "csv"):
            raise NbnasError(f"unknown source {source!r}; choose from auto, csv")
        path, table = read_ready_table(self.title, self.file, COLUMNS)
        archs = []
        for row, text in enumerate(table["arch"]):
            try:
                archs.append(self.translate(ast.literal_eval(text)))
            except Exception as error:
                raise NbnasError(f"row {row} of {path} is not a {self.title} architecture: {error}") from error
        return Benchmark(
            source="csv",
            description=self.description,
            table=table.assign(arch=archs),
            accuracy_columns={"cifar10": "cifar10_val"},
            deviation=self.deviation,
            hint="it has cifar10 alone",
        )
