"""Simulated searches see validation accuracies only, and are judged as their definition says."""

import numpy as np
import pandas as pd
import pytest

import nbnas
from nbnas.benchmarks.nasbench201 import NasBench201Benchmark
from nbnas.errors import NbnasError
from nbnas.search import simulate, simulation
from tests.stored_scores import store_scores

SPACE = nbnas.get_space("nasbench201")
CELLS = list(SPACE)
FILTERED = SPACE.subset("filtered")
NETWORKS = SPACE.sample_subset("filtered-unique")


def convolutions(arch):
    return arch.count("conv_3x3") + 0.5 * arch.count("conv_1x1")


@pytest.fixture
def accuracies(monkeypatch):
    """Made-up accuracies that grow with the number of convolutions; tests may change them."""
    rng = np.random.default_rng(0)
    quality = np.array([convolutions(arch) for arch in CELLS])
    table = pd.DataFrame(
        {
            "cifar10-valid_x-valid": 60 + 5 * quality + rng.normal(size=len(CELLS)),
            "cifar10_ori-test": 63 + 5 * quality + rng.normal(size=len(CELLS)),
        }
    )
    benchmark = NasBench201Benchmark("made up", "made-up accuracies", table, {"cifar10": "cifar10_ori-test"})
    monkeypatch.setattr(simulation, "load_benchmark", lambda *_: benchmark)
    return table


def curves(result, column="regret"):
    return result.table.pivot(index=["method", "seed"], columns="evaluations", values=column)


def test_definition_of_regret(accuracies):
    result = simulate(["random"], evaluations=40, seeds=[0, 1])
    assert result.source == "made up"
    best = accuracies["cifar10_ori-test"][FILTERED].max()
    assert (result.table["regret"] >= 0).all()
    np.testing.assert_allclose(result.table["test"] + result.table["regret"], best)
    for row in result.table.itertuples():
        # Made-up accuracies are all different: the validation accuracy names the cell.
        (cell,) = accuracies.index[accuracies["cifar10-valid_x-valid"] == row.validation]
        assert row.test == accuracies["cifar10_ori-test"][cell]
        assert cell in FILTERED
    assert (curves(result, "validation").diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_searches_do_not_see_test_accuracies(accuracies, tmp_path):
    store_scores(tmp_path, "tcet_snip", {cell: convolutions(SPACE[cell]) for cell in NETWORKS[:300]})
    methods = ["random", "regularised_evolution", "tcet_snip"]
    options = {"evaluations": 30, "seeds": [0, 1], "store": tmp_path}
    before = curves(simulate(methods, **options), "validation")
    accuracies["cifar10_ori-test"] = accuracies["cifar10_ori-test"].to_numpy()[::-1]
    after = simulate(methods, **options)
    pd.testing.assert_frame_equal(curves(after, "validation"), before)
    assert len(before) == 6


def test_longer_searches_begin_as_shorter_ones(accuracies):
    methods = ["random", "regularised_evolution"]
    longer = curves(simulate(methods, evaluations=60, seeds=[3]))
    pd.testing.assert_frame_equal(curves(simulate(methods, evaluations=25, seeds=[3])), longer.iloc[:, :25])


def test_regularised_evolution_finds_what_random_search_does_not(accuracies):
    summary = simulate(["random", "regularised_evolution"], evaluations=120, seeds=range(6)).summary()
    last = summary[summary["evaluations"] == 120].set_index("method")["regret"]
    assert last["regularised_evolution"] < last["random"]
    assert (summary["low"] <= summary["high"]).all()
    assert len(summary) == 240


def test_ranking_trains_from_its_top(accuracies, tmp_path):
    sample = NETWORKS[:200]
    store_scores(tmp_path, "tcet_synflow", {cell: float(-place) for place, cell in enumerate(sample)})
    result = simulate(["tcet_synflow"], evaluations=1, seeds=range(4), store=tmp_path)
    # Cells that are the same network share a score, and come in random order.
    same = [cell for cell in FILTERED if SPACE.network_form(SPACE[cell]) == SPACE.network_form(SPACE[sample[0]])]
    assert set(result.table["test"]) <= set(accuracies["cifar10_ori-test"][same])
    note = result.notes["tcet_synflow"]
    assert "of which the best has a regret of" in note
    assert "Scored 200 of 5,260 distinct networks" in note


def test_order_of_equal_cells_depends_on_the_seed(accuracies, tmp_path):
    store_scores(tmp_path, "tcet_snip", dict.fromkeys(NETWORKS[:200], 1.0))
    result = simulate(["tcet_snip"], evaluations=1, seeds=range(6), store=tmp_path)
    assert result.table["test"].nunique() > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ["greedy"]}, "unknown method 'greedy'; choose from random, regularised_evolution, vkdnw_agg"),
        ({"methods": []}, "unknown method ''"),
        ({"evaluations": 0}, "evaluations must be from 1 to 9,445 cells, got 0"),
        ({"evaluations": 10_000}, "evaluations must be from 1 to 9,445 cells, got 10,000"),
        ({"dataset": "cifar100"}, "cifar100 test accuracies are not in source 'made up'"),
        ({"methods": ["tcet_snip"]}, "no stored scores of 'tcet_snip'"),
    ],
)
def test_unusable_arguments_are_one_line_errors(accuracies, tmp_path, options, message):
    with pytest.raises(NbnasError, match=message) as caught:
        simulate(**{"methods": ["random"], "store": tmp_path, **options})
    assert "\n" not in str(caught.value)


def test_source_without_validation_accuracies_is_a_one_line_error(accuracies):
    del accuracies["cifar10-valid_x-valid"]
    with pytest.raises(NbnasError, match=r"cifar10 validation accuracies are not in source 'made up': needs NATS-Ben"):
        simulate(["random"])


def test_validation_columns_are_in_the_trained_accuracies(nats_table):
    assert set(simulation.VALIDATION_COLUMNS.values()) <= set(nats_table.columns)
    result = simulate(["random"], "ImageNet16-120", "all", evaluations=5, seeds=[0])
    assert len(result.table) == 5
