"""The three families of NAS-Bench-1Shot1: their sizes, against all configurations, and the networks."""

import itertools
import random

import numpy as np
import pandas as pd
import pytest
import torch

import nbnas
from nbnas.benchmarks.nasbench1shot1 import cells_by_hash
from nbnas.errors import NbnasError
from nbnas.rankings import CombinedRanking
from nbnas.rankings.evaluation import evaluate_methods
from nbnas.rankings.intervals import bootstrap_interval
from nbnas.rankings.metrics import kendall_tau
from nbnas.scoring.architecture_scores import load_architecture_scores
from nbnas.scoring.samples import named_set, sample_architectures
from nbnas.scoring.setting import Setting
from nbnas.spaces.nasbench101 import OPERATIONS, format_cell, module_hash, parse_cell, prune

CELLS = nbnas.get_space("nasbench101")


def configurations(parents):
    """Every choice of parents and operations: a list of edges and the operations."""
    choices = [itertools.combinations(range(node), count) for node, count in enumerate(parents, start=1)]
    for chosen in itertools.product(*choices):
        edges = [(source, target) for target, sources in enumerate(chosen, start=1) for source in sources]
        for operations in itertools.product(OPERATIONS, repeat=len(parents) - 1):
            yield edges, operations


@pytest.mark.parametrize(
    ("name", "raw", "labelled", "unique"),
    [("ss1", 14_580, 3_288, 2_685), ("ss2", 29_160, 11_826, 7_773)],
)
def test_cells_are_those_of_all_configurations(name, raw, labelled, unique):
    space = nbnas.get_space(f"nasbench1shot1_{name}")
    pruned = [
        format_cell(prune(["input", *operations, "output"], edges))
        for edges, operations in configurations(space.parents)
    ]
    assert len(pruned) == raw
    assert len(set(pruned)) == labelled
    assert len(space) == unique
    assert {CELLS.canonical(cell) for cell in set(pruned)} == set(space)
    assert list(space) == sorted(space)


def test_number_of_cells_of_the_largest_family():
    space = nbnas.get_space("nasbench1shot1_ss3")
    assert len(space) == 55_854
    drawn = random.Random(0)
    for _ in range(200):
        edges = [
            (source, target)
            for target, count in enumerate(space.parents, start=1)
            for source in drawn.sample(range(target), count)
        ]
        operations = drawn.choices(OPERATIONS, k=len(space.parents) - 1)
        assert space.is_valid(format_cell(prune(["input", *operations, "output"], edges)))


def test_networks_are_those_of_nasbench101():
    space = nbnas.get_space("nasbench1shot1_ss1")
    for index in (0, 1_000, 2_684):
        with torch.device("meta"):
            network = space.build(space[index])
        parameters = sum(parameter.numel() for parameter in network.parameters())
        assert parameters == space.params(space[index]) == CELLS.params(space[index])
    assert space.flops(space[1_000]) == CELLS.flops(space[1_000])


def test_foreign_cells_are_refused():
    space = nbnas.get_space("nasbench1shot1_ss1")
    with pytest.raises(NbnasError, match="is not a cell of nasbench1shot1_ss1"):
        space.normalise("input,output:0-1")
    with pytest.raises(NbnasError, match="unknown operation"):
        space.normalise("input,conv5x5,output:0-1,1-2")


def test_mutants_stay_in_the_family():
    space, rng = nbnas.get_space("nasbench1shot1_ss1"), np.random.default_rng(0)
    cell = space.sample(rng)
    for _ in range(5):
        mutant = space.mutate(cell, rng)
        assert mutant != cell
        assert mutant in set(space)
        cell = mutant


# ------------------------------------------------------------------------------------------------------ the accuracies

FILE = "nasbench101_by_hash.csv.gz"
EPOCHS = (4, 12, 36, 108)


@pytest.fixture
def some_cells(tmp_path, monkeypatch):
    """A table of 60 cells of SS1 in the order of their hashes, and of one that is not in the family: cell -> value."""
    space = nbnas.get_space("nasbench1shot1_ss1")
    cells = [space[index] for index in range(0, 1_200, 20)]
    rows = {"module_hash": [module_hash(parse_cell(cell)) for cell in [*cells, "input,output:0-1"]]}
    rows |= {f"cifar10_val_{epochs}ep": np.arange(61.0) + epochs / 10 for epochs in EPOCHS}
    pd.DataFrame(rows).sort_values("module_hash").to_csv(tmp_path / FILE, index=False)
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    return {cell: place + 10.8 for place, cell in enumerate(cells)}


