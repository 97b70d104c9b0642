"""Builds the report from the artefacts that notebooks saved."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment

from nbnas.benchmarks import BENCHMARKS
from nbnas.machine.paths import notebooks_folder
from nbnas.reproduce import results
from nbnas.reproduce.notebook import FOLDERS, last_run, natural_order
from nbnas.reproduce.published_numbers import load_published
from nbnas.reproduce.report.api_page import api_sections
from nbnas.reproduce.report.notebook_page import headings, notebook_body, unlink, without_first_heading
from nbnas.reproduce.report.rendering import facts, open_templates, write_page
from nbnas.reproduce.verdicts import COLUMNS, NOT_ATTEMPTED, count_verdicts, not_attempted

PAPERS = {"vkdnw": "VKDNW (CVPR 2025)", "tcet": "T-CET (AutoML 2023)"}
OTHERS = {"studies": "Studies beyond the papers", "lessons": "Lessons"}


@dataclass(frozen=True)
class Page:
    """An executed notebook."""

    item: str
    title: str
    seconds: float | None
    """How long the run took, if known."""
    path: Path
    """The executed notebook."""

    @property
    def href(self) -> str:
        """Relative to the first page."""
        return f"{self.item}.html"

    @property
    def anchor(self) -> str:
        """Of its section on the first page."""
        return self.item.replace("/", "-")


def build_report(reports: Path, profile: str) -> Path:
    """Write ``verdicts.csv``, ``index.html``, ``api.html`` and a page per executed notebook into ``reports``.

    Args:
        reports: Folder with what the notebooks left there.
        profile: Shown on the first page.

    Returns:
        Path of the first page.
    """
    reports.mkdir(parents=True, exist_ok=True)
    environment = open_templates()
    pages = _executed_notebooks(reports)
    verdicts = collect_verdicts(reports)
    verdicts.to_csv(reports / "verdicts.csv", index=False)
    neighbours = zip([None, *pages[:-1]], pages, [*pages[1:], None], strict=True)
    for before, page, after in neighbours if pages else ():
        _write_notebook_page(environment, reports, page, before, after, verdicts, {other.item for other in pages})
    write_page(environment, "api.html.jinja", reports / "api.html", root="", report=True, sections=api_sections())
    index = reports / "index.html"
    write_page(
        environment,
        "index.html.jinja",
        index,
        root="",
        report=True,
        profile=profile,
        papers=[_paper(name, key, verdicts, pages, reports) for key, name in PAPERS.items()],
        others={name: [page for page in pages if _folder(page.item) == key] for key, name in OTHERS.items()},
        sweeps=sorted(path.stem for path in (reports / "sweeps").glob("*.html")),
        totals=count_verdicts(verdicts),
        sources=sorted(set(verdicts["source"]) & set(BENCHMARKS["nasbench201"].by_name)),
        not_attempted=NOT_ATTEMPTED,
    )
    return index


def collect_verdicts(reports: Path) -> pd.DataFrame:
    """Return a row for every published number of both papers: from an artefact where there is one."""
    tables = []
    for item in dict.fromkeys(load_published()["item"]):
        saved = results.load(item, reports)
        tables.append(not_attempted(item) if saved is None else saved[0])
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def _write_notebook_page(
    environment: Environment,
    reports: Path,
    page: Page,
    before: Page | None,
    after: Page | None,
    verdicts: pd.DataFrame,
    items: set[str],
) -> None:
    body = without_first_heading(unlink(notebook_body(page.path), page.item, items))
    own = verdicts[verdicts["item"] == page.item]
    saved = results.load(page.item, reports)
    write_page(
        environment,
        "page.html.jinja",
        page.path.with_suffix(".html"),
        root="../",
        report=True,
        page=page,
        before=before,
        after=after,
        body=body,
        contents=headings(body),
        counts=count_verdicts(own) if len(own) else {},
        facts=facts(saved[1]) if saved else {},
    )


def _executed_notebooks(reports: Path) -> list[Page]:
    pages = []
    for folder in FOLDERS:
        for path in (reports / folder).glob("*.ipynb"):
            item = path.relative_to(reports).with_suffix("").as_posix()
            if path.with_suffix(".stamp.json").exists() and (notebooks_folder() / f"{item}.ipynb").exists():
                pages.append(Page(item, _title(path), last_run(path).get("seconds"), path))
    return sorted(pages, key=lambda page: (FOLDERS.index(_folder(page.item)), natural_order(page.item)))


def _title(path: Path) -> str:
    cells = json.loads(path.read_text())["cells"]
    heading = next(cell for cell in cells if cell["cell_type"] == "markdown")
    return "".join(heading["source"]).splitlines()[0].lstrip("# ")


def _folder(item: str) -> str:
    return item.partition("/")[0]


def _paper(name: str, key: str, verdicts: pd.DataFrame, pages: Sequence[Page], reports: Path) -> dict[str, object]:
    own = verdicts[verdicts["item"].map(_folder) == key]
    by_item = {page.item: page for page in pages}
    items = []
    for item in sorted(set(own["item"]), key=natural_order):
        rows = own[own["item"] == item]
        saved = results.load(item, reports)
        record = saved[1] if saved else {"figures": []}
        attempted = rows[rows["verdict"] != NOT_ATTEMPTED]
        missing = rows[rows["verdict"] == NOT_ATTEMPTED]
        reasons = missing.groupby("note", sort=False).agg(
            count=("item", "size"), rows=("row", lambda r: ", ".join(dict.fromkeys(r)))
        )
        items.append(
            {
                "item": item,
                "anchor": item.replace("/", "-"),
                "page": by_item.get(item),
                "counts": count_verdicts(rows),
                "rows": attempted.to_dict("records"),
                "reasons": reasons.reset_index().to_dict("records"),
                "figures": [
                    {**figure, "file": f"{Path(item).parent}/{figure['file']}"} for figure in record["figures"]
                ],
                "facts": facts(record) if saved else {},
            }
        )
    return {"name": name, "anchor": key, "items": items, "counts": count_verdicts(own)}
