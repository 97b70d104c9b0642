"""Running one notebook over a grid of parameters: a papermill run per point, one tidy table, one page.

What to run is read strictly from a YAML file.

::

    notebook: score.ipynb              beside this file; saves its table as item "result"
    title: Does the batch size matter? optional, else the notebook's title
    text: One paragraph.               optional
    minutes: 5                         optional: what the whole takes on two idle cores
    parameters: {networks: 40}         optional: the same in every point
    axes:
      batch_size: [4, 16, 64]
      seed: [0, 1]
    plots:                             optional
      - {x: batch_size, y: kendall_tau, low: low, high: high}
    labels: {batch_size: images}       optional: how plots name a column

A plot has the values of the axis ``x`` from left to right and the column ``y`` of the table upwards. It may have lines
by an axis ``hue``, panels by an axis ``panel``, intervals from columns ``low`` to ``high``, a ``title``, and with
``from_zero: true`` an upward axis that begins at zero.
"""

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pandas as pd
import yaml
from pandas.api.types import is_numeric_dtype
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator
from pydantic import ValidationInfo as Info

from nbnas.errors import NbnasError, first_line
from nbnas.machine.executors import default_workers, require_workers
from nbnas.machine.paths import reports_folder
from nbnas.plots import swept_values
from nbnas.reproduce import results
from nbnas.reproduce.notebook import Notebook, Value, check_parameters, read_notebook, rerun_command
from nbnas.reproduce.notebook_runs import Job, describe_outcome, run_jobs, shared_inputs
from nbnas.reproduce.report.rendering import facts, headings, notebook_body, write_page

RESULT = "result"
"""Item under which a swept notebook saves its table."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Plot(_Strict):
    """One figure of the summary page."""

    x: Text
    y: Text
    hue: Text | None = None
    panel: Text | None = None
    low: Text | None = None
    high: Text | None = None
    title: Text | None = None
    from_zero: bool = False

    @property
    def axes(self) -> list[str]:
        """Names that must be axes of the sweep."""
        return [name for name in (self.x, self.hue, self.panel) if name]

    @property
    def columns(self) -> list[str]:
        """Names that must be columns of the notebook's table."""
        return [name for name in (self.y, self.low, self.high) if name]


class Sweep(_Strict):
    """A grid of parameters for one notebook, and how to show what comes out."""

    notebook: Notebook
    title: Text = Field(default_factory=lambda given: given["notebook"].title)
    text: Text = ""
    minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    parameters: dict[str, Any] = {}
    axes: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(min_length=1)
    plots: list[Plot] = []
    labels: dict[str, Text] = {}
    _name: str

    @field_validator("notebook", mode="plain")
    @classmethod
    def _read_notebook(cls, value: object, info: Info) -> Notebook:
        if not isinstance(value, str):
            raise ValueError(f"must be the name of a file, got {value!r}")
        return read_notebook(info.context.parent / value)

    def model_post_init(self, context: Path) -> None:
        """Take the name from the file."""
        self._name = context.stem

    @model_validator(mode="after")
    def _check(self) -> "Sweep":
        for name, values in self.axes.items():
            if len(set(map(repr, values))) < len(values):
                raise ValueError(f"axis {name!r} has a value twice: {values!r}")
            if name in self.parameters:
                raise ValueError(f"{name!r} is both in 'axes' and in 'parameters'")
        for plot in self.plots:
            if len(set(plot.axes)) < len(plot.axes):
                raise ValueError(f"a plot uses one axis twice: {', '.join(plot.axes)}")
            if (plot.low is None) != (plot.high is None):
                raise ValueError("a plot needs 'low' and 'high' together")
            for name in sorted(set(plot.axes) - set(self.axes)):
                known = ", ".join(self.axes)
                raise ValueError(f"a plot has {name!r} as x, hue or panel, but the axes are {known}")
            for name in sorted(set(plot.columns) & set(self.axes)):
                raise ValueError(f"a plot has the axis {name!r} as y, low or high, which are columns of the table")
        for point in self.points:
            check_parameters(self.notebook, {**self.parameters, **point})
        return self

    @property
    def name(self) -> str:
        """Name of its file without ``.yml``."""
        return self._name

    @property
    def points(self) -> list[dict[str, Value]]:
        """The cartesian product of the axes, the last one changing fastest."""
        return [dict(zip(self.axes, values, strict=True)) for values in itertools.product(*self.axes.values())]

    @property
    def fixed(self) -> dict[str, Value]:
        """Every parameter of the notebook that is no axis."""
        everything = {**self.notebook.parameters, **self.parameters}
        return {name: value for name, value in everything.items() if name not in self.axes}


