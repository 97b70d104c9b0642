"""Builds the report from the results that notebooks saved."""

import json
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from nbnas.benchmarks import BENCHMARKS
from nbnas.machine import provenance
from nbnas.machine.paths import data_folder, notebooks_folder
from nbnas.proxies import list_proxies
from nbnas.reproduce import results
from nbnas.reproduce.notebook import FOLDERS, last_run, natural_order, stamp_file, title_of
from nbnas.reproduce.report.api_page import api_sections
from nbnas.reproduce.report.explorer import write_explorer
from nbnas.reproduce.report.rendering import facts, headings, notebook_body, unlink, write_page
from nbnas.reproduce.verdicts import (
    COLUMNS,
    NOT_ATTEMPTED,
    absent_rows,
    count_verdicts,
    is_judged,
    load_published,
    not_attempted,
)


class Page(NamedTuple):
    """An executed notebook."""

    item: str
    title: str
    seconds: float | None
    """How long the run took, if known."""


def build_report(reports: Path, profile: str) -> Path:
    """Write ``verdicts.csv``, ``index.html``, ``explorer.html``, ``api.html`` and the pages of executed notebooks.

    They are written into ``reports``. The first page shows the name of the profile; its path is returned.
    """
    reports.mkdir(parents=True, exist_ok=True)
    pages = _executed_notebooks(reports)
    published = load_published()["item"].unique()
    saved = {item: results.load(item, reports) for item in {*published, *(page.item for page in pages)}}
    records = {item: found[1] for item, found in saved.items() if found}
    tables = [saved[item][0] if saved[item] else not_attempted(item) for item in published]
    verdicts = pd.concat(tables, ignore_index=True)[COLUMNS]
    verdicts.to_csv(reports / "verdicts.csv", index=False)
    run = {"profile": profile, **provenance.collect("cpu")}
    (reports / "run.json").write_text(json.dumps(run, indent=1) + "\n")
    elsewhere, reference = _judged_elsewhere(verdicts)
    for before, page, after in zip([None, *pages], pages, [*pages[1:], None], strict=False):
        body = unlink(notebook_body(reports / f"{page.item}.ipynb"), page.item, [other.item for other in pages])
        own = verdicts[verdicts["item"] == page.item]
        write_page(
            "page.html.jinja",
            reports / f"{page.item}.html",
            "../",
            page=page,
            before=before,
            after=after,
            body=body,
            contents=headings(body),
            counts=count_verdicts(own) if len(own) else {},
            facts=facts(records[page.item]) if page.item in records else {},
        )
    write_explorer(reports)
    proxies = list_proxies().reset_index().fillna("").to_dict("records")
    write_page("api.html.jinja", reports / "api.html", sections=api_sections(), proxies=proxies)
    return write_page(
        "index.html.jinja",
        reports / "index.html",
        profile=profile,
        papers=[
            _paper(key, verdicts, elsewhere, {page.item: page for page in pages}, records) for key in ("vkdnw", "tcet")
        ],
        others={FOLDERS[key]: [page for page in pages if page.item.startswith(key)] for key in ("studies", "lessons")},
        sweeps=sorted(path.stem for path in (reports / "sweeps").glob("*.html")),
        totals=count_verdicts(verdicts),
        median_difference=_median_difference(verdicts),
        elsewhere=count_verdicts(elsewhere),
        reference=reference,
        sources=sorted(set(verdicts["source"]) & set(BENCHMARKS["nasbench201"].by_name)),
        judged=int(is_judged(verdicts).sum()),
        not_attempted=NOT_ATTEMPTED,
        rule_page=any(page.item == "studies/verdict_rule" for page in pages),
    )


def _judged_elsewhere(verdicts: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, object]]:
    """Return what the shipped reference run judged and this run did not, and how that run was made."""
    table, run = load_reference()
    # Both list every published number, in the same order.
    if len(table) != len(verdicts):
        return table.head(0), run
    return table[~is_judged(verdicts) & is_judged(table)], run


def load_reference() -> tuple[pd.DataFrame, dict[str, object]]:
    """Return the verdicts of the run that is shipped in ``data/reference``, and how it was made; empty without it."""
    folder = data_folder() / "reference"
    if not (folder / "verdicts.csv").exists():
        return pd.DataFrame(columns=COLUMNS), {}
    return results.read_table(folder / "verdicts.csv"), json.loads((folder / "run.json").read_text())


def _median_difference(verdicts: pd.DataFrame) -> float:
    """Median of the absolute differences of correlations and nDCG that were judged; NaN if there are none."""
    measures = verdicts["metric"].str.contains("tau|rho|ndcg") & is_judged(verdicts)
    return float(verdicts.loc[measures, "difference"].abs().median())


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


def _paper(
    key: str, verdicts: pd.DataFrame, elsewhere: pd.DataFrame, pages: dict[str, Page], records: dict[str, dict]
) -> dict[str, object]:
    own = verdicts[verdicts["item"].str.startswith(f"{key}/")]
    items = []
    for item in sorted(own["item"].unique(), key=natural_order):
        rows, record = own[own["item"] == item], records.get(item)
        attempted = rows["verdict"] != NOT_ATTEMPTED
        reasons = absent_rows(rows)
        reasons["count"] = reasons["note"].map(rows.loc[~attempted, "note"].value_counts())
        items.append(
            {
                "item": item,
                "page": pages.get(item),
                "counts": count_verdicts(rows),
                "rows": rows[attempted].to_dict("records"),
                "elsewhere": elsewhere[elsewhere["item"] == item].to_dict("records"),
                "reasons": reasons.to_dict("records"),
                "figures": record["figures"] if record else [],
                "facts": facts(record) if record else {},
            }
        )
    return {"name": FOLDERS[key], "anchor": key, "items": items, "counts": count_verdicts(own)}
