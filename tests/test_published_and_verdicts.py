"""Published numbers and the rule that compares them with ours."""

import numpy as np
import pandas as pd
import pytest

from nbnas.errors import NbnasError
from nbnas.reproduce.verdicts import (
    COLUMNS,
    KEY,
    NOT_ATTEMPTED,
    absent_rows,
    compare,
    judge,
    load_published,
    not_attempted,
    published_only,
    rounding,
    with_remarks,
)


def test_every_item_of_both_papers_is_there_and_extras_are_not():
    items = set(load_published()["item"])
    assert len(items) == 20
    assert {item.partition("/")[0] for item in items} == {"vkdnw", "tcet"}


def test_published_numbers_are_identified_by_their_key():
    assert not load_published().duplicated(KEY).any()


def test_published_values_keep_their_trailing_zeros():
    table = load_published("vkdnw/table1")
    assert len(table) == 165
    row = table[(table["row_key"] == "gradsign") & (table["column"] == "cifar10")]
    assert row["value"].item() == "0.765"
    assert (table["value"] == "0.310").any()


def test_known_standard_deviations_come_with_the_numbers():
    table = load_published("vkdnw/table1").set_index(["row_key", "column", "metric"])["std"]
    assert table["vkdnw_single", "imagenet16-120", "kendall_tau"] == pytest.approx(0.000842)
    assert table["flops", "imagenet16-120", "kendall_tau"] == 0


def test_an_unknown_item_is_an_error():
    with pytest.raises(NbnasError, match="vkdnw/table99"):
        load_published("vkdnw/table99")


@pytest.mark.parametrize(
    ("text", "half_unit"), [("0.623", 0.0005), ("0.310", 0.0005), ("70", 0.5), ("94.37", 0.005), ("2.20e-01", 0.0005)]
)
def test_rounding_is_half_a_unit_of_the_last_digit(text, half_unit):
    assert rounding(text) == pytest.approx(half_unit)


@pytest.mark.parametrize(
    ("published", "reproduced", "low", "high", "std", "verdict"),
    [
        ("0.623", 0.6234, 0.6234, 0.6234, 0, "match"),  # within rounding
        ("0.623", 0.6236, 0.6236, 0.6236, 0, "close"),  # beyond it, within three times
        ("0.623", 0.6250, 0.6250, 0.6250, 0, "differs"),
        ("0.623", 0.6250, 0.6250, 0.6250, 0.001, "match"),  # within three standard deviations
        ("0.623", 0.6300, 0.6300, 0.6300, 0.001, "close"),
        ("0.623", 0.6330, 0.6330, 0.6330, 0.001, "differs"),
        ("0.618", 0.6500, 0.6100, 0.6900, 0, "match"),  # inside the interval
        ("0.618", 0.6500, 0.6184, 0.6700, 0, "match"),  # what it was rounded from may be inside
        ("0.618", 0.6500, 0.6194, 0.6700, 0, "close"),  # within three times the rounding of the interval
        ("0.618", 0.6500, 0.6300, 0.6700, 0, "differs"),
        ("-0.100", -0.1004, -0.1004, -0.1004, 0, "match"),
        ("1.000", 1 - 1e-16, 1.0, 1.0, 0, "match"),  # two roundings of one number
    ],
)
def test_judge(published, reproduced, low, high, std, verdict):
    assert judge(published, reproduced, low, high, std) == verdict


@pytest.mark.parametrize("interval", [(0.7, 0.8), (0.1, 0.2), (np.nan, 0.8)])
def test_judge_refuses_an_interval_without_its_value(interval):
    with pytest.raises(NbnasError, match="interval"):
        judge("0.5", 0.5, *interval)


def reproduced_row(**changes):
    row = {"row_key": "flops", "column": "cifar10", "metric": "kendall_tau", "reproduced": 0.6228}
    row |= {"low": 0.6228, "high": 0.6228, "source": "csv", "note": "9,445 cells"}
    return pd.DataFrame([row | changes])


def test_compare_gives_every_published_number_one_line():
    table = compare("vkdnw/table1", reproduced_row(), {"snip": "no gradients today", "*": "later"})
    assert list(table.columns) == COLUMNS
    assert len(table) == 165
    ours = table[table["verdict"] != NOT_ATTEMPTED]
    assert ours[["row", "published", "verdict", "source", "note"]].values.tolist() == [
        ["FLOPs", "0.623", "match", "csv", "9,445 cells"]
    ]
    assert set(table.loc[table["row"] == "SNIP", "note"]) == {"no gradients today"}
    assert set(table.loc[table["row"] == "GraSP", "note"]) == {"later"}


