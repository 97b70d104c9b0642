"""Graph features against loops over enumerated paths; forests against a pipeline written out, and on trained cells."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import train_test_split

import nbnas
from nbnas.errors import NbnasError
from nbnas.rankings import kendall_tau, ndcg, spearman_rho
from nbnas.rankings.graph_features import FAMILIES, PUBLISHED_FAMILIES, graph_feature_table
from nbnas.rankings.learned import VKDNW_FEATURES, ZERO_COST_FEATURES, forest_ranking
from nbnas.seeding import derive_seed

OPERATIONS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]


# ----------------------------------------------------------------------------------------------------- graph features


def slow_paths(edges, node=0):
    """Every way from ``node`` to the output, as lists of operations."""
    if node == 3:
        return [[]]
    return [
        [operation, *rest]
        for (source, target), operation in edges.items()
        if source == node
        for rest in slow_paths(edges, target)
    ]


def slow_graph_features(arch):
    edges = {}
    for target, node in enumerate(arch.split("+"), start=1):
        for operation, source in re.findall(r"(\w+)~(\d)", node):
            edges[int(source), target] = operation
    paths = slow_paths(edges)
    features = {f"op_count_{name}": list(edges.values()).count(name) for name in OPERATIONS}
    for present in itertools.product([False, True], repeat=5):
        chosen = [name for name, is_present in zip(OPERATIONS, present, strict=True) if is_present]
        braces = "{" + ",".join(chosen) + "}"
        if len(chosen) < 5:
            lengths = [len(path) for path in paths if not set(path) & set(chosen)]
            features[f"min_path_len_banned_{braces}"] = min(lengths) if lengths else 5
        if chosen:
            lengths = [len(path) for path in paths if set(path) <= set(chosen)]
            features[f"max_op_on_path_{braces}"] = max(lengths) if lengths else -1
            leaving, entering = [0] * 4, [0] * 4
            for (source, target), operation in edges.items():
                leaving[source] += operation in chosen
                entering[target] += operation in chosen
            features[f"node_degree_in_degree_{braces}"] = leaving[0]
            features[f"node_degree_out_degree_{braces}"] = entering[3]
            features[f"node_degree_avg_in_{braces}"] = sum(leaving) / 4
            features[f"node_degree_avg_out_{braces}"] = sum(entering) / 4
    for (source, target), operation in edges.items():
        for name in OPERATIONS:
            features[f"op_on_position_{source}-{target}_{name}"] = int(operation == name)
    return features


def test_table_equals_loops_over_paths(space):
    rng = np.random.default_rng(0)
    archs = [space[int(index)] for index in rng.choice(len(space), 200, replace=False)]
    archs += [space.sample(rng) for _ in range(5)]
    archs += [f"|{name}~0|+|{name}~0|{name}~1|+|{name}~0|{name}~1|{name}~2|" for name in OPERATIONS]
    table = graph_feature_table(archs)
    assert table.index.tolist() == archs
    assert (table.dtypes == "float64").all()
    for arch, row in zip(archs, table.to_dict("records"), strict=True):
        assert row == slow_graph_features(arch)


def test_features_of_a_cell_counted_by_hand():
    # Paths from 0 to 3: pool; 3x3 1x1; none 3x3; 3x3 skip 3x3.
    cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    features = graph_feature_table([cell]).loc[cell]
    expected = {
        "op_count_nor_conv_3x3": 2,
        "op_count_none": 1,
        "min_path_len_banned_{}": 1,
        "min_path_len_banned_{avg_pool_3x3}": 2,
        "min_path_len_banned_{none,nor_conv_1x1,avg_pool_3x3}": 3,
        "min_path_len_banned_{nor_conv_3x3,avg_pool_3x3}": 5,
        "max_op_on_path_{avg_pool_3x3}": 1,
        "max_op_on_path_{nor_conv_1x1,nor_conv_3x3}": 2,
        "max_op_on_path_{skip_connect,nor_conv_3x3}": 3,
        "max_op_on_path_{nor_conv_3x3}": -1,
        "node_degree_in_degree_{nor_conv_3x3}": 1,
        "node_degree_in_degree_{none,avg_pool_3x3}": 2,
        "node_degree_out_degree_{nor_conv_1x1,nor_conv_3x3,avg_pool_3x3}": 3,
        "node_degree_out_degree_{none}": 0,
        "node_degree_avg_in_{nor_conv_3x3}": 0.5,
        "node_degree_avg_out_{none,skip_connect,nor_conv_1x1,nor_conv_3x3,avg_pool_3x3}": 1.5,
        "op_on_position_1-2_skip_connect": 1,
        "op_on_position_1-2_none": 0,
    }
    assert {name: features[name] for name in expected} == expected


def test_the_published_filter_of_names_selects_the_published_families(space):
    names = graph_feature_table([space[0]]).columns
    sizes = {family: sum(name.startswith(family) for name in names) for family in FAMILIES}
    assert sizes == {"op_count": 5, "min_path_len": 31, "max_op_on_path": 31, "node_degree": 124, "op_on_position": 30}
    assert len(names) == len(set(names)) == 221
    filtered = [name for name in names if ("op_" in name or "node_" in name) and "op_on_position" not in name]
    assert len(filtered) == 160
    assert filtered == graph_feature_table([space[0]], PUBLISHED_FAMILIES).columns.tolist()


def test_families_come_in_the_order_given(space):
    table = graph_feature_table(iter([space[5], space[5]]), ["op_on_position", "op_count"])
    assert len(table) == 2
    assert table.columns[0].startswith("op_on_position")
    assert table.columns[-1].startswith("op_count")
    assert table.iloc[1].to_dict() == graph_feature_table([space[5]], ["op_on_position", "op_count"]).iloc[0].to_dict()
    assert graph_feature_table([]).shape == (0, 221)


@pytest.mark.parametrize(
    ("archs", "families", "message"),
    [
        (["|none~0|"], None, "3 nodes"),
        (["|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|"], None, "unknown operation 'conv'"),
        ([7], None, "is a string, got int"),
        ([], ["op_count", "ops"], "unknown family of graph features 'ops'; choose from op_count"),
    ],
)
def test_unusable_cells_and_families_are_refused(archs, families, message):
    with pytest.raises(NbnasError, match=message):
        graph_feature_table(archs, families)


def test_published_features_are_scores_of_the_package():
    names = {score for scores in nbnas.list_proxies()["scores"] for score in scores}
    features = VKDNW_FEATURES + ZERO_COST_FEATURES
    assert set(features) <= names
    assert len(set(features)) == len(features) == 25


# ------------------------------------------------------------------------------------------------------------- forest


@pytest.fixture
def task():
    """Features and accuracies of 300 made-up networks; the last feature is noise."""
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.standard_normal((300, 3)), columns=["first", "second", "noise"])
    return features, 60 + 10 * features["first"].to_numpy() - 5 * features["second"].to_numpy()


def test_forest_equals_the_protocol_written_out(task):
    features, accuracy = task
    ranking = forest_ranking(features, accuracy, train_size=75, trees=20, seed=3)
    train, test = train_test_split(np.arange(300), test_size=1 - 75 / 300, random_state=3)
    train, test = np.sort(train), np.sort(test)
    table = features.to_numpy()
    scaled = (table - table[train].mean(axis=0)) / table[train].std(axis=0)
    forest = RandomForestRegressor(n_estimators=20, random_state=derive_seed(3, "forest") % 2**32)
    forest.fit(scaled[train], accuracy[train])
    expected = np.mean([tree.predict(scaled[test]) for tree in forest.estimators_], axis=0)
    np.testing.assert_array_equal(ranking.train_rows, train)
    np.testing.assert_array_equal(ranking.test_rows, test)
    np.testing.assert_allclose(ranking.predictions, expected, rtol=1e-12)
    assert kendall_tau(ranking.predictions, accuracy[test]) > 0.7


@pytest.mark.parametrize("cells", [9445, 15625])
def test_split_of_the_published_sets_is_that_of_the_published_share(cells):
    ranking = forest_ranking(np.arange(cells), np.arange(cells), trees=1, seed=2)
    train, test = train_test_split(np.arange(cells), test_size=1 - 1024 / cells, random_state=2)
    assert ranking.train_rows.tolist() == sorted(train)
    assert ranking.test_rows.tolist() == sorted(test)


# With the published share, rounding leaves 1,023 of 1,025 networks to learn from.
@pytest.mark.parametrize("rows", [1025, 1026])
def test_the_training_side_has_the_size_asked_for(rows):
    assert len(forest_ranking(np.arange(rows), np.arange(rows), trees=1).train_rows) == 1024


@pytest.mark.parametrize("grouped", [False, True])
def test_a_ranking_depends_on_its_seed_alone(task, grouped):
    features, accuracy = task
    groups = np.arange(300) // 3 if grouped else None

    def ranking(seed, jobs=1):
        return forest_ranking(features, accuracy, train_size=100, trees=20, seed=seed, groups=groups, jobs=jobs)

    np.random.seed(1)  # noqa: NPY002
    first = ranking(seed=5)
    np.random.seed(2)  # noqa: NPY002
    for again in (ranking(seed=5), ranking(seed=5, jobs=2)):
        np.testing.assert_array_equal(again.predictions, first.predictions)
        np.testing.assert_array_equal(again.test_rows, first.test_rows)
    assert ranking(seed=6).test_rows.tolist() != first.test_rows.tolist()


def test_the_index_of_a_table_plays_no_part(task):
    features, accuracy = task
    first = forest_ranking(features.to_numpy().tolist(), accuracy, train_size=100, trees=5)
    shuffled = np.random.default_rng(1).permutation(300)
    second = forest_ranking(features.set_index(shuffled), pd.Series(accuracy, shuffled[::-1]), train_size=100, trees=5)
    np.testing.assert_array_equal(first.predictions, second.predictions)


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_never_on_both_sides(task, seed):
    features, accuracy = task
    groups = np.array([f"class {number}" for number in np.random.default_rng(seed).integers(60, size=300)])
    ranking = forest_ranking(features, accuracy, train_size=100, trees=1, seed=seed, groups=groups)
    assert sorted([*ranking.train_rows, *ranking.test_rows]) == list(range(300))
    assert not set(groups[ranking.train_rows]) & set(groups[ranking.test_rows])
    _, sizes = np.unique(groups[ranking.train_rows], return_counts=True)
    assert 100 <= len(ranking.train_rows) < 100 + sizes.max()


def test_groups_of_one_give_exactly_the_size_asked_for(task):
    features, accuracy = task
    ranking = forest_ranking(features, accuracy, train_size=100, trees=1, groups=np.arange(300))
    assert (len(ranking.train_rows), len(ranking.test_rows)) == (100, 200)


def test_groups_stop_a_forest_from_recalling_accuracies():
    """Features say which class a network is of and nothing else, and accuracies of classes are random."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 5)
    features, accuracy = rng.standard_normal((100, 4))[groups], rng.uniform(80, 95, size=100)[groups]

    def tau(**options):
        ranking = forest_ranking(features, accuracy, train_size=250, trees=50, **options)
        return kendall_tau(ranking.predictions, accuracy[ranking.test_rows])

    assert tau() > 0.8
    assert abs(tau(groups=groups)) < 0.2


