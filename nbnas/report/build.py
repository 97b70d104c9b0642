"""Builds the report from the artefacts that notebooks saved."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from pygments.formatters import HtmlFormatter

from nbnas import artefacts
from nbnas.benchmarks.nasbench201 import SOURCES
from nbnas.paths import notebooks_folder
from nbnas.published import load_published
from nbnas.report.notebook_page import notebook_body
from nbnas.verdicts import COLUMNS, NOT_ATTEMPTED, VERDICTS, not_attempted

PAPERS = {"vkdnw": "VKDNW (CVPR 2025)", "tcet": "T-CET (AutoML 2023)"}


def build_report(reports: Path, profile: str) -> Path:
    """Write ``verdicts.csv``, ``index.html`` and a page per executed notebook into ``reports``.

    Args:
        reports: Folder with what the notebooks left there.
        profile: Shown on the first page.

    Returns:
        Path of the first page.
    """
    reports.mkdir(parents=True, exist_ok=True)
    environment = Environment(loader=PackageLoader("nbnas.report"), autoescape=select_autoescape(), trim_blocks=True)
    environment.filters["number"] = _number
    style = environment.loader.get_source(environment, "style.css")[0]
    pages = _notebook_pages(reports, environment, style)
    verdicts = collect_verdicts(reports)
    verdicts.to_csv(reports / "verdicts.csv", index=False)
    index = reports / "index.html"
    page = environment.get_template("index.html.jinja").render(
        style=style,
        profile=profile,
        pages=pages,
        papers=[_paper(name, key, verdicts, pages, reports) for key, name in PAPERS.items()],
        totals=_totals(verdicts),
        sources=sorted(set(verdicts["source"]) & set(SOURCES)),
        verdict_names=VERDICTS,
        not_attempted=NOT_ATTEMPTED,
    )
    index.write_text(page)
    return index


def collect_verdicts(reports: Path) -> pd.DataFrame:
    """Return a row for every published number of both papers: from an artefact where there is one."""
    tables = []
    for item in dict.fromkeys(load_published()["item"]):
        saved = artefacts.load(item, reports)
        tables.append(not_attempted(item) if saved is None else saved[0])
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def _notebook_pages(reports: Path, environment: Environment, style: str) -> list[dict[str, str]]:
    code_style = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark_style = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    pages = []
    for path in _executed_notebooks(reports):
        item = path.relative_to(reports).with_suffix("").as_posix()
        title = _title(path)
        page = environment.get_template("page.html.jinja").render(
            style=style, code_style=code_style, dark_style=dark_style, title=title, item=item, body=notebook_body(path)
        )
        path.with_suffix(".html").write_text(page)
        pages.append({"item": item, "title": title, "href": f"{item}.html"})
    return pages


def _executed_notebooks(reports: Path) -> Iterable[Path]:
    for stamp in sorted(reports.glob("*/*.stamp.json")):
        path = stamp.with_name(stamp.name.removesuffix(".stamp.json") + ".ipynb")
        if path.exists() and (notebooks_folder() / path.relative_to(reports)).exists():
            yield path


def _title(path: Path) -> str:
    cells = json.loads(path.read_text())["cells"]
    heading = next(cell for cell in cells if cell["cell_type"] == "markdown")
    return "".join(heading["source"]).splitlines()[0].lstrip("# ")


def _paper(
    name: str, key: str, verdicts: pd.DataFrame, pages: list[dict[str, str]], reports: Path
) -> dict[str, object]:
    own = verdicts[verdicts["item"].str.startswith(f"{key}/")]
    titles = {page["item"]: page for page in pages}
    items = []
    for item in sorted(set(own["item"]), key=_natural_order):
        rows = own[own["item"] == item]
        saved = artefacts.load(item, reports)
        record = saved[1] if saved else {"protocol": {}, "figures": []}
        attempted = rows[rows["verdict"] != NOT_ATTEMPTED]
        missing = rows[rows["verdict"] == NOT_ATTEMPTED]
        reasons = missing.groupby("note", sort=False).agg(
            count=("item", "size"), rows=("row", lambda r: ", ".join(dict.fromkeys(r)))
        )
        items.append(
            {
                "item": item,
                "page": titles.get(item),
                "counts": _totals(rows),
                "rows": attempted.to_dict("records"),
                "reasons": reasons.reset_index().to_dict("records"),
                "figures": [
                    {**figure, "file": f"{Path(item).parent}/{figure['file']}"} for figure in record["figures"]
                ],
                "protocol": record["protocol"],
            }
        )
    return {"name": name, "items": items, "counts": _totals(own)}


def _natural_order(item: str) -> tuple[bool, str, int, str]:
    """Tables before figures, and table 2 before table 10."""
    kind, number, rest = re.match(r"(\D+)(\d*)(.*)", item).groups()
    return "/fig" in kind, kind, int(number or 0), rest


def _totals(verdicts: pd.DataFrame) -> dict[str, int]:
    return {name: int((verdicts["verdict"] == name).sum()) for name in VERDICTS}


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) >= 10 else f"{value:.4f}"
