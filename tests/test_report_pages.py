"""What a reader of the report sees: links, contents, folded solutions, the API page, in a browser too."""

import html
import importlib
import inspect
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from nbnas.reproduce import results
from nbnas.reproduce.notebook import natural_order
from nbnas.reproduce.report import build, explorer
from nbnas.reproduce.report.api_page import MODULES, api_sections, docstring_to_html
from nbnas.reproduce.verdicts import VERDICTS, compare, load_published

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDE = pd.DataFrame([[f"value {column}" for column in range(30)]])


def write_run(notebooks, reports, item, cells, seconds):
    """Leave what a run of a notebook leaves, without running it."""
    for folder in (notebooks, reports):
        path = folder / f"{item}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    (reports / f"{item}.stamp.json").write_text(json.dumps({"seconds": seconds}))


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    notebooks, reports = root / "notebooks", root / "reports"
    wide = nbformat.v4.new_code_cell("table", execution_count=1)
    wide.outputs = [
        nbformat.v4.new_output("execute_result", {"text/html": WIDE.to_html()}, execution_count=1),
        nbformat.v4.new_output("stream", name="stdout", text="a_word_without_a_break_" * 20),
    ]
    links = "[a](../lessons/01_a.ipynb), [absent](../lessons/09_absent.ipynb), [paper](https://example.org/x.ipynb)"
    figure = [
        nbformat.v4.new_markdown_cell(f"# Figure 4 of VKDNW: size\n\nSee {links}."),
        nbformat.v4.new_markdown_cell("## The claim $\\tau$\n\n### Its *reason*\n\n$$\\ln x$$"),
        wide,
    ]
    lesson = [
        nbformat.v4.new_markdown_cell("# Lesson 1: a tour"),
        nbformat.v4.new_code_cell("seed = 7", metadata={"tags": ["injected-parameters"]}),
        nbformat.v4.new_code_cell("answer = 42", metadata={"tags": ["solution"]}),
        nbformat.v4.new_markdown_cell("Because it is.", metadata={"tags": ["solution"]}),
    ]
    (reports / "sweeps").mkdir(parents=True)
    (reports / "sweeps" / "widths.html").write_text("<h1>Widths</h1>")
    write_run(notebooks, reports, "vkdnw/fig4", figure, 71.0)
    write_run(notebooks, reports, "vkdnw/table10", figure[:1], 5.0)
    write_run(notebooks, reports, "vkdnw/table2", figure[:1], 5.0)
    write_run(notebooks, reports, "lessons/01_a", lesson, 4000.0)
    row = load_published("vkdnw/fig4").iloc[0]
    ours = pd.DataFrame([row[["row_key", "column", "metric"]]])
    ours = ours.assign(reproduced=float(row["value"]), low=float(row["value"]), high=float(row["value"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBNAS_REPORTS", str(reports))
        patch.setattr(build, "notebooks_folder", lambda: notebooks)
        patch.setattr(explorer, "SPACES", ())  # Reading all scores takes a while.
        table = compare("vkdnw/fig4", ours.assign(source="made-up", note="5 < 6 & so on"))
        results.save("vkdnw/fig4", table, {}, {"cells": "a <sample> of 3"})
        build.build_report(reports, "default")
    return reports


class Page(HTMLParser):
    """Identifiers and links of a page."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links = [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[name] for name in ("href", "src") if values.get(name)]


def test_links_and_anchors_of_all_pages_resolve(reports):
    pages = {path.resolve(): Page(path) for path in reports.rglob("*.html")}
    # First page, explorer, API, sweep, lesson, a table of our own, and one for each published item.
    assert len(pages) == 6 + load_published()["item"].nunique()
    assert "sweeps/widths.html" in pages[(reports / "index.html").resolve()].links
    followed = 0
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), path
        for link in page.links:
            if link.startswith(("https://", "data:")):
                continue
            file, _, anchor = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), f"{link} in {path}"
            assert not anchor or anchor in pages[target].ids, f"{link} in {path}"
            followed += 1
    assert followed > 300


def test_a_link_to_a_notebook_without_a_page_is_plain_text(reports):
    text = (reports / "vkdnw" / "fig4.html").read_text()
    assert '<a href="../lessons/01_a.html">a</a>, absent, <a href="https://example.org/x.ipynb">paper</a>' in text


def test_a_reproduction_page_says_how_it_stands_and_how_it_was_made(reports):
    text = (reports / "vkdnw" / "fig4.html").read_text()
    absent = len(load_published("vkdnw/fig4")) - 1
    assert '<span class="verdict match">1 match</span>' in text
    assert f'<span class="verdict not-attempted">{absent} not attempted</span>' in text
    assert 'href="#every-number"' in text
    assert "Ran in 1.2 min" in text
    assert "a &lt;sample&gt; of 3" in text
    assert text.count("<h1") == 1
    contents = text[text.index('class="contents"') : text.index("<main>")]
    assert re.findall(r'class="level-(\d)"', contents) == ["2", "3", "2"]
    assert "<em>reason</em>" in contents
    assert "5 &lt; 6 &amp; so on" in text


def test_an_item_whose_notebook_was_not_executed_has_a_page_with_its_published_numbers(reports):
    text = (reports / "vkdnw" / "table8.html").read_text()
    assert "has no finished run here" in text
    assert text.count('<td class="verdict not-attempted">') == len(load_published("vkdnw/table8"))


def test_pages_follow_each_other_in_the_order_of_the_report(reports):
    own = [item for item in load_published()["item"].unique() if item.startswith("vkdnw/")]
    vkdnw = sorted([*own, "vkdnw/table10"], key=natural_order)
    assert vkdnw.index("vkdnw/table10") == vkdnw.index("vkdnw/table8") + 1
    others = [item for item in load_published()["item"].unique() if item.startswith("tcet/")]
    order = [*vkdnw, *sorted(others, key=natural_order), "lessons/01_a"]
    for number, item in enumerate(order):
        text = (reports / f"{item}.html").read_text()
        before, after = (re.findall(rf'rel="{name}" href="\.\./([^"]*)\.html"', text) for name in ("prev", "next"))
        assert before == order[:number][-1:]
        assert after == order[number + 1 :][:1]


def test_solutions_and_the_parameters_of_a_run_are_folded(reports):
    text = (reports / "lessons" / "01_a.html").read_text()
    folded = re.findall(r"<details([^>]*)><summary>(.*?)</summary>(.*?)</details>", text, re.DOTALL)
    plain = {(state, summary): re.sub(r"<.*?>", "", content).split() for state, summary, content in folded}
    assert plain["", "Parameters of this run"] == ["seed", "=", "7"]
    solutions = [content for state, summary, content in folded if summary == "Solution"]
    assert len(solutions) == 2
    assert "42" in solutions[0]
    assert "Because it is." in solutions[1]
    assert not any("open" in state for state, _, _ in folded)


# ---------------------------------------------------------------------------------------------------------------- API


@pytest.fixture(scope="module")
def sections():
    return {section.name: section for section in api_sections()}


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_explained(sections, name):
    section = sections[name]
    module = importlib.import_module(name)
    own = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == name and key[0] != "_"]
    assert [entry.name for entry in section.members] == getattr(module, "__all__", own) != []
    members = [member for entry in section.members for member in entry.members]
    for explained in (section, *section.members, *members):
        words = re.sub(r"<.*?>", "", explained.text).split()
        assert len(words) >= (1 if getattr(explained, "kind", None) == "attribute" else 2), explained.name


def test_every_proxy_is_listed_with_formula_source_and_requirements(reports):
    import nbnas

    text = html.unescape((reports / "api.html").read_text())
    for name, proxy in nbnas.list_proxies().iterrows():
        article = text[text.index(f'id="proxy-{name}"') :].partition("</article>")[0]
        assert "nan" not in re.sub(r"<.*?>", " ", article).split(), name
        for value in (proxy["formula"], proxy["paper"], proxy["cost"], proxy["requires"], *proxy["scores"]):
            assert value in article, (name, value)


def test_signatures_and_sources_are_those_of_the_code(sections):
    (ndcg,) = (entry for entry in sections["nbnas.rankings"].members if entry.name == "ndcg")
    expected = "ndcg(scores: ArrayLike, accuracy: ArrayLike, k: int = 1000, ties: str = 'average') -> float"
    assert " ".join(ndcg.signature.split()).replace("( ", "(").replace(", )", ")") == expected
    from nbnas.rankings import ndcg as function

    assert ndcg.location == f"nbnas/rankings/metrics.py, line {inspect.getsourcelines(function)[1]}"
    assert ndcg.source == inspect.getsource(function).rstrip("\n")


def test_a_name_exported_twice_is_explained_once(sections):
    (alias,) = (entry for entry in sections["nbnas.spaces"].members if entry.name == "get_space")
    assert alias.kind == "alias"
    assert 'href="#nbnas.get_space"' in alias.text


def test_docstrings_become_html():
    text = """Sum of ``a*b`` and <c>; see :func:`known` and :func:`unknown`.

    >>> 1 + 1
    2

    Args:
        values: (n,), of which
            none is NaN.
        *others: More: of them.

    Returns:
        A number.

    Raises:
        NbnasError: If ``n`` is 0.
    """
    shown = docstring_to_html(text, {"known": "#m.known"}.get)
    assert "<code>a*b</code> and &lt;c&gt;" in shown
    assert '<a href="#m.known"><code>known</code></a> and <code>unknown</code>' in shown
    assert "<dt><code>values</code></dt><dd><p>(n,), of which\nnone is NaN.</p></dd>" in shown
    assert "<dt><code>*others</code></dt><dd><p>More: of them.</p></dd>" in shown
    assert "<h5>Returns</h5>\n<p>A number.</p>" in shown
    assert "<dt><code>NbnasError</code></dt><dd><p>If <code>n</code> is 0.</p></dd>" in shown
    assert "1</span>" in shown
    assert shown.index("1</span>") < shown.index("Args")


# --------------------------------------------------------------------------------------------------------------- look


def luminance(colour):
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["text", "muted", "link", "match", "close", "differs", "none"])
def test_colours_stand_out_from_page_and_panels(theme, name):
    style = (Path(build.__file__).parent / "templates" / "style.css").read_text()
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", style, re.DOTALL)[theme]))
    for ground in ("page", "panel"):
        low, high = sorted((luminance(colours[name]), luminance(colours[ground])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (name, ground)


def test_verdicts_have_signs_beside_colours(reports):
    style = (reports / "index.html").read_text()
    signs = dict(re.findall(r'\.verdict\.([a-z-]+)::before \{ content: "(.) "; \}', style))
    assert list(signs) == [name.replace(" ", "-") for name in VERDICTS]
    assert len(set(signs.values())) == len(VERDICTS)


PROBE = """<script>
addEventListener("load", () => {
  const fetched = performance.getEntriesByType("resource").map(entry => entry.name);
  parent.postMessage(JSON.stringify([innerWidth, document.documentElement.scrollWidth, fetched]), "*");
});
</script>"""
FRAME = """<script>addEventListener("message", event => { document.body.dataset.probe = event.data; });</script>
<body><iframe src="PAGE" style="width: WIDTHpx; height: 800px; border: 0"></iframe></body>"""


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("page", ["index.html", "api.html", "explorer.html", "vkdnw/fig4.html"])
def test_a_browser_shows_the_page_without_scrolling_sideways_fetching_or_complaints(reports, tmp_path, page, width):
    # In a frame, because windows have a smallest width. Everything is unfolded.
    shown = reports / page
    probe = shown.with_name(f"{shown.stem}.probe.htm")
    probe.write_text(shown.read_text().replace("<details>", "<details open>") + PROBE)
    frame = shown.with_name(f"{shown.stem}.frame.htm")
    frame.write_text(FRAME.replace("PAGE", probe.name).replace("WIDTH", str(width)))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={tmp_path}"]
    command = [BROWSER, *options, "--virtual-time-budget=10000", "--dump-dom", frame.resolve().as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    inner, scrolled, fetched = json.loads(html.unescape(re.search(r'data-probe="(.*?)"', result.stdout)[1]))
    assert inner == width
    assert scrolled <= inner
    assert [address for address in fetched if not address.startswith(("file:", "data:"))] == []
    assert "CONSOLE" not in result.stderr
