"""Trained accuracies of the NAS-Bench-201 cells, from whichever source the user has."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.benchmarks import analog
from nbnas.benchmarks.benchmark import Benchmark, Source, Sources
from nbnas.benchmarks.nats_archive import KINDS, NATS_COLUMNS, read_nats_table
from nbnas.benchmarks.upstream import UPSTREAM
from nbnas.errors import NbnasError
from nbnas.machine.paths import fetched_file, user_data_file
from nbnas.spaces import get_space

IMPORT_HINT = "needs NATS-Bench: run nbnas data import-nats PATH"
_FETCHED = UPSTREAM["nasbench201"]

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

    def single_seed_accuracy(self, dataset: str, seed: int) -> np.ndarray:
        """Return the accuracies in percent that all cells reached with one training seed.

        They tell how noisy a trained accuracy is. They are not single seeds of :meth:`accuracy`: CIFAR-10 has here the
        validation accuracy after training on half of the images; the other data sets have the accuracy on the whole
        test set, of which the papers rank by one half. NaN where a cell was not trained with the seed.
        """
        if seed not in TRAINING_SEEDS:
            raise NbnasError(f"training seeds are {', '.join(map(str, TRAINING_SEEDS))}, got {seed!r}")
        column = f"{SINGLE_SEED_COLUMNS.get(dataset, dataset)}_s{seed}"
        if column not in self.table:
            raise NbnasError(
                f"{dataset} accuracies of training seed {seed} are not in source {self.source!r}; "
                f"source 'csv' has them: {NASBENCH201.by_name['csv'].hint}"
            )
        return self.table[column].to_numpy(dtype=float, copy=True)

    def stored_flops(self, dataset: str) -> np.ndarray:
        """Return the FLOPs of all cells in millions as the benchmark's cost query answers them.

        The query averages one stored number over the training seeds of a cell. The average of three equal floats can
        differ from the number in its last bit, which splits ties by the number of seeds and moves Kendall's tau by
        .002; the published rows depend on this. An imported archive has these averages, for the csv they are formed
        again, and a source without the number of seeds (``fetched``, ``analog``) gives the exact counts.
        """
        if f"{dataset}_flops_M" in self.table:
            return self.table[f"{dataset}_flops_M"].to_numpy(copy=True)
        exact = _exact_flops(dataset)
        if "n_seeds" not in self.table:
            return exact.copy()
        averages = {seeds: np.mean([exact] * seeds, axis=0) for seeds in self.table["n_seeds"].unique()}
        return np.choose(self.table["n_seeds"].map(list(averages).index), list(averages.values()))


@cache
def _exact_flops(dataset: str) -> np.ndarray:
    space = get_space("nasbench201")
    return np.array([space.flops_for(arch, dataset) for arch in space]) / 1e6


def _read_nats(path: Path) -> NasBench201Benchmark:
    table = read_nats_table(path, "nasbench201", "cells")
    return NasBench201Benchmark("nats", "NATS-Bench archive, 200 epochs, mean over seeds", table, NATS_COLUMNS)


def _read_csv(path: Path) -> NasBench201Benchmark:
    description = f"{path.name} (NATS-Bench, 200 epochs, mean over seeds, five decimals)"
    return NasBench201Benchmark("csv", description, read_nats_table(path, "nasbench201", "cells"), NATS_COLUMNS)


def _read_fetched(path: Path) -> NasBench201Benchmark:
    description = f"fetched {path.name} (NATS-Bench, 200 epochs, mean over seeds, five decimals; test accuracies only)"
    return NasBench201Benchmark("fetched", description, read_nats_table(path, "nasbench201", "cells"), NATS_COLUMNS)


def _read_analog(path: Path) -> NasBench201Benchmark:
    accuracies = analog.read_analog_accuracies(path)
    table = pd.DataFrame({"arch": list(get_space("nasbench201")), "cifar10_analog-test": accuracies})
    description = "AnalogNAS-Bench (an independent training of all cells, CIFAR-10 test only)"
    deviation = (
        "AnalogNAS-Bench trained the cells anew, so numbers differ a little; NATS-Bench accuracies are the papers' own."
    )
    hint = f"{_FETCHED.hint} for test accuracies; everything else {IMPORT_HINT}"
    return NasBench201Benchmark("analog", description, table, {"cifar10": "cifar10_analog-test"}, deviation, hint)


NASBENCH201 = Sources(
    "NAS-Bench-201",
    {
        "nats": Source(KINDS["topology"].find, _read_nats, IMPORT_HINT),
        "csv": Source(
            lambda: user_data_file(_FETCHED.file), _read_csv, f"set NBNAS_DATA to a folder with {_FETCHED.file}"
        ),
        "fetched": Source(lambda: fetched_file(_FETCHED.file), _read_fetched, _FETCHED.hint),
        "analog": Source(lambda: analog.installed_data_file(), _read_analog, "run pip install analog-nasbench"),
    },
)
