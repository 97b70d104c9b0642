"""The flow from notebooks to the report, on tiny notebooks."""

import json
import os
import re
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest

from nbnas.cli import main
from nbnas.reproduce import results, run, verdicts
from nbnas.reproduce.report import build, explorer
from nbnas.reproduce.report.rendering import notebook_body
from nbnas.reproduce.verdicts import COLUMNS, NOT_ATTEMPTED, compare, load_published

SAVES = """
import pandas as pd
from nbnas.reproduce import results, verdicts
from nbnas.reproduce.verdicts import load_published
value = float(load_published("vkdnw/fig4").iloc[0]["value"])
row = load_published("vkdnw/fig4").iloc[0]
ours = pd.DataFrame([{"row_key": row.row_key, "column": row.column, "metric": row.metric, "reproduced": value}])
ours = ours.assign(low=value, high=value, source="made-up", note="n")
results.save("vkdnw/fig4", verdicts.compare("vkdnw/fig4", ours), {}, {"seed": seed})
"""


def write(path, source, parameters="seed = 0", text="# A title\n\nWith $x^2$.\n\n$$\\frac12$$"):
    cells = [
        nbformat.v4.new_markdown_cell(text),
        nbformat.v4.new_code_cell(parameters),
        nbformat.v4.new_code_cell(source),
    ]
    cells[1].metadata["tags"] = ["parameters"]
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "nbnas": {"minutes": {"default": 0.1}, "profiles": {"smoke": {"seed": 1}}},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    notebooks, reports = tmp_path / "notebooks", tmp_path / "reports"
    for module in (run, build):
        monkeypatch.setattr(module, "notebooks_folder", lambda: notebooks)
    monkeypatch.setenv("NBNAS_REPORTS", str(reports))
    monkeypatch.delenv("NBNAS_DATA", raising=False)
    monkeypatch.setattr(explorer, "SPACES", ())  # Reading all scores takes a while.
    return notebooks, reports


def test_first_run_then_nothing_then_only_what_changed(folders, capsys):
    notebooks, reports = folders
    write(notebooks / "vkdnw" / "fig4.ipynb", SAVES)
    write(notebooks / "lessons" / "01_a.ipynb", "1 + 1")
    assert main(["reproduce"]) == 0
    first = capsys.readouterr().out
    assert "2 notebooks, 0 up to date" in first
    assert "AnalogNAS-Bench" in first
    assert re.search(r"about \d+ min", first)
    times = {path: path.stat().st_mtime_ns for path in reports.rglob("*.ipynb")}
    assert len(times) == 2

    assert main(["reproduce"]) == 0
    assert "2 up to date" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in times} == times

    write(notebooks / "lessons" / "01_a.ipynb", "1 + 2")
    assert main(["reproduce"]) == 0
    assert "[1/1] lessons/01_a" in capsys.readouterr().out
    assert (reports / "vkdnw" / "fig4.ipynb").stat().st_mtime_ns == times[reports / "vkdnw" / "fig4.ipynb"]

    verdicts = pd.read_csv(reports / "verdicts.csv")
    assert list(verdicts.columns) == COLUMNS
    assert len(verdicts) == len(load_published())
    assert (verdicts["verdict"] != NOT_ATTEMPTED).sum() == 1


def test_a_failing_notebook_does_not_stop_the_others_and_the_command_fails(folders, capsys):
    notebooks, reports = folders
    write(notebooks / "vkdnw" / "fig1.ipynb", "1 / 0")
    write(notebooks / "vkdnw" / "fig4.ipynb", SAVES)
    assert main(["reproduce", "--profile", "smoke"]) == 1
    captured = capsys.readouterr()
    assert "fig1.ipynb failed in cell" in captured.err
    assert "Traceback" not in captured.err
    assert "-p seed 1" in captured.err
    assert (reports / "smoke" / "vkdnw" / "fig4.html").exists()
    assert "has no finished run here" in (reports / "smoke" / "vkdnw" / "fig1.html").read_text()
    assert "has no finished run here" not in (reports / "smoke" / "vkdnw" / "fig4.html").read_text()
    # The next run tries the failed one again, and only that one.
    assert main(["reproduce", "--profile", "smoke"]) == 1
    assert "[1/1] vkdnw/fig1" in capsys.readouterr().out


