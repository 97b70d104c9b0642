"""Trained accuracies of the NATS-Bench size space, imported from the official archive."""

from pathlib import Path

from nbnas.benchmarks.accuracy_table import NATS_COLUMNS, imported_file, read_nats_table
from nbnas.benchmarks.benchmark import Benchmark, Source, Sources
from nbnas.spaces import get_space

ARCHIVE_NAME = "NATS-sss-v1_0-50262-simple"

FILE = "nats_sss.parquet"
"""What ``nbnas data import-nats`` writes into the data folder of the project."""


def _read(path: Path) -> Benchmark:
    """Read the accuracies of all 32,768 networks in index order.

    Accuracies are those on test images after 90 epochs, the mean over training seeds, in percent:
    ``cifar10_ori-test``, ``cifar100_x-test`` and ``ImageNet16-120_x-test``. For each of the three data sets,
    ``<dataset>_flops_M`` and ``<dataset>_params_M`` are multiply-adds and parameters in millions, as recorded.
    ``n_seeds`` is the number of training seeds on CIFAR-10.
    """
    table = read_nats_table(path, get_space("nats_sss"), "networks").rename(columns={"arch_str": "arch"})
    description = "NATS-Bench size archive, 90 epochs, mean over seeds"
    return Benchmark("nats", description, table, NATS_COLUMNS, hint=f"it has {', '.join(NATS_COLUMNS)}")


NATS_SSS = Sources(
    "NATS-Bench size",
    {
        "nats": Source(
            lambda: imported_file(FILE),
            _read,
            f"download and unpack {ARCHIVE_NAME}.tar, linked from the README of the NATS-Bench repository, "
            "then run nbnas data import-nats PATH",
        )
    },
)
