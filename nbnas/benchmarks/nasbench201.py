"""Trained accuracies of the NAS-Bench-201 cells, from whichever source the user has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.benchmarks.analog import read_analog_accuracies
from nbnas.benchmarks.benchmark import Benchmark
from nbnas.benchmarks.nats_table import PAPER_COLUMNS, check_nats_table, read_imported_table
from nbnas.errors import NbnasError
from nbnas.machine.paths import data_folder, user_data_file
from nbnas.spaces import get_space

IMPORT_HINT = "needs NATS-Bench: run nbnas data import-nats PATH"

READY_TABLE = "nasbench201.csv.gz"
"""File in the folder that ``$NBNAS_DATA`` names."""

HINTS = {
    "nats": IMPORT_HINT,
    "csv": f"set NBNAS_DATA to a folder with {READY_TABLE}",
    "analog": "run pip install analog-nasbench",
}
"""Source -> how to get it."""

TRAINING_SEEDS = (777, 888, 999)
"""Seeds with which NATS-Bench trained each cell, the last one only for 8,169 of them."""

SINGLE_SEED_COLUMNS = {
    "cifar10": "cifar10-valid_x-valid",
    "cifar100": "cifar100_ori-test",
    "ImageNet16-120": "ImageNet16-120_ori-test",
}
"""Data set -> column that the csv also has for single training seeds."""


@dataclass(frozen=True)
class NasBench201Benchmark(Benchmark):
    """Accuracies of the 15,625 cells in NATS-Bench index order."""

    hint: str = IMPORT_HINT

    @property
    def archs(self) -> list[str]:
        """Cells, in the order of the rows."""
        return list(get_space("nasbench201"))

    def single_seed_accuracy(self, dataset: str, seed: int) -> np.ndarray:
        """Return the accuracies in percent that all cells reached with one training seed.

        They tell how noisy a trained accuracy is. They are not single seeds of :meth:`accuracy`: CIFAR-10 has here the
        validation accuracy after training on half of the images; the other data sets have the accuracy on the whole
        test set, of which the papers rank by one half.

        Args:
            dataset: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
            seed: One of :data:`TRAINING_SEEDS`.

        Returns:
            (15625,), NaN where a cell was not trained with the seed.

        Raises:
            NbnasError: If there is no such seed or the source lacks it; the message says which source has it.
        """
        if seed not in TRAINING_SEEDS:
            raise NbnasError(f"training seeds are {', '.join(map(str, TRAINING_SEEDS))}, got {seed!r}")
        column = f"{SINGLE_SEED_COLUMNS.get(dataset, dataset)}_s{seed}"
        if column not in self.table:
            raise NbnasError(
                f"{dataset} accuracies of training seed {seed} are not in source {self.source!r}; "
                f"source 'csv' has them: {HINTS['csv']}"
            )
        return self.table[column].to_numpy(dtype=float, copy=True)

    def stored_flops(self, dataset: str) -> np.ndarray:
        """Return the FLOPs of all cells in millions as the benchmark's cost query answers them.

        The query averages one stored number over the training seeds of a cell. The average of three equal floats can
        differ from the number in its last bit, which splits ties by the number of seeds and moves Kendall's tau by
        .002; the published rows rest on that. An imported archive has these averages, for the csv they are formed
        again, and a source without the number of seeds gives the exact counts.
        """
        if f"{dataset}_flops_M" in self.table:
            return self.table[f"{dataset}_flops_M"].to_numpy(copy=True)
        space = get_space("nasbench201")
        shape = space.datasets[dataset]
        exact = np.array([space.flops(arch, shape.resolution, shape.num_classes) for arch in space]) / 1e6
        if "n_seeds" not in self.table:
            return exact
        seeds = self.table["n_seeds"].to_numpy()
        return np.array([np.mean([value] * count) for value, count in zip(exact, seeds, strict=True)])


def imported_table() -> Path:
    """Where ``nbnas data import-nats`` puts its table."""
    return data_folder() / "nasbench201_nats.parquet"


def load_nasbench201(source: str = "auto") -> NasBench201Benchmark:
    """Load from ``source``, or from the first source present; see :func:`nbnas.load_benchmark`."""
    if source not in ("auto", *SOURCES):
        raise NbnasError(f"unknown source {source!r}; choose from auto, {', '.join(SOURCES)}")
    wanted = list(SOURCES) if source == "auto" else [source]
    for name in wanted:
        benchmark = SOURCES[name]()
        if benchmark is not None:
            return benchmark
    raise NbnasError("no NAS-Bench-201 accuracies found: " + "; or ".join(HINTS[name] for name in wanted))


def describe_sources() -> list[str]:
    """Say, a line per source, whether it is present, which data sets it has, and how to get it if not."""
    lines = []
    for name, load in SOURCES.items():
        try:
            benchmark = load()
        except NbnasError as error:
            lines.append(f"{name}: unusable: {error}")
            continue
        if benchmark is None:
            lines.append(f"{name}: absent; {HINTS[name]}")
        else:
            unlocked = ", ".join(benchmark.accuracy_columns)
            lines.append(f"{name}: present, {benchmark.description}; unlocks the {unlocked} columns of every table")
    return lines


def _load_nats() -> NasBench201Benchmark | None:
    path = imported_table()
    table = read_imported_table(path)
    if table is None:
        return None
    return _checked("nats", "NATS-Bench archive, 200 epochs, mean over seeds", table, path)


def _load_csv() -> NasBench201Benchmark | None:
    path = user_data_file(READY_TABLE)
    if path is None:
        return None
    try:
        table = pd.read_csv(path)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NbnasError(f"{path} cannot be read as a gzipped csv: {reason}") from error
    description = "nasbench201.csv.gz (NATS-Bench, 200 epochs, mean over seeds, five decimals)"
    return _checked("csv", description, table, path)


def _load_analog() -> NasBench201Benchmark | None:
    accuracies = read_analog_accuracies()
    if accuracies is None:
        return None
    table = pd.DataFrame({"cifar10_analog-test": accuracies})
    description = "AnalogNAS-Bench (an independent training of all cells, CIFAR-10 test only)"
    deviation = "Deviates because AnalogNAS-Bench trained the cells anew; rerun with NATS-Bench accuracies."
    return NasBench201Benchmark("analog", description, table, {"cifar10": "cifar10_analog-test"}, deviation)


SOURCES: dict[str, Callable[[], NasBench201Benchmark | None]] = {
    "nats": _load_nats,
    "csv": _load_csv,
    "analog": _load_analog,
}
"""Name -> loader, in order of preference; a loader returns None where its source is absent."""


def _checked(source: str, description: str, table: pd.DataFrame, path: Path) -> NasBench201Benchmark:
    check_nats_table(table, path, get_space("nasbench201"), "cells")
    return NasBench201Benchmark(source, description, table, dict(PAPER_COLUMNS))