def test_cells_of_the_family_are_found_by_their_hash_and_stand_in_its_order(some_cells):
    benchmark = nbnas.load_benchmark("nasbench1shot1_ss1")
    assert dict(zip(benchmark.archs, benchmark.accuracy("cifar10"), strict=True)) == some_cells
    assert benchmark.archs == sorted(benchmark.archs)
    assert "(60 of the 2,685 cells, a uniform sample," in benchmark.description


def test_no_cell_no_number_and_no_file_are_errors(some_cells, tmp_path, monkeypatch):
    file = tmp_path / FILE
    table = pd.read_csv(file)
    table.drop(columns="cifar10_val_12ep").to_csv(file, index=False)
    with pytest.raises(NbnasError, match=f"{FILE} lacks the columns cifar10_val_12ep"):
        nbnas.load_benchmark("nasbench1shot1_ss1")
    table[:0].to_csv(file, index=False)
    with pytest.raises(NbnasError, match=f"{FILE} has no cell of nasbench1shot1_ss1"):
        nbnas.load_benchmark("nasbench1shot1_ss1")
    file.unlink()
    with pytest.raises(NbnasError, match=f"no NAS-Bench-1Shot1 SS1 accuracies found: run nbnas data fetch .* {FILE}"):
        nbnas.load_benchmark("nasbench1shot1_ss1")


def test_the_cells_with_accuracies_are_a_named_set(some_cells):
    space = nbnas.get_space("nasbench1shot1_ss1")
    assert named_set(space, "trained") == dict(enumerate(some_cells))
    assert named_set(space, "all") == dict(enumerate(space))
    assert set(sample_architectures(space)) == set(some_cells)
    with pytest.raises(NbnasError, match="unknown set"):
        named_set(space, "filtered")


def test_scores_of_all_cells_with_accuracies_have_the_interval_of_a_sample(some_cells, tmp_path):
    setting = Setting("nasbench1shot1_ss1")
    values = dict(zip(some_cells, np.random.default_rng(0).normal(size=60) + np.arange(60) / 20, strict=True))
    with setting.table("jacov", tmp_path).writer({}, {}) as writer:
        for arch, value in values.items():
            writer.append({"arch": arch, "seed": 0, "status": "ok", "seconds": 0.1, "jacov": value})
    found = load_architecture_scores(["jacov", "params"], setting, store=tmp_path)
    assert found.complete
    assert found.table["jacov"].tolist() == [values[arch] for arch in some_cells]
    assert found.table["params"].tolist() == [CELLS.params(arch) for arch in some_cells]
    assert found.description.startswith("Scored 60 of 60 cells with accuracies; inputs: Gaussian noise")
    methods = {"jacov": CombinedRanking.of("jacov")}
    table = evaluate_methods(methods, "auto", "cifar10", space=setting.space_name, repeats=50, store=tmp_path)
    tau = table.set_index("metric").loc["kendall_tau"]
    scores, accuracies = list(values.values()), list(some_cells.values())
    assert tau["reproduced"] == pytest.approx(kendall_tau(scores, accuracies), rel=1e-6)
    # A little wider than the percentiles, as Student's t is for 60 networks.
    low, high = bootstrap_interval(kendall_tau, scores, accuracies, repeats=50)
    assert (tau["low"], tau["high"]) == pytest.approx((low, high), abs=0.1 * (high - low))
    assert tau["high"] - tau["low"] > high - low
    assert tau["note"].startswith("sample of 60 architectures, bootstrap interval. Scored 60 of 60 cells")
    assert "Accuracies are known of 60 of the 2,685 cells, a uniform sample" in tau["note"]


@pytest.mark.parametrize(
    ("family", "count"), [("ss1", 195), ("ss2", 572), pytest.param("ss3", 4_023, marks=pytest.mark.slow)]
)
def test_accuracies_equal_those_that_others_joined(data_folder, family, count):
    joined = pd.read_csv(data_folder / "nasbench1shot1.csv.gz").query("space == @family")
    space = nbnas.get_space(f"nasbench1shot1_{family}")
    assert joined["arch"].tolist() == list(space)
    assert dict(zip(joined["module_hash"], joined["arch"], strict=True)) == cells_by_hash(space.name)
    expected = joined.dropna().reset_index(drop=True)
    benchmark = nbnas.load_benchmark(space.name)
    assert len(benchmark.archs) == count
    columns = ["arch", "module_hash", "params", *(f"cifar10_val_{epochs}ep" for epochs in EPOCHS)]
    pd.testing.assert_frame_equal(benchmark.table[columns], expected[columns], check_dtype=False)
    assert benchmark.accuracy("cifar10").tolist() == expected["cifar10_val_108ep"].tolist()
