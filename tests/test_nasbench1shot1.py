"""The three families of NAS-Bench-1Shot1: their sizes, against all configurations, and the networks."""

import itertools
import random

import numpy as np
import pytest
import torch

import nbnas
from nbnas.errors import NbnasError
from nbnas.spaces.nasbench101 import OPERATIONS, format_cell, prune

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
