"""Running the points of a sweep side by side, only those that are not up to date."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd

from nbnas.errors import NbnasError
from nbnas.machine.executors import default_workers, require_workers
from nbnas.machine.paths import reports_folder
from nbnas.reproduce import results
from nbnas.reproduce.notebook_runs import Job, describe_outcome, run_jobs, shared_inputs
from nbnas.reproduce.sweep.page import write_sweep_page
from nbnas.reproduce.sweep.specification import Sweep, read_sweep

RESULT = "result"
"""Item under which a swept notebook saves its table."""


def sweep(specification: Path, workers: int | None = None) -> Path:
    """Run every point of the grid that is not up to date, join the tables and write the summary page.

    All points are checked before the first kernel starts. Each runs in a kernel with one thread, several side by side.
    A failing point does not stop the others, and the next call tries it again. It may be interrupted at any time, even
    with ``kill -9``: what was finished is kept.

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
    jobs, waiting = _plan_points(plan), []
    for job in jobs:
        saved = _load_point(job, plan.axes) if job.up_to_date else None
        if saved is None:
            waiting.append(job)
        else:
            plan.require_columns(saved[0].columns)
    device = str(plan.fixed.get("device", "cpu"))
    workers = min(workers or default_workers(device), max(len(waiting), 1))
    print(f"sweep {plan.name!r}: {len(jobs)} points, {len(jobs) - len(waiting)} up to date", flush=True)
    if waiting:
        whole = f"; all points take about {plan.minutes:g} min on two idle cores" if plan.minutes else ""
        print(f"to run: {len(waiting)}, {workers} at a time{whole}", flush=True)
    errors = _run(plan, waiting, workers) if waiting else {}
    page = _summarise(plan, jobs, errors, device)
    if errors:
        raise NbnasError(
            f"{len(errors)} of {len(jobs)} points failed; the others are in {page}; run the same command again to "
            "retry only the failed ones:\n" + "\n".join(f"{label}: {error}" for label, error in errors.items())
        )
    return page


def _plan_points(plan: Sweep) -> list[Job]:
    """List the points of a sweep, named as ``batch_size=4 seed=0``."""
    inputs, root = shared_inputs(), reports_folder().absolute() / "sweeps" / plan.name
    jobs = []
    for values in plan.points:
        label = " ".join(f"{name}={value}" for name, value in values.items())
        folder = root / _folder_name(label)
        jobs.append(
            Job(label, plan.notebook, {**plan.parameters, **values}, folder / f"{RESULT}.ipynb", folder, inputs)
        )
    return jobs


def _load_point(job: Job, axes: Collection[str]) -> tuple[pd.DataFrame, dict[str, object]] | None:
    """Return the table of a point with the axes in front, and what its notebook said of it; None if it saved none."""
    saved = results.load(RESULT, job.reports)
    if saved is None:
        return None
    table, record = saved
    others = [name for name in table.columns if name not in axes]
    return table.assign(**{name: job.parameters[name] for name in axes})[[*axes, *others]], record["protocol"]


def _folder_name(label: str) -> str:
    whole = label.replace(" ", "-")
    name = re.sub(r"[^\w.=-]", "_", whole)[:100]
    # After replacing or cutting characters, two labels may be the same.
    return name if name == whole else f"{name}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"


def _run(plan: Sweep, waiting: Sequence[Job], workers: int) -> dict[str, str]:
    """Run points side by side; returns the label and the error of those that failed."""
    errors = {}
    with closing(run_jobs(waiting, workers)) as outcomes:
        for done, (job, outcome) in enumerate(outcomes, start=1):
            saved = _load_point(job, plan.axes)
            if saved is None and not isinstance(outcome, NbnasError):
                name = plan.notebook.path.name
                outcome = NbnasError(f"{name} saved no table: it must call results.save({RESULT!r}, ...)")
            print(f"[{done}/{len(waiting)}] {job.item}: {describe_outcome(outcome)}", flush=True)
            if isinstance(outcome, NbnasError):
                errors[job.item] = str(outcome)
            else:
                plan.require_columns(saved[0].columns)
    return errors


def _summarise(plan: Sweep, jobs: Sequence[Job], errors: Mapping[str, str], device: str) -> Path:
    from nbnas.plots import swept_values

    saved = {job.item: _load_point(job, plan.axes) for job in jobs if job.item not in errors}
    tables = [table for table, _ in saved.values()]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(plan.axes))
    figures = {}
    for number, plot in enumerate(plan.plots if tables else (), start=1):
        figures[f"{number}-{plot.y}"] = swept_values(
            table, plot.model_dump(), plan.axes, plan.labels, plot.title, from_zero=plot.from_zero
        )
    protocol = {"notebook": plan.notebook.path.name, "axes": plan.axes, "parameters": plan.fixed}
    record = results.save(f"sweeps/{plan.name}", table, figures, protocol | {"failed": list(errors)}, device)
    return write_sweep_page(record.with_suffix(".html"), plan, jobs, saved, errors)
