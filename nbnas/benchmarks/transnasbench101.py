"""What the networks of TransNAS-Bench-101 reached on its seven tasks, from NASLib's result files as ready tables."""

from nbnas.benchmarks.benchmark import Benchmark
from nbnas.benchmarks.csv_table import read_ready_table
from nbnas.errors import NbnasError
from nbnas.spaces import get_space
from nbnas.spaces.transnasbench101 import parse_cell, parse_modules

TASKS = ("class_scene", "class_object", "room_layout", "jigsaw", "segmentsemantic", "normal", "autoencoder")
"""Tasks of the benchmark, by its names."""

FILES = {name: f"{name}.csv.gz" for name in ("transnasbench101_micro", "transnasbench101_macro")}
"""Space -> file in the folder that ``$NBNAS_DATA`` names."""

_DIGITS = {"transnasbench101_micro": parse_cell, "transnasbench101_macro": parse_modules}


def load_transnasbench101_micro(source: str = "auto") -> Benchmark:
    """Load the 4,096 cells, in index order.

    The table has the space's strings in column ``arch``, and of each of :data:`TASKS` the column ``<task>_val``: the
    validation metric after the last epoch, larger is better. That is top-1 accuracy in percent of scenes, objects and
    jigsaw, pixel accuracy in percent of segmentsemantic, structural similarity of normal and autoencoder, and the
    negative loss of room_layout.

    Args:
        source: ``csv``, the only one, is ``transnasbench101_micro.csv.gz`` in the folder that ``$NBNAS_DATA`` names;
            ``auto`` is the same.

    Raises:
        NbnasError: If the source is unknown, absent or damaged; the message says what to do.
    """
    return _load("transnasbench101_micro", source)


def load_transnasbench101_macro(source: str = "auto") -> Benchmark:
    """Load the 3,256 skeletons from ``transnasbench101_macro.csv.gz``; all else as for the cells."""
    return _load("transnasbench101_macro", source)


def _load(name: str, source: str) -> Benchmark:
    if source not in ("auto", "csv"):
        raise NbnasError(f"unknown source {source!r}; choose from auto, csv")
    columns = {task: f"{task}_val" for task in TASKS}
    path, table = read_ready_table(name, FILES[name], list(columns.values()))
    archs = list(get_space(name))
    # The file writes an architecture as the tuple of its digits.
    if table["arch"].tolist() != [str(_DIGITS[name](arch)) for arch in archs]:
        raise NbnasError(f"{path} does not list the {len(archs):,} architectures of {name} in lexicographic order")
    description = f"{path.name} (TransNAS-Bench-101, validation metric of NASLib's result files)"
    hint = f"it has {', '.join(TASKS)}"
    return Benchmark("csv", description, table.assign(arch=archs), columns, hint=hint)
