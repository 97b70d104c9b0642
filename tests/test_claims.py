"""Claims of the papers are decided by the numbers of a run, never typed."""

import pandas as pd
import pytest

from nbnas.machine.paths import data_folder
from nbnas.reproduce.report import claims
from nbnas.reproduce.report.claims import CLAIMS, Claim, Comparison, judge_claims
from nbnas.reproduce.results import read_table
from nbnas.reproduce.verdicts import load_published

ITEM = ("vkdnw/table1", "cifar10", "kendall_tau")
BETTER = Comparison(*ITEM, "ours", ("first", "second"))
ALIKE = Comparison(*ITEM, "ours", ("first",), margin=0.05)


def verdicts(**rows):
    """Rows by name: (published, reproduced, half-width)."""
    table = pd.DataFrame(
        [(*ITEM, name, str(was), value, value - half, value + half) for name, (was, value, half) in rows.items()],
        columns=["item", "dataset", "metric", "row", "published", "reproduced", "low", "high"],
    )
    return table.assign(verdict=table["reproduced"].notna().map({True: "match", False: "not attempted"}))


def card(monkeypatch, comparisons, table, reference=None):
    monkeypatch.setattr(claims, "CLAIMS", (Claim("vkdnw", "A claim.", tuple(comparisons)),))
    (card,) = judge_claims(table, table.head(0) if reference is None else reference)
    return card


@pytest.mark.parametrize(
    ("second", "status", "clear"),
    [
        ((0.5, 0.50, 0.01), "holds", 1),
        ((0.5, 0.695, 0.01), "holds", 0),
        ((0.5, 0.705, 0.01), "undecided", 0),
        ((0.5, 0.80, 0.01), "does not hold", 0),
    ],
)
def test_a_row_is_compared_with_the_best_of_the_others(monkeypatch, second, status, clear):
    table = verdicts(ours=(0.6, 0.7, 0.01), first=(0.4, 0.4, 0.01), second=second)
    found = card(monkeypatch, [BETTER], table)
    assert (found.status, found.clear_in_favour) == (status, clear)
    (outcome,) = found.outcomes
    assert outcome.ours.name == "second"
    assert outcome.ours.row == pytest.approx((0.7, 0.69, 0.71))
    assert found.published_held == 1
    assert not outcome.elsewhere


def test_some_comparisons_in_favour_and_one_clearly_against_hold_in_part(monkeypatch):
    table = verdicts(ours=(0.6, 0.7, 0.01), first=(0.4, 0.4, 0.01), second=(0.7, 0.8, 0.01))
    comparisons = [Comparison(*ITEM, "ours", (other,)) for other in ("first", "second")]
    found = card(monkeypatch, comparisons, table)
    assert found.status == "holds in part"
    assert (found.held, found.published_held) == (1, 1)


@pytest.mark.parametrize(
    ("value", "half", "holds", "clear"), [(0.68, 0.01, 1, 1), (0.68, 0.04, 1, 0), (0.6, 0.01, 0, 0)]
)
def test_values_that_should_be_alike_may_differ_by_the_margin(monkeypatch, value, half, holds, clear):
    table = verdicts(ours=(0.6, 0.7, 0.01), first=(0.6, value, half))
    found = card(monkeypatch, [ALIKE], table)
    assert (found.held, found.clear_in_favour) == (holds, clear)


def test_what_a_run_lacks_comes_from_the_reference_run_and_is_marked(monkeypatch):
    table = verdicts(ours=(0.6, float("nan"), 0.0), first=(0.4, float("nan"), 0.0))
    assert card(monkeypatch, [BETTER], table).status == "not judged"
    reference = verdicts(ours=(0.6, 0.7, 0.01), first=(0.4, 0.4, 0.01))
    found = card(monkeypatch, [BETTER], table, reference)
    assert found.status == "holds"
    assert found.outcomes[0].elsewhere


def test_every_comparison_names_rows_that_were_published():
    table = read_table(data_folder() / "reference" / "verdicts.csv")
    known = set(map(tuple, table[["item", "dataset", "metric", "row"]].values.tolist()))
    assert set(load_published()["item"]) >= {comparison.item for claim in CLAIMS for comparison in claim.comparisons}
    for claim in CLAIMS:
        for item, dataset, metric, row, others, _, other_dataset in claim.comparisons:
            assert (item, dataset, metric, row) in known
            assert {(item, other_dataset or dataset, metric, other) for other in others} & known, (claim.text, dataset)
