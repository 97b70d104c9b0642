"""Reading a table of accuracies from the user's data folder or from an import, and checking it."""

import ast
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from nbnas.benchmarks.benchmark import Benchmark, Source
from nbnas.errors import NbnasError, first_line
from nbnas.machine.paths import data_folder, user_data_file

NATS_COLUMNS = {
    "cifar10": "cifar10_ori-test",
    "cifar100": "cifar100_x-test",
    "ImageNet16-120": "ImageNet16-120_x-test",
}
"""Data set -> column of NATS-Bench test accuracies that the papers rank against."""


def user_file(name: str, read: Callable[[Path], Benchmark]) -> Source:
    """Return the source that is a file of the folder that ``$NBNAS_DATA`` names."""
    return Source(lambda: user_data_file(name), read, f"set NBNAS_DATA to a folder with {name}")


def imported_file(name: str) -> Path | None:
    """Return a table that ``nbnas data import-nats`` wrote, or None if there is none."""
    path = data_folder() / name
    return path if path.exists() else None


def read_table(path: Path, arch_column: str, numbers: Iterable[str], noun: str = "rows") -> pd.DataFrame:
    """Read a gzipped csv, or a parquet file that an import left; ``noun`` is what the rows are called in messages.

    Raises:
        NbnasError: If the file is damaged, lacks ``arch_column`` or one of ``numbers``, or a number in these.
    """
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except Exception as error:
        if path.suffix == ".parquet":
            raise NbnasError(
                f"{path} is damaged ({type(error).__name__}); delete it and import the archive again"
            ) from error
        raise NbnasError(f"{path} cannot be read as a gzipped csv: {first_line(error)}") from error
    missing = {arch_column, *numbers} - set(table.columns)
    if missing:
        raise NbnasError(f"{path} lacks the columns {', '.join(sorted(missing))}")
    for name in numbers:
        if len(table) and (not pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().any()):
            raise NbnasError(f"{path} has {noun} without a number in column {name}")
    return table


def read_nats_table(path: Path, archs: Iterable[str], noun: str) -> pd.DataFrame:
    """Read the accuracies of all architectures of a NATS-Bench space; errors are those of :func:`read_table`."""
    table, archs = read_table(path, "arch_str", NATS_COLUMNS.values(), noun), list(archs)
    if table["arch_str"].tolist() != archs:
        raise NbnasError(f"{path} does not list the {len(archs):,} {noun} in NATS-Bench order")
    return table


def naslib_source(file: str, title: str, description: str, deviation: str, translate: Callable) -> Source:
    """Return the source that is one of NASLib's tables of CIFAR-10 validation accuracies.

    Column ``cifar10_val`` is in percent, ``flops`` (as tensorwatch counts them) and ``params`` are in millions.
    ``translate`` makes the architecture string of the space from an entry of column ``arch``, a Python literal.
    """

    def read(path: Path) -> Benchmark:
        table = read_table(path, "arch", ("cifar10_val", "flops", "params"))
        archs = []
        for row, text in enumerate(table["arch"]):
            try:
                archs.append(translate(ast.literal_eval(text)))
            except Exception as error:
                raise NbnasError(f"row {row} of {path} is not a {title} architecture: {error}") from error
        columns = {"cifar10": "cifar10_val"}
        return Benchmark("csv", description, table.assign(arch=archs), columns, deviation, hint="it has cifar10 alone")

    return user_file(file, read)
