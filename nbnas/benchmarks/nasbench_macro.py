"""Trained accuracies of NAS-Bench-Macro, from the benchmark's json file in the user's data folder."""

import json
from pathlib import Path

import pandas as pd

from nbnas.benchmarks.benchmark import Benchmark, Sources, user_file
from nbnas.errors import NbnasError
from nbnas.spaces import get_space


def _read(path: Path) -> Benchmark:
    """Read the accuracies of all 6,561 networks in index order.

    Columns: ``cifar10_test`` (percent, mean of three runs, each the best over its epochs), ``cifar10_test_run1`` to
    ``_run3``, ``params`` and ``flops`` (multiply-adds) as recorded.
    """
    try:
        records = json.loads(path.read_text())
        rows = [_row(arch, records[arch]) for arch in get_space("nasbench_macro")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NbnasError(f"{path} is not the file of NAS-Bench-Macro ({type(error).__name__}: {error})") from error
    description = f"{path.name} (NAS-Bench-Macro, CIFAR-10 test accuracy, mean of three runs)"
    columns = {"cifar10": "cifar10_test"}
    return Benchmark("json", description, pd.DataFrame(rows), columns, hint="it has only cifar10")


def _row(arch: str, record: dict) -> dict[str, object]:
    first, second, third = map(float, record["test_acc"])
    runs = {"cifar10_test_run1": first, "cifar10_test_run2": second, "cifar10_test_run3": third}
    sizes = {"params": int(record["params"]), "flops": int(record["flops"])}
    return {"arch": arch, "cifar10_test": float(record["mean_acc"])} | runs | sizes


NASBENCH_MACRO = Sources("NAS-Bench-Macro", {"json": user_file("nas_bench_macro_cifar10.json", _read)})
