"""The summary page of a sweep, and a page per executed point."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from pandas.api.types import is_numeric_dtype

from nbnas.reproduce import results
from nbnas.reproduce.notebook import rerun_command
from nbnas.reproduce.notebook_runs import Job
from nbnas.reproduce.report.notebook_page import headings, notebook_body
from nbnas.reproduce.report.rendering import facts, write_page
from nbnas.reproduce.sweep.specification import Sweep


def write_sweep_page(
    page: Path,
    sweep: Sweep,
    jobs: Sequence[Job],
    saved: Mapping[str, tuple[pd.DataFrame, dict[str, object]]],
    errors: Mapping[str, str],
) -> Path:
    """Write a page from the result that was saved beside it, and a page beside the notebook of every finished point.

    By its name, ``saved`` has table and protocol of a point that finished, ``errors`` the reason of one that failed.
    """
    folder = page.parent.absolute()
    report = (folder.parent / "index.html").exists()
    table, record = results.load(sweep.name, folder)
    finished = [job for job in jobs if job.item in saved]
    links, protocols = [], []
    for number, job in enumerate(finished, start=1):
        point_page, body = job.output.with_suffix(".html"), notebook_body(job.output)
        shown = {"sweep": sweep, "title": job.item, "body": body, "contents": headings(body)}
        write_page("sweep_point.html.jinja", point_page, "../../../", report, **shown)
        rows, protocol = saved[job.item]
        links += [{"number": number, "href": point_page.relative_to(folder).as_posix()}] * len(rows)
        protocols.append(protocol.items())
    # Shows only facts on which all points agree.
    common = {name: value for name, value in (protocols or [()])[0] if all((name, value) in p for p in protocols)}
    settings = {name: value for name, value in {**sweep.fixed, **common}.items() if name not in (*sweep.axes, "device")}
    settings["time"] = f"{sum(job.minutes for job in finished):.1f} minutes for all runs together"
    return write_page(
        "sweep.html.jinja",
        page,
        "../",
        report,
        sweep=sweep,
        paragraphs=[part for part in re.split(r"\n\s*\n", sweep.text) if part],
        columns=[{"name": name, "number": is_numeric_dtype(table[name])} for name in table.columns],
        rows=[
            {**link, "cells": [_text(value) for value in row]}
            for link, row in zip(links, table.itertuples(index=False), strict=True)
        ],
        figures=record["figures"],
        failed=[_failure(job, errors[job.item]) for job in jobs if job.item in errors],
        finished=len(finished),
        axes={name: ", ".join(map(str, values)) for name, values in sweep.axes.items()},
        settings=settings | {name: value for name, value in facts(record).items() if name not in record["protocol"]},
    )


def _failure(job: Job, error: str) -> dict[str, str]:
    command = rerun_command(job.notebook, job.parameters)
    return {"label": job.item, "error": error.removesuffix(f"; rerun: {command}"), "command": command}


def _text(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if value == 0 or 0.01 <= abs(value) < 1000 else f"{value:.3g}"