def test_a_missing_value_is_not_attempted_with_its_own_reason():
    table = compare("vkdnw/table1", reproduced_row(reproduced=np.nan, low=np.nan, high=np.nan, note="needs NATS-Bench"))
    row = table[(table["row"] == "FLOPs") & (table["dataset"] == "cifar10") & (table["metric"] == "kendall_tau")]
    assert row["verdict"].item() == NOT_ATTEMPTED
    assert row["note"].item() == "needs NATS-Bench"


def test_a_number_that_nobody_published_is_an_error():
    with pytest.raises(NbnasError, match="no published number"):
        compare("vkdnw/table1", reproduced_row(row_key="flopss"))


def test_a_number_reproduced_twice_is_an_error():
    with pytest.raises(NbnasError, match="reproduced twice"):
        compare("vkdnw/table1", pd.concat([reproduced_row(), reproduced_row()]))


def test_items_without_notebook_are_listed_in_full():
    table = not_attempted("tcet/table5")
    assert len(table) == len(load_published("tcet/table5"))
    assert set(table["verdict"]) == {NOT_ATTEMPTED}
    assert (table["note"] != "").all()


def test_numbers_that_an_item_does_not_print_are_dropped():
    rows = [
        {"row_key": "gradsign", "column": "cifar10", "metric": "kendall_tau", "reproduced": -0.4},
        {"row_key": "gradsign", "column": "cifar10", "metric": "spearman_rho", "reproduced": -0.5},
    ]
    kept = published_only("vkdnw/table1", pd.DataFrame(rows))
    assert kept["metric"].tolist() == ["spearman_rho"]
    with pytest.raises(NbnasError, match="prints none"):
        published_only("vkdnw/table1", pd.DataFrame(rows[:1]))


@pytest.mark.parametrize(("reproduced", "note"), [(0.799, "Own."), (0.5, "Own. Because of this.")])
def test_only_numbers_that_deviate_are_explained(reproduced, note):
    row = {"row_key": "flops", "column": "cifar10", "metric": "spearman_rho", "reproduced": reproduced}
    numbers = pd.DataFrame([{**row, "low": reproduced, "high": reproduced, "source": "made up", "note": "Own."}])
    table = compare("vkdnw/table1", numbers, explanations={"flops": "Because of this.", "*": "Of that."})
    assert table.loc[table["reproduced"].notna(), "note"].tolist() == [note]


def test_what_is_absent_is_listed_by_reason():
    table = not_attempted("vkdnw/table1")
    table.loc[table["row"] == "FLOPs", "note"] = "too cheap"
    listed = absent_rows(table).set_index("note")
    assert listed.loc["too cheap", "row"] == "FLOPs"
    assert listed.loc["too cheap", "dataset"] == "cifar10, cifar100, imagenet16-120"
    assert len(listed) == 2
    table["verdict"] = "match"
    assert absent_rows(table).empty


def test_reasons_can_speak_of_a_benchmark():
    row = reproduced_row(benchmark="nb-macro", reproduced=0.556, low=0.556, high=0.556)
    table = compare("tcet/table3", row, {"blox": "no release", "*": "later"}, dataset=["benchmark", "column"])
    assert len(table) == 62
    notes = table[table["verdict"] == NOT_ATTEMPTED].groupby("dataset")["note"].unique().map(list).to_dict()
    assert notes["blox, cifar100"] == ["no release"]
    assert notes["nats-sss, cifar10"] == notes["nb-macro, cifar10"] == ["later"]
    (ours,) = table[table["verdict"] == "match"].itertuples()
    assert (ours.row, ours.dataset, ours.published) == ("FLOPS", "nb-macro, cifar10", "0.56")


@pytest.mark.parametrize(("key", "note"), [("nb-macro", "Of it."), ("blox", "")])
def test_explanations_can_speak_of_a_benchmark(key, note):
    row = reproduced_row(benchmark="nb-macro", reproduced=0.3, low=0.3, high=0.3)
    table = compare("tcet/table3", row.assign(note=""), explanations={key: "Of it."})
    assert table.loc[table["verdict"] == "differs", "note"].tolist() == [note]


def test_remarks_on_the_print_follow_the_note():
    table = compare(
        "tcet/table4", reproduced_row(benchmark="nb301", reproduced=0.37, low=0.37, high=0.37), {"*": "later"}
    )
    remarked = with_remarks(table)
    published = load_published("tcet/table4")["note"]
    assert (remarked["note"] == table["note"])[published == ""].all()
    zico = remarked[(remarked["row"] == "ZiCo") & (remarked["dataset"] == "class_scene")]
    assert zico["note"].item().startswith("later. On the published value: equals the FLOPS row")
    pd.testing.assert_frame_equal(remarked.drop(columns="note"), table.drop(columns="note"))
