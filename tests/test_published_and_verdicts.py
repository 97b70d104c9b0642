"""Published numbers and the rule that compares them with ours."""

import numpy as np
import pandas as pd
import pytest

from nbnas.errors import NbnasError
from nbnas.reproduce.verdicts import (
    COLUMNS,
    KEY,
    NOT_ATTEMPTED,
    compare,
    compare_differences,
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
    ("published", "reproduced", "low", "high", "error", "verdict"),
    [
        ("0.623", 0.6239, 0.6239, 0.6239, 0, "match"),  # within a thousandth
        ("0.62", 0.6249, 0.6249, 0.6249, 0, "match"),  # within half a unit of the last digit
        ("0.623", 0.6289, 0.6289, 0.6289, 0, "close"),  # beyond it by less than matters
        ("0.623", 0.6301, 0.6301, 0.6301, 0, "differs"),
        ("0.623", 0.6301, 0.6301, 0.6301, 0.007, "match"),  # the published value is that uncertain
        ("0.618", 0.6500, 0.6250, 0.6750, 0.0199, "consistent"),  # errors add in quadrature: 0.032
        ("0.618", 0.6500, 0.6250, 0.6750, 0.0150, "close"),
        ("0.618", 0.6400, 0.6110, 0.6690, 0, "match"),  # half-width 0.029
        ("0.618", 0.6400, 0.6090, 0.6710, 0, "consistent"),  # half-width 0.031
        ("0.618", 0.6500, 0.6300, 0.6700, 0, "differs"),
        ("-0.100", -0.1004, -0.1004, -0.1004, 0, "match"),
        ("1.000", 1 - 1e-16, 1.0, 1.0, 0, "match"),  # two roundings of one number
    ],
)
def test_judge(published, reproduced, low, high, error, verdict):
    assert judge(published, reproduced, low, high, published_error=error) == verdict


@pytest.mark.parametrize(
    ("metric", "verdicts"),
    [
        ("ndcg_1000", ["match", "close", "match", "consistent"]),
        ("partial_kendall_tau", ["match", "differs", "consistent", "consistent"]),
        ("gpu_hours", ["differs", "differs", "match", "consistent"]),  # no rank measure: only rounding counts
    ],
)
def test_what_matters_depends_on_the_metric(metric, verdicts):
    ours = [(0.7010, 0.7010, 0.7010), (0.7100, 0.7100, 0.7100), (0.70, 0.665, 0.735), (0.70, 0.655, 0.745)]
    assert [judge("0.7000", *numbers, metric) for numbers in ours] == verdicts


@pytest.mark.parametrize("interval", [(0.7, 0.8), (0.1, 0.2), (np.nan, 0.8)])
def test_judge_refuses_an_interval_without_its_value(interval):
    with pytest.raises(NbnasError, match="interval"):
        judge("0.5", 0.5, *interval)


def reproduced_row(**changes):
    row = {"row_key": "flops", "column": "cifar10", "metric": "kendall_tau", "reproduced": 0.6228}
    row |= {"low": 0.6228, "high": 0.6228, "source": "csv", "note": "9,445 cells"}
    return pd.DataFrame([row | changes])


def test_compare_gives_every_published_number_one_line():
    table = compare(
        "vkdnw/table1", reproduced_row(), {"snip": "needs compute: no gradients today", "*": "needs compute: later"}
    )
    assert list(table.columns) == COLUMNS
    assert len(table) == 165
    ours = table[table["verdict"] != NOT_ATTEMPTED]
    assert ours[["row", "published", "verdict", "source", "note"]].values.tolist() == [
        ["FLOPs", "0.623", "match", "csv", "9,445 cells"]
    ]
    assert set(table.loc[table["row"] == "SNIP", "note"]) == {"needs compute: no gradients today"}
    assert set(table.loc[table["row"] == "GraSP", "note"]) == {"needs compute: later"}


def test_a_missing_value_is_not_attempted_with_its_own_reason():
    table = compare(
        "vkdnw/table1", reproduced_row(reproduced=np.nan, low=np.nan, high=np.nan, note="needs data: NATS-Bench")
    )
    row = table[(table["row"] == "FLOPs") & (table["dataset"] == "cifar10") & (table["metric"] == "kendall_tau")]
    assert row["verdict"].item() == NOT_ATTEMPTED
    assert row["note"].item() == "needs data: NATS-Bench"


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


def test_a_reason_is_of_a_known_kind():
    with pytest.raises(NbnasError, match="begins with needs data or needs compute or quoted from elsewhere"):
        compare("vkdnw/table1", reproduced_row(), {"*": "later"})


def judged(**changes):
    """The only number compared: FLOPs, tau on CIFAR-10, published 0.623."""
    return compare("vkdnw/table1", reproduced_row(**changes)).query("verdict != @NOT_ATTEMPTED").iloc[0]


def test_seeds_widen_the_interval():
    still = judged(reproduced=0.64, low=0.64, high=0.64)
    noisy = judged(reproduced=0.64, low=0.637, high=0.64, seed_deviation=0.01)
    assert (still.verdict, still.low, still.high) == ("differs", 0.64, 0.64)
    assert noisy.verdict == "match"
    assert noisy.low == pytest.approx(0.64 - np.hypot(0.003, 0.0196))
    assert noisy.high == pytest.approx(0.6596)
    assert noisy.difference == pytest.approx(0.017)


