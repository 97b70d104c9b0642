"""The points of a sweep: what runs in each, and what it left."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nbnas.machine.paths import reports_folder
from nbnas.reproduce import results
from nbnas.reproduce.notebook import Value
from nbnas.reproduce.notebook_runs import Job, shared_inputs
from nbnas.reproduce.sweep.specification import Sweep

RESULT = "result"
"""Item under which a swept notebook saves its table."""


@dataclass(frozen=True)
class Point:
    """One point of the grid and the run that computes it."""

    values: dict[str, Value]
    job: Job

    @property
    def label(self) -> str:
        """The point as ``batch_size=4 seed=0``."""
        return self.job.item

    @property
    def page(self) -> Path:
        """Page of the executed notebook."""
        return self.job.output.with_suffix(".html")

    @property
    def has_result(self) -> bool:
        """Whether the notebook saved a table."""
        return results.load(RESULT, self.job.reports) is not None

    def table(self) -> pd.DataFrame:
        """Return the table that the notebook saved, the axes in front."""
        table, _ = results.load(RESULT, self.job.reports)
        others = [name for name in table.columns if name not in self.values]
        return table.assign(**self.values)[[*self.values, *others]]

    def protocol(self) -> dict[str, object]:
        """Return what the notebook said of its result."""
        return results.load(RESULT, self.job.reports)[1]["protocol"]


def plan_points(plan: Sweep) -> list[Point]:
    """List the points of a sweep, each with the run that computes it."""
    inputs, sweep_folder = shared_inputs(), reports_folder().absolute() / "sweeps" / plan.name
    points = []
    for values in plan.points:
        label = " ".join(f"{name}={value}" for name, value in values.items())
        folder = sweep_folder / _folder_name(label)
        parameters = {**plan.parameters, **values}
        points.append(Point(values, Job(label, plan.notebook, parameters, folder / f"{RESULT}.ipynb", folder, inputs)))
    return points


def _folder_name(label: str) -> str:
    whole = label.replace(" ", "-")
    name = re.sub(r"[^\w.=-]", "_", whole)[:100]
    # Where something was replaced or cut, two labels may have become one.
    return name if name == whole else f"{name}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
