"""Many proxies on one sample."""

import numpy as np
import pandas as pd
import pytest

import nbnas
from nbnas import parity
from nbnas.evaluation import Ranking, evaluate
from nbnas.network_scores import NetworkScores


@pytest.fixture(scope="module")
def benchmark():
    return nbnas.load_benchmark("nasbench201", "analog")


@pytest.fixture
def scores(benchmark):
    """Accuracy itself, its negative, and accuracy with two networks that have no score."""
    cells = nbnas.get_space("nasbench201").sample_subset("filtered-unique", 30)
    accuracy = pd.Series(benchmark.accuracy("cifar10")[cells], index=pd.Index(cells, name="arch_index"))
    partly = accuracy.copy()
    partly.iloc[[3, 7]] = np.nan
    table = pd.DataFrame({"perfect": accuracy, "backwards": -accuracy, "partly": partly})
    return NetworkScores(table, np.arange(30) // 2, complete=False, description="made up")


def evaluated(scores, benchmark):
    return parity.evaluate_all(scores, benchmark, "cifar10", repeats=20).set_index(["row_key", "metric"])


def test_every_column_is_evaluated_as_a_sample(scores, benchmark):
    table = evaluated(scores, benchmark)
    assert set(table.index.get_level_values(0)) == {"perfect", "backwards", "partly"}
    cells, column = scores.table.index.to_numpy(), scores.table["perfect"].to_numpy()
    ranking = Ranking("perfect", cells, column, complete=False, groups=scores.groups)
    alone = evaluate(ranking, benchmark, "cifar10", 20).set_index("metric")
    pd.testing.assert_frame_equal(table.loc["perfect"], alone.drop(columns="row_key"), check_exact=True)
    assert table.loc[("perfect", "kendall_tau"), "reproduced"] > 0.8
    assert table.loc[("backwards", "kendall_tau"), "reproduced"] < -0.8


def test_a_whole_set_is_evaluated_as_complete(benchmark):
    cells = nbnas.get_space("nasbench201").subset("filtered")
    accuracy = pd.Series(benchmark.accuracy("cifar10")[cells], index=pd.Index(cells, name="arch_index"))
    whole = NetworkScores(accuracy.to_frame("perfect"), np.arange(len(cells)), complete=True, description="made up")
    row = evaluated(whole, benchmark).loc[("perfect", "ndcg_1000")]
    assert row["reproduced"] == pytest.approx(1)
    assert row["note"] == "9,445 architectures; interval over ties."


def test_networks_without_a_score_rank_last_and_are_counted(scores, benchmark):
    table = evaluated(scores, benchmark)
    assert "2 without a score rank last" in table.loc[("partly", "kendall_tau"), "note"]
    assert "without a score" not in table.loc[("perfect", "kendall_tau"), "note"]
    last = scores.table["partly"].fillna(scores.table["partly"].min()).to_numpy()
    ranking = Ranking("partly", scores.table.index.to_numpy(), last, complete=False, groups=scores.groups)
    alone = evaluate(ranking, benchmark, "cifar10", 20).set_index("metric")
    numbers = ["reproduced", "low", "high"]
    pd.testing.assert_frame_equal(table.loc["partly", numbers], alone[numbers], check_exact=True)


def test_a_score_that_no_network_has_does_not_stop_the_others(scores, benchmark):
    scores.table["nothing"] = np.nan
    table = evaluated(scores, benchmark)
    assert table.loc["nothing", "reproduced"].isna().all()
    assert set(table.loc["nothing", "note"]) == {"no network has a score"}
    assert table.loc[("perfect", "kendall_tau"), "reproduced"] > 0.8


def test_agreement_of_seeds_is_kendalls_tau_over_common_networks():
    first = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [1.0, 2, np.nan, 4]}, index=[10, 11, 12, 13])
    second = pd.DataFrame({"a": [9.0, 4, 3, 2], "b": [0.0, 1, 2, 3], "c": [1.0, 2, 3, 4]}, index=[14, 13, 12, 11])
    agreement = parity.seed_agreement(first, second)
    assert agreement.index.tolist() == ["a", "b"]
    assert agreement["a"] == 1
    # Of 11 and 13, to which both seeds gave a number, the first says 2 and 4, the second 3 and 1.
    assert agreement["b"] == -1


def test_agreement_of_seeds_needs_two_networks():
    lonely = pd.DataFrame({"a": [1.0, np.nan]})
    assert parity.seed_agreement(lonely, lonely).isna().all()
