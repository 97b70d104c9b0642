"""Trained accuracies of the NATS-Bench size space, imported from the official archive."""

from pathlib import Path

from nbnas.benchmarks.benchmark import Benchmark, Source, Sources
from nbnas.benchmarks.nats_archive import KINDS, NATS_COLUMNS, read_nats_table


def _read(path: Path) -> Benchmark:
    """Read the accuracies of all 32,768 networks in index order.

    Accuracies are those on test images after 90 epochs, the mean over training seeds, in percent:
    ``cifar10_ori-test``, ``cifar100_x-test`` and ``ImageNet16-120_x-test``. For each of the three data sets,
    ``<dataset>_flops_M`` and ``<dataset>_params_M`` are multiply-adds and parameters in millions, as recorded.
    ``n_seeds`` is the number of training seeds on CIFAR-10.
    """
    table = read_nats_table(path, "nats_sss", "networks")
    description = "NATS-Bench size archive, 90 epochs, mean over seeds"
    return Benchmark("nats", description, table, NATS_COLUMNS, hint=f"it has {', '.join(NATS_COLUMNS)}")


_HINT = (
    f"download and unpack {KINDS['size'].folder}.tar, linked from the README of the NATS-Bench repository, then run "
    "nbnas data import-nats PATH"
)
NATS_SSS = Sources("NATS-Bench size", {"nats": Source(KINDS["size"].find, _read, _HINT)})
