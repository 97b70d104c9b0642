"""Running the points of a sweep side by side, only those that are not up to date."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd

from nbnas.errors import NbnasError
from nbnas.machine.executors import default_workers, require_workers
from nbnas.reproduce import results
from nbnas.reproduce.notebook_runs import describe_outcome, run_jobs
from nbnas.reproduce.sweep.page import write_sweep_page
from nbnas.reproduce.sweep.point import RESULT, Point, plan_points
from nbnas.reproduce.sweep.specification import Sweep, read_sweep


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
    points, waiting = plan_points(plan), []
    for point in points:
        if point.job.up_to_date and point.has_result:
            plan.require_columns(point.table().columns)
        else:
            waiting.append(point)
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


def _run(plan: Sweep, waiting: Sequence[Point], workers: int) -> dict[str, str]:
    """Run points side by side; returns the label and the error of those that failed."""
    errors, by_label = {}, {point.label: point for point in waiting}
    with closing(run_jobs([point.job for point in waiting], workers)) as outcomes:
        for done, (job, outcome) in enumerate(outcomes, start=1):
            point = by_label[job.item]
            if not isinstance(outcome, NbnasError) and not point.has_result:
                name = plan.notebook.path.name
                outcome = NbnasError(f"{name} saved no table: it must call results.save({RESULT!r}, ...)")
            print(f"[{done}/{len(waiting)}] {point.label}: {describe_outcome(outcome)}", flush=True)
            if isinstance(outcome, NbnasError):
                errors[point.label] = str(outcome)
            else:
                plan.require_columns(point.table().columns)
    return errors


def _summarise(plan: Sweep, points: Sequence[Point], errors: Mapping[str, str], device: str) -> Path:
    from nbnas.plots import swept_values

    tables = [point.table() for point in points if point.label not in errors]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(plan.axes))
    figures = {}
    for number, plot in enumerate(plan.plots if tables else (), start=1):
        figures[f"{number}-{plot.y}"] = swept_values(
            table,
            plot.x,
            plot.y,
            hue=plot.hue,
            panel=plot.panel,
            interval=(plot.low, plot.high) if plot.low else None,
            order=plan.axes,
            labels=plan.labels,
            title=plot.title,
            from_zero=plot.from_zero,
        )
    protocol = {
        "notebook": plan.notebook.path.name,
        "axes": plan.axes,
        "parameters": plan.fixed,
        "failed": list(errors),
    }
    saved = results.save(f"sweeps/{plan.name}", table, figures, protocol, device)
    return write_sweep_page(saved.with_suffix(".html"), plan, points, errors)
