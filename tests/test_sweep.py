"""Sweeps, on tiny notebooks that only save a table."""

import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pandas as pd
import pytest

import nbnas
from nbnas.cli import main
from nbnas.errors import NbnasError
from nbnas.machine.paths import notebooks_folder, project_root
from nbnas.reproduce.sweep import read_sweep, sweep
from nbnas.studies.sweep_points import rank_sample, score_sample, score_sample_by_fisher

# What results.save does, without the seconds that it takes to import the package.
SAVES = """
import json, os, time
from pathlib import Path
reports = Path(os.environ["NBNAS_REPORTS"])
def save(columns):
    (reports / "result.csv").write_text(",".join(columns) + "\\n" + ",".join(map(str, columns.values())) + "\\n")
    (reports / "result.json").write_text(json.dumps({"protocol": {"seed": seed, "weights": "none"}}))
"""

DOUBLES = f"""{SAVES}
save({{"published": "x", "seed": seed, "double": 2 * seed, "low": seed, "high": 3 * seed,
      "threads": os.environ["OMP_NUM_THREADS"]}})
"""

PLOTS = """
plots:
  - {x: seed, y: double, hue: kind, low: low, high: high}
  - {x: kind, y: high, title: A second plot}
"""


def write(folder, source, axes="seed: [1, 2]", rest=""):
    """Write a notebook and a sweep of it; returns the path of the latter."""
    cells = [nbformat.v4.new_markdown_cell("# Doubles"), nbformat.v4.new_code_cell("seed = 0\nkind = 'a'\nshare = 0.5")]
    cells[1].metadata["tags"] = ["parameters"]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    content = nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell(source)], metadata=metadata)
    folder.mkdir(exist_ok=True)
    nbformat.write(content, folder / "doubles.ipynb")
    specification = folder / "doubles.yml"
    specification.write_text(f"notebook: doubles.ipynb\naxes: {{{axes}}}\n{rest}")
    return specification


@pytest.fixture
def reports(tmp_path, monkeypatch):
    monkeypatch.setenv("NBNAS_REPORTS", str(tmp_path / "reports"))
    monkeypatch.delenv("NBNAS_DATA", raising=False)
    return tmp_path / "reports" / "sweeps"