def test_the_result_of_an_earlier_run_does_not_stand_in_for_a_failed_one(folders):
    notebooks, reports = folders
    write(notebooks / "vkdnw" / "fig4.ipynb", SAVES)
    assert main(["reproduce"]) == 0
    assert (pd.read_csv(reports / "verdicts.csv")["verdict"] == "match").sum() == 1
    write(notebooks / "vkdnw" / "fig4.ipynb", "1 / 0")
    assert main(["reproduce"]) == 1
    assert set(pd.read_csv(reports / "verdicts.csv")["verdict"]) == {NOT_ATTEMPTED}
    write(notebooks / "vkdnw" / "fig4.ipynb", SAVES)
    assert main(["reproduce"]) == 0
    assert (pd.read_csv(reports / "verdicts.csv")["verdict"] == "match").sum() == 1


def test_run_saves_beside_its_output_and_leaves_the_report_alone(folders, tmp_path, monkeypatch, capsys):
    notebooks, _ = folders
    monkeypatch.delenv("NBNAS_REPORTS")
    monkeypatch.chdir(tmp_path)
    write(notebooks / "vkdnw" / "fig4.ipynb", SAVES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBNAS_REPORTS", "")
        patch.delenv("NBNAS_REPORTS")
        assert main(["run", str(notebooks / "vkdnw" / "fig4.ipynb"), "-p", "seed", "5", "-o", "once.ipynb"]) == 0
    assert json.loads((tmp_path / "once.reports" / "vkdnw" / "fig4.json").read_text())["protocol"] == {"seed": 5}
    assert main(["run", str(notebooks / "vkdnw" / "fig4.ipynb"), "-o", str(tmp_path)]) == 1
    assert "is a folder" in capsys.readouterr().err


def test_a_damaged_stamp_means_out_of_date(folders, capsys):
    notebooks, reports = folders
    write(notebooks / "lessons" / "01_a.ipynb", "1")
    assert main(["reproduce"]) == 0
    (reports / "lessons" / "01_a.stamp.json").write_text("{")
    assert main(["reproduce"]) == 0
    assert "[1/1] lessons/01_a" in capsys.readouterr().out


def test_profiles_set_parameters_and_have_folders_of_their_own(folders):
    notebooks, reports = folders
    write(notebooks / "vkdnw" / "fig4.ipynb", SAVES)
    assert main(["reproduce", "--profile", "smoke"]) == 0
    assert json.loads((reports / "smoke" / "vkdnw" / "fig4.json").read_text())["protocol"] == {"seed": 1}
    assert not (reports / "vkdnw").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reproduce", "--profile", "huge"], "unknown profile 'huge'"),
        (["reproduce", "vkdnw/table99"], "no notebook for vkdnw/table99"),
        (["run", "absent.ipynb"], "no notebook absent.ipynb"),
        (["sweep", "absent.yml"], "no sweep specification"),
        (["score", "nasbench999"], "unknown search space"),
        (["report", "--profile", "huge"], "unknown profile 'huge'"),
        (["score", "nasbench201", "--sample", "1", "--seeds", "9" * 30, "--store", "s"], "64 bits"),
        (["score", "nasbench201", "--sample", "1", "--device", "meta", "--store", "s"], "cannot be used"),
        (["score", "nasbench201", "--proxies", "vkdwn"], "no proxy matches 'vkdwn'"),
        (["score", "nasbench201", "--archs", "some"], "unknown set of architectures"),
        (["score", "nasbench201", "--dataset", "svhn", "--sample", "1"], "unknown data set"),
        (["score", "nasbench201", "--sample", "0"], "--sample must be at least 1"),
        (["data", "import-nats", "absent"], "absent does not exist"),
    ],
)
def test_bad_input_gives_one_line_and_status_one(folders, capsys, arguments, message):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("nbnas: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_data_folder_that_is_not_there_is_an_error_not_another_source(folders, capsys, monkeypatch):
    notebooks, _ = folders
    write(notebooks / "vkdnw" / "fig4.ipynb", SAVES)
    monkeypatch.setenv("NBNAS_DATA", "nowhere")
    assert main(["reproduce"]) == 1
    assert "which is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize(("profile", "expected"), [("full", ["cuda"]), ("default", []), ("smoke", [])])
def test_only_the_full_profile_scores_first(monkeypatch, tmp_path, profile, expected):
    scored = []
    monkeypatch.setenv("NBNAS_REPORTS", str(tmp_path))
    monkeypatch.setattr(run, "run_plan", lambda workers: scored.append(workers.device))
    monkeypatch.setattr(run, "plan", lambda profile, device: [])
    run.reproduce(profile, "cuda")
    assert scored == expected


def test_ctrl_c_ends_with_status_130(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "reproduce", interrupted)
    assert main(["reproduce"]) == 130
    assert "rerun to continue" in capsys.readouterr().err


def test_score_command_fills_a_store(tmp_path, capsys):
    command = ["score", "nasbench201", "--proxies", "params", "trainable_layers", "--sample", "3", "--workers", "1"]
    assert main([*command, "--store", str(tmp_path), "--no-progress"]) == 0
    assert "params: 3 rows (3 ok)" in capsys.readouterr().out
    assert len(pd.read_parquet(tmp_path / "nasbench201" / "cifar10" / "params-gaussian-b64.parquet")) == 3


def test_commands_that_list(capsys, monkeypatch):
    monkeypatch.delenv("NBNAS_DATA", raising=False)
    assert main(["proxies"]) == 0
    assert "Entropy of the Fisher information spectrum" in capsys.readouterr().out
    assert main(["data", "status"]) == 0
    out = capsys.readouterr().out
    assert "analog: present" in out
    assert "csv: absent; set NBNAS_DATA" in out


class _References(HTMLParser):
    def __init__(self, beside):
        super().__init__()
        self.fetched = []
        self.beside = beside
        """Links to files of the report itself."""

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in ("script", "link") and values.get("href", values.get("src")) in [*self.beside, None]:
            return
        if tag in ("script", "link", "iframe", "object", "source"):
            self.fetched.append((tag, values))
        if tag == "img" and not values.get("alt"):
            self.fetched.append(("img without alternative text", values.get("src", "")[:60]))
        if str(values.get("src", "")).startswith(("http:", "https:", "//")):
            self.fetched.append((tag, values["src"]))


def test_pages_fetch_nothing_and_formulas_are_mathml(folders):
    notebooks, reports = folders
    write(notebooks / "vkdnw" / "fig4.ipynb", SAVES)
    assert main(["reproduce"]) == 0
    assert (reports / "tables.css").exists()
    assert (reports / "tables.js").exists()
    for page in reports.rglob("*.html"):
        text = page.read_text()
        beside = [os.path.relpath(reports / name, page.parent) for name in ("tables.css", "tables.js")]
        parser = _References(beside)
        parser.feed(text)
        assert parser.fetched == []
        assert not any("http" in script for script in re.findall("<script>(.*?)</script>", text, re.DOTALL))
        assert "@import" not in text
        assert "url(" not in text
    body = (reports / "vkdnw" / "fig4.html").read_text()
    assert "<msup>" in body
    assert 'display="block"' in body
    assert "$x^2$" not in body
    index = (reports / "index.html").read_text()
    assert 'href="vkdnw/fig4.html"' in index
    places = [index.index(f'<th scope="row"><a href="vkdnw/{name}.html">') for name in ("table1", "table8", "fig1")]
    assert places == sorted(places)


def test_search_knows_the_sections_of_all_pages(folders):
    notebooks, reports = folders
    write(
        notebooks / "lessons" / "01_a.ipynb",
        "1",
        text="# A title\n\nFirst words.\n\n## Its part\n\nHidden `treasure`, $x^2$.",
    )
    (reports / "smoke").mkdir(parents=True)
    (reports / "smoke" / "index.html").write_text("<h1>Another report</h1>")
    run.reproduce()
    index = json.loads(re.search(r"const index = (\[.*\]);", (reports / "search.js").read_text())[1])
    found = {address: rest for address, *rest in index}
    assert found["lessons/01_a.html"][:2] == ["A title", "A title"]
    assert "First words." in found["lessons/01_a.html"][2]
    title, heading, text = found["lessons/01_a.html#Its-part"]
    assert (title, heading) == ("A title", "Its part")
    assert text.startswith("Hidden treasure, .")
    assert {"api.html", "explorer.html", "index.html#causes", "vkdnw/table1.html"} <= set(found)
    assert "smoke/index.html" not in found


def test_a_removed_notebook_leaves_the_report(folders):
    notebooks, reports = folders
    write(notebooks / "lessons" / "01_a.ipynb", "1")
    write(notebooks / "lessons" / "02_b.ipynb", "2")
    run.reproduce()
    (notebooks / "lessons" / "02_b.ipynb").unlink()
    index = build.build_report(reports, "default").read_text()
    assert "01_a.html" in index
    assert "02_b.html" not in index


def test_notebook_body_shows_outputs(tmp_path):
    cell = nbformat.v4.new_code_cell("print('seen')", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="seen output\n")]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    assert "seen output" in notebook_body(tmp_path / "a.ipynb")