def test_infinities_and_nan_take_finite_values_of_their_column(task):
    features, accuracy = task
    broken = features.copy()
    broken.loc[[4, 9], "first"] = np.inf
    broken.loc[7, "first"] = -np.inf
    broken.loc[[5, 8], "second"] = np.nan
    mended = broken.copy()
    finite = [value for value in broken["first"] if abs(value) < np.inf]
    mended.loc[[4, 9], "first"] = max(finite)
    mended.loc[7, "first"] = min(finite)
    mended.loc[[5, 8], "second"] = min(value for value in broken["second"] if value == value)
    before = broken.copy()
    actual = forest_ranking(broken, accuracy, train_size=100, trees=10)
    np.testing.assert_array_equal(
        actual.predictions, forest_ranking(mended, accuracy, train_size=100, trees=10).predictions
    )
    pd.testing.assert_frame_equal(broken, before)


def test_a_test_network_beyond_float32_is_predicted_like_the_largest(task):
    features, accuracy = task
    row = forest_ranking(features, accuracy, train_size=100, trees=10).test_rows[0]
    predictions = []
    for value in (1e9, 1e60):
        features.loc[row, "first"] = value
        predictions.append(forest_ranking(features, accuracy, train_size=100, trees=10).predictions)
    np.testing.assert_array_equal(*predictions)


