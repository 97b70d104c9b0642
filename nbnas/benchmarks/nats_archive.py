"""Importing an official NATS-Bench archive, topology or size, into one compact table, and reading that table."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pandas as pd
from tqdm import tqdm

from nbnas.benchmarks.benchmark import read_table
from nbnas.errors import NbnasError
from nbnas.machine.append_log import AppendLog, read_log
from nbnas.machine.paths import data_folder
from nbnas.machine.plain_pickle import load_plain
from nbnas.machine.replace_file import replace_file
from nbnas.spaces import get_space


class ArchiveKind(NamedTuple):
    """What differs between the archives of the two spaces."""

    space: str
    folder: str
    """Name of the unpacked archive."""
    file: str
    """Of the table, in the data folder of the project."""
    hp: str
    """NATS-Bench's name of the training setting to import, its number of epochs."""
    splits: Mapping[str, Sequence[str]]
    """Data set -> splits to import, in NATS-Bench's own names."""

    def find(self) -> Path | None:
        """Return the imported table, or None if there is none."""
        path = data_folder() / self.file
        return path if path.exists() else None


_ALL_SPLITS = {"cifar100": ["x-valid", "x-test", "ori-test"], "ImageNet16-120": ["x-valid", "x-test", "ori-test"]}
_TOPOLOGY_SPLITS = {"cifar10-valid": ["x-valid"], "cifar10": ["ori-test"], **_ALL_SPLITS}
_SIZE_SPLITS = {"cifar10": ["ori-test"], "cifar100": ["x-test"], "ImageNet16-120": ["x-test"]}

KINDS = {
    "topology": ArchiveKind(
        "nasbench201", "NATS-tss-v1_0-3ffb9-simple", "nasbench201_nats.parquet", "200", _TOPOLOGY_SPLITS
    ),
    "size": ArchiveKind("nats_sss", "NATS-sss-v1_0-50262-simple", "nats_sss.parquet", "90", _SIZE_SPLITS),
}
"""NATS-Bench's own name of a space -> what its archive is like."""

NATS_COLUMNS = {
    "cifar10": "cifar10_ori-test",
    "cifar100": "cifar100_x-test",
    "ImageNet16-120": "ImageNet16-120_x-test",
}
"""Data set -> column of NATS-Bench test accuracies that the papers rank against."""


def import_nats(
    archive: Path, destination: Path | None = None, *, indices: Sequence[int] | None = None, progress: bool = True
) -> Path:
    """Read an unpacked archive with ``nats_bench`` and write accuracies and costs as one parquet table.

    You can interrupt it at any time: what was read is kept beside the destination and a rerun continues. An incomplete
    archive is read as far as it goes, and the table is written once the rest is there.

    Args:
        archive: The folder ``NATS-tss-v1_0-3ffb9-simple`` or ``NATS-sss-v1_0-50262-simple``, or one that holds it.
        destination: The table; ``None`` puts it where :func:`nbnas.load_benchmark` looks. It is returned.
        indices: Architectures to import; ``None`` is all 15,625 or 32,768, which the loader needs.
        progress: Show a progress bar.
    """
    archive = _locate(Path(archive))
    api = _open(archive)
    destination = destination or data_folder() / KINDS[api.search_space_name].file
    indices = range(len(api.meta_archs)) if indices is None else indices
    destination.parent.mkdir(parents=True, exist_ok=True)
    log_path = destination.with_name(destination.name + ".part.jsonl")
    rows = {row["arch_index"]: row for row in read_log(log_path)} if log_path.exists() else {}
    absent = []
    with closing(AppendLog(log_path)) as log:
        for index in tqdm([i for i in indices if i not in rows], unit="record", disable=not progress):
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


def read_nats_table(path: Path, space: str, noun: str) -> pd.DataFrame:
    """Read the table of a whole space, with the architectures in a column ``arch``; ``noun`` as for the reader."""
    table, archs = read_table(path, "arch_str", NATS_COLUMNS.values(), noun), list(get_space(space))
    if table["arch_str"].tolist() != archs:
        raise NbnasError(f"{path} does not list the {len(archs):,} {noun} in NATS-Bench order")
    return table.rename(columns={"arch_str": "arch"})


def read_record(api: Any, index: int) -> dict[str, object]:
    """Return one architecture's accuracies in percent after the longest training, number of seeds and costs.

    Accuracies are means over the seeds. FLOPs and parameters are in millions, as recorded. ``api`` is the result of
    ``nats_bench.create(path, "tss" or "sss", fast_mode=True)``, ``index`` that of NATS-Bench.
    """
    kind = KINDS[api.search_space_name]
    with _plain_pickles():
        api._prepare_info(index)
    result = api.arch2infos_dict.pop(index)[kind.hp]  # popped, or all records pile up in memory
    api.evaluated_indexes.discard(index)
    row: dict[str, object] = {"arch_index": index, "arch_str": api.meta_archs[index]}
    row["n_seeds"] = len(result.get_dataset_seeds("cifar10"))
    for dataset, splits in kind.splits.items():
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
        raise NbnasError(f"{path} is a file; unpack it (tar -xf {path.name}) and name the unpacked folder")
    candidates = (path, *(path / kind.folder for kind in KINDS.values()))
    found = [folder for folder in candidates if (folder / "meta.pickle.pbz2").exists()]
    if not found:
        raise NbnasError(f"{path} is not a NATS-Bench archive: it has no meta.pickle.pbz2")
    if len(found) > 1 and found[0] != path:
        raise NbnasError(f"{path} holds {' and '.join(folder.name for folder in found)}; name one of them")
    return found[0]


@contextmanager
def _plain_pickles() -> Iterator[None]:
    """Let nats_bench, which would run whatever an archive says, read nothing but plain values."""
    from nats_bench import api_utils

    before, api_utils.pickle = api_utils.pickle, SimpleNamespace(load=load_plain)
    try:
        yield
    finally:
        api_utils.pickle = before


def _open(archive: Path) -> Any:
    try:
        import nats_bench
    except ImportError as error:
        raise NbnasError("reading the archive needs nats_bench: run pip install 'nbnas[data]'") from error
    for name, kind in KINDS.items():
        try:
            with _plain_pickles():
                api = nats_bench.create(str(archive), name, fast_mode=True, verbose=False)
        except Exception as error:
            raise NbnasError(f"{archive / 'meta.pickle.pbz2'} is damaged or of another benchmark ({error})") from error
        if list(api.meta_archs) == list(get_space(kind.space)):
            return api
    raise NbnasError(f"{archive} is not the NATS-Bench topology space or size space: its list of architectures differs")
