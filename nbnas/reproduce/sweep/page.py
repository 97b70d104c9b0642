"""The summary page of a sweep, and a page per executed point."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pandas.api.types import is_numeric_dtype

from nbnas.reproduce import results
from nbnas.reproduce.notebook import rerun_command
from nbnas.reproduce.report.notebook_page import headings, notebook_body
from nbnas.reproduce.report.rendering import facts, write_page
from nbnas.reproduce.sweep.point import Point
from nbnas.reproduce.sweep.specification import Sweep


def write_sweep_page(page: Path, sweep: Sweep, points: Sequence[Point], errors: Mapping[str, str]) -> Path:
    """Write a page from the result that was saved beside it, and a page beside the notebook of every finished point.

    Args:
        page: Path of the summary page, which is returned.
        sweep: What was asked for.
        points: All points; the saved table has the rows of the finished ones in their order.
        errors: Label of a failed point -> why.
    """
    folder = page.parent.absolute()
    report = (folder.parent / "index.html").exists()
    table, record = results.load(sweep.name, folder)
    finished = [point for point in points if point.label not in errors]
    links = []
    for number, point in enumerate(finished, start=1):
        body = notebook_body(point.job.output)
        shown = {"sweep": sweep, "title": point.label, "body": body, "contents": headings(body)}
        write_page("sweep_point.html.jinja", point.page, root="../../../", report=report, **shown)
        link = {"number": number, "href": point.page.relative_to(folder).as_posix()}
        links += [link] * len(point.table())
    protocols = [point.protocol() for point in finished]
    common = {
        name: value
        for name, value in (protocols or [{}])[0].items()
        if all(name in p and p[name] == value for p in protocols)
    }
    settings = {name: value for name, value in {**sweep.fixed, **common}.items() if name not in (*sweep.axes, "device")}
    minutes = sum(point.job.minutes for point in finished)
    return write_page(
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
        failed=[_failure(point, errors[point.label]) for point in points if point.label in errors],
        finished=len(finished),
        axes={name: ", ".join(map(str, values)) for name, values in sweep.axes.items()},
        settings=settings
        | {"time": f"{minutes:.1f} minutes, all runs added up"}
        | {name: value for name, value in facts(record).items() if name not in record["protocol"]},
    )


def _failure(point: Point, error: str) -> dict[str, str]:
    command = rerun_command(point.job.notebook, point.job.parameters)
    return {"label": point.label, "error": error.removesuffix(f"; rerun: {command}"), "command": command}


def _text(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if value == 0 or 0.01 <= abs(value) < 1000 else f"{value:.3g}"