def test_a_constant_feature_and_whole_numbers_do_no_harm(task):
    features, accuracy = task
    features = features.assign(constant=3, flag=features["first"] > 0, rank=features["second"].rank().astype("Int64"))
    ranking = forest_ranking(features, accuracy, train_size=100, trees=10)
    assert np.isfinite(ranking.predictions).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: {"accuracy": y[:-1]}, r"features have 300 rows, accuracy has shape \(299,\)"),
        (lambda x, y: {"accuracy": np.stack([y, y])}, r"accuracy has shape \(2, 300\)"),
        (lambda x, y: {"accuracy": np.where(y > 70, np.nan, y)}, "of 300 accuracies are not finite"),
        (lambda x, y: {"train_size": 300}, "1 <= train_size < 300, the number of rows; got .*train_size=300"),
        (lambda x, y: {"train_size": 0}, "train_size=0"),
        (lambda x, y: {"trees": 0}, "trees=0"),
        (lambda x, y: {"seed": -1}, "seed=-1"),
        (lambda x, y: {"groups": [1, 2]}, r"features have 300 rows, groups has shape \(2,\)"),
        (lambda x, y: {"groups": np.ones(300)}, "300 rows in 1 groups leave none to predict beside 100"),
        (lambda x, y: {"groups": np.repeat([1, 2, 3], [99, 99, 102]), "train_size": 299}, "leave none to predict"),
        (lambda x, y: {"features": x.assign(name="a", noise="b")}, "not numeric: 'noise', 'name'$"),
        (lambda x, y: {"features": np.full((300, 2), "a")}, "not numeric: 0, 1$"),
        (lambda x, y: {"features": x.assign(noise=np.nan)}, "without a finite value: 'noise'$"),
        (lambda x, y: {"features": x.assign(noise=np.inf)}, "without a finite value: 'noise'$"),
        (lambda x, y: {"features": np.full((300, 8), np.nan)}, "finite value: 0, 1, 2, 3, 4 and 3 more$"),
        (lambda x, y: {"features": x.assign(noise=1e300 * x["noise"])}, "the variance of 'noise' overflows"),
        (lambda x, y: {"features": x[[]]}, "300 rows and 0 columns"),
        (lambda x, y: {"features": np.ones((300, 2, 2))}, r"rows and columns, got shape \(300, 2, 2\)"),
    ],
)
def test_unusable_input_is_refused_in_one_line(task, change, message):
    features, accuracy = task
    arguments = {"features": features, "accuracy": accuracy, "train_size": 100, "trees": 1} | change(features, accuracy)
    with pytest.raises(NbnasError, match=message) as caught:
        forest_ranking(**arguments)
    assert "\n" not in str(caught.value)


