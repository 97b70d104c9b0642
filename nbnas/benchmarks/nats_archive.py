"""Importing the official NATS-Bench topology archive into one compact table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from nbnas.append_log import AppendLog, read_log
from nbnas.atomic import replace_file
from nbnas.benchmarks.nasbench201 import imported_table
from nbnas.errors import NbnasError
from nbnas.spaces import get_space

ARCHIVE_NAME = "NATS-tss-v1_0-3ffb9-simple"

SPLITS = {
    "cifar10-valid": ["x-valid"],
    "cifar10": ["ori-test"],
    "cifar100": ["x-valid", "x-test", "ori-test"],
    "ImageNet16-120": ["x-valid", "x-test", "ori-test"],
}
"""Data set key -> splits to import, in NATS-Bench's own names."""


def import_nats(
    archive: Path, destination: Path | None = None, *, indices: Sequence[int] | None = None, progress: bool = True
) -> Path:
    """Read an unpacked archive with ``nats_bench`` and write accuracies and costs as one parquet table.

    Interrupt it as you like: what was read is kept beside the destination and a rerun continues.

    Args:
        archive: The folder ``NATS-tss-v1_0-3ffb9-simple``, or the folder that holds it.
        destination: The table; ``None`` puts it where :func:`nbnas.load_benchmark` looks.
        indices: Cells to import; ``None`` is all 15,625, which the loader needs.
        progress: Show a progress bar.

    Returns:
        Path of the table.

    Raises:
        NbnasError: If ``nats_bench`` is not installed, or the folder is foreign, damaged or incomplete. An incomplete
            archive is imported as far as it goes, and the table written once the rest is there.
    """
    destination = destination or imported_table()
    archive = _locate(Path(archive))
    api = _open(archive)
    indices = range(len(api.meta_archs)) if indices is None else indices
    destination.parent.mkdir(parents=True, exist_ok=True)
    log_path = destination.with_name(destination.name + ".part.jsonl")
    rows = {row["arch_index"]: row for row in read_log(log_path)} if log_path.exists() else {}
    absent = []
    log = AppendLog(log_path)
    try:
        for index in tqdm([i for i in indices if i not in rows], unit="cell", disable=not progress):
            path = archive / f"{index:06d}.pickle.pbz2"
            if not path.exists():
                absent.append(path.name)
                continue
            try:
                rows[index] = read_record(api, index)
            except Exception as error:
                raise NbnasError(
                    f"{path} is damaged ({error}); unpack the archive again, then rerun to continue"
                ) from error
            log.append(rows[index])
    finally:
        log.close()
    if absent:
        raise NbnasError(
            f"{archive} is incomplete: {len(absent)} of {len(indices)} records are missing, the first is {absent[0]}; "
            "finish the download, then rerun to continue"
        )
    table = pd.DataFrame([rows[index] for index in indices])
    try:
        replace_file(destination, lambda path: table.to_parquet(path, index=False, compression="zstd"))
    except OSError as error:
        raise NbnasError(f"cannot write {destination}: {error.strerror}; rerun to continue") from error
    log_path.unlink()
    return destination


def read_record(api: Any, index: int) -> dict[str, object]:
    """Return one cell's accuracies in percent (200 epochs, mean over seeds), number of seeds and costs.

    Args:
        api: Result of ``nats_bench.create(path, "tss", fast_mode=True)``.
        index: NATS-Bench index.
    """
    api._prepare_info(index)
    result = api.arch2infos_dict.pop(index)["200"]  # popped, or all 15,625 records pile up in memory
    api.evaluated_indexes.discard(index)
    row: dict[str, object] = {"arch_index": index, "arch_str": api.meta_archs[index]}
    row["n_seeds"] = len(result.get_dataset_seeds("cifar10"))
    for dataset, splits in SPLITS.items():
        for split in splits:
            row[f"{dataset}_{split}"] = result.get_metrics(dataset, split)["accuracy"]
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        cost = result.get_compute_costs(dataset)
        row[f"{dataset}_flops_M"] = cost["flops"]
        row[f"{dataset}_params_M"] = cost["params"]
    return row


def _locate(path: Path) -> Path:
    if not path.exists():
        raise NbnasError(f"{path} does not exist")
    if path.is_file():
        raise NbnasError(f"{path} is a file; unpack it (tar -xf {path.name}) and name the folder {ARCHIVE_NAME}")
    for folder in (path, path / ARCHIVE_NAME):
        if (folder / "meta.pickle.pbz2").exists():
            return folder
    raise NbnasError(f"{path} is not a NATS-Bench topology archive: it has no meta.pickle.pbz2")


def _open(archive: Path) -> Any:
    try:
        import nats_bench
    except ImportError as error:
        raise NbnasError("reading the archive needs nats_bench: run pip install 'nbnas[data]'") from error
    try:
        api = nats_bench.create(str(archive), "tss", fast_mode=True, verbose=False)
    except Exception as error:
        raise NbnasError(f"{archive / 'meta.pickle.pbz2'} is damaged or of another benchmark ({error})") from error
    if list(api.meta_archs) != list(get_space("nasbench201")):
        raise NbnasError(f"{archive} is not the NATS-Bench topology space: its list of cells differs")
    return api
