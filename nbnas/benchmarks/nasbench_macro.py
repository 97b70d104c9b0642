"""Trained accuracies of NAS-Bench-Macro, from the benchmark's json file in the user's data folder."""

import json

import pandas as pd

from nbnas.benchmarks.benchmark import Benchmark
from nbnas.errors import NbnasError
from nbnas.machine.paths import user_data_file
from nbnas.spaces import get_space

FILE = "nas_bench_macro_cifar10.json"
HINT = f"set NBNAS_DATA to a folder with {FILE}"


def load_nasbench_macro(source: str = "json") -> Benchmark:
    """Load the accuracies of all 6,561 networks in index order; see :func:`nbnas.load_benchmark`.

    Columns: ``cifar10_test`` (percent, mean of three runs, each the best over its epochs), ``cifar10_test_run1`` to
    ``_run3``, ``params`` and ``flops`` (multiply-adds) as recorded.

    Raises:
        NbnasError: If the file is absent or damaged, or another source is asked for.
    """
    if source != "json":
        raise NbnasError(f"unknown source {source!r} of NAS-Bench-Macro accuracies; the only one is json")
    path = user_data_file(FILE)
    if path is None:
        raise NbnasError(f"no NAS-Bench-Macro accuracies found: {HINT}")
    space = get_space("nasbench_macro")
    try:
        records = json.loads(path.read_text())
        rows = [_row(arch, records[arch]) for arch in space]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NbnasError(f"{path} is not the file of NAS-Bench-Macro ({type(error).__name__}: {error})") from error
    description = f"{path.name} (NAS-Bench-Macro, CIFAR-10 test accuracy, mean of three runs)"
    return Benchmark("json", description, pd.DataFrame(rows), {"cifar10": "cifar10_test"}, hint=HINT)


def _row(arch: str, record: dict) -> dict[str, object]:
    first, second, third = map(float, record["test_acc"])
    runs = {"cifar10_test_run1": first, "cifar10_test_run2": second, "cifar10_test_run3": third}
    sizes = {"params": int(record["params"]), "flops": int(record["flops"])}
    return {"arch": arch, "cifar10_test": float(record["mean_acc"])} | runs | sizes
