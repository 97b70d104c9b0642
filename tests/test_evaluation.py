"""Rankings judged against accuracies: complete ones, samples, stored scores, missing data sets."""

import math

import numpy as np
import pandas as pd
import pytest
from stored_scores import store_scores

import nbnas
from nbnas.benchmarks.nasbench201 import IMPORT_HINT, NasBench201Benchmark
from nbnas.rankings import CombinedRanking, bootstrap_interval, kendall_tau
from nbnas.rankings.evaluation import METRICS, NDCG_OF_SAMPLE, evaluate, evaluate_methods, missing
from nbnas.rankings.published import RANKINGS
from nbnas.scoring.architecture_scores import ArchitectureScores, load_architecture_scores
from nbnas.scoring.setting import Setting


@pytest.fixture(scope="module")
def made_up(space):
    """Accuracies that depend on the isomorphism class alone, so that a sample of classes loses nothing but size."""
    rng = np.random.default_rng(0)
    value = {}
    accuracy = [value.setdefault(space.network_form(arch), rng.uniform(10, 94)) for arch in space]
    table = pd.DataFrame({"cifar10_ori-test": accuracy})
    return NasBench201Benchmark("made-up", "made-up accuracies", table, {"cifar10": "cifar10_ori-test"})


def rows_of(table):
    return table.set_index("metric")


def evaluate_ranking(row_key, cells, scores, benchmark, *, groups=None, note="", repeats=1000, dataset="cifar10"):
    """A complete ranking without groups, a sample with them."""
    table = pd.DataFrame({"score": scores}, index=cells)
    found = ArchitectureScores(table, cells if groups is None else groups, groups is None, note)
    return evaluate(row_key, CombinedRanking.of("score"), found, benchmark, dataset, repeats)


def noisy_scores(benchmark, cells):
    """Accuracies with noise, one number per network: NATS-Bench index -> score."""
    accuracy = benchmark.accuracy("cifar10")
    noisy = accuracy + np.random.default_rng(1).normal(0, 15, len(accuracy))
    return {cell: noisy[cell] for cell in cells}


# ------------------------------------------------------------------------------------------------------------ rankings


def test_a_complete_ranking_of_its_own_accuracies_is_perfect(space, made_up):
    cells = np.array(space.subset("filtered"))
    table = rows_of(evaluate_ranking("flops", cells, made_up.accuracy("cifar10")[cells], made_up))
    assert table["reproduced"].to_dict() == pytest.approx(dict.fromkeys(METRICS, 1.0))
    assert set(table["source"]) == {"made-up"}
    # Cells of one class tie in both; splitting the accuracies of tied cells can only lower tau.
    assert table.loc["kendall_tau", "low"] < 1 - 1e-6


def test_tie_intervals_contain_their_value_and_follow_the_ties(space, made_up):
    cells = np.array(space.subset("filtered"))
    layers = np.array([space.trainable_layers(space[cell]) for cell in cells])
    table = rows_of(evaluate_ranking("trainable_layers", cells, layers, made_up, note="Counted."))
    assert (table["low"] <= table["reproduced"]).all()
    assert (table["reproduced"] <= table["high"]).all()
    assert table.loc["ndcg_1000", "high"] - table.loc["ndcg_1000", "low"] > 1e-3
    assert set(table["note"]) == {"9,445 architectures; interval over ties. Counted."}


def test_a_sample_has_a_bootstrap_interval_over_whole_groups(space, made_up):
    cells = np.array(space.sample_subset("filtered", 60))
    scores = np.array(list(noisy_scores(made_up, cells).values()))
    groups = np.arange(60) // 3
    table = rows_of(evaluate_ranking("jacov", cells, scores, made_up, groups=groups, note="Seed 0.", repeats=50))
    accuracy = made_up.accuracy("cifar10")[cells]
    expected = bootstrap_interval(kendall_tau, scores, accuracy, groups=groups, repeats=50)
    assert tuple(table.loc["kendall_tau", ["low", "high"]]) == expected
    assert table.loc["kendall_tau", "reproduced"] == kendall_tau(scores, accuracy)
    assert table.loc["kendall_tau", "note"] == "sample of 60 architectures, bootstrap interval. Seed 0."
    alone = rows_of(evaluate_ranking("jacov", cells, scores, made_up, groups=np.arange(60), repeats=50))
    assert tuple(alone.loc["kendall_tau", ["low", "high"]]) == bootstrap_interval(
        kendall_tau, scores, accuracy, repeats=50
    )