def read_sweep(specification: Path) -> Sweep:
    """Read a specification and check all that can be known before a kernel starts.

    :class:`NbnasError`, which names the file and the key, if it is malformed, a plot names something that is no axis,
    or a point has a parameter that the notebook does not take.
    """
    if not specification.is_file():
        raise NbnasError(f"no sweep specification {specification}")
    try:
        content = yaml.load(specification.read_text(), _StrictLoader)
        return Sweep.model_validate(content, context=specification)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = f", line {error.problem_mark.line + 1}" if getattr(error, "problem_mark", None) else ""
        reason = getattr(error, "problem", None) or first_line(error)
        raise NbnasError(f"{specification} is not YAML{where}: {reason}") from error
    except ValidationError as error:
        raise NbnasError(f"{specification}: {_first_problem(error)}") from error


_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"


class _StrictLoader(yaml.SafeLoader):
    """Refuses a name that stands twice, of which YAML would silently keep the last, and reads numbers as Python does.

    YAML 1.1 takes 1e-3 for a text, 010 for eight and 1:30 for ninety.
    """

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_INT, _FLOAT)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = []
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(problem=f"{name!r} stands twice", problem_mark=key.start_mark)
            seen.append(name)
        return super().construct_mapping(node, deep)


def _decimal(loader: _StrictLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


_WHOLE = r"[0-9][0-9_]*"
_PATTERNS = {
    _INT: rf"[-+]?{_WHOLE}$",
    _FLOAT: rf"[-+]?(({_WHOLE}\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|{_WHOLE}[eE][-+]?[0-9]+|\.inf)$|\.nan$",
}
_StrictLoader.add_constructor(_INT, _decimal)
for _tag, _pattern in _PATTERNS.items():
    _StrictLoader.add_implicit_resolver(_tag, re.compile(_pattern, re.IGNORECASE), list("-+.0123456789"))


def _first_problem(error: ValidationError) -> str:
    """Say in one line where the content is wrong and why."""
    problem = error.errors()[0]
    where = problem["loc"]
    if problem["type"] == "value_error":
        reason = str(problem["ctx"]["error"])
    elif problem["type"] == "missing":
        reason = "is missing"
    elif problem["type"] == "extra_forbidden":
        keys = Plot.model_fields if where[0] == "plots" else Sweep.model_fields
        reason = f"no such key; choose from {', '.join(keys)}"
    else:
        expected = "must be a mapping of names" if problem["type"] == "model_type" else problem["msg"]
        reason = f"{expected.replace('Input should be', 'must be')}, got {problem['input']!r:.60}"
    return ": ".join(filter(None, (".".join(map(str, where)), reason)))


def sweep(specification: Path, workers: int | None = None) -> Path:
    """Run every point of the grid that is not up to date, join the tables and write the summary page.

    All points are checked before the first kernel starts. Each runs in a kernel with one thread, several side by side:
    one per core, on a GPU no more than its memory holds, unless ``workers`` says otherwise. A failing point does not
    stop the others, and the next call tries it again. It may be interrupted at any time, even with ``kill -9``: what
    was finished is kept.

    Returns the page ``reports/sweeps/NAME.html``; beside it ``NAME.csv`` has a column per axis and those of the tables.
    :class:`NbnasError` if the specification is malformed, a plot shows a column that the tables lack, or, after all
    other points have run, a point failed.
    """
    plan = read_sweep(specification)
    require_workers(workers)
    jobs = _plan_points(plan)
    waiting = [job for job in jobs if not (job.up_to_date and _load_point(job, plan))]
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
        whole = label.replace(" ", "-")
        name = re.sub(r"[^\w.=-]", "_", whole)[:100]
        # After replacing or cutting characters, two labels may be the same.
        folder = root / (name if name == whole else f"{name}-{hashlib.sha256(label.encode()).hexdigest()[:8]}")
        output = folder / f"{RESULT}.ipynb"
        jobs.append(Job(label, plan.notebook, {**plan.parameters, **values}, output, folder, inputs))
    return jobs


def _load_point(job: Job, plan: Sweep) -> tuple[pd.DataFrame, dict[str, object]] | None:
    """Return the table that a point saved, with the axes in front, and what its notebook said of it; None if nothing.

    :class:`NbnasError` if the table lacks what the plots show.
    """
    saved = results.load(RESULT, job.reports)
    if saved is None:
        return None
    table = saved[0].assign(**{name: job.parameters[name] for name in plan.axes})
    table = table[[*plan.axes, *table.columns.difference(plan.axes, sort=False)]]
    for name in (name for plot in plan.plots for name in plot.columns if name not in table):
        raise NbnasError(
            f"a plot of sweep {plan.name!r} shows {name!r}, but the table of {plan.notebook.path.name} has "
            f"only {', '.join(table)}"
        )
    return table, saved[1]["protocol"]


def _run(plan: Sweep, waiting: Sequence[Job], workers: int) -> dict[str, str]:
    """Run points side by side; returns the label and the error of those that failed."""
    errors = {}
    with closing(run_jobs(waiting, workers)) as outcomes:
        for done, (job, outcome) in enumerate(outcomes, start=1):
            if not isinstance(outcome, NbnasError) and _load_point(job, plan) is None:
                name = plan.notebook.path.name
                outcome = NbnasError(f"{name} saved no table: it must call results.save({RESULT!r}, ...)")
            print(f"[{done}/{len(waiting)}] {job.item}: {describe_outcome(outcome)}", flush=True)
            if isinstance(outcome, NbnasError):
                errors[job.item] = str(outcome)
    return errors


def _summarise(plan: Sweep, jobs: Sequence[Job], errors: Mapping[str, str], device: str) -> Path:
    """Save the joined table and the plots; write their page, and a page beside the notebook of every finished point."""
    folder = reports_folder().absolute() / "sweeps"
    report = (folder.parent / "index.html").exists()
    tables, protocols, links, failed, minutes = [], [], [], [], 0.0
    for job in jobs:
        if job.item in errors:
            command = rerun_command(job.notebook, job.parameters)
            error = errors[job.item].removesuffix(f"; rerun: {command}")
            failed.append({"label": job.item, "error": error, "command": command})
            continue
        page, body = job.output.with_suffix(".html"), notebook_body(job.output)
        shown = {"sweep": plan, "title": job.item, "body": body, "contents": headings(body)}
        write_page("sweep_point.html.jinja", page, "../../../", report, **shown)
        table, protocol = _load_point(job, plan)
        tables.append(table)
        protocols.append(protocol.items())
        links += [{"number": len(tables), "href": page.relative_to(folder).as_posix()}] * len(table)
        minutes += job.minutes

    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(plan.axes))
    figures = {}
    for number, plot in enumerate(plan.plots if tables else (), start=1):
        shown = swept_values(table, plot.model_dump(), plan.axes, plan.labels, plot.title, from_zero=plot.from_zero)
        figures[f"{number}-{plot.y}"] = shown
    protocol = {"notebook": plan.notebook.path.name, "axes": plan.axes, "parameters": plan.fixed}
    results.save(f"sweeps/{plan.name}", table, figures, protocol | {"failed": list(errors)}, device)
    table, record = results.load(plan.name, folder)

    # Shows only facts on which all points agree.
    common = {name: value for name, value in (protocols or [()])[0] if all((name, value) in p for p in protocols)}
    settings = {name: value for name, value in {**plan.fixed, **common}.items() if name not in (*plan.axes, "device")}
    settings["time"] = f"{minutes:.1f} minutes for all runs together"
    cells = (map(_text, row) for row in table.itertuples(index=False))
    return write_page(
        "sweep.html.jinja",
        reports_folder() / f"sweeps/{plan.name}.html",
        "../",
        report,
        sweep=plan,
        paragraphs=[part for part in re.split(r"\n\s*\n", plan.text) if part],
        columns=[{"name": name, "number": is_numeric_dtype(table[name])} for name in table.columns],
        rows=[{**link, "cells": list(row)} for link, row in zip(links, cells, strict=True)],
        figures=record["figures"],
        failed=failed,
        finished=len(tables),
        axes={name: ", ".join(map(str, values)) for name, values in plan.axes.items()},
        settings=settings | {name: value for name, value in facts(record).items() if name not in record["protocol"]},
    )


def _text(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if value == 0 or 0.01 <= abs(value) < 1000 else f"{value:.3g}"
