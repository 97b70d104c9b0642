"""Rank correlation, nDCG, aggregation and intervals against slow loops, other libraries and published numbers."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import ndcg_score

import nbnas
from nbnas.errors import NbnasError
from nbnas.rankings import (
    aggregate_ranks,
    bootstrap_interval,
    kendall_tau,
    lexicographic_rank,
    ndcg,
    ndcg_tie_interval,
    paired_difference,
    partial_kendall_tau,
    spearman_rho,
)


def slow_kendall_tau_b(x, y):
    """Count the pairs."""
    sign = lambda a, b: (a > b) - (a < b)  # noqa: E731
    pairs = list(itertools.combinations(range(len(x)), 2))
    balance = sum(sign(x[i], x[j]) * sign(y[i], y[j]) for i, j in pairs)
    untied_x, untied_y = (sum(values[i] != values[j] for i, j in pairs) for values in (x, y))
    return balance / math.sqrt(untied_x * untied_y)


def slow_average_ranks(values):
    """Rank = number of smaller values + (number of equal values + 1) / 2."""
    return [sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]


def slow_spearman_rho(x, y):
    ranks_x, ranks_y = slow_average_ranks(x), slow_average_ranks(y)
    middle = (len(x) + 1) / 2
    products = sum((a - middle) * (b - middle) for a, b in zip(ranks_x, ranks_y, strict=True))
    squares = [sum((a - middle) ** 2 for a in ranks) for ranks in (ranks_x, ranks_y)]
    return products / math.sqrt(squares[0] * squares[1])


def slow_dcg(accuracies, k):
    return sum((2**accuracy - 1) / math.log2(1 + position) for position, accuracy in enumerate(accuracies[:k], start=1))


def slow_ndcg(scores, accuracy, k):
    """nDCG averaged over all orders of the networks in which the scores do not increase."""
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    values = [slow_dcg([accuracy[i] for i in order], k) for order in orders]
    return sum(values) / len(values) / slow_dcg(sorted(accuracy, reverse=True), k)


few_values = st.integers(0, 4)
paired_lists = st.integers(2, 25).flatmap(
    lambda size: st.tuples(
        st.lists(few_values, min_size=size, max_size=size), st.lists(few_values, min_size=size, max_size=size)
    )
)


# ------------------------------------------------------------------------------------------------------- correlations


@pytest.mark.parametrize(
    ("fast", "slow", "library"),
    [
        (kendall_tau, slow_kendall_tau_b, lambda x, y: stats.kendalltau(x, y).statistic),
        (spearman_rho, slow_spearman_rho, lambda x, y: stats.spearmanr(x, y).statistic),
    ],
    ids=["kendall", "spearman"],
)
@given(columns=paired_lists)
def test_correlation_equals_loop_and_library(fast, slow, library, columns):
    x, y = columns
    actual = fast(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(actual)
    else:
        assert actual == pytest.approx(slow(x, y), abs=1e-12)
        assert actual == pytest.approx(library(x, y), abs=1e-12)


@pytest.mark.parametrize("correlation", [kendall_tau, spearman_rho])
def test_correlation_depends_on_the_order_alone(correlation):
    x, y = np.random.default_rng(0).standard_normal((2, 50))
    assert correlation(np.exp(3 * x), y**3) == pytest.approx(correlation(x, y), abs=1e-12)
    assert correlation(x, -y) == pytest.approx(-correlation(x, y), abs=1e-12)
    assert correlation(x, x) == pytest.approx(1)
    assert abs(correlation(x, y)) > 1e-3


@pytest.mark.parametrize("correlation", [kendall_tau, spearman_rho])
def test_infinite_scores_rank_at_the_ends(correlation):
    accuracy = [3.0, 1.0, 2.0, 5.0, 4.0, 6.0]
    infinite = [math.inf, -math.inf, 0.0, 2.0, -math.inf, 1.0]
    assert correlation(infinite, accuracy) == pytest.approx(correlation([9, -9, 0, 2, -9, 1], accuracy), abs=1e-12)


# --------------------------------------------------------------------------------------------------------------- nDCG


@given(columns=st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=4, max_size=20))
def test_partial_correlation_is_the_formula_over_pairs(columns):
    """Kendall's partial tau is the Pearson partial correlation of the signs of pairs, here from its residuals."""
    x, y, z = (np.array(column, dtype=float) for column in zip(*columns, strict=True))
    signs = np.array([[np.sign(c[i] - c[j]) for i, j in itertools.combinations(range(len(c)), 2)] for c in (x, y, z)])
    value = partial_kendall_tau(x, y, z)
    if not signs.any(axis=1).all():
        assert math.isnan(value)
        return
    third = signs[2] / np.linalg.norm(signs[2])
    first, second = (column - (column @ third) * third for column in signs[:2])
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    assume(lengths > 1e-6)  # A score that ranks exactly as accuracy does leaves nothing to correlate.
    assert value == pytest.approx(first @ second / lengths, abs=1e-9)


