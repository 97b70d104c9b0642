"""From public files to our tables: the same units, architectures in our notation, in the order of the space.

Numbers are rounded to the digits that the benchmark measured. What the sources computed from them, such as a mean of
three accuracies, ends in rounding noise, which would order networks that are equal.
"""

import ast
import gzip
import json
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.benchmarks.naslib import nasbench201_cell
from nbnas.benchmarks.transnasbench101 import TASKS
from nbnas.spaces import get_space, nasbench101


def convert(name: str, parts: Sequence[Path]) -> bytes:
    """Return the content of the file of a table, made from its downloaded parts."""
    if name == "nasbench_macro":
        return parts[0].read_bytes()
    return gzip.compress(_CONVERTERS[name](parts).to_csv(index=False).encode(), mtime=0)


def _nasbench201(parts: Sequence[Path]) -> pd.DataFrame:
    """Test accuracies in percent, mean over seeds; neither single seeds nor their number."""
    source = pd.read_csv(parts[0]).set_index("ArchitectureString").loc[list(get_space("nasbench201"))].round(5)
    table = pd.DataFrame({"arch_index": range(len(source)), "arch_str": source.index})
    table["cifar10_ori-test"] = source["CIFAR10TestAccuracy200Epochs"].to_numpy()
    table["cifar100_x-test"] = source["CIFAR100TestAccuracy200Epochs"].to_numpy()
    return table.assign(**{"ImageNet16-120_x-test": source["ImageNetTestAccuracy200Epochs"].to_numpy()})


def _nasbench301(parts: Sequence[Path]) -> pd.DataFrame:
    records = pd.json_normalize(list(json.loads(parts[0].read_text())["cifar10"].values()))
    names = {"arch": "arch", "val_accuracy": "cifar10_val", "flops.score": "flops", "params.score": "params"}
    return records[list(names)].rename(columns=names)


def _transnasbench101(parts: Sequence[Path]) -> pd.DataFrame:
    tasks: dict[str, dict[str, float]] = defaultdict(dict)
    with zipfile.ZipFile(parts[0]) as archive:
        for name in (name for name in archive.namelist() if name.endswith(".json")):
            task = name.split("--")[2]
            tasks[task].update({record["arch"]: record["val_accuracy"] for record in json.loads(archive.read(name))})
    return pd.DataFrame(tasks)[list(TASKS)].add_suffix("_val").sort_index().rename_axis("arch").reset_index()


_VALIDATION_IMAGES = 9984
"""Of NAS-Bench-101; float32 accuracies are back at their whole number of images before they are rounded."""


def _nasbench101_by_hash(parts: Sequence[Path]) -> pd.DataFrame:
    """Of each cell one training run: accuracies in percent after four numbers of epochs, seconds of the longest."""
    tables = []
    for source in (json.loads(part.read_text()) for part in parts):
        table = pd.DataFrame({"module_hash": source["key"], "params": source["trainable_parameters"]})
        for epochs in (4, 12, 36, 108):
            images = np.round(_VALIDATION_IMAGES * np.array(source[f"{epochs}_final_validation_accuracy"]))
            table[f"cifar10_val_{epochs}ep"] = np.round(100 * images / _VALIDATION_IMAGES, 4)
        tables.append(table.assign(train_s_108ep=np.round(source["final_training_time"], 3)))
    return pd.concat(tables).sort_values("module_hash", ignore_index=True)


_VERTICES = {-1: "input", -2: "output", 0: "conv3x3-bn-relu", 1: "conv1x1-bn-relu", 2: "maxpool3x3"}


def _nasbench101_cells(parts: Sequence[Path]) -> pd.DataFrame:
    """The same with the graph of each cell, pruned; ``adjacency`` is its matrix, source by target."""
    source, rows = json.loads(parts[0].read_text()), []
    for labels, matrix in zip(source["operations"], source["adjacency"], strict=True):
        vertices = [_VERTICES[label] for label in labels if label in _VERTICES]  # Absent ones are -3, at the end.
        graph = nasbench101.prune(vertices, map(tuple, np.argwhere(matrix)))
        pruned = np.zeros((len(graph.operations),) * 2, dtype=int)
        pruned[tuple(zip(*graph.edges, strict=True))] = 1
        adjacency = "/".join("".join(map(str, line)) for line in pruned)
        rows.append((nasbench101.format_cell(graph), adjacency, "|".join(graph.operations)))
    graphs = pd.DataFrame(rows, source["key"], ["arch", "adjacency", "operations"])
    return _nasbench101_by_hash(parts).join(graphs, on="module_hash", validate="1:1")


