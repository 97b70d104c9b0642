"""Tables in the shape of the papers'."""

import re

import pandas as pd
import pytest

from nbnas.plots.names import readable
from nbnas.reproduce.paper_table import SIGNS, paper_table
from nbnas.reproduce.verdicts import VERDICTS, compare, load_published, not_attempted


@pytest.fixture
def table():
    published = load_published("vkdnw/table7")
    row = published[["row_key", "column", "metric"]].assign(reproduced=published["value"].astype(float) + 0.05)
    row = row.assign(low=row["reproduced"] - 0.01, high=row["reproduced"] + 0.01, source="csv", note="a <sample>")
    row.loc[row["column"] == "cifar10", "reproduced"] -= 0.05
    row.loc[row["column"] == "cifar10", ["low", "high"]] -= 0.05
    return compare("vkdnw/table7", row.iloc[1:], explanations={"*": "Known."})


def test_every_published_value_stands_above_ours(table):
    text = paper_table(table, "A caption & more").data
    assert "<caption>A caption &amp; more</caption>" in text
    shown = re.findall(r'<span class="published">(.*?)</span>', text)
    assert sorted(shown) == sorted(load_published("vkdnw/table7")["value"])
    rows = re.findall(r'<th scope="row">(.*?)</th>', text)
    assert rows == ["8", "16", "32", "64", "128", "256"]
    head = re.findall(r'<th scope="colgroup" colspan="(\d)">(.*?)</th>', text)
    assert head[:3] == [("3", "CIFAR-10"), ("3", "CIFAR-100"), ("3", "ImageNet16-120")]
    assert head[3] == ("1", "Kendall&#x27;s τ")
    assert "kendall_tau" not in text
    assert "row_key" not in text


def test_ours_have_sign_difference_and_a_footnote_where_they_lie_outside(table):
    text = paper_table(table, "")
    match = re.search(r"<td>(?:(?!<td>).)*?✓.*?</td>", text.data)[0]
    assert "+0.000" in match
    assert "<sup>" not in match
    differs = re.search(r"<td>(?:(?!<td>).)*?≠.*?</td>", text.data)[0]
    assert "+0.050" in differs
    number = re.search(r"<sup>(\d+)</sup>", differs)[1]
    assert f"<li id='note-{number}'>a &lt;sample&gt; Known.</li>" in text.data


def test_what_was_not_attempted_has_its_reason_as_a_footnote():
    reason = "needs data: a file"
    text = paper_table(not_attempted("vkdnw/table7", {"*": reason}), "").data
    assert text.count("–<sup>1</sup>") == len(load_published("vkdnw/table7"))
    assert text.count(reason) == 1


def test_all_items_have_a_table_and_all_verdicts_a_sign():
    assert list(SIGNS) == list(VERDICTS)
    assert len(set(SIGNS.values())) == len(SIGNS)
    for item in load_published()["item"].unique():
        table = not_attempted(item)
        text = paper_table(table, item).data
        assert len(re.findall('class="published"', text)) == len(table), item


def test_names_are_those_of_the_papers():
    assert readable("imagenet16-120") == "ImageNet16-120"
    assert readable("flops_vkdnw_") == "FLOPs · VKDNW_single"
    assert readable("T-CET(SNIP)") == "T-CET(SNIP)"
    assert isinstance(pd.Series([readable("16")])[0], str)
