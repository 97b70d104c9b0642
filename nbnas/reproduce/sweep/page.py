"""The summary page of a sweep, and a page per executed point."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from jinja2 import Environment
from pandas.api.types import is_numeric_dtype

from nbnas.reproduce import results
from nbnas.reproduce.report.notebook_page import headings, notebook_body, without_first_heading
from nbnas.reproduce.report.rendering import facts, open_templates, write_page

if TYPE_CHECKING:
    from nbnas.reproduce.sweep.specification import Sweep


@dataclass(frozen=True)
class FinishedPoint:
    """A point whose table is part of the sweep's."""

    label: str
    notebook: Path
    """The executed notebook."""
    rows: int
    """Rows that it adds to the table."""
    seconds: float


@dataclass(frozen=True)
class FailedPoint:
    """A point that the sweep lacks."""

    label: str
    error: str
    command: str
    """What runs it alone."""


def write_sweep_page(
    folder: Path, sweep: "Sweep", table: pd.DataFrame, finished: Sequence[FinishedPoint], failed: Sequence[FailedPoint]
) -> Path:
    """Write ``NAME.html`` from a sweep's table and the artefact ``NAME.json``, and a page beside each notebook.

    Args:
        folder: Where the artefact was saved.
        sweep: What was asked for.
        table: The points' tables, joined.
        finished: The points in the order of the table.
        failed: The others.
    """
    environment = open_templates()
    page = folder / f"{sweep.name}.html"
    report = (folder.parent / "index.html").exists()
    for point in finished:
        _write_point_page(environment, point, sweep, report)
    _, record = results.load(sweep.name, folder)
    links = [
        {"number": number, "href": _page(point).relative_to(folder.absolute()).as_posix()}
        for number, point in enumerate(finished, start=1)
        for _ in range(point.rows)
    ]
    settings = {**sweep.fixed, **_common_protocol(finished)}
    run = {name: value for name, value in facts(record).items() if name not in record["protocol"]}
    minutes = sum(point.seconds for point in finished) / 60
    write_page(
        environment,
        "sweep.html.jinja",
        page,
        root="../",
        report=report,
        sweep=sweep,
        paragraphs=[part for part in re.split(r"\n\s*\n", sweep.text) if part],
        columns=[{"name": name, "number": is_numeric_dtype(table[name])} for name in table.columns],
        rows=[
            {**link, "cells": [_text(value) for value in row]}
            for link, row in zip(links, table.itertuples(index=False), strict=True)
        ],
        figures=record["figures"],
        failed=[{"label": p.label, "error": _without_command(p), "command": p.command} for p in failed],
        finished=len(finished),
        axes={name: ", ".join(map(str, values)) for name, values in sweep.axes.items()},
        settings={name: value for name, value in settings.items() if name not in (*sweep.axes, "device")}
        | {"time": f"{minutes:.1f} minutes, all runs added up"}
        | run,
    )
    return page


def _write_point_page(environment: Environment, point: FinishedPoint, sweep: "Sweep", report: bool) -> None:
    body = notebook_body(point.notebook)
    write_page(
        environment,
        "sweep_point.html.jinja",
        _page(point),
        root="../../../",
        report=report,
        sweep=sweep,
        title=point.label,
        body=without_first_heading(body),
        contents=headings(body),
    )


def _page(point: FinishedPoint) -> Path:
    return point.notebook.with_suffix(".html")


def _common_protocol(points: Sequence[FinishedPoint]) -> dict[str, object]:
    """What the points say of themselves, as far as they agree."""
    protocols = [results.load(point.notebook.stem, point.notebook.parent)[1]["protocol"] for point in points]
    if not protocols:
        return {}
    return {
        name: value
        for name, value in protocols[0].items()
        if all(name in other and other[name] == value for other in protocols)
    }


def _without_command(point: FailedPoint) -> str:
    return point.error.removesuffix(f"; rerun: {point.command}")


def _text(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if value == 0 or 0.01 <= abs(value) < 1000 else f"{value:.3g}"