def test_partial_correlation_of_a_score_with_itself_is_one():
    x, z = [3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1, 8, 2, 8, 1, 8]
    assert partial_kendall_tau(x, x, z) == pytest.approx(1)
    assert math.isnan(partial_kendall_tau(x, z, z))


@given(
    columns=st.integers(1, 6).flatmap(
        lambda size: st.tuples(
            st.lists(st.integers(0, 2), min_size=size, max_size=size),
            st.lists(st.floats(0.5, 20), min_size=size, max_size=size),
        )
    ),
    k=st.integers(1, 8),
)
def test_tie_averaged_ndcg_is_the_mean_over_all_orders_of_tied_networks(columns, k):
    scores, accuracy = columns
    assert ndcg(scores, accuracy, k) == pytest.approx(slow_ndcg(scores, accuracy, k), rel=1e-9)


@pytest.mark.parametrize("k", [1, 7, 100, 1000])
@pytest.mark.parametrize("distinct", [3, 40, 10**9])
def test_tie_averaged_ndcg_equals_scikit_learn(k, distinct):
    rng = np.random.default_rng(distinct)
    scores, accuracy = rng.integers(distinct, size=100), rng.uniform(10, 60, size=100)
    expected = ndcg_score([2**accuracy - 1], [scores], k=k)
    assert ndcg(scores, accuracy, k) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("k", [1, 7, 100])
@pytest.mark.parametrize("ties", ["average", "ignore"])
def test_ndcg_without_ties_equals_scikit_learn_and_the_loop(k, ties):
    rng = np.random.default_rng(0)
    scores, accuracy = rng.permutation(100), rng.uniform(10, 60, size=100)
    actual = ndcg(scores, accuracy, k, ties)
    assert actual == pytest.approx(ndcg_score([2**accuracy - 1], [scores], k=k, ignore_ties=True), rel=1e-9)
    ranked = [accuracy[i] for i in sorted(range(100), key=lambda i: -scores[i])]
    assert actual == pytest.approx(slow_dcg(ranked, k) / slow_dcg(sorted(accuracy)[::-1], k), rel=1e-9)


def test_ignored_ties_keep_the_order_given():
    # The best network is behind one, or before one, that has the same score: 0 + 7 / log2(3) or 7 + 0, ideal 7.
    assert ndcg([1, 1, 0], [0, 3, 0], ties="ignore") == pytest.approx(1 / math.log2(3))
    assert ndcg([1, 1, 0], [3, 0, 0], ties="ignore") == pytest.approx(1)
    assert ndcg([1, 1, 0], [3, 0, 0], ties="average") == pytest.approx((1 + 1 / math.log2(3)) / 2)


@pytest.mark.parametrize(
    ("ranked_accuracies", "tau", "rho", "gain"),
    [
        ([80, 70, 100, 90, 60, 50, 40, 30, 20, 10], 0.8222, 0.9030, 0.5001),
        ([100, 90, 80, 70, 60, 50, 10, 20, 30, 40], 0.7333, 0.8788, 1.0000),
    ],
    ids=["damaged top", "perfect top"],
)
def test_toy_example_of_figure_2(ranked_accuracies, tau, rho, gain):
    scores = range(10, 0, -1)
    assert kendall_tau(scores, ranked_accuracies) == pytest.approx(tau, abs=5e-5)
    assert spearman_rho(scores, ranked_accuracies) == pytest.approx(rho, abs=5e-5)
    for ties in ("average", "ignore"):
        assert ndcg(scores, ranked_accuracies, k=10, ties=ties) == pytest.approx(gain, abs=5e-5)


