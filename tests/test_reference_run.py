"""The run that is shipped, beside a run that could judge less."""

import json
import re

import pandas as pd
import pytest

from nbnas.machine.paths import data_folder
from nbnas.reproduce import results
from nbnas.reproduce.report import build
from nbnas.reproduce.verdicts import COLUMNS, NOT_ATTEMPTED, VERDICTS, compare, load_published


@pytest.fixture
def reference(monkeypatch):
    """A shipped run that judged Table 7 of VKDNW as a whole, each number as consistent."""
    table = results.read_table(data_folder() / "reference" / "verdicts.csv").assign(verdict=NOT_ATTEMPTED, note="")
    judged = table["item"] == "vkdnw/table7"
    numbers = dict.fromkeys(("reproduced", "low", "high"), 0.6) | {"difference": 0.0, "verdict": "consistent"}
    table.loc[judged, list(numbers)] = list(numbers.values())
    monkeypatch.setattr(build, "load_reference", lambda: (table, {"time": "2026-01-02T03:04:05", "commit": "abc"}))
    return table


def test_the_shipped_run_lists_every_published_number_in_order():
    table, run = build.load_reference()
    published = load_published()
    assert list(table.columns) == COLUMNS
    assert table[["item", "row", "published"]].values.tolist() == published[["item", "row", "value"]].values.tolist()
    assert set(table["verdict"]) <= set(VERDICTS)
    assert run["profile"] == "default"
    differences = table["reproduced"] - table["published"].astype(float)
    pd.testing.assert_series_equal(table["difference"], differences, check_names=False, atol=1e-12)


def test_the_first_page_tells_this_run_from_the_shipped_one(reference, tmp_path):
    row = {"row_key": "m8", "column": "cifar10", "metric": "kendall_tau", "reproduced": 0.58, "low": 0.57, "high": 0.59}
    own = compare("vkdnw/table7", pd.DataFrame([{**row, "source": "csv", "note": ""}]))
    (tmp_path / "vkdnw").mkdir()
    own.to_csv(tmp_path / "vkdnw" / "table7.csv", index=False)
    record = {"item": "vkdnw/table7", "protocol": {}, "figures": [], "provenance": results.provenance.collect()}
    (tmp_path / "vkdnw" / "table7.json").write_text(json.dumps(record))
    text = build.build_report(tmp_path, "default").read_text()
    numbers = len(load_published("vkdnw/table7"))
    assert f"judged <b>1</b> of {len(reference)} published" in text
    assert re.search(rf"2026-01-02 \(commit abc, all public data\) judged\s+{numbers - 1} more", text)
    page = (tmp_path / "vkdnw" / "table7.html").read_text()
    assert f"what these {numbers - 1} numbers need" in page
    assert page.count('<td class="verdict consistent">') == numbers - 1
    # Only this run is in the counts and in its table.
    saved = results.read_table(tmp_path / "verdicts.csv")
    assert (saved["verdict"] != NOT_ATTEMPTED).sum() == 1
    assert json.loads((tmp_path / "run.json").read_text())["profile"] == "default"


def test_numbers_that_are_not_comparable_here_are_judged_there(reference, tmp_path):
    row = {"row_key": "m8", "column": "cifar10", "metric": "kendall_tau", "reproduced": 0.58, "low": 0.57, "high": 0.59}
    numbers = pd.DataFrame([{**row, "source": "analog", "note": ""}])
    own = compare("vkdnw/table7", numbers, incomparable={"analog": "Other accuracies."})
    (tmp_path / "vkdnw").mkdir()
    own.to_csv(tmp_path / "vkdnw" / "table7.csv", index=False)
    record = {"item": "vkdnw/table7", "protocol": {}, "figures": [], "provenance": results.provenance.collect()}
    (tmp_path / "vkdnw" / "table7.json").write_text(json.dumps(record))
    text = build.build_report(tmp_path, "default").read_text()
    assert f"judged <b>0</b> of {len(reference)} published" in text
    page = (tmp_path / "vkdnw" / "table7.html").read_text()
    assert f"what these {len(load_published('vkdnw/table7'))} numbers need" in page


def test_a_run_that_judged_all_says_nothing_of_another(reference, tmp_path, monkeypatch):
    nothing = reference.assign(verdict=NOT_ATTEMPTED)
    monkeypatch.setattr(build, "load_reference", lambda: (nothing, {}))
    text = build.build_report(tmp_path, "default").read_text()
    assert "reference run" not in text
