"""Noise of scores, of accuracies and of samples."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

import nbnas
from nbnas.errors import NbnasError
from nbnas.rankings import kendall_tau, ndcg, noise, pair_shares

SPACE = nbnas.get_space("nasbench201")


def cell(*operations):
    """Edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3; ``1`` and ``3`` are convolutions, ``s`` skips, ``p`` pools, ``.`` is none."""
    names = {"1": "nor_conv_1x1", "3": "nor_conv_3x3", "s": "skip_connect", "p": "avg_pool_3x3", ".": "none"}
    a, b, c, d, e, f = (names[operation] for operation in operations[0])
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def tied_data(n=60, seed=0):
    """Scores and accuracies with ties, in groups of one to a few."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(5, size=n)
    accuracy = np.round(scores + rng.normal(scale=2, size=n), 1)
    return scores, accuracy, rng.integers(n // 2, size=n)


def test_seed_noise_leaves_out_what_is_missing_or_constant():
    rng = np.random.default_rng(0)
    accuracy = pd.Series(rng.normal(size=30))
    first = pd.DataFrame({"good": accuracy, "random": rng.normal(size=30), "constant": 1.0})
    second = first.assign(good=accuracy + 0.01, random=rng.normal(size=30))
    second.loc[[3, 7], "random"] = np.nan
    table = noise.seed_noise(first, second, accuracy, repeats=50)
    assert table.index.tolist() == ["good", "random"]
    assert table["networks"].tolist() == [30, 28]
    assert table.loc["good", ["agreement", "low", "high", "tau_first", "tau_second"]].tolist() == pytest.approx([1] * 5)
    assert (table["low"] <= table["agreement"]).all()
    assert (table["agreement"] <= table["high"]).all()
    assert abs(table.loc["random", "agreement"]) < 0.5
    expected = first.drop(columns="constant").corrwith(second, drop=True, method="kendall")
    pd.testing.assert_series_equal(table["agreement"], expected, check_names=False)


def test_runs_that_agree_leave_a_ceiling_of_one():
    first = np.linspace(80, 94, 50)
    same = noise.run_agreement(first, first)
    assert list(same.values()) == pytest.approx([1] * 6)
    reversed_order = noise.run_agreement(first, -first + 180)
    assert reversed_order["kendall_tau"] == pytest.approx(-1)
    assert reversed_order["ceiling"] == pytest.approx(0)
    assert reversed_order["ndcg_low"] <= reversed_order["ndcg_1000"] <= reversed_order["ndcg_high"]


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_no_ranking_passes_the_ceiling_and_the_truth_beats_another_run(scale):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=2000)
    first, second = (truth + rng.normal(scale=scale, size=2000) for _ in range(2))
    agreement = noise.run_agreement(first, second)
    best = kendall_tau(truth, first)
    assert agreement["kendall_tau"] < best < agreement["ceiling"] + 0.01


def test_shares_of_pairs_are_those_counted_one_by_one():
    scores, accuracy, _ = tied_data()
    signs = [
        np.sign((scores[i] - scores[j]) * (accuracy[i] - accuracy[j])) for i, j in combinations(range(len(scores)), 2)
    ]
    counted = [np.mean(np.array(signs) == sign) for sign in (1, -1, 0)]
    assert pair_shares(scores, accuracy) == pytest.approx(counted)


def test_random_pairs_are_two_members_of_each_group_that_has_two():
    labels = np.array(["a", "b", "a", "c", "b", "a"])
    pairs = noise.random_pairs(labels, seed=3)
    assert pairs.shape == (2, 2)
    assert [set(labels[pair]) for pair in pairs] == [{"a"}, {"b"}]
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert noise.random_pairs(np.arange(4)).shape == (0, 2)
    np.testing.assert_array_equal(pairs, noise.random_pairs(labels, seed=3))