@pytest.mark.parametrize(("k", "ties"), [(0, "average"), (-3, "average"), (10, "random"), (10, None)])
def test_unusable_arguments_of_ndcg_are_refused(k, ties):
    with pytest.raises(NbnasError, match="ndcg needs k >= 1 and ties 'average' or 'ignore'"):
        ndcg([1, 2], [3, 4], k, ties)


@pytest.mark.parametrize("k", [3, 1000])
def test_tie_interval_contains_the_tie_averaged_value(k):
    rng = np.random.default_rng(1)
    scores, accuracy = rng.integers(5, size=200), rng.uniform(80, 95, size=200)
    low, high = ndcg_tie_interval(scores, accuracy, k)
    assert low < ndcg(scores, accuracy, k) < high
    assert ndcg_tie_interval(scores, accuracy, k) == (low, high)
    assert ndcg_tie_interval(scores, accuracy, k, seed=1) != (low, high)
    inner = ndcg_tie_interval(scores, accuracy, k, level=0.5)
    assert low < inner[0] < inner[1] < high


def test_tie_interval_without_ties_has_no_width():
    accuracy = np.random.default_rng(1).uniform(80, 95, size=50)
    scores = np.arange(50)
    value = ndcg(scores, accuracy, 10)
    assert ndcg_tie_interval(scores, accuracy, 10, orders=20) == pytest.approx((value, value), rel=1e-12)
    assert value < 0.99


# ------------------------------------------------------------------------------------------------- published numbers


@pytest.fixture(scope="module")
def filtered(space, nats_table):
    """Layer count, FLOPs and accuracies of the 9,445 cells of the papers' main tables."""
    indices = space.subset("filtered")
    archs = [space[index] for index in indices]
    return {
        "indices": indices,
        "layers": np.array([space.trainable_layers(arch) for arch in archs]),
        "flops": np.array([space.flops(arch) for arch in archs]),
        "cifar10": nats_table["cifar10_ori-test"].to_numpy()[indices],
        "cifar100": nats_table["cifar100_x-test"].to_numpy()[indices],
        "ImageNet16-120": nats_table["ImageNet16-120_x-test"].to_numpy()[indices],
    }


@pytest.mark.parametrize(
    ("score", "dataset", "tau", "rho", "tolerance"),
    [
        ("layers", "cifar10", 0.626, 0.767, 5e-4),
        # Five decimals in the table keep accuracies tied that differ in the archive: tau is .64659 here.
        ("layers", "cifar100", 0.646, 0.787, 1e-3),
        ("layers", "ImageNet16-120", 0.623, 0.764, 5e-4),
        ("flops", "cifar10", 0.623, 0.799, 5e-4),
    ],
)
def test_published_correlations_of_size(filtered, score, dataset, tau, rho, tolerance):
    assert kendall_tau(filtered[score], filtered[dataset]) == pytest.approx(tau, abs=tolerance)
    assert spearman_rho(filtered[score], filtered[dataset]) == pytest.approx(rho, abs=tolerance)


@pytest.mark.parametrize(
    ("score", "dataset", "expected"),
    [
        ("layers", "cifar10", 0.675),
        ("layers", "cifar100", 0.522),
        ("layers", "ImageNet16-120", 0.511),
        ("flops", "cifar10", 0.743),
        ("flops", "cifar100", 0.576),
        ("flops", "ImageNet16-120", 0.403),
    ],
)
def test_published_tie_averaged_ndcg_of_size(filtered, score, dataset, expected):
    value = ndcg(filtered[score], filtered[dataset])
    assert value == pytest.approx(expected, abs=5e-4)
    low, high = ndcg_tie_interval(filtered[score], filtered[dataset], orders=50)
    assert low < value < high


