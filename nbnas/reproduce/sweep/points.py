"""The points of a sweep: what runs in each, and what it left."""

import hashlib
import re
from collections.abc import Collection

import pandas as pd

from nbnas.machine.paths import reports_folder
from nbnas.reproduce import results
from nbnas.reproduce.notebook_runs import Job, shared_inputs
from nbnas.reproduce.sweep.specification import Sweep

RESULT = "result"
"""Item under which a swept notebook saves its table."""


def plan_points(plan: Sweep) -> list[Job]:
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


def load_point(job: Job, axes: Collection[str]) -> tuple[pd.DataFrame, dict[str, object]] | None:
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
    # Where something was replaced or cut, two labels may have become one.
    return name if name == whole else f"{name}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
