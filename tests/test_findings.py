"""The numbers of a study: none missing, none twice, each found again by its keys."""

import numpy as np
import pandas as pd
import pytest

from nbnas.errors import NbnasError
from nbnas.rankings import Estimate
from nbnas.studies.findings import Findings, span


@pytest.fixture
def findings():
    found = Findings("section", "score", "metric")
    found.add(1, "flops", "tau", value=Estimate(0.62345, 0.61, 0.63), networks=9445)
    found.add(1, "flops", "rho", value=0.8, networks=9445)
    found.add(1, "snip", "tau", value=Estimate(np.float32(0.25), *np.array([0.2, 0.3])), networks=np.int64(50))
    found.add(2, "flops", "tau", value=-1, networks=3)
    return found


def test_the_table_has_the_numbers_in_the_order_in_which_they_came(findings):
    expected = pd.DataFrame(
        {
            "section": [1, 1, 1, 2],
            "score": ["flops", "flops", "snip", "flops"],
            "metric": ["tau", "rho", "tau", "tau"],
            "value": [0.62345, 0.8, 0.25, -1],
            "low": [0.61, np.nan, 0.2, np.nan],
            "high": [0.63, np.nan, 0.3, np.nan],
            "networks": [9445, 9445, 50, 3],
        }
    )
    pd.testing.assert_frame_equal(findings.table, expected)


def test_an_empty_table_has_its_columns():
    assert Findings("a").table.columns.tolist() == ["a", "value", "low", "high", "networks"]


def test_one_number_is_found_by_its_keys(findings):
    assert findings[1, "flops", "tau"] == (0.62345, 0.61, 0.63, 9445)
    assert findings[2, "flops", "tau"].value == -1
    single = Findings("quantity")
    single.add("width", value=3, networks=1)
    assert single["width"].value == 3


def test_rows_are_selected_by_some_keys_which_then_need_no_column(findings):
    chosen = findings.select(section=1, metric="tau")
    assert chosen.columns.tolist() == ["score", "value", "low", "high", "networks"]
    assert chosen.index.tolist() == [0, 1]
    assert chosen["score"].tolist() == ["flops", "snip"]
    pd.testing.assert_frame_equal(findings.select(), findings.table)


def test_numbers_with_intervals_are_text(findings):
    text = findings.with_intervals("metric", "score", digits=2, section=1)
    assert text.index.tolist() == ["tau", "rho"]
    assert text.columns.tolist() == ["flops", "snip"]
    assert text.to_numpy().tolist() == [["0.62 (0.61 to 0.63)", "0.25 (0.20 to 0.30)"], ["0.80", ""]]


def test_a_cell_of_text_has_room_for_one_number(findings):
    with pytest.raises(NbnasError, match="several numbers"):
        findings.with_intervals("metric", "score")


@pytest.mark.parametrize("value", [float("nan"), np.inf])
def test_a_missing_number_is_refused_where_it_would_be_kept(findings, value):
    with pytest.raises(NbnasError, match=r"section 3, score 'snip', metric 'tau' must be a finite number"):
        findings.add(3, "snip", "tau", value=value, networks=1)
    assert len(findings.table) == 4


def test_a_second_number_under_the_same_keys_is_refused(findings):
    with pytest.raises(NbnasError, match=r"section 2, score 'flops', metric 'tau' is there already"):
        findings.add(2, "flops", "tau", value=0.5, networks=3)
    assert findings[2, "flops", "tau"].value == -1


def test_keys_that_do_not_exist_are_errors(findings):
    with pytest.raises(NbnasError, match="no number for section 9"):
        findings[9, "flops", "tau"]
    with pytest.raises(NbnasError, match="no number for score 'zen', section 1"):
        findings.select(score="zen", section=1)
    with pytest.raises(NbnasError, match="no key chapter; there are section, score, metric"):
        findings.select(chapter=1)
    with pytest.raises(NbnasError, match="has the keys section, score, metric"):
        findings.add(1, "flops", value=1, networks=1)
    with pytest.raises(NbnasError, match="has the keys section, score, metric"):
        findings[1, "flops"]


@pytest.mark.parametrize(
    ("values", "form", "text"),
    [([3, 1, 2], "d", "1 to 3"), ([0.504, 0.496], ".2f", "0.50"), (pd.Series([0.1, 0.4]), ".0%", "10% to 40%")],
)
def test_span_names_the_ends_once_where_they_look_alike(values, form, text):
    assert span(values, form) == text