@pytest.mark.parametrize(("dataset", "tau", "rho"), [("cifar100", 0.5862, 0.7635), ("ImageNet16-120", 0.5454, 0.7178)])
def test_stored_flops_reproduce_the_published_rows(filtered, dataset, tau, rho):
    benchmark = nbnas.load_benchmark("nasbench201", "csv")
    stored = benchmark.stored_flops(dataset)[filtered["indices"]]
    assert kendall_tau(stored, filtered[dataset]) == pytest.approx(tau, abs=5e-5)
    assert spearman_rho(stored, filtered[dataset]) == pytest.approx(rho, abs=5e-5)
    np.testing.assert_array_equal(benchmark.accuracy(dataset)[filtered["indices"]], filtered[dataset])
    # The exact counts, whose ties are not split, give the other numbers of the reference sheet (rounded accuracies).
    exact = {"cifar100": 0.588, "ImageNet16-120": 0.547}[dataset]
    assert kendall_tau(filtered["flops"], filtered[dataset]) == pytest.approx(exact, abs=1e-3)


# --------------------------------------------------------------------------------------------------------- bad columns

TWO_COLUMN_FUNCTIONS = {
    "kendall_tau": kendall_tau,
    "spearman_rho": spearman_rho,
    "ndcg": ndcg,
    "ndcg_tie_interval": ndcg_tie_interval,
    "lexicographic_rank": lexicographic_rank,
    "aggregate_ranks": lambda *columns: aggregate_ranks(columns),
    "bootstrap_interval": lambda *columns: bootstrap_interval(kendall_tau, *columns, repeats=2),
}


@pytest.mark.parametrize("function", TWO_COLUMN_FUNCTIONS.values(), ids=TWO_COLUMN_FUNCTIONS)
@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1.0, math.nan, 3.0], [1, 2, 3], "column 0 has 1 NaN"),
        ([1, 2, 3], [math.nan, 2, math.nan], "column 1 has 2 NaN"),
        ([1, 2, 3], [1, 2], "equal length"),
        ([], [], "one-dimensional columns of equal length"),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]], "one-dimensional"),
        (1, 2, "one-dimensional"),
    ],
    ids=["NaN", "two NaN", "lengths", "empty", "matrix", "scalar"],
)
def test_bad_columns_are_refused(function, first, second, message):
    with pytest.raises(NbnasError, match=message):
        function(first, second)


# --------------------------------------------------------------------------------------------------------- aggregation


@given(keys=st.lists(st.tuples(few_values, st.integers(-1, 1), few_values), min_size=1, max_size=30))
def test_lexicographic_rank_is_the_place_among_the_sorted_distinct_tuples(keys):
    distinct = sorted(set(keys))
    ranks = lexicographic_rank(*zip(*keys, strict=True))
    assert ranks.tolist() == [distinct.index(key) + 1 for key in keys]


def test_vkdnw_single_is_layers_plus_entropy(space):
    rng = np.random.default_rng(0)
    layers = np.array([space.trainable_layers(space[index]) for index in range(300)])
    entropies = rng.uniform(0, np.log(9), size=300)
    assert stats.rankdata(layers + entropies).tolist() == lexicographic_rank(layers, entropies).tolist()


@pytest.mark.parametrize(("how", "term"), [("log", math.log), ("sum", float)])
@given(
    columns=st.integers(1, 12).flatmap(
        lambda size: st.lists(st.lists(few_values, min_size=size, max_size=size), min_size=1, max_size=4)
    )
)
def test_aggregate_adds_up_the_average_ranks(how, term, columns):
    ranks = [slow_average_ranks(column) for column in columns]
    expected = [sum(term(rank) for rank in network) for network in zip(*ranks, strict=True)]
    assert aggregate_ranks(columns, how).tolist() == pytest.approx(expected, abs=1e-12)


def test_aggregate_accepts_infinite_scores():
    assert aggregate_ranks([[-math.inf, 1, 2], [5, 5, math.inf]], "sum").tolist() == [2.5, 3.5, 6]


@pytest.mark.parametrize("how", ["product", "", None])
def test_unknown_aggregation_is_refused(how):
    with pytest.raises(NbnasError, match="how must be 'log' or 'sum'"):
        aggregate_ranks([[1, 2]], how)


# ------------------------------------------------------------------------------------------------------------ bootstrap


