"""Accuracies of cells of NAS-Bench-1Shot1, which are those that NAS-Bench-101 recorded.

The table lists 30,001 cells of NAS-Bench-101 by their hash alone, and so every cell of a family is hashed and looked
up. A hash does not know its cell: what is found, 7 % of each family, is a uniform sample.
"""

from functools import cache
from pathlib import Path

from nbnas.benchmarks.benchmark import Benchmark, Sources, read_table, user_file
from nbnas.errors import NbnasError
from nbnas.spaces import get_space
from nbnas.spaces.nasbench101 import module_hash, parse_cell

EPOCHS = (4, 12, 36, 108)
"""Training budgets of NAS-Bench-101."""


@cache
def cells_by_hash(space: str) -> dict[str, str]:
    """Return hash -> cell in index order; the 55,854 of the largest family take some seconds, once per process."""
    return {module_hash(parse_cell(cell)): cell for cell in get_space(space)}


def _sources(name: str) -> Sources:
    """Return the only source of a family; its rows are the cells that are in the table, in the order of the space.

    Column ``cifar10_val_<epochs>ep`` is a validation accuracy after so many epochs, in percent: one value, where the
    benchmark has three runs. After 108 epochs it is probably the best: never less than the one that NASLib drew.
    """
    title = f"NAS-Bench-1Shot1 {name[-3:].upper()}"

    def read(path: Path) -> Benchmark:
        table = read_table(path, "module_hash", [f"cifar10_val_{epochs}ep" for epochs in EPOCHS])
        cells = cells_by_hash(name)
        table["arch"] = [cells.get(text) for text in table["module_hash"]]
        # The order of a family is alphabetical.
        table = table.dropna(subset="arch").sort_values("arch", ignore_index=True)
        if table.empty:
            raise NbnasError(f"{path} has no cell of {name}")
        part = f"{len(table):,} of the {len(cells):,} cells, a uniform sample"
        sample = f"Accuracies are known of {part}: one on validation images each, probably the best of three runs."
        return Benchmark(
            "csv",
            f"{title} ({part}, CIFAR-10 validation accuracy of NAS-Bench-101, one value each)",
            table,
            {"cifar10": "cifar10_val_108ep"},
            "Deviates because the paper ranks all cells, by their mean test accuracy.",
            hint="it has only cifar10",
            sample=sample,
        )

    return Sources(title, {"csv": user_file("nasbench101_by_hash.csv.gz", read)})


NASBENCH1SHOT1 = {name: _sources(name) for name in (f"nasbench1shot1_{family}" for family in ("ss1", "ss2", "ss3"))}