def _accel_nasbench(parts: Sequence[Path]) -> pd.DataFrame:
    """One trained network a row, ``macs`` as counted there; NaN where a device was not measured."""
    with tarfile.open(parts[0]) as archive:
        files = {Path(member.name).stem: archive.extractfile(member).read() for member in archive if member.isfile()}
    source = pd.json_normalize([json.loads(content) for content in files.values()])
    table = pd.DataFrame({"result": [int(stem.removeprefix("result_")) for stem in files]})
    stages = [[f"architecture.block{stage}_{choice}" for choice in ("e", "k", "l", "se")] for stage in range(7)]
    choices = [source[stage].astype(int).itertuples(index=False) for stage in stages]
    table["arch"] = ["|".join("e{}_k{}_l{}_se{}".format(*stage) for stage in row) for row in zip(*choices, strict=True)]
    for name in ("val_top1", "val_top5"):
        table[name] = source[f"metrics.{name}"].round(3)
    for name in ("params", "macs"):
        table[name] = (1e6 * source[f"model_info.{name}"]).round().astype(int)
    table["train_s"] = source["metrics.train_time"].round(2)
    for column in source.filter(regex=r"^platform_perf\..*_mean$"):
        kind, device = column.split(".")[1].split("_")
        unit, digits = {"throughput": ("images_per_s", 2), "latency": ("ms", 4)}[kind]
        table[f"{device}_{kind}_{unit}"] = source[column].round(digits)
    return table.sort_values("result", ignore_index=True)


def _by_cell(part: Path) -> pd.DataFrame:
    """Read a csv of all NAS-Bench-201 cells in NASLib's notation, in the order of their indices."""
    table, space = pd.read_csv(part), get_space("nasbench201")
    table.index = [space.index(nasbench201_cell(ast.literal_eval(codes))) for codes in table.pop("net")]
    return table.sort_index().rename_axis("arch_index")


_HARDWARE_COPIES = {
    "cifar10": ["fpga_energy"],
    "cifar100": ["fpga_energy", "fpga_latency", "eyeriss_latency", "eyeriss_energy"],
    "ImageNet16-120": ["fpga_energy", "eyeriss_latency"],
}
"""Columns that add nothing: the energy of the FPGA is 7 mJ per ms, the others follow from those of CIFAR-10."""


def _hw_nasbench201(parts: Sequence[Path]) -> pd.DataFrame:
    """Latency in ms and energy in mJ to seven digits; NaN where the source has -1, not measured."""
    tables = []
    for part in parts:
        dataset = part.stem.removeprefix("hw_")
        table = _by_cell(part).drop(columns=_HARDWARE_COPIES[dataset]).replace(-1, np.nan)
        table.columns = table.columns.str.replace("latency", "latency_ms").str.replace("energy", "energy_mJ")
        tables.append(table.map(lambda value: float(f"{value:.7g}")).add_prefix(f"{dataset}_"))
    return pd.concat(tables, axis=1).reset_index()


def _nasbench201_robustness(parts: Sequence[Path]) -> pd.DataFrame:
    """Accuracies in percent on test images, and on those changed by ``<attack>_<eps>``: eps/255 at most per pixel."""
    table = _by_cell(parts[0]).round(2)
    clean = table.pop("val_accs").rename("cifar10-valid_ori-test_s888")
    names = table.columns.str.removeprefix("aa_").str.replace("-ce", "").str.replace("@Linf_eps-", "_")
    table.columns = names.str.removesuffix(".0")
    return pd.concat([clean, table.round(1)], axis=1).reset_index()


_CONVERTERS: dict[str, Callable[[Sequence[Path]], pd.DataFrame]] = {
    "nasbench201": _nasbench201,
    "nasbench301": _nasbench301,
    "transnasbench101_micro": _transnasbench101,
    "transnasbench101_macro": _transnasbench101,
    "nasbench101_by_hash": _nasbench101_by_hash,
    "nasbench101_cells_1k": _nasbench101_cells,
    "accel_nasbench": _accel_nasbench,
    "hw_nasbench201": _hw_nasbench201,
    "nasbench201_robustness": _nasbench201_robustness,
}
