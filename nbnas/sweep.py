"""Running one notebook over a grid of parameters: one papermill run per point, one tidy table."""

import itertools
from pathlib import Path

import pandas as pd
import yaml

from nbnas import artefacts
from nbnas.errors import NbnasError
from nbnas.notebook import check_parameters, read_notebook
from nbnas.paths import reports_folder
from nbnas.reproduce import make_job, run_job

RESULT = "result"
"""Item under which a swept notebook saves its table."""


def sweep(specification: Path) -> Path:
    """Run every point of the grid that is not up to date, and collect the tables.

    The specification is a YAML file with ``notebook``, a path beside it, and ``axes``, parameter names with lists of
    values. Each run saves a table as item ``result``. All points are checked before the first kernel starts, and a
    failing point does not stop the others.

    Args:
        specification: Path of the YAML file.

    Returns:
        The csv with a column per axis and the columns of the tables.

    Raises:
        NbnasError: If the specification is malformed, or, after all other points have run, a point failed.
    """
    path, axes = _read(specification)
    notebook = read_notebook(path)
    folder = reports_folder() / "sweeps" / specification.stem
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    if not points:
        raise NbnasError(f"{specification} has an axis without values")
    for point in points:
        check_parameters(notebook, point)
    tables, failures = [], []
    for number, point in enumerate(points, start=1):
        label = "-".join(f"{name}={value}" for name, value in point.items())
        reports = folder / label
        job = make_job(label, notebook, point, reports / f"{RESULT}.ipynb")
        print(f"[{number}/{len(points)}] {label}", "is up to date" if job.up_to_date else "...", flush=True)
        try:
            if not job.up_to_date:
                run_job(job, reports)
        except NbnasError as error:
            failures.append(str(error))
            continue
        saved = artefacts.load(RESULT, reports)
        if saved is None:
            raise NbnasError(f"{path.name} saved no table: it must call artefacts.save({RESULT!r}, ...)")
        tables.append(saved[0].assign(**point)[[*axes, *saved[0].columns.difference(list(axes), sort=False)]])
    if tables:
        pd.concat(tables, ignore_index=True).to_csv(folder.with_suffix(".csv"), index=False)
    if failures:
        raise NbnasError(f"{len(failures)} of {len(points)} points failed:\n" + "\n".join(failures))
    return folder.with_suffix(".csv")


def _read(specification: Path) -> tuple[Path, dict[str, list]]:
    if not specification.exists():
        raise NbnasError(f"no sweep specification {specification}")
    try:
        content = yaml.safe_load(specification.read_text())
        axes = {str(name): list(values) for name, values in content["axes"].items()}
        return specification.parent / content["notebook"], axes
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise NbnasError(f"{specification} needs 'notebook' and 'axes' with lists of values: {reason}") from error