def test_published_runs_are_as_noisy_as_known():
    """AZ-NAS's tau on CIFAR-100 has a published deviation, which stands for ours where we have one seed alone."""
    printed = load_published("vkdnw/table1").query(
        "row_key == 'az_nas' and column == 'cifar100' and metric == 'kendall_tau'"
    )
    std = printed["std"].item()
    assert 0 < std < 0.02
    row = {"row_key": "az_nas", "column": "cifar100", "metric": "kendall_tau", "source": "csv", "note": ""}
    ours = float(printed["value"].item()) + 2 * std + 0.001
    rows = pd.DataFrame([{**row, "reproduced": ours, "low": ours, "high": ours, "seed_deviation": np.nan}])
    found = compare("vkdnw/table1", rows).query("verdict != @NOT_ATTEMPTED").iloc[0]
    assert found.high - found.reproduced == pytest.approx(1.96 * std)
    # The published mean of five runs has an error too: sqrt(1 + 1 / 5) 1.96 = 2.15 deviations in all.
    assert found.verdict == "match"


def test_a_sample_of_their_own_makes_published_values_uncertain():
    assert judged(reproduced=0.64, low=0.64, high=0.64, published_deviation=0.01).verdict == "match"
    assert judged(reproduced=0.64, low=0.64, high=0.64, published_deviation=0.02).verdict == "consistent"


def test_an_alternative_explains_only_what_differs_and_only_if_it_agrees():
    other = {"alternative_low": 0.61, "alternative_high": 0.63, "alternative_name": "Another statistic"}
    differs = {"reproduced": 0.7, "low": 0.69, "high": 0.71}
    explained = judged(**differs, **other, alternative=0.62)
    assert explained.verdict == "explained"
    assert explained.note == "9,445 cells Another statistic gives 0.620 [0.610, 0.630], which agrees."
    assert explained.alternative == 0.62
    wrong = {"alternative": 0.65, "alternative_low": 0.64, "alternative_high": 0.66, "alternative_name": "Another"}
    not_explained = judged(**differs, **wrong)
    assert not_explained.verdict == "differs"
    assert not_explained.note.endswith("gives 0.650 [0.640, 0.660], which does not agree either.")
    # An interval wide enough to hold everything explains nothing if its middle is further away than ours.
    wide = {"alternative": 0.3, "alternative_low": 0.0, "alternative_high": 0.9, "alternative_name": "Another"}
    assert judged(**differs, **wide).verdict == "differs"
    match = judged(**other, alternative=0.62)
    assert (match.verdict, match.note) == ("match", "9,445 cells")


@pytest.mark.parametrize("key", ["kendall_tau", "csv", "*"])
def test_numbers_of_other_origin_are_not_comparable(key):
    table = compare("vkdnw/table1", reproduced_row(), incomparable={key: "Other hardware."})
    found = table.query("verdict != @NOT_ATTEMPTED")
    assert found[["verdict", "note"]].values.tolist() == [["not comparable", "9,445 cells Other hardware."]]
    assert found["difference"].item() == pytest.approx(-0.0002)


def test_differences_between_rows_are_set_beside_published_ones():
    printed = load_published("vkdnw/table7").query("column == 'cifar10' and metric == 'kendall_tau'")
    values = printed.set_index("row_key")["value"].astype(float)
    printed = [values["m64"] - values["m128"], values["m8"] - values["m128"]]
    ours = pd.DataFrame({"row_key": ["m64", "m8"], "column": "cifar10", "metric": "kendall_tau", "difference": 0.0})
    ours = ours.assign(low=[printed[0] - 0.01, printed[1] + 0.001], high=[printed[0] - 1e-7, 0.1])
    found = compare_differences("vkdnw/table7", ours, "m128")
    assert found["published"].tolist() == pytest.approx(printed)
    # The first is outside by less than the rounding of two published values.
    assert found["agrees"].tolist() == [True, False]


def test_no_differences_are_no_rows():
    none = pd.DataFrame(columns=["row_key", "column", "metric", "difference", "low", "high"])
    assert compare_differences("vkdnw/table7", none, "m128").empty


def test_reasons_can_speak_of_a_benchmark():
    row = reproduced_row(benchmark="nb-macro", reproduced=0.556, low=0.556, high=0.556)
    table = compare(
        "tcet/table3",
        row,
        {"blox": "needs data: no release", "*": "needs compute: later"},
        dataset=["benchmark", "column"],
    )
    assert len(table) == 62
    notes = table[table["verdict"] == NOT_ATTEMPTED].groupby("dataset")["note"].unique().map(list).to_dict()
    assert notes["blox, cifar100"] == ["needs data: no release"]
    assert notes["nats-sss, cifar10"] == notes["nb-macro, cifar10"] == ["needs compute: later"]
    (ours,) = table[table["verdict"] == "match"].itertuples()
    assert (ours.row, ours.dataset, ours.published) == ("FLOPS", "nb-macro, cifar10", "0.56")


@pytest.mark.parametrize(("key", "note"), [("nb-macro", "Of it."), ("blox", "")])
def test_explanations_can_speak_of_a_benchmark(key, note):
    row = reproduced_row(benchmark="nb-macro", reproduced=0.3, low=0.3, high=0.3)
    table = compare("tcet/table3", row.assign(note=""), explanations={key: "Of it."})
    assert table.loc[table["verdict"] == "differs", "note"].tolist() == [note]


def test_remarks_on_the_print_follow_the_note():
    table = compare(
        "tcet/table4",
        reproduced_row(benchmark="nb301", reproduced=0.37, low=0.37, high=0.37),
        {"*": "needs compute: later"},
    )
    remarked = with_remarks(table)
    published = load_published("tcet/table4")["note"]
    assert (remarked["note"] == table["note"])[published == ""].all()
    zico = remarked[(remarked["row"] == "ZiCo") & (remarked["dataset"] == "class_scene")]
    assert zico["note"].item().startswith("needs compute: later. On the published value: equals the FLOPS row")
    pd.testing.assert_frame_equal(remarked.drop(columns="note"), table.drop(columns="note"))
