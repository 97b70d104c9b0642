"""Rankings judged against accuracies: complete ones, samples, stored scores, missing data sets."""

import math

import numpy as np
import pandas as pd
import pytest
from stored_scores import store_scores

import nbnas
from nbnas.benchmarks.nasbench201 import IMPORT_HINT, NasBench201Benchmark
from nbnas.errors import NbnasError
from nbnas.rankings import CombinedRanking, kendall_tau, ndcg
from nbnas.rankings.evaluation import METRICS, evaluate, evaluate_methods, missing, paired_differences
from nbnas.rankings.published import RANKINGS
from nbnas.rankings.whole_set import whole_set_estimates
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
    """A complete ranking without groups, a sample of the filtered cells with them."""
    table = pd.DataFrame({"score": scores}, index=cells)
    whole = load_architecture_scores(["flops", "trainable_layers"]).table
    found = ArchitectureScores(table, cells if groups is None else groups, groups is None, note, whole)
    return evaluate({row_key: CombinedRanking.of("score")}, found, benchmark, dataset, repeats)


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


def test_a_sample_estimates_the_whole_set_with_sizes_as_controls(space, made_up):
    cells = np.array(space.sample_subset("filtered", 60))
    scores = np.array(list(noisy_scores(made_up, cells).values()))
    groups = np.arange(60) // 3
    table = evaluate_ranking("jacov", cells, scores, made_up, groups=groups, note="Seed 0.", repeats=50)
    filtered = space.subset("filtered")
    sizes = [[space.flops_for(space[cell], "cifar10"), space.trainable_layers(space[cell])] for cell in filtered]
    rows = [filtered.index(cell) for cell in cells]
    expected = whole_set_estimates(
        scores, rows, made_up.accuracy("cifar10")[filtered], np.array(sizes, float), groups, repeats=50
    )
    # 20 networks are too few for nDCG.
    assert table[["reproduced", "low", "high"]].to_numpy()[:2] == pytest.approx(np.array(expected)[:2])
    assert set(table["note"][:2]) == {
        "estimated from a sample of 60 of 9,445 architectures, bootstrap interval. Seed 0."
    }
    assert (table["low"] < table["reproduced"])[:2].all()
    assert (table["seed_deviation"] == 0).all()


@pytest.mark.parametrize(("networks", "known"), [(99, False), (100, True)])
def test_ndcg_needs_more_networks_than_correlations(space, made_up, networks, known):
    cells = np.array(space.sample_subset("filtered-unique", networks))
    row = rows_of(evaluate_ranking("jacov", cells, cells.astype(float), made_up, groups=cells, repeats=20))
    assert row["reproduced"].notna().tolist() == [True, True, known]
    assert row.loc["ndcg_1000", "note"].startswith("needs compute: too few networks are scored for nDCG") != known


def test_rankings_of_one_sample_are_evaluated_as_if_alone(space, made_up):
    cells = np.array(space.sample_subset("filtered-unique", 50))
    scores = pd.DataFrame({"one": cells.astype(float), "other": -cells.astype(float) % 77}, cells)
    whole = load_architecture_scores(["flops", "trainable_layers"]).table
    found = ArchitectureScores(scores, cells, False, "", whole)
    methods = {name: CombinedRanking.of(name) for name in scores}
    together = evaluate(methods, found, made_up, "cifar10", repeats=20)
    alone = [evaluate({name: method}, found, made_up, "cifar10", repeats=20) for name, method in methods.items()]
    pd.testing.assert_frame_equal(together, pd.concat(alone, ignore_index=True), rtol=1e-9)


