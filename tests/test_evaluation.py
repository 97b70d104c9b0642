"""Rankings judged against accuracies: complete ones, samples of classes, missing data sets."""

import numpy as np
import pandas as pd
import pytest

from nbnas.benchmarks.nasbench201 import IMPORT_HINT, Benchmark
from nbnas.errors import NbnasError
from nbnas.evaluation import Ranking, evaluate, missing
from nbnas.rankings import kendall_tau


@pytest.fixture
def made_up(space):
    """Accuracies that depend on the isomorphism class alone, so that a sample of classes loses nothing but size."""
    rng = np.random.default_rng(0)
    value = {}
    accuracy = [value.setdefault(space.canonical(arch), rng.uniform(10, 94)) for arch in space]
    table = pd.DataFrame({"cifar10_ori-test": accuracy})
    return Benchmark("made-up", "made-up accuracies", table, {"cifar10": "cifar10_ori-test"})


def rows_of(table):
    return table.set_index("metric")


def test_a_complete_ranking_of_its_own_accuracies_is_perfect(space, made_up):
    cells = np.array(space.subset("filtered"))
    ranking = Ranking("flops", "filtered", cells, made_up.accuracy("cifar10")[cells], complete=True)
    table = rows_of(evaluate(ranking, made_up, "cifar10"))
    assert table["reproduced"].to_dict() == pytest.approx(dict.fromkeys(table.index, 1.0))
    assert set(table["source"]) == {"made-up"}
    # Cells of one class tie in both; splitting the accuracies of tied cells can only lower tau.
    assert table.loc["kendall_tau", "low"] < 1 - 1e-6


def test_tie_intervals_contain_their_value_and_follow_the_ties(space, made_up):
    cells = np.array(space.subset("filtered"))
    layers = np.array([space.trainable_layers(space[cell]) for cell in cells])
    table = rows_of(evaluate(Ranking("trainable_layers", "filtered", cells, layers, complete=True), made_up, "cifar10"))
    assert (table["low"] <= table["reproduced"]).all()
    assert (table["reproduced"] <= table["high"]).all()
    assert table.loc["ndcg_1000", "high"] - table.loc["ndcg_1000", "low"] > 1e-3


def test_a_sample_estimates_the_value_of_the_whole_set(space, made_up):
    accuracy = made_up.accuracy("cifar10")
    noisy = accuracy + np.random.default_rng(1).normal(0, 15, len(accuracy))
    of_class = {space.canonical(space[cell]): noisy[cell] for cell in space.subset("filtered-unique")}
    cells = np.array(space.subset("filtered"))
    whole = kendall_tau([of_class[space.canonical(space[cell])] for cell in cells], accuracy[cells])
    sampled = np.array(space.sample_subset("filtered-unique", 800))
    ranking = Ranking("vkdnw_single", "filtered", sampled, noisy[sampled], complete=False, note="Seed 0.")
    table = rows_of(evaluate(ranking, made_up, "cifar10", repeats=200))
    tau = table.loc["kendall_tau"]
    assert tau["low"] < whole < tau["high"]
    assert 0.01 < tau["high"] - tau["low"] < 0.1
    assert "800 classes" in tau["note"]
    assert tau["note"].endswith("Seed 0.")


def test_ndcg_of_a_sample_is_not_attempted(space, made_up):
    sampled = np.array(space.sample_subset("filtered-unique", 50))
    ranking = Ranking("vkdnw_single", "filtered", sampled, sampled.astype(float), complete=False)
    table = rows_of(evaluate(ranking, made_up, "cifar10", repeats=20))
    assert np.isnan(table.loc["ndcg_1000", "reproduced"])
    assert "whole set" in table.loc["ndcg_1000", "note"]


def test_a_sample_of_every_class_has_an_ndcg(space, made_up):
    cells = np.array(space.subset("filtered-unique"))
    ranking = Ranking("vkdnw_single", "filtered", cells, made_up.accuracy("cifar10")[cells], complete=False)
    row = rows_of(evaluate(ranking, made_up, "cifar10", repeats=2)).loc["ndcg_1000"]
    assert row["reproduced"] == pytest.approx(1)
    assert "every class" in row["note"]


@pytest.mark.parametrize("digits", [5, 17])
def test_tie_interval_does_not_depend_on_how_close_distinct_accuracies_are(space, digits):
    """Unrounded means can differ in their last bit only; that must not hide the ties."""
    rng = np.random.default_rng(0)
    accuracy = rng.choice(np.linspace(10, 90, 200), len(space)).round(digits)
    accuracy[0] = np.nextafter(accuracy[1], 100)
    table = pd.DataFrame({"cifar10_ori-test": accuracy})
    benchmark = Benchmark("made-up", "made-up", table, {"cifar10": "cifar10_ori-test"})
    cells = np.arange(len(space))
    row = rows_of(evaluate(Ranking("flops", "all", cells, accuracy, complete=True), benchmark, "cifar10"))
    assert row.loc["kendall_tau", "reproduced"] - row.loc["kendall_tau", "low"] > 1e-4


def test_classes_count_with_their_size(space, made_up):
    """Of two classes, the one with more members in the set decides where their rankings disagree."""
    filtered = space.subset("filtered")
    classes = pd.Series([space.canonical(space[cell]) for cell in filtered], index=filtered)
    largest = classes.value_counts().index[0]
    representatives = classes.drop_duplicates()
    chosen = representatives.index[:40].union(representatives.index[representatives == largest])
    accuracy = made_up.accuracy("cifar10")
    ranking = Ranking("vkdnw_single", "filtered", np.array(chosen), accuracy[chosen], complete=False)
    table = rows_of(evaluate(ranking, made_up, "cifar10", repeats=20))
    # Equal scores and accuracies inside a class: perfect agreement whatever the sizes.
    assert table.loc["kendall_tau", "reproduced"] == pytest.approx(1)
    wrong = accuracy[chosen].copy()
    wrong[list(chosen).index(representatives.index[representatives == largest][0])] = 1000.0
    table = rows_of(
        evaluate(Ranking("vkdnw_single", "filtered", np.array(chosen), wrong, False), made_up, "cifar10", 20)
    )
    members = classes[classes.isin(classes[chosen])]
    scores = members.map(dict(zip(classes[chosen], wrong, strict=True)))
    assert table.loc["kendall_tau", "reproduced"] == pytest.approx(kendall_tau(scores, accuracy[members.index]))


def test_a_data_set_that_the_source_lacks_names_the_remedy(space, made_up):
    cells = np.array(space.subset("filtered"))
    table = evaluate(Ranking("flops", "filtered", cells, cells.astype(float), complete=True), made_up, "cifar100")
    assert set(table["note"]) == {IMPORT_HINT}
    assert table["reproduced"].isna().all()
    assert set(table["column"]) == {"cifar100"}


def test_missing_uses_the_published_name_of_the_data_set():
    table = missing("vkdnw_single", "ImageNet16-120", "no scores")
    assert set(table["column"]) == {"imagenet16-120"}
    assert len(table) == 3


def test_scores_and_cells_must_match(space):
    with pytest.raises(NbnasError, match="3 cells but 2 scores"):
        Ranking("flops", "filtered", np.arange(3), np.arange(2), complete=True)