def test_missing_scikit_learn_is_named(task, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(NbnasError, match=r"needs scikit-learn: run pip install 'nbnas\[lab\]'"):
        forest_ranking(*task, train_size=100, trees=1)


def test_scikit_learn_is_imported_only_to_fit():
    code = "import sys, nbnas.rankings.learned; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------------------ trained cells


@pytest.fixture(scope="module")
def filtered(space):
    cells = space.subset("filtered")
    return cells, graph_feature_table([space[cell] for cell in cells], PUBLISHED_FAMILIES)


def test_graph_features_rank_the_independent_training_of_all_cells(filtered):
    cells, features = filtered
    accuracy = nbnas.load_benchmark("nasbench201", "analog").accuracy("cifar10")[cells]
    ranking = forest_ranking(features, accuracy, trees=100, seed=1)
    held_out = accuracy[ranking.test_rows]
    assert len(held_out) == 8421
    assert kendall_tau(ranking.predictions, held_out) == pytest.approx(0.84, abs=0.015)
    assert ndcg(ranking.predictions, held_out) == pytest.approx(0.94, abs=0.03)


# The printed values, tau .820 .809 .796 and nDCG .935 .858 .828, rest on a file of features that is not public. These
# definitions rank better; expected are the means of seeds 1 to 5, the tolerances four of their standard deviations.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "tau", "rho", "gain"),
    [
        ("cifar10_ori-test", 0.842, 0.962, 0.941),
        ("cifar100_x-test", 0.836, 0.961, 0.903),
        ("ImageNet16-120_x-test", 0.820, 0.952, 0.872),
    ],
)
def test_graph_features_rank_the_benchmark(filtered, nats_table, dataset, tau, rho, gain):
    cells, features = filtered
    accuracy = nats_table[dataset].to_numpy()[cells]
    ranking = forest_ranking(features, accuracy, trees=100, seed=1)
    held_out = accuracy[ranking.test_rows]
    assert kendall_tau(ranking.predictions, held_out) == pytest.approx(tau, abs=0.02)
    assert spearman_rho(ranking.predictions, held_out) == pytest.approx(rho, abs=0.012)
    assert ndcg(ranking.predictions, held_out) == pytest.approx(gain, abs=0.04)
