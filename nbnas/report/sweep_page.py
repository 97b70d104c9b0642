"""The summary page of a sweep, and a page per executed point."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from pandas.api.types import is_numeric_dtype
from pygments.formatters import HtmlFormatter

from nbnas import artefacts
from nbnas.report.notebook_page import notebook_body

if TYPE_CHECKING:
    from nbnas.sweep.specification import Sweep


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
    environment = Environment(loader=PackageLoader("nbnas.report"), autoescape=select_autoescape(), trim_blocks=True)
    style = environment.loader.get_source(environment, "style.css")[0]
    page = folder / f"{sweep.name}.html"
    for point in finished:
        _write_point_page(point, environment, style, sweep.name)
    _, record = artefacts.load(sweep.name, folder)
    links = [
        {"number": number, "href": _page(point).relative_to(folder.absolute()).as_posix()}
        for number, point in enumerate(finished, start=1)
        for _ in range(point.rows)
    ]
    text = environment.get_template("sweep.html.jinja").render(
        style=style,
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
        minutes=sum(point.seconds for point in finished) / 60,
        provenance=record["provenance"],
        settings={
            name: value
            for name, value in {**sweep.fixed, **_common_protocol(finished)}.items()
            if name not in (*sweep.axes, "device")
        },
    )
    page.write_text(text)
    return page


def _write_point_page(point: FinishedPoint, environment: Environment, style: str, sweep: str) -> None:
    text = environment.get_template("sweep_point.html.jinja").render(
        style=style,
        code_style=HtmlFormatter(style="default").get_style_defs(".highlight"),
        dark_style=HtmlFormatter(style="github-dark").get_style_defs(".highlight"),
        title=point.label,
        sweep=sweep,
        body=notebook_body(point.notebook),
    )
    _page(point).write_text(text)


def _page(point: FinishedPoint) -> Path:
    return point.notebook.with_suffix(".html")


def _common_protocol(points: Sequence[FinishedPoint]) -> dict[str, object]:
    """What the points say of themselves, as far as they agree."""
    protocols = [artefacts.load(point.notebook.stem, point.notebook.parent)[1]["protocol"] for point in points]
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