def test_what_two_rankings_share_cancels_in_their_difference(space, made_up):
    cells = np.array(space.sample_subset("filtered-unique", 300))
    scores = noisy_scores(made_up, cells)
    rng = np.random.default_rng(3)
    whole = load_architecture_scores(["flops", "trainable_layers"]).table
    values = pd.DataFrame({"a": scores, "b": {cell: score + rng.normal(0, 2) for cell, score in scores.items()}})
    founds = {}
    for name, kept in (("a", cells), ("b", cells[20:])):  # b was scored on fewer networks, in another order
        own = values.loc[kept[::-1] if name == "b" else kept, [name]]
        founds[name] = CombinedRanking.of(name), ArchitectureScores(own, own.index.to_numpy(), False, "", whole)
    found = paired_differences(founds, "a", made_up, "cifar10", repeats=100)
    assert found[["row_key", "column"]].drop_duplicates().values.tolist() == [["b", "cifar10"]]
    assert found["metric"].tolist() == list(METRICS)
    tau = rows_of(found).loc["kendall_tau"]
    accuracy = pd.Series(made_up.accuracy("cifar10"))[cells[20:]]
    plain = kendall_tau(values["b"][cells[20:]], accuracy) - kendall_tau(values["a"][cells[20:]], accuracy)
    assert tau["difference"] == pytest.approx(plain, abs=0.01)
    assert tau["low"] < tau["difference"] < tau["high"]
    alone = evaluate({"a": founds["a"][0]}, founds["a"][1], made_up, "cifar10", repeats=100)
    own = rows_of(alone).loc["kendall_tau"]
    assert tau["high"] - tau["low"] < 0.5 * (own["high"] - own["low"])


def test_too_few_common_networks_are_not_compared(space, made_up):
    cells = np.array(space.sample_subset("filtered-unique", 19))
    found = ArchitectureScores(pd.DataFrame({"a": cells}, cells), cells, False, "", pd.DataFrame(index=cells))
    with pytest.raises(NbnasError, match="19 architectures have all scores, too few to compare"):
        paired_differences({"a": (CombinedRanking.of("a"), found)}, "a", made_up, "cifar10")


def test_a_data_set_that_the_source_lacks_has_no_differences(space, made_up):
    cells = np.array(space.sample_subset("filtered-unique", 30))
    found = ArchitectureScores(pd.DataFrame({"a": cells}, cells), cells, False, "", pd.DataFrame(index=cells))
    rankings = {name: (CombinedRanking.of("a"), found) for name in ("m8", "m128")}
    assert paired_differences(rankings, "m128", made_up, "ImageNet16-120").empty


def test_flops_are_those_that_the_benchmark_stores(space, made_up, tmp_path):
    table = made_up.table.assign(n_seeds=np.arange(len(space)) % 2 + 2)
    benchmark = NasBench201Benchmark("made-up", "made-up", table, {"cifar10": "cifar10_ori-test"})
    exact = benchmark.stored_flops("cifar10").round(9)
    for subset in ("filtered", "all"):
        found = rows_of(evaluate_methods(methods("flops"), benchmark, "cifar10", subset, store=tmp_path))
        cells = space.subset(subset)
        accuracy = benchmark.accuracy("cifar10")[cells]
        stored = kendall_tau(benchmark.stored_flops("cifar10")[cells], accuracy)
        assert found.loc["kendall_tau", "reproduced"] == stored != kendall_tau(exact[cells], accuracy)


def test_seed_noise_is_estimated_from_networks_with_two_seeds(space, made_up, tmp_path):
    """Scores are accuracy plus noise of a new seed, so the deviation of tau over seeds can be simulated."""
    accuracy = made_up.accuracy("cifar10")
    unique = space.subset("filtered-unique")
    rng = np.random.default_rng(5)

    def seed_of_scores(cells):
        return {cell: accuracy[cell] + rng.normal(0, 20) for cell in cells}

    store_scores(tmp_path, "jacov", seed_of_scores(unique))
    second = space.sample_subset("filtered-unique", 400)
    store_scores(tmp_path, "jacov", seed_of_scores(second), seed=1)
    found = rows_of(evaluate_methods(methods("jacov"), made_up, "cifar10", store=tmp_path))
    cells = space.subset("filtered")
    of_cell = {form: index for index, form in ((cell, space.network_form(space[cell])) for cell in unique)}
    network = [of_cell[space.network_form(space[cell])] for cell in cells]
    simulated = []
    for _ in range(40):
        scores = seed_of_scores(unique)
        drawn = [scores[cell] for cell in network]
        simulated.append([kendall_tau(drawn, accuracy[cells]), ndcg(drawn, accuracy[cells])])
    tau, gain = np.std(simulated, axis=0, ddof=1)
    # 50 blocks and 40 simulations leave 15 % on either side; nDCG rests on few networks.
    assert 0.6 < found.loc["kendall_tau", "seed_deviation"] / tau < 1.6
    assert 0.2 < found.loc["ndcg_1000", "seed_deviation"] / gain < 5