def test_bootstrap_depends_on_its_seed_alone():
    x, y = np.random.default_rng(0).standard_normal((2, 30))
    intervals = []
    for global_seed in (1, 2):
        np.random.seed(global_seed)  # noqa: NPY002
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        intervals.append(bootstrap_interval(kendall_tau, x, y, repeats=50, seed=5))
        assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert intervals[0] == intervals[1]
    assert bootstrap_interval(kendall_tau, x, y, repeats=50, seed=6) != intervals[0]


def test_bootstrap_interval_covers_at_about_its_level():
    rng = np.random.default_rng(0)
    level, covered = 0.8, 0
    for repetition in range(200):
        low, high = bootstrap_interval(np.mean, rng.standard_normal(40), repeats=150, level=level, seed=repetition)
        covered += low < 0 < high
    # Standard deviation of the share .028; the percentile interval of 40 numbers is a little short.
    assert 0.70 < covered / 200 < 0.88


def test_bootstrap_resamples_columns_together():
    x = np.arange(20.0)
    assert bootstrap_interval(lambda a, b: np.abs(b - 2 * a).max(), x, 2 * x, repeats=30) == (0, 0)


def resampled_counts(groups, rows, repeats=20):
    """How often each row occurs in each resample."""
    counts = []

    def record(drawn):
        counts.append(np.bincount(drawn.astype(int), minlength=rows))
        return 0.0

    bootstrap_interval(record, np.arange(rows), groups=groups, repeats=repeats)
    return np.array(counts)


def test_bootstrap_resamples_groups_whole():
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    counts = resampled_counts(groups, rows=6)
    for group in "abc":
        members = counts[:, groups == group]
        assert (members == members[:, :1]).all()
        assert len(set(members[:, 0].tolist())) > 1
    # As many groups are drawn as there are.
    firsts = counts[:, [1, 0, 3]]
    assert (firsts.sum(axis=1) == 3).all()


def test_bootstrap_without_groups_resamples_rows():
    counts = resampled_counts(None, rows=6)
    assert (counts.sum(axis=1) == 6).all()
    assert counts.max() > 1
    np.testing.assert_array_equal(counts, resampled_counts(list("abcdef"), rows=6))


def test_bootstrap_of_copied_rows_needs_groups():
    x, y = np.random.default_rng(0).standard_normal((2, 60))
    width = lambda interval: interval[1] - interval[0]  # noqa: E731
    honest = width(bootstrap_interval(spearman_rho, x, y, repeats=200))
    copied = [np.repeat(x, 9), np.repeat(y, 9)]
    ignored = width(bootstrap_interval(spearman_rho, *copied, repeats=200))
    grouped = width(bootstrap_interval(spearman_rho, *copied, groups=np.repeat(np.arange(60), 9), repeats=200))
    assert grouped == pytest.approx(honest, rel=0.2)
    assert ignored < 0.5 * honest


def test_a_paired_difference_leaves_out_what_two_scores_share():
    accuracy, noise = np.random.default_rng(0).standard_normal((2, 60))
    score = accuracy + noise
    better = paired_difference(kendall_tau)(accuracy, score, accuracy)
    assert better == pytest.approx(1 - kendall_tau(score, accuracy))
    assert paired_difference(kendall_tau)(score, accuracy, accuracy) == -better
    low, high = bootstrap_interval(kendall_tau, score, accuracy, repeats=50)
    assert low < high
    same_order = bootstrap_interval(paired_difference(kendall_tau), score**3, score, accuracy, repeats=50)
    assert same_order == (0, 0)


def test_groups_of_another_length_are_refused():
    with pytest.raises(NbnasError, match="groups has 2 entries, the columns have 3"):
        bootstrap_interval(np.mean, [1, 2, 3], groups=[0, 1])


def test_a_bootstrap_of_one_resample_is_refused():
    with pytest.raises(NbnasError, match="at least 2 resamples"):
        bootstrap_interval(kendall_tau, [1, 2, 3], [1, 3, 2], repeats=1)


@pytest.mark.filterwarnings("error")
def test_constant_scores_have_no_interval():
    low, high = bootstrap_interval(kendall_tau, [1.0, 1, 1], [1.0, 2, 3], repeats=5)
    assert np.isnan(low)
    assert np.isnan(high)