def test_ndcg_of_a_sample_is_not_attempted(space, made_up):
    sampled = np.array(space.sample_subset("filtered-unique", 50))
    table = evaluate_ranking("vkdnw_single", sampled, sampled.astype(float), made_up, groups=sampled, repeats=20)
    row = rows_of(table).loc["ndcg_1000"]
    assert row[["reproduced", "low", "high"]].isna().all()
    assert row["note"] == NDCG_OF_SAMPLE
    assert "whole set" in row["note"]


@pytest.mark.parametrize("digits", [5, 17])
def test_tie_interval_does_not_depend_on_how_close_distinct_accuracies_are(space, digits):
    """Unrounded means can differ in their last bit only; that must not hide the ties."""
    rng = np.random.default_rng(0)
    accuracy = rng.choice(np.linspace(10, 90, 200), len(space)).round(digits)
    accuracy[0] = np.nextafter(accuracy[1], 100)
    table = pd.DataFrame({"cifar10_ori-test": accuracy})
    benchmark = NasBench201Benchmark("made-up", "made-up", table, {"cifar10": "cifar10_ori-test"})
    row = rows_of(evaluate_ranking("flops", np.arange(len(space)), accuracy, benchmark))
    assert row.loc["kendall_tau", "reproduced"] - row.loc["kendall_tau", "low"] > 1e-4


def test_a_data_set_that_the_source_lacks_names_the_remedy(space, made_up):
    cells = np.array(space.subset("filtered"))
    table = evaluate_ranking("flops", cells, cells.astype(float), made_up, dataset="cifar100")
    assert set(table["note"]) == {IMPORT_HINT}
    assert table["reproduced"].isna().all()
    assert set(table["column"]) == {"cifar100"}


def test_missing_uses_the_published_name_of_the_data_set():
    table = missing("vkdnw_single", "ImageNet16-120", "no scores")
    assert set(table["column"]) == {"imagenet16-120"}
    assert table["metric"].tolist() == list(METRICS)


# ------------------------------------------------------------------------------------------------------- stored scores


def methods(*names):
    return {name: RANKINGS[name] for name in names}


def test_a_sample_estimates_the_value_of_the_whole_set(space, made_up, tmp_path):
    scores = noisy_scores(made_up, space.subset("filtered-unique"))
    of_class = {space.network_form(space[cell]): score for cell, score in scores.items()}
    cells = space.subset("filtered")
    whole = kendall_tau(
        [of_class[space.network_form(space[cell])] for cell in cells], made_up.accuracy("cifar10")[cells]
    )
    sampled = space.sample_subset("filtered-unique", 800)
    store_scores(tmp_path, "jacov", {cell: scores[cell] for cell in sampled})
    table = evaluate_methods(methods("jacov"), made_up, "cifar10", repeats=200, store=tmp_path)
    tau = rows_of(table).loc["kendall_tau"]
    assert tau["low"] < whole < tau["high"]
    assert 0.01 < tau["high"] - tau["low"] < 0.2
    assert "Scored 800 of 5,260 distinct networks" in tau["note"]


def test_scores_of_every_class_have_an_ndcg(space, made_up, tmp_path):
    accuracy = made_up.accuracy("cifar10")
    store_scores(tmp_path, "jacov", {cell: accuracy[cell] for cell in space.subset("filtered-unique")})
    row = rows_of(evaluate_methods(methods("jacov"), made_up, "cifar10", store=tmp_path)).loc["ndcg_1000"]
    assert row["reproduced"] == pytest.approx(1)
    assert row["note"].startswith("9,445 architectures; interval over ties. Scored 5,260 of 5,260 distinct networks")