def test_one_convolution_used_twice_is_not_two_convolutions():
    used_twice = cell("3.s.ss")  # node 1 reaches the output directly and through node 2
    two = cell("33..ss")  # two convolutions of the input, added
    assert SPACE.canonical(used_twice).replace("#+", "") == SPACE.canonical(two).replace("#+", "")
    assert SPACE.network_form(used_twice) != SPACE.network_form(two)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("3....s", "3....s"),
        ("3...s.", ".3...s"),  # through node 1 or node 2
        ("...3..", "s...3."),  # straight to the output, or from a node that is the input
        ("13..ss", "31..ss"),  # in the other order
        ("s.1.s1", "s1..s1"),  # a skipped edge in front
    ],
)
def test_equal_networks_have_one_form(first, second):
    assert SPACE.network_form(cell(first)) == SPACE.network_form(cell(second))


def test_networks_with_other_sizes_have_other_forms():
    filtered = [SPACE[index] for index in SPACE.sample_subset("filtered", 1500)]
    sizes = pd.DataFrame({"form": [SPACE.network_form(arch) for arch in filtered]})
    sizes["flops"] = [SPACE.flops(arch) for arch in filtered]
    sizes["layers"] = [SPACE.trainable_layers(arch) for arch in filtered]
    assert (sizes.groupby("form")[["flops", "layers"]].nunique() == 1).all(axis=None)
    assert sizes["form"].nunique() < len(filtered)


@pytest.mark.parametrize("metric", ["kendall_tau", "ndcg"])
def test_a_sample_of_everything_has_the_full_value(metric):
    scores, accuracy, groups = tied_data()
    size = len(np.unique(groups))
    table = noise.sample_intervals(metric, scores, accuracy, groups, size, samples=3, intervals=2, repeats=20)
    full = kendall_tau(scores, accuracy) if metric == "kendall_tau" else ndcg(scores, accuracy)
    assert table["value"].tolist() == pytest.approx([full] * 3)
    assert table["low"].notna().tolist() == [True, True, False]
    assert (table["low"] < table["high"]).sum() == 2


@pytest.mark.parametrize(("metric", "size"), [("spearman_rho", 5), ("ndcg", 1000)])
def test_unknown_metrics_and_samples_too_large_are_errors(metric, size):
    with pytest.raises(NbnasError, match="cannot measure"):
        noise.sample_intervals(metric, *tied_data(), size)


@pytest.mark.parametrize(("cells", "cutoff"), [(9445, 1000), (945, 100), (1, 1)])
def test_cutoff_keeps_its_share(cells, cutoff):
    assert noise.scaled_cutoff(cells, 9445) == cutoff


def test_coverage_counts_the_intervals_with_the_truth():
    table = pd.DataFrame(
        {"value": [0.4, 0.5, 0.6, 0.9], "low": [0.3, 0.4, 0.55, np.nan], "high": [0.5, 0.6, 0.7, np.nan]}
    )
    summary = noise.summarise_intervals(table, 0.5)
    assert summary["intervals"] == 3
    assert summary["coverage"] == pytest.approx(2 / 3)
    assert summary["coverage_low"] < 2 / 3 < summary["coverage_high"]
    assert summary["width"] == pytest.approx((0.2 + 0.2 + 0.15) / 3)
    assert summary["bias"] == pytest.approx(0.1)
    assert 0.4 < summary["spread"] < 0.5


def test_seeds_are_compared_over_common_networks():
    first = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [1.0, 2, np.nan, 4]}, index=[10, 11, 12, 13])
    second = pd.DataFrame({"a": [9.0, 4, 3, 2], "b": [0.0, 1, 2, 3], "c": [1.0, 2, 3, 4]}, index=[14, 13, 12, 11])
    table = noise.seed_noise(first, second, pd.Series([0.0, 1, 2, 3], index=[10, 11, 12, 13]), repeats=5)
    assert table.index.tolist() == ["a", "b"]
    assert table.loc["a", "agreement"] == 1
    # Of 11 and 13, to which both seeds gave a number, the first says 2 and 4, the second 3 and 1.
    assert table.loc["b", ["agreement", "networks"]].tolist() == [-1, 2]


def test_a_comparison_of_seeds_needs_two_networks():
    lonely = pd.DataFrame({"a": [1.0, np.nan]})
    assert noise.seed_noise(lonely, lonely, pd.Series([1.0, 2.0]), repeats=5).empty
