"""The map of the notebooks: what there is, its last verdicts and run time. The start page shows it."""

import pandas as pd
from IPython.display import HTML

from nbnas.machine.paths import notebooks_folder
from nbnas.reproduce.notebook import FOLDERS, last_run, natural_order, read_notebook
from nbnas.reproduce.report.rendering import open_templates
from nbnas.reproduce.results import profile_reports
from nbnas.reproduce.verdicts import VERDICTS, count_verdicts

START_PAGE = "index.ipynb"
HEADINGS = {"lessons": "Lessons"} | FOLDERS | {"sweeps": "Sweeps"}
"""Folder of ``notebooks/`` -> its heading, in the order in which a reader may want them."""


def notebook_map(profile: str = "default") -> pd.DataFrame:
    """List the notebooks of the project with what the last runs of a profile left.

    A row per notebook, indexed by its path in ``notebooks/``: ``folder``; ``title``; ``seconds`` of the last run, or
    the notebook's own estimate where ``measured`` is false; a column per verdict with its number, missing for notebooks
    that reproduce nothing.
    """
    notebooks, reports = notebooks_folder(), profile_reports(profile)
    verdicts = reports / "verdicts.csv"
    judged = pd.read_csv(verdicts).groupby("item") if verdicts.exists() else ()
    counts = {item: count_verdicts(rows) for item, rows in judged}
    rows = {}
    for folder in HEADINGS:
        items = [f"{folder}/{path.stem}" for path in (notebooks / folder).glob("*.ipynb")]
        for item in sorted(items, key=natural_order):
            notebook = read_notebook(notebooks / f"{item}.ipynb")
            seconds = last_run(reports / f"{item}.ipynb").get("seconds")
            rows[f"{item}.ipynb"] = {
                "folder": folder,
                "title": notebook.title,
                "seconds": 60 * notebook.expected_minutes(profile) if seconds is None else seconds,
                "measured": seconds is not None,
                **counts.get(item, dict.fromkeys(VERDICTS)),
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def show_notebook_map(profile: str = "default") -> HTML:
    """Return :func:`notebook_map` as tables with links, for a notebook in ``notebooks/`` to show."""
    table = notebook_map(profile)
    template = open_templates().get_template("map.html.jinja")
    text = template.render(
        sections={HEADINGS[folder]: rows for folder, rows in table.groupby("folder", sort=False)},
        verdicts=VERDICTS,
        totals=table[list(VERDICTS)].sum().astype(int),
        profile=profile,
        report=(profile_reports(profile) / "index.html").exists(),
    )
    return HTML(text)
