"""Tables of architectures with accuracy and cost, as the user puts them into the folder ``$NBNAS_DATA``."""

import ast
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from nbnas.benchmarks.benchmark import Benchmark
from nbnas.errors import NbnasError
from nbnas.paths import user_data_file

COLUMNS = ("cifar10_val", "flops", "params")
"""Accuracy in percent; operations and parameters in millions."""


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
        path = user_data_file(self.file)
        if path is None:
            raise NbnasError(f"no {self.title} accuracies found: set NBNAS_DATA to a folder with {self.file}")
        try:
            table = pd.read_csv(path)
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise NbnasError(f"{path} cannot be read as a gzipped csv: {reason}") from error
        missing = {"arch", *COLUMNS} - set(table.columns)
        if missing:
            raise NbnasError(f"{path} lacks the columns {', '.join(sorted(missing))}")
        for name in COLUMNS:
            if not pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().any():
                raise NbnasError(f"{path} has rows without a number in column {name}")
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
