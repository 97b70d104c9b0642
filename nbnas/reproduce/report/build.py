"""Builds the report from the results that notebooks saved."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nbnas.benchmarks import BENCHMARKS
from nbnas.machine.paths import notebooks_folder
from nbnas.proxies import list_proxies
from nbnas.reproduce import results
from nbnas.reproduce.notebook import FOLDERS, last_run, natural_order, stamp_file, title_of
from nbnas.reproduce.published_numbers import load_published
from nbnas.reproduce.report.api_page import api_sections
from nbnas.reproduce.report.notebook_page import headings, notebook_body, unlink
from nbnas.reproduce.report.rendering import facts, write_page
from nbnas.reproduce.verdicts import COLUMNS, NOT_ATTEMPTED, absent_rows, count_verdicts, not_attempted

PAPERS = ("vkdnw", "tcet")
OTHERS = ("studies", "lessons")


@dataclass(frozen=True)
class Page:
    """An executed notebook."""

    item: str
    title: str
    seconds: float | None
    """How long the run took, if known."""


def build_report(reports: Path, profile: str) -> Path:
    """Write ``verdicts.csv``, ``index.html``, ``api.html`` and the pages of executed notebooks into ``reports``.

    The first page shows the name of the profile; its path is returned.
    """
    reports.mkdir(parents=True, exist_ok=True)
    verdicts = collect_verdicts(reports)
    verdicts.to_csv(reports / "verdicts.csv", index=False)
    pages = _executed_notebooks(reports)
    for number in range(len(pages)):
        _write_notebook_page(reports, pages, number, verdicts)
    proxies = list_proxies().reset_index().fillna("").to_dict("records")
    write_page("api.html.jinja", reports / "api.html", sections=api_sections(), proxies=proxies)
    return write_page(
        "index.html.jinja",
        reports / "index.html",
        profile=profile,
        papers=[_paper(key, verdicts, pages, reports) for key in PAPERS],
        others={FOLDERS[key]: [page for page in pages if page.item.startswith(key)] for key in OTHERS},
        sweeps=sorted(path.stem for path in (reports / "sweeps").glob("*.html")),
        totals=count_verdicts(verdicts),
        sources=sorted(set(verdicts["source"]) & set(BENCHMARKS["nasbench201"].by_name)),
        not_attempted=NOT_ATTEMPTED,
    )


def collect_verdicts(reports: Path) -> pd.DataFrame:
    """Return a row for every published number of both papers: from a saved result where there is one."""
    saved = {item: results.load(item, reports) for item in load_published()["item"].unique()}
    tables = [found[0] if found else not_attempted(item) for item, found in saved.items()]
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def _write_notebook_page(reports: Path, pages: Sequence[Page], number: int, verdicts: pd.DataFrame) -> None:
    page = pages[number]
    body = unlink(notebook_body(reports / f"{page.item}.ipynb"), page.item, [other.item for other in pages])
    own = verdicts[verdicts["item"] == page.item]
    saved = results.load(page.item, reports)
    write_page(
        "page.html.jinja",
        reports / f"{page.item}.html",
        "../",
        page=page,
        before=pages[number - 1] if number else None,
        after=pages[number + 1] if number + 1 < len(pages) else None,
        body=body,
        contents=headings(body),
        counts=count_verdicts(own) if len(own) else {},
        facts=facts(saved[1]) if saved else {},
    )


def _executed_notebooks(reports: Path) -> list[Page]:
    pages = []
    for folder in FOLDERS:
        items = [f"{folder}/{path.stem}" for path in (reports / folder).glob("*.ipynb")]
        for item in sorted(items, key=natural_order):
            path = reports / f"{item}.ipynb"
            if stamp_file(path).exists() and (notebooks_folder() / f"{item}.ipynb").exists():
                title = title_of(json.loads(path.read_text())["cells"])
                pages.append(Page(item, title, last_run(path).get("seconds")))
    return pages


def _paper(key: str, verdicts: pd.DataFrame, pages: Sequence[Page], reports: Path) -> dict[str, object]:
    own = verdicts[verdicts["item"].str.startswith(f"{key}/")]
    items = []
    for item in sorted(own["item"].unique(), key=natural_order):
        rows = own[own["item"] == item]
        saved = results.load(item, reports)
        attempted = rows["verdict"] != NOT_ATTEMPTED
        reasons = absent_rows(rows)
        reasons["count"] = reasons["note"].map(rows.loc[~attempted, "note"].value_counts())
        items.append(
            {
                "item": item,
                "page": next((page for page in pages if page.item == item), None),
                "counts": count_verdicts(rows),
                "rows": rows[attempted].to_dict("records"),
                "reasons": reasons.to_dict("records"),
                "figures": saved[1]["figures"] if saved else [],
                "facts": facts(saved[1]) if saved else {},
            }
        )
    return {"name": FOLDERS[key], "anchor": key, "items": items, "counts": count_verdicts(own)}
