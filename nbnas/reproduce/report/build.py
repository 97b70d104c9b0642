"""Builds the report from the results that notebooks saved."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from nbnas.benchmarks import BENCHMARKS
from nbnas.machine import provenance
from nbnas.machine.paths import data_folder, notebooks_folder
from nbnas.plots.rankings import differences_at_a_glance
from nbnas.proxies import list_proxies
from nbnas.reproduce import results
from nbnas.reproduce.notebook import FOLDERS, last_run, natural_order, read_notebook, stamp_file, title_of
from nbnas.reproduce.report import explorer
from nbnas.reproduce.report.api_page import api_sections
from nbnas.reproduce.report.claims import ROW_NAMES, judge_claims
from nbnas.reproduce.report.rendering import facts, headings, notebook_body, unlink, write_page, write_table_script
from nbnas.reproduce.report.search import write_search
from nbnas.reproduce.verdict_rule import CLOSE, DIFFERS, EXPLAINED
from nbnas.reproduce.verdicts import (
    COLUMNS,
    count_verdicts,
    is_judged,
    load_published,
    not_attempted,
)


class Page(NamedTuple):
    """A page of the report: an executed notebook, or a published item without one."""

    item: str
    title: str
    seconds: float | None
    """How long the run took, if known."""
    executed: bool = True
    """Whether there is a run, or only the published numbers."""


def build_report(reports: Path, profile: str) -> Path:
    """Write ``index.html``, ``explorer.html``, ``api.html``, ``verdicts.csv``, a page per notebook or published item.

    They are written into ``reports``. The first page shows the name of the profile; its path is returned.
    """
    reports.mkdir(parents=True, exist_ok=True)
    published = load_published()["item"].unique()
    pages = _pages(reports, published)
    saved = {item: results.load(item, reports) for item in {*published, *(page.item for page in pages)}}
    records = {item: found[1] for item, found in saved.items() if found}
    tables = [saved[item][0] if saved[item] else not_attempted(item) for item in published]
    verdicts = pd.concat(tables, ignore_index=True)[COLUMNS]
    verdicts.to_csv(reports / "verdicts.csv", index=False)
    run = {"profile": profile, **provenance.collect("cpu")}
    (reports / "run.json").write_text(json.dumps(run, indent=1) + "\n")
    reference, reference_run = load_reference()
    # Both list every published number, in the same order.
    comparable = len(reference) == len(verdicts)
    elsewhere = reference[~is_judged(verdicts) & is_judged(reference)] if comparable else reference.head(0)
    write_table_script(reports)
    _write_item_pages(reports, pages, verdicts, elsewhere, records)
    explorer.write_explorer(reports, explorer.SPACES)
    proxies = list_proxies().reset_index().fillna("").to_dict("records")
    write_page("api.html.jinja", reports / "api.html", sections=api_sections(), proxies=proxies)
    figure, alt = differences_at_a_glance(pd.concat([verdicts[is_judged(verdicts)], elsewhere]))
    figure.savefig(reports / "glance.png", dpi=160, bbox_inches="tight", metadata={"Software": None})
    by_item = {page.item: page for page in pages}
    index = write_page(
        "index.html.jinja",
        reports / "index.html",
        profile=profile,
        cards=judge_claims(verdicts, reference),
        names=ROW_NAMES,
        glance=alt,
        causes=_causes(pd.concat([verdicts, elsewhere]), by_item),
        findings=[(by_item[item], record["finding"]) for item, record in records.items() if record.get("finding")],
        papers=[_paper(key, verdicts, elsewhere, by_item) for key in ("vkdnw", "tcet")],
        others={FOLDERS[key]: [page for page in pages if page.item.startswith(key)] for key in ("studies", "lessons")},
        sweeps=sorted(path.stem for path in (reports / "sweeps").glob("*.html")),
        totals=count_verdicts(verdicts),
        median_difference=_median_difference(verdicts),
        elsewhere=count_verdicts(elsewhere),
        reference=reference_run,
        sources=sorted(set(verdicts["source"]) & set(BENCHMARKS["nasbench201"].by_name)),
        judged=int(is_judged(verdicts).sum()),
        rule_page="studies/verdict_rule" in by_item,
    )
    write_search(reports)
    return index


def _write_item_pages(
    reports: Path, pages: list[Page], verdicts: pd.DataFrame, elsewhere: pd.DataFrame, records: dict[str, dict]
) -> None:
    """Write the page of each executed notebook and published item, with links to the one before and the one after."""
    for page, *neighbours in zip(pages, [None, *pages], [*pages[1:], None], strict=False):
        body = ""
        if page.executed:
            body = notebook_body(reports / f"{page.item}.ipynb", fold_code=not page.item.startswith("lessons/"))
            body = unlink(body, page.item, [other.item for other in pages])
        own, others = (table[table["item"] == page.item] for table in (verdicts, elsewhere))
        write_page(
            "page.html.jinja",
            reports / f"{page.item}.html",
            "../",
            page=page,
            neighbours=neighbours,
            body=body,
            contents=headings(body),
            counts=count_verdicts(own) if len(own) else {},
            rows=own.to_dict("records"),
            elsewhere=others.to_dict("records"),
            facts=facts(records[page.item]) if page.item in records else {},
        )


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


def _pages(reports: Path, published: Collection[str]) -> list[Page]:
    """List the executed notebooks, and the published items whose notebook was not executed."""
    pages = []
    for folder in FOLDERS:
        executed = {f"{folder}/{path.stem}" for path in (reports / folder).glob("*.ipynb")}
        for item in sorted(executed | {item for item in published if item.startswith(folder)}, key=natural_order):
            path, source = reports / f"{item}.ipynb", notebooks_folder() / f"{item}.ipynb"
            if item in executed and stamp_file(path).exists() and source.exists():
                title = title_of(json.loads(path.read_text())["cells"])
                pages.append(Page(item, title, last_run(path).get("seconds")))
            elif item in published:
                title = read_notebook(source).title if source.exists() else item
                pages.append(Page(item, title, None, executed=False))
    return pages


def _causes(verdicts: pd.DataFrame, pages: dict[str, Page]) -> list[dict[str, object]]:
    """Group what lies outside of its uncertainty by cause, the most frequent first."""
    outside = verdicts[verdicts["verdict"].isin([CLOSE, EXPLAINED, DIFFERS])]
    groups = []
    for cause, rows in outside.groupby("cause"):
        items = [pages[item] for item in rows["item"].unique() if item in pages]
        largest = rows["difference"].abs().max()
        groups.append({"cause": cause, "counts": count_verdicts(rows), "pages": items, "largest": largest})
    return sorted(groups, key=lambda group: -sum(group["counts"].values()))


def _paper(key: str, verdicts: pd.DataFrame, elsewhere: pd.DataFrame, pages: dict[str, Page]) -> dict[str, object]:
    own = verdicts[verdicts["item"].str.startswith(f"{key}/")]
    items = []
    for item in sorted(own["item"].unique(), key=natural_order):
        counts, others = (count_verdicts(table[table["item"] == item]) for table in (own, elsewhere))
        items.append({"page": pages[item], "counts": counts, "elsewhere": sum(others.values())})
    return {"name": FOLDERS[key], "anchor": key, "items": items, "counts": count_verdicts(own)}
