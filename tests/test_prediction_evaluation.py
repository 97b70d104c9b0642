"""Model-driven rankings judged on the networks held out."""

import shutil

import pytest

import nbnas
from nbnas.errors import NbnasError
from nbnas.rankings import learned as module
from nbnas.rankings.learned import MODELS, Model, evaluate_model
from nbnas.reproduce.verdicts import load_published
from nbnas.scoring.setting import Setting
from tests.stored_scores import store_scores


@pytest.fixture(scope="module")
def benchmark():
    return nbnas.load_benchmark("nasbench201", "analog")


@pytest.fixture(scope="module")
def accurate(tmp_path_factory, benchmark):
    """A store in which jacov is the accuracy of the class's representative, for the first 300 classes."""
    store, space = tmp_path_factory.mktemp("scores"), nbnas.get_space("nasbench201")
    accuracy = benchmark.accuracy("cifar10")
    with Setting().table("jacov", store).writer({}, {}) as log:
        for cell in space.sample_subset("filtered-unique", 300):
            row = {"arch": space[cell], "seed": 0, "status": "ok", "seconds": 0.0}
            log.append(row | {"jacov": float(accuracy[cell])})
    return store


def rows_of(table):
    return table.set_index("metric")


def test_the_models_are_those_of_the_published_table():
    published = load_published("vkdnw/table1")
    assert set(MODELS) == {name for name in published["row_key"] if name.endswith("_m")}


def test_graph_features_predict_the_whole_set(benchmark):
    rows = rows_of(evaluate_model("graf_m", benchmark, "cifar10", train_size=200, trees=5, seeds=(1, 2)))
    assert rows["reproduced"].between(0.6, 1).all()
    assert (rows["low"] < rows["reproduced"]).all()
    assert (rows["reproduced"] < rows["high"]).all()
    assert "Mean of 2 splits, 200 cells" in rows.loc["kendall_tau", "note"]


def test_a_sample_estimates_what_a_forest_reaches_on_all_other_cells(benchmark, accurate, monkeypatch):
    monkeypatch.setitem(module.MODELS, "graf_m", Model(("jacov", "flops")))
    settings = {"train_size": 200, "trees": 10, "seeds": (1,), "repeats": 20, "store": accurate}
    rows = rows_of(evaluate_model("graf_m", benchmark, "cifar10", **settings))
    assert rows.loc["kendall_tau", "reproduced"] > 0.85  # it learns from the accuracy itself
    assert rows.loc["kendall_tau", "low"] < rows.loc["kendall_tau", "reproduced"] < rows.loc["kendall_tau", "high"]
    # The held-out networks of the sample stand for all cells that the forest did not learn from.
    assert rows.loc["ndcg_1000", "low"] < rows.loc["ndcg_1000", "reproduced"] <= rows.loc["ndcg_1000", "high"]
    assert rows.loc["ndcg_1000", "reproduced"] > 0.5
    assert "300 of 5,260" in rows.loc["kendall_tau", "note"]


def test_equal_cells_stay_on_one_side_where_they_share_scores(benchmark, accurate, monkeypatch):
    seen = []

    def spy(features, accuracy, **options):
        seen.append(options["groups"])
        return original(features, accuracy, **options)

    original = module.forest_ranking
    monkeypatch.setattr(module, "forest_ranking", spy)
    monkeypatch.setitem(module.MODELS, "graf_m", Model(("jacov",)))
    evaluate_model("graf_m", benchmark, "cifar10", train_size=200, trees=2, seeds=(1,), repeats=2, store=accurate)
    assert len(set(seen[0])) == 300
    monkeypatch.setitem(module.MODELS, "graf_m", Model(graph_features=True))
    evaluate_model("graf_m", benchmark, "cifar10", train_size=200, trees=2, seeds=(1,), repeats=2, store=accurate)
    assert seen[1] is None  # the published split


def test_noise_stands_in_where_too_few_networks_have_seen_images(benchmark, accurate, tmp_path, monkeypatch):
    shutil.copytree(accurate, tmp_path, dirs_exist_ok=True)
    accuracy = benchmark.accuracy("cifar10")
    few = nbnas.get_space("nasbench201").sample_subset("filtered-unique", 160)
    images = Setting(inputs="images")
    store_scores(tmp_path, "jacov", {cell: accuracy[cell] for cell in few}, images)
    monkeypatch.setitem(module.MODELS, "graf_m", Model(("jacov",)))
    settings = {"trees": 2, "seeds": (1,), "repeats": 2, "store": tmp_path}
    for train_size, stored in ((100, "160"), (400, "300")):
        rows = rows_of(evaluate_model("graf_m", benchmark, "cifar10", train_size=train_size, **settings))
        assert f"{stored} of 5,260" in rows.loc["kendall_tau", "note"]
        assert rows.loc["kendall_tau", "reproduced"] > 0.5


def test_scores_left_out_are_named(benchmark, accurate, monkeypatch):
    monkeypatch.setitem(module.MODELS, "graf_m", Model(("jacov", "te_nas_ntk")))
    settings = {"train_size": 200, "trees": 2, "seeds": (1,), "repeats": 2, "store": accurate}
    rows = evaluate_model("graf_m", benchmark, "cifar10", left_out=["te_nas_ntk"], **settings)
    assert rows["note"].iloc[0].endswith("Without the feature te_nas_ntk.")


@pytest.mark.parametrize(
    ("dataset", "train_size", "reason"),
    [
        ("cifar100", 200, "needs data: run nbnas data fetch nasbench201"),
        ("cifar10", 1024, "needs compute: 1,024 cells to learn from"),
    ],
)
def test_what_is_lacking_is_said(benchmark, accurate, monkeypatch, dataset, train_size, reason):
    monkeypatch.setitem(module.MODELS, "graf_m", Model(("jacov",)))
    rows = evaluate_model("graf_m", benchmark, dataset, train_size=train_size, store=accurate)
    assert rows["reproduced"].isna().all()
    assert rows["note"].str.contains(reason).all()


def test_scores_that_are_not_stored_name_the_command(benchmark, tmp_path):
    rows = evaluate_model("vkdnw_m", benchmark, "cifar10", store=tmp_path)
    assert rows["note"].str.contains("run: nbnas score nasbench201").all()
    with pytest.raises(NbnasError):
        nbnas.load_scores("vkdnw", Setting(), tmp_path)


def test_another_model_has_the_graph_features_of_single_operations(benchmark, monkeypatch):
    seen = []

    def spy(features, accuracy, **options):
        seen.append(features.shape[1])
        return original(features, accuracy, **options)

    original = module.forest_ranking
    monkeypatch.setattr(module, "forest_ranking", spy)
    settings = {"train_size": 200, "trees": 5, "seeds": (1,)}
    names = "graf_m", "graf_single_m"
    every, single = (rows_of(evaluate_model(name, benchmark, "cifar10", **settings)) for name in names)
    # Five counts, 31 longest paths, and four degrees of each of 31 sets or of 5 operations.
    assert seen == [5 + 31 + 4 * 31, 5 + 31 + 4 * 5]
    assert single.loc["kendall_tau", "reproduced"] != every.loc["kendall_tau", "reproduced"]
    assert single["reproduced"].between(0.6, 1).all()
