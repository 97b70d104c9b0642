"""A table of trained accuracies, and the files that it may come from."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.benchmarks.upstream import UPSTREAM
from nbnas.errors import NbnasError, first_line
from nbnas.machine.paths import user_or_fetched_file


@dataclass(frozen=True)
class Benchmark:
    """Trained accuracies in percent, one row per architecture."""

    source: str
    description: str
    """One line to print beside every number that rests on this table."""
    table: pd.DataFrame
    """With a column ``arch``; where the space can be listed, in the order of its indices."""
    accuracy_columns: Mapping[str, str]
    """Data set -> column to rank against, for the data sets that the source has."""
    deviation: str = ""
    """Why numbers that rest on this table may deviate from published ones; empty for the papers' own accuracies."""
    hint: str = ""
    """What to do for the data sets that the source lacks."""
    sample: str = ""
    """Of what the rows are a random sample, a sentence for the notes of numbers, which then have the interval of a
    sample; empty if the rows are all that is ranked."""

    @property
    def archs(self) -> list[str]:
        """Architectures, in the order of the rows."""
        return self.table["arch"].tolist()

    def accuracy(self, dataset: str) -> np.ndarray:
        """Return the accuracies in percent of all rows.

        Raises:
            NbnasError: If the source lacks the data set; the message says which source has it.
        """
        if dataset not in self.accuracy_columns:
            raise NbnasError(f"{dataset} test accuracies are not in source {self.source!r}: {self.hint}")
        return self.table[self.accuracy_columns[dataset]].to_numpy(copy=True)

    def stored_flops(self, dataset: str) -> np.ndarray | None:
        """Return the FLOPs of all rows as the benchmark answers them; ``None`` where these are the exact counts."""
        return None


@dataclass(frozen=True)
class Source:
    """A file that holds the accuracies of a benchmark."""

    find: Callable[[], Path | None]
    """Where the file is, or None where there is none."""
    read: Callable[[Path], Benchmark]
    """Raises :class:`NbnasError` where the file is damaged."""
    hint: str
    """How to get it."""


@dataclass(frozen=True)
class Sources:
    """All sources of one benchmark's accuracies, the preferred one first."""

    title: str
    by_name: Mapping[str, Source]

    def load(self, name: str = "auto") -> Benchmark:
        """Load from a source by its name, or with ``auto`` from the first one present."""
        if name not in ("auto", *self.by_name):
            raise NbnasError(
                f"unknown source {name!r} of {self.title} accuracies; choose from auto, {', '.join(self.by_name)}"
            )
        wanted = list(self.by_name.values()) if name == "auto" else [self.by_name[name]]
        for source in wanted:
            if path := source.find():
                return source.read(path)
        raise NbnasError(f"no {self.title} accuracies found: " + "; or ".join(source.hint for source in wanted))

    def describe(self) -> list[str]:
        """Say, a line per source, whether it is present, which data sets it has, and how to get it if not."""
        lines = []
        for name, source in self.by_name.items():
            try:
                path = source.find()
                found = source.read(path) if path else None
                state = f"present, {found.description}; has {', '.join(found.accuracy_columns)}" if found else ""
            except NbnasError as error:
                state = f"unusable: {error}"
            lines.append(f"{name}: {state or f'absent; {source.hint}'}")
        return lines


def user_file(name: str, read: Callable[[Path], Benchmark]) -> Source:
    """Return the source that is a file of the folder that ``$NBNAS_DATA`` names, or the fetched one of that name."""
    fetch_hints = [f"{table.hint}, or " for table in UPSTREAM.values() if table.file == name]
    hint = f"{''.join(fetch_hints)}set NBNAS_DATA to a folder with {name}"
    return Source(lambda: user_or_fetched_file(name), read, hint)


def read_table(path: Path, arch_column: str, numbers: Iterable[str], noun: str = "rows") -> pd.DataFrame:
    """Read a gzipped csv, or a parquet file that an import left; ``noun`` is what the rows are called in messages.

    :class:`NbnasError` if it is damaged, lacks ``arch_column`` or one of the columns ``numbers``, or a number in these.
    """
    imported = path.suffix == ".parquet"
    try:
        table = pd.read_parquet(path) if imported else pd.read_csv(path)
    except Exception as error:
        damaged = f"is damaged ({type(error).__name__}); delete it and import the archive again"
        message = damaged if imported else f"cannot be read as a gzipped csv: {first_line(error)}"
        raise NbnasError(f"{path} {message}") from error
    missing = {arch_column, *numbers} - set(table.columns)
    if missing:
        raise NbnasError(f"{path} lacks the columns {', '.join(sorted(missing))}")
    for name in numbers:
        if len(table) and (not pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().any()):
            raise NbnasError(f"{path} has {noun} without a number in column {name}")
    return table