@pytest.mark.parametrize("subset", ["filtered", "all"])
def test_methods_are_evaluated_on_the_cells_that_have_their_scores(space, made_up, tmp_path, subset):
    cells = [*space.sample_subset("filtered-unique", 70), *space.sample_subset("dead-edges", 60)]
    store_scores(tmp_path, "te_nas_ntk", noisy_scores(made_up, cells))
    store_scores(tmp_path, "te_nas_linear_regions", {cell: float(cell) for cell in cells[20:] + cells[:20]})
    table = evaluate_methods(methods("flops", "te_nas"), made_up, "cifar10", subset, repeats=20, store=tmp_path)
    assert table["row_key"].tolist() == ["flops"] * 3 + ["te_nas"] * 3
    assert table["metric"].tolist() == [*METRICS, *METRICS]
    method = RANKINGS["te_nas"]
    loaded = load_architecture_scores(method.scores, "cifar10", subset, store=tmp_path)
    cells, scores = loaded.table.index.to_numpy(), method.rank(loaded.table)
    assert not loaded.complete
    options = {"groups": loaded.groups, "note": loaded.description, "repeats": 20}
    expected = evaluate_ranking("te_nas", cells, scores, made_up, **options)
    pd.testing.assert_frame_equal(table[3:].reset_index(drop=True), expected, check_exact=True)
    # Sizes are known of every cell, whatever else is stored.
    flops = table[table["row_key"] == "flops"]
    assert flops["note"].str.startswith(f"{len(space.subset(subset)):,} architectures;").all()
    assert flops["reproduced"].notna().all()


def test_methods_whose_scores_are_not_stored_name_the_command(space, made_up, tmp_path):
    store_scores(tmp_path, "jacov", noisy_scores(made_up, space.sample_subset("filtered-unique", 30)))
    table = evaluate_methods(methods("az_nas", "jacov"), made_up, "cifar10", repeats=5, store=tmp_path)
    absent, present = table.iloc[:3], table.iloc[3:]
    assert absent["row_key"].tolist() == ["az_nas"] * 3
    assert absent["metric"].tolist() == list(METRICS)
    assert absent[["reproduced", "low", "high"]].isna().all(axis=None)
    command = (
        "run: nbnas score nasbench201 --dataset cifar10 --proxies az_expressivity --batch-size 64 --inputs gaussian"
    )
    assert all(note.endswith(command) for note in absent["note"])
    assert rows_of(present).loc["kendall_tau", "reproduced"] > 0


def test_cells_without_a_score_rank_last_and_are_counted(space, made_up, tmp_path):
    sampled = space.sample_subset("filtered-unique", 40)
    scores = noisy_scores(made_up, sampled)
    store_scores(tmp_path, "jacov", scores | dict.fromkeys(sampled[5:8], math.nan))
    row = rows_of(evaluate_methods(methods("jacov"), made_up, "cifar10", repeats=5, store=tmp_path)).loc["kendall_tau"]
    of_class = {space.network_form(space[cell]): cell for cell in sampled}
    cells = [cell for cell in space.subset("filtered") if space.network_form(space[cell]) in of_class]
    sources = [of_class[space.network_form(space[cell])] for cell in cells]
    failed = sum(source in sampled[5:8] for source in sources)
    assert failed >= 3
    assert row["note"].endswith(f" batch 64. {failed} without a score rank last.")
    worst = min(scores[cell] for cell in sampled if cell not in sampled[5:8])
    expected = [worst if source in sampled[5:8] else scores[source] for source in sources]
    assert row["reproduced"] == pytest.approx(kendall_tau(expected, made_up.accuracy("cifar10")[cells]))


