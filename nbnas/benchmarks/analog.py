"""CIFAR-10 accuracies from the installed package ``analog-nasbench``: the source that every installation has.

The package trained all 15,625 cells on its own. Its loader no longer imports with current setuptools and unpickles
arbitrary classes, so its data file is read here by an unpickler that knows two inert classes and nothing else.
"""

from importlib import metadata
from pathlib import Path

import numpy as np

from nbnas.benchmarks.naslib import nasbench201_cell
from nbnas.errors import NbnasError
from nbnas.machine.plain_pickle import load_plain
from nbnas.spaces import get_space


class _Record:
    """Stands for the package's classes: keeps attributes, has no behaviour."""


_STAND_INS = {("analognasbench.data", name): _Record for name in ("Architecture", "DriftMeasurement")}


def installed_data_file() -> Path | None:
    """Return the data file of the installed package, or None; the package itself is not imported."""
    try:
        files = metadata.files("analog-nasbench") or []
    except metadata.PackageNotFoundError:
        return None
    paths = (Path(file.locate()) for file in files if file.name == "data.anb")
    return next((path for path in paths if path.exists()), None)


def read_analog_accuracies(path: Path) -> np.ndarray:
    """Return the CIFAR-10 test accuracies of a data file in percent in NATS-Bench index order.

    :class:`NbnasError` if the file is damaged, asks for any other class, or lacks cells.
    """
    space = get_space("nasbench201")
    accuracies = np.full(len(space), np.nan)
    try:
        with path.open("rb") as file:
            records = load_plain(file, _STAND_INS)
        for codes, record in records.items():
            accuracies[space.index(nasbench201_cell(codes))] = record.baseline_accuracy
    except Exception as error:
        raise NbnasError(f"{path} is not the data file of analog-nasbench 0.1.3: {error}") from error
    if np.isnan(accuracies).any():
        raise NbnasError(f"{path} lacks {int(np.isnan(accuracies).sum())} of {len(space)} cells")
    return accuracies