def test_without_a_second_seed_its_noise_is_unknown(space, made_up, tmp_path):
    accuracy = made_up.accuracy("cifar10")
    store_scores(tmp_path, "jacov", {cell: accuracy[cell] for cell in space.subset("filtered-unique")})
    table = evaluate_methods(methods("jacov", "flops"), made_up, "cifar10", store=tmp_path)
    assert table["seed_deviation"].isna().tolist() == [True] * 3 + [False] * 3
    assert (table["seed_deviation"][3:] == 0).all()


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
    assert set(table["note"]) == {f"needs data: {IMPORT_HINT}"}
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
    if subset == "filtered":
        expected = evaluate_ranking("te_nas", cells, scores, made_up, **options)
        pd.testing.assert_frame_equal(table[3:].reset_index(drop=True), expected, rtol=1e-9)
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
    row = rows_of(evaluate_methods(methods("jacov"), made_up, "cifar10", repeats=50, store=tmp_path)).loc["kendall_tau"]
    of_class = {space.network_form(space[cell]): cell for cell in sampled}
    cells = [cell for cell in space.subset("filtered") if space.network_form(space[cell]) in of_class]
    sources = [of_class[space.network_form(space[cell])] for cell in cells]
    failed = sum(source in sampled[5:8] for source in sources)
    assert failed >= 3
    assert row["note"].endswith(f" batch 64. {failed} without a score rank last.")
    worst = min(scores[cell] for cell in sampled if cell not in sampled[5:8])
    expected = [worst if source in sampled[5:8] else scores[source] for source in sources]
    whole = load_architecture_scores(["flops", "trainable_layers"]).table
    accuracy = made_up.accuracy("cifar10")[whole.index]
    sample = whole.index.get_indexer(cells), accuracy, whole, sources
    assert row["reproduced"] == pytest.approx(whole_set_estimates(expected, *sample, repeats=50)[0].value)


def test_scores_that_a_method_does_not_need_are_not_missed(space, made_up, tmp_path):
    sampled = space.sample_subset("filtered-unique", 20)
    store_scores(tmp_path, "jacov", noisy_scores(made_up, sampled))
    store_scores(tmp_path, "zen", dict.fromkeys(sampled, math.nan))
    both = load_architecture_scores(["jacov", "zen"], "cifar10", store=tmp_path)
    table = evaluate(methods("jacov"), both, made_up, "cifar10", repeats=5)
    assert not table["note"].str.contains("rank last").any()
    alone = evaluate_methods(methods("jacov"), made_up, "cifar10", repeats=5, store=tmp_path)
    pd.testing.assert_frame_equal(table.drop(columns="note"), alone.drop(columns="note"), check_exact=True)


def test_method_without_any_number_does_not_stop_the_others(space, made_up, tmp_path):
    store_scores(tmp_path, "jacov", dict.fromkeys(space.sample_subset("filtered-unique", 5), math.nan))
    table = evaluate_methods(methods("jacov", "flops"), made_up, "cifar10", store=tmp_path)
    assert table["reproduced"].isna().tolist() == [True] * 3 + [False] * 3
    assert table["note"].tolist()[:3] == ["needs compute: no network has a score jacov"] * 3


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