def test_scores_that_a_method_does_not_need_are_not_missed(space, made_up, tmp_path):
    sampled = space.sample_subset("filtered-unique", 20)
    store_scores(tmp_path, "jacov", noisy_scores(made_up, sampled))
    store_scores(tmp_path, "zen", dict.fromkeys(sampled, math.nan))
    both = load_architecture_scores(["jacov", "zen"], "cifar10", store=tmp_path)
    table = evaluate("jacov", RANKINGS["jacov"], both, made_up, "cifar10", repeats=5)
    assert not table["note"].str.contains("rank last").any()
    alone = evaluate_methods(methods("jacov"), made_up, "cifar10", repeats=5, store=tmp_path)
    pd.testing.assert_frame_equal(table.drop(columns="note"), alone.drop(columns="note"), check_exact=True)


def test_method_without_any_number_does_not_stop_the_others(space, made_up, tmp_path):
    store_scores(tmp_path, "jacov", dict.fromkeys(space.sample_subset("filtered-unique", 5), math.nan))
    table = evaluate_methods(methods("jacov", "flops"), made_up, "cifar10", store=tmp_path)
    assert table["reproduced"].isna().tolist() == [True] * 3 + [False] * 3
    assert table["note"].tolist()[:3] == ["no network has a score jacov"] * 3


def test_methods_read_images_unless_told_otherwise(space, made_up, tmp_path):
    cells = space.sample_subset("filtered-unique", 30)
    scores = noisy_scores(made_up, cells)
    store_scores(tmp_path, "jacov", scores, Setting(inputs="images"))
    store_scores(tmp_path, "jacov", {cell: -score for cell, score in scores.items()})
    signs = []
    for options in ({}, {"inputs": "gaussian"}):
        table = evaluate_methods(methods("jacov"), made_up, "cifar10", repeats=5, store=tmp_path, **options)
        signs.append(rows_of(table).loc["kendall_tau", "reproduced"])
    assert signs[0] > 0
    assert signs[1] == -signs[0]


def test_seed_of_the_scores_is_passed_on(space, made_up, tmp_path):
    cells = space.sample_subset("filtered-unique", 30)
    store_scores(tmp_path, "jacov", noisy_scores(made_up, cells), seed=4)
    table = evaluate_methods(methods("jacov"), made_up, "cifar10", seed=4, repeats=5, store=tmp_path)
    assert rows_of(table).loc["kendall_tau", "reproduced"] > 0
    absent = evaluate_methods(methods("jacov"), made_up, "cifar10", repeats=5, store=tmp_path)
    assert absent["reproduced"].isna().all()
    assert absent["note"].str.contains("--seeds 0").all()


def test_a_data_set_that_the_source_lacks_is_missing_for_every_method(made_up, tmp_path):
    table = evaluate_methods(methods("flops", "trainable_layers"), made_up, "ImageNet16-120", store=tmp_path)
    assert table["row_key"].tolist() == ["flops"] * 3 + ["trainable_layers"] * 3
    assert set(table["note"]) == {IMPORT_HINT}


# ------------------------------------------------------------------------------------------------ all columns at once


@pytest.fixture(scope="module")
def analog():
    return nbnas.load_benchmark("nasbench201", "analog")