def test_tables_have_readable_names_where_code_is_folded(tmp_path):
    cell = nbformat.v4.new_code_cell("table", execution_count=1)
    table = pd.DataFrame({"row_key": ["snip"], "class_scene": [1], "p<q": [2]}).to_html()
    cell.outputs = [nbformat.v4.new_output("execute_result", {"text/html": table}, execution_count=1)]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    assert "<th>row_key</th>" in notebook_body(tmp_path / "a.ipynb")
    body = notebook_body(tmp_path / "a.ipynb", fold_code=True)
    assert re.findall("<th>(.+?)</th>", body) == ["row", "TransNAS, scenes", "p&lt;q", "0"]


def test_links_between_notebooks_become_links_between_pages(tmp_path):
    cell = nbformat.v4.new_markdown_cell("[here](../vkdnw/table1.ipynb), [there](https://example.org/a.ipynb)")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    body = notebook_body(tmp_path / "a.ipynb")
    assert 'href="../vkdnw/table1.html"' in body
    assert 'href="https://example.org/a.ipynb"' in body


def test_artefacts_round_trip_with_figures(folders):
    _, reports = folders
    empty = {
        "row_key": [],
        "column": [],
        "metric": [],
        "reproduced": [],
        "low": [],
        "high": [],
        "source": [],
        "note": [],
    }
    types = dict.fromkeys(("row_key", "column", "metric", "source", "note"), str) | {"reproduced": float}
    table = compare("vkdnw/fig1", pd.DataFrame(empty).astype(types))
    figure = plt.figure()
    results.save("vkdnw/fig1", table, {"bars": (figure, "some bars")}, {"seed": 0})
    plt.close(figure)
    loaded, record = results.load("vkdnw/fig1", reports)
    assert loaded["published"].tolist() == table["published"].tolist()
    assert loaded["note"].tolist() == table["note"].tolist()
    assert record["figures"] == [{"file": "fig1-bars.png", "alt": "some bars"}]
    assert (reports / "vkdnw" / "fig1-bars.png").read_bytes().startswith(b"\x89PNG")
    assert record["provenance"]["versions"]["nbnas"]
    assert results.load("vkdnw/fig3", reports) is None


def test_rows_that_are_named_by_numbers_stay_text(tmp_path, monkeypatch):
    monkeypatch.setattr(explorer, "SPACES", ())
    monkeypatch.setenv("NBNAS_REPORTS", str(tmp_path))
    table = verdicts.not_attempted("vkdnw/table7")
    results.save("vkdnw/table7", table, {}, {})
    read, _ = results.load("vkdnw/table7", tmp_path)
    assert read["row"].tolist() == table["row"].tolist()
    assert build.build_report(tmp_path, "default").exists()