class _Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.pictures, self.links, self.fetched = [], [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "img":
            self.pictures.append(values)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in ("link", "iframe", "object", "source") or (tag == "script" and "src" in values):
            self.fetched.append(tag)


NUMBERS = {
    "share: [1e-3, 1E2, 1.5e+1, .5, 2.]": [0.001, 100.0, 15.0, 0.5, 2.0],
    "seed: [010, -07, 1_000, +3]": [10, -7, 1000, 3],
}


@pytest.mark.parametrize(("axis", "values"), NUMBERS.items())
def test_numbers_are_read_as_python_writes_them(tmp_path, axis, values):
    found = [value for point in read_sweep(write(tmp_path, "", axis)).points for value in point.values()]
    assert found == values
    assert [*map(type, found)] == [*map(type, values)]


def test_times_and_versions_stay_texts(tmp_path):
    points = read_sweep(write(tmp_path, "", "kind: [1:30, 1.2.3, e5, 0x]")).points
    assert [point["kind"] for point in points] == ["1:30", "1.2.3", "e5", "0x"]


def test_points_are_the_product_of_the_axes(tmp_path):
    plan = read_sweep(write(tmp_path, "", "seed: [1, 2], kind: [a, b]", "parameters: {share: 1}"))
    pairs = [(point["seed"], point["kind"]) for point in plan.points]
    assert pairs == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    assert plan.fixed == {"share": 1}
    assert plan.title == "Doubles"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a mapping"),
        ("words " * 100, "must be a mapping of names, got '" + "words " * 9 + "words\n"),
        ("notebook: doubles.ipynb\naxes: [", "not YAML, line 2"),
        ("axes:\n  seed: [1]\n  seed: [2]", "not YAML, line 3: 'seed' stands twice"),
        ("axes: {seed: [1]}", "doubles.yml: notebook: is missing"),
        ("notebook: doubles.ipynb", "doubles.yml: axes: is missing"),
        ("notebook: absent.ipynb\naxes: {seed: [1]}", "no notebook"),
        ("notebook: 3\naxes: {seed: [1]}", "notebook: must be the name of a file, got 3"),
        ("notebook: doubles.ipynb\naxes: {}", "axes: Dictionary should have at least 1 item"),
        ("notebook: doubles.ipynb\naxes: {seed: 1}", "axes.seed: must be a valid list, got 1"),
        ("notebook: doubles.ipynb\naxes: {seed: []}", "axes.seed: List should have at least 1 item"),
        ("notebook: doubles.ipynb\naxes: {seed: [1, 1]}", "a value twice"),
        ("notebook: doubles.ipynb\naxes: {seed: [1, one]}", "'seed' of doubles.ipynb must be int"),
        ("notebook: doubles.ipynb\naxes: {sede: [1]}", "no parameter 'sede'"),
        ("notebook: doubles.ipynb\naxes: {seed: [1]}\nplot: []", "plot: no such key; choose from notebook, title"),
        ("notebook: doubles.ipynb\naxes: {seed: [1]}\nparameters: {shore: 1}", "no parameter 'shore'"),
        ("notebook: doubles.ipynb\naxes: {seed: [1]}\nparameters: {seed: 1}", "both in 'axes' and in 'parameters'"),
        ("notebook: doubles.ipynb\naxes: {seed: [1]}\nminutes: -1", "minutes: must be greater than 0, got -1"),
        ("notebook: doubles.ipynb\naxes: {seed: [1]}\nplots: {x: seed}", "plots: must be a valid list"),
        ("notebook: doubles.ipynb\naxes: {seed: [1]}\nplots: [{x: seed}]", "plots.0.y: is missing"),
        ("notebook: doubles.ipynb\naxes: {seed: [1]}\nplots: [{x: kind, y: double}]", "'kind' as x, hue or panel"),
        ("notebook: doubles.ipynb\naxes: {seed: [1]}\nplots: [{x: seed, y: seed}]", "the axis 'seed' as y"),
        ("notebook: doubles.ipynb\naxes: {seed: [1]}\nplots: [{x: seed, y: d, hue: seed}]", "one axis twice"),
        ("notebook: doubles.ipynb\naxes: {seed: [1]}\nplots: [{x: seed, y: d, low: l}]", "'high' together"),
        (
            "notebook: doubles.ipynb\naxes: {seed: [1]}\nplots: [{x: seed, y: d, color: d}]",
            "plots.0.color: no such key; choose from x, y, hue",
        ),
        (
            "notebook: doubles.ipynb\naxes: {seed: [1]}\nplots: [{x: seed, y: d, from_zero: 0}]",
            "plots.0.from_zero: must be a valid boolean, got 0",
        ),
        ("notebook: doubles.ipynb\naxes: {seed: [1]}\nlabels: {seed: 1}", "labels.seed: must be a valid string, got 1"),
    ],
)
def test_a_malformed_sweep_is_one_line_and_starts_nothing(reports, tmp_path, capsys, text, message):
    specification = write(tmp_path / "grid", "1 / 0")
    specification.write_text(text)
    assert main(["sweep", str(specification)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not reports.exists()


def test_no_workers_is_an_error(reports, tmp_path):
    with pytest.raises(NbnasError, match="workers must be at least 1"):
        sweep(write(tmp_path, DOUBLES), workers=0)


def test_two_workers_leave_the_table_and_page_of_one(reports, tmp_path, monkeypatch, capsys):
    specification = write(tmp_path / "grid", DOUBLES, "seed: [1, 2], kind: [b]", PLOTS + "text: What it asks.\n")
    tables = []
    for workers in (1, 2):
        monkeypatch.setenv("NBNAS_REPORTS", str(tmp_path / f"reports{workers}"))
        page = sweep(specification, workers)
        tables.append(page.with_suffix(".csv").read_text())
    assert tables[0] == tables[1]
    table = pd.read_csv(page.with_suffix(".csv"))
    assert list(table.columns) == ["seed", "kind", "published", "double", "low", "high", "threads"]
    assert table["double"].tolist() == [2, 4]
    assert set(table["threads"]) == {1}

    found = _Page(page)
    assert found.fetched == []
    assert [Path(picture["src"]).name for picture in found.pictures] == ["doubles-1-double.png", "doubles-2-high.png"]
    assert "2 runs, with intervals" in found.pictures[0]["alt"]
    assert found.pictures[1]["alt"].startswith("A second plot: 2 runs.")
    files = [link for link in found.links if not link.startswith("#")]
    assert files
    for name in [*files, *(picture["src"] for picture in found.pictures)]:
        assert (page.parent / name).is_file()
    text = page.read_text()
    for said in ("<h1>Doubles</h1>", "What it asks.", "2 of 2 points", "<dd>none</dd>", "<dd>0.5</dd>"):
        assert said in text
    assert "http" not in text.replace("http-equiv", "")
    point_page = page.parent / files[1]
    back = next(link for link in _Page(point_page).links if not link.startswith("#"))
    assert (point_page.parent / back).resolve() == page

    stamps = {path: path.stat().st_mtime_ns for path in page.parent.rglob("*.stamp.json")}
    assert len(stamps) == 2
    capsys.readouterr()
    sweep(specification)
    assert "2 points, 2 up to date" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


FAILS = f"""{SAVES}
if seed == 2 and not Path("mended").exists():
    raise ValueError("two is unlucky")
if seed != 3 or Path("mended").exists():
    save({{"double": 2 * seed}})
"""


def test_failed_points_are_listed_and_alone_tried_again(reports, tmp_path, capsys):
    specification = write(tmp_path / "grid", FAILS, "seed: [1, 2, 3]", "plots: [{x: seed, y: double}]")
    assert main(["sweep", str(specification)]) == 1
    captured = capsys.readouterr()
    assert "2 of 3 points failed" in captured.err
    assert re.search(r"seed=2: doubles.ipynb failed in cell \d: ValueError: two is unlucky; log: ", captured.err)
    assert f"rerun: nbnas run {specification.with_suffix('.ipynb')} -p seed 2" in captured.err
    assert "seed=3: doubles.ipynb saved no table" in captured.err
    assert pd.read_csv(reports / "doubles.csv").to_dict("records") == [{"seed": 1, "double": 2}]
    text = (reports / "doubles.html").read_text()
    assert "2 failed" in text
    assert "two is unlucky" in text
    assert f"<pre>nbnas run {specification.with_suffix('.ipynb')} -p seed 2</pre>" in text

    (tmp_path / "grid" / "mended").touch()
    assert main(["sweep", str(specification)]) == 0
    out = capsys.readouterr().out
    assert "3 points, 1 up to date" in out
    assert "seed=1" not in out
    assert pd.read_csv(reports / "doubles.csv")["double"].tolist() == [2, 4, 6]
    assert "failed" not in _body(reports / "doubles.html")


@pytest.mark.slow
def test_a_sweep_without_a_single_result_still_has_a_page(reports, tmp_path):
    specification = write(tmp_path / "grid", "1 / 0", "seed: [1]", "plots: [{x: seed, y: double}]")
    with pytest.raises(NbnasError, match="1 of 1 points failed"):
        sweep(specification)
    assert "ZeroDivisionError" in (reports / "doubles.html").read_text()


def test_a_plot_of_a_column_that_is_not_there_ends_the_sweep_at_the_first_table(reports, tmp_path, capsys):
    specification = write(tmp_path / "grid", DOUBLES, "seed: [1, 2, 3]", "plots: [{x: seed, y: tripel}]")
    message = "shows 'tripel', but the table of doubles.ipynb has only seed, published, double"
    with pytest.raises(NbnasError, match=message):
        sweep(specification, workers=1)
    assert "[2/3]" not in capsys.readouterr().out
    with pytest.raises(NbnasError, match=message):
        sweep(specification)
    assert capsys.readouterr().out == ""  # Known before any kernel starts.


WAITS = f"""{SAVES}
if seed > 1 and not Path("go").exists():
    Path(f"kernel-{{os.getpid()}}").touch()
    time.sleep(600)
save({{"double": 2 * seed}})
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_sweep_goes_on_where_it_was(reports, tmp_path, capsys, number, status):
    specification = write(tmp_path / "grid", WAITS, "seed: [0, 1, 2, 3]")
    command = [sys.executable, "-m", "nbnas", "sweep", str(specification), "--workers", "2"]
    environment = os.environ | {"PYTHONPATH": str(project_root())}
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    _wait_until(lambda: len(list(reports.rglob("*.stamp.json"))) == 2 and len(_kernels(tmp_path)) == 2)
    run.send_signal(number)
    _, error = run.communicate(timeout=60)
    assert run.returncode == status
    assert "Traceback" not in error
    _wait_until(lambda: not any(map(_alive, _kernels(tmp_path))))

    finished = {path: path.stat().st_mtime_ns for path in reports.rglob("*.stamp.json")}
    (tmp_path / "grid" / "go").touch()
    page = sweep(specification)
    out = capsys.readouterr().out
    assert "4 points, 2 up to date" in out
    assert "seed=0" not in out
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert pd.read_csv(page.with_suffix(".csv"))["double"].tolist() == [0, 2, 4, 6]


def _kernels(folder):
    return [int(path.name.removeprefix("kernel-")) for path in folder.glob("grid/kernel-*")]


def _alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except OSError:
        return False


def _wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def _body(page):
    return page.read_text().partition("<body>")[2]


TINY = nbnas.Setting(batch_size=2)


@pytest.fixture(scope="module")
def by_fisher():
    return score_sample_by_fisher(128, 1, TINY, 3)


def test_the_published_fisher_matrix_gives_the_published_score(by_fisher):
    published = score_sample("vkdnw_entropy", TINY, 3)
    assert by_fisher["arch"].tolist() == published["arch"].tolist()
    assert by_fisher["value"].tolist() == pytest.approx(published["value"].tolist(), rel=1e-5)
    assert by_fisher["dimension"].max() <= 128


def test_shipped_sweeps_are_sound_and_their_plots_show_what_the_notebooks_save(by_fisher):
    table = rank_sample(by_fisher, TINY, nbnas.load_benchmark("nasbench201"), repeats=5)
    assert table["networks"].tolist() == [3]
    assert (table["low"] <= table["high"]).all()
    specifications = sorted((notebooks_folder() / "sweeps").glob("*.yml"))
    assert len(specifications) == 4
    for specification in specifications:
        plan = read_sweep(specification)
        assert {name for plot in plan.plots for name in plot.columns} <= set(table.columns)
        assert plan.minutes <= 10
        assert set(plan.labels) <= {*plan.axes, *table.columns}


def test_networks_without_a_score_rank_last(by_fisher):
    benchmark = nbnas.load_benchmark("nasbench201")
    some = by_fisher.assign(value=[float("nan"), 1.0, 2.0], status=["degenerate", "ok", "ok"])
    zero = some.assign(value=[1.0, 1.0, 2.0])
    table, expected = (rank_sample(scores, TINY, benchmark, repeats=5) for scores in (some, zero))
    assert table["without_score"].tolist() == [1]
    assert table["kendall_tau"].tolist() == expected["kendall_tau"].tolist()
    with pytest.raises(NbnasError, match="none of 3 networks has a score: degenerate"):
        rank_sample(some.assign(value=float("nan"), status="degenerate"), TINY, benchmark)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score_sample("vkdnw", TINY, 1), "'vkdnw' is not the name of a score"),
        (lambda: score_sample_by_fisher(10, 4, TINY, 1), "multiple of the entries per tensor, got 10 and 4"),
        (
            lambda: score_sample("naswot", nbnas.Setting(batch_size=2, inputs="images"), 1),
            "no images of cifar10: set NBNAS_DATA to a folder with cifar-10-batches-py",
        ),
    ],
)
def test_what_cannot_be_scored_is_one_line(monkeypatch, call, message):
    monkeypatch.delenv("NBNAS_DATA", raising=False)
    with pytest.raises(NbnasError, match=message):
        call()