@pytest.fixture
def columns(analog):
    """Accuracy itself, its negative, and accuracy with two networks that have no score."""
    cells = nbnas.get_space("nasbench201").sample_subset("filtered-unique", 40)
    accuracy = pd.Series(analog.accuracy("cifar10")[cells], index=pd.Index(cells, name="arch_index"))
    partly = accuracy.copy()
    partly.iloc[[3, 7]] = np.nan
    table = pd.DataFrame({"perfect": accuracy, "backwards": -accuracy, "partly": partly})
    return ArchitectureScores(table, np.arange(40) // 2, complete=False, description="made up")


def evaluated(columns, analog):
    """Every column, ranked by itself."""
    tables = [evaluate(name, CombinedRanking.of(name), columns, analog, "cifar10", 20) for name in columns.table]
    return pd.concat(tables).set_index(["row_key", "metric"])


def test_every_column_is_evaluated_as_a_sample(columns, analog):
    table = evaluated(columns, analog)
    assert set(table.index.get_level_values(0)) == {"perfect", "backwards", "partly"}
    cells, column = columns.table.index.to_numpy(), columns.table["perfect"].to_numpy()
    options = {"groups": columns.groups, "note": "made up", "repeats": 20}
    alone = evaluate_ranking("perfect", cells, column, analog, **options).set_index("metric")
    pd.testing.assert_frame_equal(table.loc["perfect"], alone.drop(columns="row_key"), check_exact=True)
    assert table.loc[("perfect", "kendall_tau"), "reproduced"] > 0.8
    assert table.loc[("backwards", "kendall_tau"), "reproduced"] < -0.8


def test_a_whole_set_is_evaluated_as_complete(analog):
    cells = nbnas.get_space("nasbench201").subset("filtered")
    accuracy = pd.Series(analog.accuracy("cifar10")[cells], index=pd.Index(cells, name="arch_index"))
    whole = ArchitectureScores(
        accuracy.to_frame("perfect"), np.arange(len(cells)), complete=True, description="made up"
    )
    row = evaluated(whole, analog).loc[("perfect", "ndcg_1000")]
    assert row["reproduced"] == pytest.approx(1)
    assert row["note"] == "9,445 architectures; interval over ties. made up"


def test_networks_without_a_score_rank_last_and_are_counted(columns, analog):
    table = evaluated(columns, analog)
    assert "2 without a score rank last" in table.loc[("partly", "kendall_tau"), "note"]
    assert "without a score" not in table.loc[("perfect", "kendall_tau"), "note"]
    last = columns.table["partly"].fillna(columns.table["partly"].min()).to_numpy()
    alone = evaluate_ranking("partly", columns.table.index, last, analog, groups=columns.groups, repeats=20)
    alone = alone.set_index("metric")
    numbers = ["reproduced", "low", "high"]
    pd.testing.assert_frame_equal(table.loc["partly", numbers], alone[numbers], check_exact=True)


def test_a_handful_of_networks_is_not_judged(columns, analog):
    handful = ArchitectureScores(columns.table[:38], columns.groups[:38], complete=False, description="made up")
    table = evaluated(handful, analog)
    assert table["reproduced"].isna().all()
    assert set(table["note"]) == {"19 networks of the sample are scored, too few to judge"}


def test_a_score_that_no_network_has_does_not_stop_the_others(columns, analog):
    columns.table["nothing"] = np.nan
    table = evaluated(columns, analog)
    assert table.loc["nothing", "reproduced"].isna().all()
    assert set(table.loc["nothing", "note"]) == {"no network has a score nothing"}
    assert table.loc[("perfect", "kendall_tau"), "reproduced"] > 0.8


# ------------------------------------------------------------------------------------------------------- other spaces


def test_a_space_without_accuracies_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.delenv("NBNAS_DATA", raising=False)
    table = evaluate_methods(methods("flops"), "auto", "cifar10", space="nasbench_macro", store=tmp_path)
    assert table["reproduced"].isna().all()
    assert set(table["note"]) == {
        "no NAS-Bench-Macro accuracies found: run nbnas data fetch nasbench_macro, "
        "or set NBNAS_DATA to a folder with nas_bench_macro_cifar10.json"
    }


def test_a_space_is_evaluated_by_its_own_accuracies(data_folder, tmp_path):
    table = evaluate_methods(methods("flops"), "auto", "cifar10", space="nasbench_macro", store=tmp_path)
    row = table.set_index("metric").loc["kendall_tau"]
    assert row["reproduced"] == pytest.approx(0.556, abs=5e-4)
    assert row["note"] == "6,561 architectures; interval over ties. 6,561 networks, by formula."
    assert row["source"] == "json"
