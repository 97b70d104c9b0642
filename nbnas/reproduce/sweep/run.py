"""Running the points of a sweep side by side, only those that are not up to date."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nbnas.errors import NbnasError
from nbnas.machine.executors import default_workers, require_workers
from nbnas.machine.paths import reports_folder
from nbnas.reproduce import results
from nbnas.reproduce.notebook import Value, rerun_command
from nbnas.reproduce.notebook_runs import Job, make_job, run_jobs, shared_inputs
from nbnas.reproduce.sweep.page import FailedPoint, FinishedPoint, write_sweep_page
from nbnas.reproduce.sweep.specification import Sweep, read_sweep

RESULT = "result"
"""Item under which a swept notebook saves its table."""


@dataclass(frozen=True)
class Point:
    """One point of the grid and the run that computes it."""

    values: dict[str, Value]
    job: Job

    @property
    def label(self) -> str:
        return describe_point(self.values)

    @property
    def folder(self) -> Path:
        return self.job.output.parent

    @property
    def up_to_date(self) -> bool:
        return self.job.up_to_date and results.load(RESULT, self.folder) is not None


def sweep(specification: Path, workers: int | None = None) -> Path:
    """Run every point of the grid that is not up to date, join the tables and write the summary page.

    All points are checked before the first kernel starts. Each runs in a kernel with one thread, several side by side.
    A failing point does not stop the others, and the next call tries it again. Interrupt it as you like, even with
    ``kill -9``: what was finished is kept.

    Args:
        specification: Path of the YAML file, see :mod:`nbnas.reproduce.sweep.specification`.
        workers: Number of points that run at a time; ``None`` is one per core, on a GPU no more than its memory holds.

    Returns:
        The page ``reports/sweeps/NAME.html``; beside it ``NAME.csv`` has a column per axis and those of the tables.

    Raises:
        NbnasError: If the specification is malformed, a plot shows a column that the tables lack, or, after all other
            points have run, a point failed.
    """
    plan = read_sweep(specification)
    require_workers(workers)
    points = plan_points(plan)
    waiting = [point for point in points if not point.up_to_date]
    for point in points:
        if point not in waiting:
            plan.require_columns(_table(point).columns)
    device = str(plan.fixed.get("device", "cpu"))
    workers = min(workers or default_workers(device), max(len(waiting), 1))
    print(f"sweep {plan.name!r}: {len(points)} points, {len(points) - len(waiting)} up to date", flush=True)
    if waiting:
        whole = f"; all points take about {plan.minutes:g} min on two idle cores" if plan.minutes else ""
        print(f"to run: {len(waiting)}, {workers} at a time{whole}", flush=True)
    errors = _run(plan, waiting, workers) if waiting else {}
    page = _summarise(plan, points, errors, device)
    if errors:
        lines = [f"{label}: {error}" for label, error in errors.items()]
        raise NbnasError(
            f"{len(errors)} of {len(points)} points failed, the others stand in {page}; the same command tries only "
            "the failed ones again:\n" + "\n".join(lines)
        )
    return page


def plan_points(plan: Sweep) -> list[Point]:
    """List the points of a sweep, each with the run that computes it."""
    inputs = shared_inputs()
    points = []
    for values in plan.points:
        label = describe_point(values)
        output = reports_folder().absolute() / "sweeps" / plan.name / _folder_name(label) / f"{RESULT}.ipynb"
        points.append(
            Point(values, make_job(label, plan.notebook, {**plan.parameters, **values}, output, output.parent, inputs))
        )
    return points


def describe_point(values: Mapping[str, Value]) -> str:
    """Write a point as ``batch_size=4 seed=0``."""
    return " ".join(f"{name}={value}" for name, value in values.items())


def _folder_name(label: str) -> str:
    name = re.sub(r"[^\w.=-]", "_", label.replace(" ", "-"))[:100]
    # Where something was replaced or cut, two labels may have become one.
    return name if name == label.replace(" ", "-") else f"{name}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"


def _run(plan: Sweep, waiting: Sequence[Point], workers: int) -> dict[str, str]:
    """Run points side by side; returns the label and the error of those that failed."""
    errors, by_label = {}, {point.label: point for point in waiting}
    with closing(run_jobs([point.job for point in waiting], workers)) as outcomes:
        for done, (job, outcome) in enumerate(outcomes, start=1):
            point = by_label[job.item]
            if not isinstance(outcome, NbnasError) and results.load(RESULT, point.folder) is None:
                call = f"artefacts.save({RESULT!r}, ...)"
                outcome = NbnasError(f"{job.notebook.path.name} saved no table: it must call {call}")
            failed = isinstance(outcome, NbnasError)
            result = "failed" if failed else f"done in {outcome:.0f} s"
            print(f"[{done}/{len(waiting)}] {point.label}: {result}", flush=True)
            if failed:
                errors[point.label] = str(outcome)
            else:
                plan.require_columns(_table(point).columns)
    return errors


def _table(point: Point) -> pd.DataFrame:
    """Return the table of a finished point, the axes in front."""
    table, _ = results.load(RESULT, point.folder)
    others = [name for name in table.columns if name not in point.values]
    return table.assign(**point.values)[[*point.values, *others]]


def _summarise(plan: Sweep, points: Sequence[Point], errors: Mapping[str, str], device: str) -> Path:
    from nbnas.plots import swept_values

    finished = [point for point in points if point.label not in errors]
    tables = [_table(point) for point in finished]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(plan.axes))
    figures = {}
    for number, plot in enumerate(plan.plots if tables else (), start=1):
        figures[f"{number}-{plot.y}"] = swept_values(
            table, vars(plot), plan.axes, plan.labels, plot.title, from_zero=plot.from_zero
        )
    protocol = {
        "notebook": plan.notebook.path.name,
        "axes": plan.axes,
        "parameters": plan.fixed,
        "failed": list(errors),
    }
    results.save(f"sweeps/{plan.name}", table, figures, protocol, device)
    return write_sweep_page(
        reports_folder() / "sweeps",
        plan,
        table,
        [
            FinishedPoint(point.label, point.job.output, len(own), 60 * point.job.minutes)
            for point, own in zip(finished, tables, strict=True)
        ],
        [
            FailedPoint(point.label, errors[point.label], rerun_command(point.job.notebook, point.job.parameters))
            for point in points
            if point.label in errors
        ],
    )
