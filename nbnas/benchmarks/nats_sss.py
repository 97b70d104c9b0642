"""Trained accuracies of the NATS-Bench size space, imported from the official archive."""

from pathlib import Path

from nbnas.benchmarks.benchmark import Benchmark
from nbnas.benchmarks.nats_table import PAPER_COLUMNS, check_nats_table, read_imported_table
from nbnas.errors import NbnasError
from nbnas.machine.paths import data_folder
from nbnas.spaces import get_space

ARCHIVE_NAME = "NATS-sss-v1_0-50262-simple"

HINT = (
    f"download and unpack {ARCHIVE_NAME}.tar, linked from the README of the NATS-Bench repository, "
    "then run nbnas data import-nats PATH"
)


def imported_table() -> Path:
    """Where ``nbnas data import-nats`` puts its table."""
    return data_folder() / "nats_sss.parquet"


def load_nats_sss(source: str = "nats") -> Benchmark:
    """Load the accuracies of all 32,768 networks in index order; see :func:`nbnas.load_benchmark`.

    Accuracies are those on test images after 90 epochs, the mean over training seeds, in percent:
    ``cifar10_ori-test``, ``cifar100_x-test`` and ``ImageNet16-120_x-test``. For each of the three data sets,
    ``<dataset>_flops_M`` and ``<dataset>_params_M`` are multiply-adds and parameters in millions, as recorded.
    ``n_seeds`` is the number of training seeds on CIFAR-10.

    Raises:
        NbnasError: If the table is absent or damaged, or another source is asked for; the message says what to do.
    """
    if source != "nats":
        raise NbnasError(f"unknown source {source!r} of NATS-Bench size accuracies; the only one is nats")
    path = imported_table()
    table = read_imported_table(path)
    if table is None:
        raise NbnasError(f"no NATS-Bench size accuracies found: {HINT}")
    check_nats_table(table, path, get_space("nats_sss"), "networks")
    return Benchmark(
        source="nats",
        description="NATS-Bench size archive, 90 epochs, mean over seeds",
        table=table.rename(columns={"arch_str": "arch"}),
        accuracy_columns=dict(PAPER_COLUMNS),
        hint=f"it has {', '.join(PAPER_COLUMNS)}",
    )
