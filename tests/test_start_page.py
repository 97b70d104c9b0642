"""The start page of the notebooks: it knows all of them, and its links lead somewhere."""

import json
import re

import nbformat
import pytest

from nbnas.errors import NbnasError
from nbnas.machine.paths import notebooks_folder
from nbnas.reproduce.notebook import read_notebook, run_notebook
from nbnas.reproduce.report.notebook_map import START_PAGE, notebook_map, show_notebook_map
from nbnas.reproduce.verdicts import VERDICTS, not_attempted

NOTEBOOKS = notebooks_folder()
LISTED = sorted(
    path.relative_to(NOTEBOOKS).as_posix()
    for path in NOTEBOOKS.rglob("*.ipynb")
    if not {"exercises", ".ipynb_checkpoints"} & set(path.parts) and path != NOTEBOOKS / START_PAGE
)


@pytest.fixture(scope="module")
def text():
    cells = nbformat.read(NOTEBOOKS / START_PAGE, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("path", LISTED)
def test_every_notebook_is_on_the_start_page_by_its_title(text, path):
    link = f"[{read_notebook(NOTEBOOKS / path).title}]({path})"
    assert link in text, f"add to notebooks/{START_PAGE}: {link}"


def test_links_of_the_start_page_resolve(text):
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (NOTEBOOKS / target).exists(), target
    headings = {line.lstrip("# ").replace(" ", "-") for line in text.splitlines() if line.startswith("#")}
    anchors = re.findall(r"\]\(#([^)]+)\)", text)
    assert anchors
    assert set(anchors) <= headings


def test_minutes_on_the_start_page_are_those_of_the_lessons(text):
    rows = re.findall(r"^\| \[.*\]\((lessons/\S+\.ipynb)\) \|.*\| (\d+) \|$", text, re.MULTILINE)
    assert sorted(path for path, _ in rows) == [path for path in LISTED if re.match(r"lessons/\d", path)]
    for path, minutes in rows:
        first = nbformat.read(NOTEBOOKS / path, as_version=4).cells[0].source
        assert re.search(rf"\b{minutes}\s+minutes\s+to\s+read", first), path


def test_the_map_lists_every_notebook(monkeypatch, tmp_path):
    monkeypatch.setenv("NBNAS_REPORTS", str(tmp_path))
    table = notebook_map()
    assert sorted(table.index) == LISTED
    assert table["title"].str.len().min() > 0
    assert not table["measured"].any()
    assert table[list(VERDICTS)].isna().all(axis=None)
    shown = show_notebook_map().data
    assert "no verdicts yet" in shown
    assert "make reproduce" in shown
    for path in re.findall(r'href="([^"]+)"', shown):
        assert (NOTEBOOKS / path).exists(), path


def test_the_map_shows_the_last_run(monkeypatch, tmp_path):
    monkeypatch.setenv("NBNAS_REPORTS", str(tmp_path))
    (tmp_path / "vkdnw").mkdir()
    (tmp_path / "vkdnw" / "fig4.stamp.json").write_text(json.dumps({"seconds": 71.0}))
    verdicts = not_attempted("vkdnw/fig4")
    verdicts.loc[verdicts.index[:3], "verdict"] = "match"
    verdicts.to_csv(tmp_path / "verdicts.csv", index=False)
    (tmp_path / "index.html").write_text("")
    row = notebook_map().loc["vkdnw/fig4.ipynb"]
    assert row["seconds"] == 71.0
    assert row["measured"]
    assert row["match"] == 3
    assert row["not attempted"] == len(verdicts) - 3
    shown = show_notebook_map().data
    assert "<td>3</td>" in shown
    assert "1.2 min" in shown
    assert "nbnas report --profile default --open" in shown
    # A page that is shown inside JupyterLab cannot follow links to other pages.
    assert all(path.endswith(".ipynb") for path in re.findall(r'href="([^"]+)"', shown))


def test_an_unknown_profile_is_an_error():
    with pytest.raises(NbnasError, match="unknown profile"):
        notebook_map("fast")


@pytest.mark.slow
def test_the_start_page_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("NBNAS_REPORTS", str(tmp_path))
    run_notebook(read_notebook(NOTEBOOKS / START_PAGE), {}, tmp_path / START_PAGE)
    outputs = [output for cell in nbformat.read(tmp_path / START_PAGE, 4).cells for output in cell.get("outputs", [])]
    assert "Lesson 1" in outputs[-1]["data"]["text/html"]
