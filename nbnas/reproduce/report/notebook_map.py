"""The map of the notebooks: what there is, its last verdicts and run time. The start page shows it."""

import os
from functools import cache
from pathlib import Path

import pandas as pd
from IPython.display import HTML
from jinja2 import Environment, PackageLoader, Template, select_autoescape

from nbnas.machine.paths import notebooks_folder
from nbnas.reproduce.notebook import last_run, natural_order, read_notebook, run_time
from nbnas.reproduce.profiles import profile_reports
from nbnas.reproduce.verdicts import VERDICTS, count_verdicts

START_PAGE = "index.ipynb"
HEADINGS = {
    "lessons": "Lessons",
    "vkdnw": "VKDNW (CVPR 2025)",
    "tcet": "T-CET (AutoML 2023)",
    "studies": "Studies beyond the papers",
    "sweeps": "Sweeps",
}
"""Folder of ``notebooks/`` -> its heading, in the order in which a reader may want them."""


def notebook_map(profile: str = "default") -> pd.DataFrame:
    """List the notebooks of the project with what the last runs of a profile left.

    Args:
        profile: Whose reports to look at.

    Returns:
        A row per notebook, indexed by its path in ``notebooks/``: ``folder``; ``title``; ``seconds`` of the last run,
        or the notebook's own estimate where ``measured`` is false; a column per verdict with its number, missing for
        notebooks that reproduce nothing; ``page``, the path of its page in the report from ``notebooks/``, or empty.

    Raises:
        NbnasError: If the profile is unknown or a notebook is malformed.
    """
    notebooks, reports = notebooks_folder(), profile_reports(profile)
    counts = _counts_by_item(reports / "verdicts.csv")
    rows = {}
    for folder in HEADINGS:
        items = [f"{folder}/{path.stem}" for path in (notebooks / folder).glob("*.ipynb")]
        for item in sorted(items, key=natural_order):
            notebook = read_notebook(notebooks / f"{item}.ipynb")
            minutes = notebook.minutes.get(profile, notebook.minutes.get("default", 1.0))
            run = last_run(reports / f"{item}.ipynb")
            page = reports / f"{item}.html"
            rows[f"{item}.ipynb"] = {
                "folder": folder,
                "title": notebook.title,
                "seconds": run.get("seconds", 60 * minutes),
                "measured": "seconds" in run,
                **counts.get(item, dict.fromkeys(VERDICTS)),
                "page": os.path.relpath(page, notebooks) if page.exists() else "",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def show_notebook_map(profile: str = "default") -> HTML:
    """Return the map as tables with links, for a notebook in ``notebooks/`` to show.

    Args:
        profile: As for :func:`notebook_map`.
    """
    table = notebook_map(profile)
    index = profile_reports(profile) / "index.html"
    sections = {heading: table[table["folder"] == folder] for folder, heading in HEADINGS.items()}
    return HTML(
        _template().render(
            sections={heading: rows for heading, rows in sections.items() if len(rows)},
            verdicts=VERDICTS,
            totals=table[list(VERDICTS)].sum().astype(int),
            profile=profile,
            report=os.path.relpath(index, notebooks_folder()) if index.exists() else "",
        )
    )


def _counts_by_item(path: Path) -> dict[str, dict[str, int]]:
    if not path.exists():
        return {}
    return {item: count_verdicts(rows) for item, rows in pd.read_csv(path).groupby("item")}


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("nbnas.reproduce.report"), autoescape=select_autoescape(["html.jinja"]), trim_blocks=True
    )
    environment.filters["run_time"] = run_time
    return environment.get_template("map.html.jinja")