def test_a_few_scores_on_images_are_the_alternative_to_many_on_noise(space, made_up, tmp_path):
    cells = space.sample_subset("filtered-unique", 90)
    scores = noisy_scores(made_up, cells)
    store_scores(tmp_path, "jacov", scores)
    store_scores(tmp_path, "jacov", {cell: -scores[cell] for cell in cells[:40]}, Setting(inputs="images"))
    store_scores(tmp_path, "zen", scores)
    store_scores(tmp_path, "zen", scores, Setting(inputs="images"))
    found = evaluate_methods(methods("jacov", "zen", "flops"), made_up, "cifar10", repeats=20, store=tmp_path)
    jacov = rows_of(found[found["row_key"] == "jacov"])
    assert jacov.loc["kendall_tau", "alternative"] < 0 < jacov.loc["kendall_tau", "reproduced"]
    assert jacov.loc["kendall_tau", "alternative_low"] < jacov.loc["kendall_tau", "alternative"]
    assert jacov["alternative_name"].iloc[0].startswith("The same on images (Scored 40 of 5,260 distinct networks")
    # Zen-score was published on noise, and FLOPs see nothing.
    assert found.loc[found["row_key"] != "jacov", "alternative"].isna().all()
    alone = evaluate_methods(methods("jacov"), made_up, "cifar10", repeats=20, store=tmp_path, inputs="images")
    assert rows_of(alone).loc["kendall_tau", "reproduced"] == jacov.loc["kendall_tau", "alternative"]
    assert "alternative" not in alone


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
    assert set(table["note"]) == {f"needs data: {IMPORT_HINT}"}


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
    whole = load_architecture_scores(["flops", "trainable_layers"]).table
    return ArchitectureScores(table, np.arange(40) // 2, complete=False, description="made up", whole=whole)


def evaluated(columns, analog):
    """Every column, ranked by itself."""
    table = evaluate({name: CombinedRanking.of(name) for name in columns.table}, columns, analog, "cifar10", 20)
    return table.set_index(["row_key", "metric"])


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
        accuracy.to_frame("perfect"), np.arange(len(cells)), True, "made up", pd.DataFrame(index=cells)
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
    handful = ArchitectureScores(columns.table[:38], columns.groups[:38], False, "made up", columns.whole)
    table = evaluated(handful, analog)
    assert table["reproduced"].isna().all()
    assert set(table["note"]) == {"needs compute: 19 networks of the sample are scored, too few to judge"}


def test_a_score_that_no_network_has_does_not_stop_the_others(columns, analog):
    columns.table["nothing"] = np.nan
    table = evaluated(columns, analog)
    assert table.loc["nothing", "reproduced"].isna().all()
    assert set(table.loc["nothing", "note"]) == {"needs compute: no network has a score nothing"}
    assert table.loc[("perfect", "kendall_tau"), "reproduced"] > 0.8


# ------------------------------------------------------------------------------------------------------- other spaces


def test_a_space_without_accuracies_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.delenv("NBNAS_DATA", raising=False)
    table = evaluate_methods(methods("flops"), "auto", "cifar10", space="nasbench_macro", store=tmp_path)
    assert table["reproduced"].isna().all()
    assert set(table["note"]) == {
        "needs data: no NAS-Bench-Macro accuracies found: run nbnas data fetch nasbench_macro, "
        "or set NBNAS_DATA to a folder with nas_bench_macro_cifar10.json"
    }


def test_a_space_is_evaluated_by_its_own_accuracies(data_folder, tmp_path):
    table = evaluate_methods(methods("flops"), "auto", "cifar10", space="nasbench_macro", store=tmp_path)
    row = table.set_index("metric").loc["kendall_tau"]
    assert row["reproduced"] == pytest.approx(0.556, abs=5e-4)
    assert row["note"] == "6,561 architectures; interval over ties. 6,561 networks, by formula."
    assert row["source"] == "json"
