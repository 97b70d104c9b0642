"""What the networks of TransNAS-Bench-101 reached on its seven tasks, from NASLib's result files as csv tables."""

from pathlib import Path

from nbnas.benchmarks.benchmark import Benchmark, Sources, read_table, user_file
from nbnas.errors import NbnasError
from nbnas.spaces import get_space
from nbnas.spaces.transnasbench101 import parse_cell, parse_modules

TASKS = ("class_scene", "class_object", "room_layout", "jigsaw", "segmentsemantic", "normal", "autoencoder")
"""Tasks of the benchmark, by its names."""


def _sources(name: str) -> Sources:
    """Return the only source of the 4,096 cells or 3,256 skeletons, in index order.

    Column ``<task>_val`` is the validation metric after the last epoch, larger is better: top-1 accuracy in percent of
    scenes, objects and jigsaw, pixel accuracy in percent of segmentsemantic, structural similarity of normal and
    autoencoder, and the negative loss of room_layout.
    """
    digits = parse_cell if name.endswith("micro") else parse_modules

    def read(path: Path) -> Benchmark:
        columns = {task: f"{task}_val" for task in TASKS}
        table, archs = read_table(path, "arch", columns.values()), list(get_space(name))
        # The file writes an architecture as the tuple of its digits.
        if table["arch"].tolist() != [str(digits(arch)) for arch in archs]:
            raise NbnasError(f"{path} does not list the {len(archs):,} architectures of {name} in lexicographic order")
        description = f"{path.name} (TransNAS-Bench-101, validation metric of NASLib's result files)"
        return Benchmark("csv", description, table.assign(arch=archs), columns, hint=f"it has {', '.join(TASKS)}")

    return Sources(name, {"csv": user_file(f"{name}.csv.gz", read)})


TRANSNASBENCH101_MICRO = _sources("transnasbench101_micro")
TRANSNASBENCH101_MACRO = _sources("transnasbench101_macro")
