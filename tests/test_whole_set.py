"""Whole sets estimated from random samples: against slow versions, the whole set itself, and known truths."""

import numpy as np
import pandas as pd
import pytest

import nbnas
from nbnas.errors import NbnasError
from nbnas.rankings import bootstrap_estimate, kendall_tau, ndcg, noise, spearman_rho
from nbnas.rankings.evaluation import METRICS
from nbnas.rankings.published import RANKINGS
from nbnas.rankings.whole_set import sample_ndcgs, whole_set_differences, whole_set_estimates, whole_set_statistics
from nbnas.scoring.architecture_scores import load_architecture_scores

STATISTICS = (kendall_tau, spearman_rho, ndcg)


def population(size=600, seed=0, digits=1):
    """Accuracies, two rankings and two controls with ties, and labels of networks with one to three members."""
    rng = np.random.default_rng(seed)
    network = np.sort(rng.integers(size // 2, size=size))
    quality = rng.normal(size=size // 2)[network]
    accuracy = (94 - 2 * np.exp(-0.8 * quality - 0.2 * rng.normal(size=size))).round(
        2
    )  # As of trained networks: bounded.
    controls = np.stack([quality + spread * rng.normal(size=size // 2)[network] for spread in (0.7, 1.5)], axis=1)
    controls = controls.round(digits)
    noisy = [quality + spread * rng.normal(size=size // 2)[network] for spread in (0.5, 1)]
    rankings = np.stack([controls[:, 0] + column for column in noisy], axis=1).round(digits)
    return accuracy, rankings, controls, network


def drawn(network, networks, seed=0):
    chosen = np.random.default_rng(seed).choice(np.unique(network), networks, replace=False)
    return np.flatnonzero(np.isin(network, chosen))


def slow_ndcg(scores, trained, accuracy, k):
    """nDCG of the whole set with every sampled architecture standing for len(accuracy) / len(scores) positions."""
    found = start = 0.0
    for score in sorted(set(scores), reverse=True):
        gains = [2**a - 1 for s, a in zip(scores, trained, strict=True) if s == score]
        end = start + len(gains) * len(accuracy) / len(scores)
        covered = [max(0, min(end, place) - max(start, place - 1)) for place in range(1, k + 1)]
        discount = sum(part / np.log2(1 + place) for place, part in enumerate(covered, start=1))
        found, start = found + np.mean(gains) * discount, end
    best = sorted(accuracy, reverse=True)[:k]
    return found / sum((2**a - 1) / np.log2(1 + place) for place, a in enumerate(best, start=1))


@pytest.mark.parametrize("k", [1, 7, 40, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_ndcg_of_a_resample_is_that_of_its_networks_one_by_one(seed, k):
    accuracy, rankings, _, network = population(120, seed)
    rows = drawn(network, 20, seed)
    _, group = np.unique(network[rows], return_inverse=True)
    counts = np.random.default_rng(seed).integers(3, size=(6, 20))
    scores = rankings[rows, 0].round()
    fast = sample_ndcgs(scores, rows, accuracy, k, group, counts)
    copies = [np.repeat(np.arange(len(rows)), count[group]) for count in counts]
    slow = [slow_ndcg(scores[copy], accuracy[rows[copy]], accuracy, k) for copy in copies]
    assert fast == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("k", [1, 50, 1000, 5000])
@pytest.mark.parametrize("digits", [0, 1, 9])
def test_a_sample_of_everything_has_the_values_of_the_whole_set(digits, k):
    accuracy, rankings, controls, network = population(digits=digits)
    rows = np.random.default_rng(1).permutation(len(accuracy))
    exact = [
        [kendall_tau(column, accuracy), spearman_rho(column, accuracy), ndcg(column, accuracy, k)]
        for column in rankings.T
    ]
    options = {"k": k, "repeats": 20}
    sample = rows, accuracy, controls, network[rows]
    for column, values in zip(rankings.T, exact, strict=True):
        found = whole_set_estimates(column[rows], *sample, **options)
        assert [estimate.value for estimate in found] == pytest.approx(values, abs=1e-12)
    differences = whole_set_differences(*rankings[rows].T, *sample, **options)
    assert [one.value for one in differences] == pytest.approx(np.subtract(*exact), abs=1e-12)


def test_a_ranking_that_is_a_control_is_known_of_the_whole_set():
    accuracy, _, controls, network = population()
    rows = drawn(network, 60)
    found = whole_set_estimates(controls[rows, 1], rows, accuracy, controls, network[rows], k=100, repeats=50)
    for estimate, statistic in zip(found, (kendall_tau, spearman_rho, lambda *sides: ndcg(*sides, k=100)), strict=True):
        assert estimate == pytest.approx([statistic(controls[:, 1], accuracy)] * 3, abs=1e-9)


def test_controls_that_say_nothing_new_change_nothing():
    accuracy, rankings, controls, network = population()
    rows = drawn(network, 60)
    sample = rankings[rows, 0], rows, accuracy
    more = np.column_stack([controls, 2 * controls[:, 0], np.ones(len(accuracy))])
    alone, among = (whole_set_estimates(*sample, c, network[rows], k=100, repeats=50) for c in (controls, more))
    assert alone[:2] == [pytest.approx(estimate, abs=1e-9) for estimate in among[:2]]
    # A constant control has no rank correlation, but its nDCG is the mean gain, which nDCG is controlled by anyway.
    assert alone[2] == pytest.approx(among[2], abs=1e-9)


def test_architectures_of_a_network_count_as_one():
    accuracy, rankings, controls, _ = population(digits=9)
    rows = drawn(np.arange(len(accuracy)), 80)
    twice = np.concatenate([rows, rows + len(accuracy)])
    single = whole_set_estimates(rankings[rows, 0], rows, accuracy, controls, repeats=50)
    scores, labels = np.tile(rankings[rows, 0], 2), np.tile(np.arange(80), 2)
    double = whole_set_estimates(scores, twice, np.tile(accuracy, 2), np.tile(controls, (2, 1)), labels, repeats=50)
    for one, other in zip(single[:2], double[:2], strict=True):
        assert one == pytest.approx(other, abs=1e-9)


def test_only_the_seed_that_is_given_matters():
    accuracy, rankings, controls, network = population()
    rows = drawn(network, 60)
    sample = rankings[rows, 0], rows, accuracy, controls, network[rows]
    np.random.seed(1)  # noqa: NPY002
    first = whole_set_estimates(*sample, repeats=30)
    np.random.seed(2)  # noqa: NPY002
    assert whole_set_estimates(*sample, repeats=30) == first
    assert whole_set_estimates(*sample, repeats=30, seed=1) != first


def test_a_difference_is_that_of_the_estimates_and_better_known_than_they_are():
    accuracy, rankings, controls, network = population()
    rows = drawn(network, 80)
    sample, options = (rows, accuracy, controls, network[rows]), {"repeats": 200, "k": 100}
    new, old = (whole_set_estimates(column[rows], *sample, **options) for column in rankings.T)
    for difference, one, other in zip(
        whole_set_differences(*rankings[rows].T, *sample, **options), new, old, strict=True
    ):
        assert difference.value == pytest.approx(one.value - other.value)
        apart = np.hypot(one.high - one.low, other.high - other.low)
        assert 0 < difference.high - difference.low < apart


def test_constant_scores_have_no_rank_correlation():
    accuracy, _, controls, network = population()
    rows = drawn(network, 60)
    tau, rho, gain = whole_set_estimates(np.ones(len(rows)), rows, accuracy, controls, network[rows], repeats=20)
    assert np.isnan([*tau, *rho]).all()
    assert gain.low <= gain.value <= gain.high


def test_estimates_stay_in_their_range_and_follow_the_level():
    accuracy, rankings, controls, network = population()
    rows = drawn(network, 40)
    sample = rows, accuracy, controls, network[rows]
    perfect = whole_set_estimates(accuracy[rows], *sample, repeats=50)
    assert all(0 <= estimate.low <= estimate.value <= estimate.high <= 1 for estimate in perfect)
    wide, narrow = (
        whole_set_estimates(rankings[rows, 0], *sample, repeats=50, level=level)[0] for level in (0.95, 0.5)
    )
    assert wide.value == narrow.value
    assert wide.low < narrow.low < narrow.high < wide.high


def test_without_controls_it_is_the_percentile_bootstrap_but_for_the_degrees_of_freedom():
    accuracy, rankings, controls, network = population()
    rows = drawn(network, 60)
    sample = rows, accuracy, controls, network[rows]
    found = whole_set_statistics(rankings[rows], *sample, repeats=50, seed=3)
    wider = (60 / 59) ** 0.5 * 2.000995 / 1.959964
    for statistic, sampled in zip((kendall_tau, spearman_rho), found[:2], strict=True):
        columns = rankings[rows, 1], accuracy[rows]
        plain = bootstrap_estimate(statistic, *columns, groups=network[rows], repeats=50, seed=3)
        own = sampled.estimate(1, controlled=False)
        assert own.value == pytest.approx(plain.value, abs=1e-12)
        assert np.subtract(own[1:], own.value) == pytest.approx(wider * np.subtract(plain[1:], plain.value), rel=1e-6)


def test_ndcg_is_decided_by_the_networks_that_share_the_gain():
    # Ten networks of two architectures, all as accurate: they count in full, however often they are there.
    rows, labels, accuracy = np.arange(20), np.repeat(np.arange(10), 2), np.full(40, 90.0)
    sample = rows, accuracy, np.empty((40, 0)), labels
    shared = whole_set_statistics(np.ones(20), *sample, repeats=5)[2]
    assert shared.networks == pytest.approx([10])
    # One is 20 points ahead, which is all of the gain.
    accuracy[:2] += 20
    alone = whole_set_statistics(np.ones(20), *sample, repeats=5)[2]
    assert alone.networks == pytest.approx([1], abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": np.ones(9)}, "equal length"),
        ({"scores": np.ones((10, 2, 2))}, "equal length"),
        ({"groups": np.arange(9)}, "equal length"),
        ({"accuracy": np.ones((30, 1))}, "accuracies"),
        ({"controls": np.ones(30)}, "controls"),
        ({"controls": np.ones((29, 1))}, "controls"),
        ({"scores": np.full(10, np.nan)}, "must be numbers"),
        ({"controls": np.full((30, 1), np.nan)}, "must be numbers"),
        ({"accuracy": np.full(30, np.inf)}, "finite"),
        ({"rows": np.arange(25, 35)}, "from 0 to 29"),
        ({"rows": np.arange(-5, 5)}, "from 0 to 29"),
        ({"rows": np.zeros(10, int)}, "distinct"),
        ({"rows": np.arange(10) / 2}, "distinct"),
        ({"groups": np.arange(10) // 4}, "3 networks are too few for 1 controls"),
        ({"k": 0}, "k >= 1"),
        ({"repeats": 1}, "at least 2 resamples"),
    ],
)
def test_wrong_arguments_are_errors_of_one_line(changes, message):
    arguments = {
        "scores": np.arange(10),
        "rows": np.arange(10),
        "accuracy": np.arange(30),
        "controls": np.ones((30, 1)),
    }
    with pytest.raises(NbnasError, match=message) as caught:
        whole_set_statistics(**arguments | changes)
    assert "\n" not in str(caught.value)


def test_two_rankings_of_different_length_have_no_difference():
    with pytest.raises(NbnasError, match="two columns"):
        whole_set_differences(np.arange(9), np.arange(10), np.arange(10), np.arange(30), np.ones((30, 1)))


def simulated(samples=100):
    """Samples of 200 of 1,000 networks; a row per ranking, metric and controlled."""
    accuracy, rankings, controls, network = population(2000, seed=5)
    scores = pd.DataFrame(rankings, columns=["good", "poor"])
    table = noise.whole_set_intervals(scores, accuracy, controls, network, 200, samples=samples, repeats=150)
    return accuracy, scores, table


def test_intervals_hold_the_whole_set_as_often_as_they_say():
    accuracy, scores, table = simulated()
    summary = {
        keys: noise.summarise_intervals(rows, rows["truth"].iloc[0])
        for keys, rows in table.groupby(["controlled", "ranking", "metric"])
    }
    assert len(summary) == 2 * 3 * 3
    for (controlled, ranking, metric), found in summary.items():
        # Of 100 intervals that hold the truth with probability .9, fewer than 75 do with probability 1e-5.
        assert found["coverage"] >= 0.75, (controlled, ranking, metric)
        assert abs(found["bias"]) < 0.25 * found["width"]
        # Not by being too wide: here a fifth of the set was drawn, so values spread a tenth less than intervals say.
        assert found["width"] < 2 * found["spread"]
        if controlled and ranking == "good":
            assert found["width"] < 0.9 * summary[False, ranking, metric]["width"]
    for name, statistic in zip(METRICS, STATISTICS, strict=True):
        rows = table[table["metric"] == name].groupby("ranking")["truth"].unique()
        assert rows["good"] == pytest.approx([statistic(scores["good"], accuracy)])
        assert rows["good - poor"] == pytest.approx(rows["good"] - rows["poor"])


def test_samples_of_stored_scores_estimate_the_whole_set(data_folder):
    cells = nbnas.get_space("nasbench201").subset("filtered")
    accuracy = nbnas.load_benchmark("nasbench201", "auto").accuracy("cifar10")[cells]
    method = RANKINGS["vkdnw_single"]
    found = load_architecture_scores([*method.scores, "flops"], "cifar10")
    assert found.complete
    controls = found.table[["flops", "trainable_layers"]]
    scores = pd.DataFrame({"vkdnw_single": method.rank(found.table)})
    table = noise.whole_set_intervals(scores, accuracy, controls, found.groups, 1000, samples=12, repeats=100)
    for (metric, controlled), rows in table.groupby(["metric", "controlled"]):
        inside = (rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])
        assert inside.sum() >= 7, (metric, controlled)
    half = table.assign(half=(table["high"] - table["low"]) / 2).groupby(["metric", "controlled"])["half"].mean()
    assert half["kendall_tau", True] < 0.5 * half["kendall_tau", False]
    assert half["ndcg_1000", True] < 0.04 < half["ndcg_1000", False]
