"""The NAS-Bench-201 space: order, classes of cells, sampling, parsing, costs, order of the parameters."""

import itertools
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import nbnas
from nbnas.errors import NbnasError
from nbnas.spaces.nasbench201 import format_cell, parse_cell

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")
PATHS = (("0-3",), ("0-1", "1-3"), ("0-2", "2-3"), ("0-1", "1-2", "2-3"))

KNOWN_CELLS = {
    0: "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    11: "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|",
    284: "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|",
    1835: "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
    9930: "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
}

DATASETS = {"cifar10": (10, 32), "cifar100": (100, 32), "ImageNet16-120": (120, 16)}
"""Data set -> number of classes, resolution."""

operation_names = st.lists(st.sampled_from(OPERATIONS), min_size=6, max_size=6).map(tuple)


def cell(*operations):
    a, b, c, d, e, f = operations
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def count_convolutions(arch):
    return arch.count("nor_conv_")


# ------------------------------------------------------------------------------------------------- order and length


def test_every_cell_occurs_once(space):
    cells = list(space)
    assert len(space) == len(cells) == 15_625
    assert set(cells) == {cell(*operations) for operations in itertools.product(OPERATIONS, repeat=6)}


@pytest.mark.parametrize(("index", "arch"), KNOWN_CELLS.items())
def test_known_indices(space, index, arch):
    assert space[index] == arch
    assert space.index(arch) == index


def test_order_is_that_of_nats_bench(space, nats_table):
    assert list(space) == nats_table["arch_str"].tolist()
    assert [space.index(arch) for arch in nats_table["arch_str"]] == nats_table["arch_index"].tolist()


@pytest.mark.parametrize("index", [-1, 15_625, 10**9])
def test_index_out_of_range_is_an_index_error(space, index):
    with pytest.raises(IndexError, match=f"architectures 0 to 15624, not {index}"):
        space[index]


def test_unknown_space_is_refused():
    with pytest.raises(NbnasError, match="unknown search space 'nasbench999'; choose from nasbench201"):
        nbnas.get_space("nasbench999")


# ------------------------------------------------------------------------------------------------- classes of cells


def test_number_and_size_of_the_isomorphism_classes(space):
    sizes = Counter(space.canonical(arch) for arch in space)
    assert len(sizes) == 6_466
    assert sum(size == 1 for size in sizes.values()) == 5_116
    assert max(sizes.values()) == 275


def test_isomorphism_classes_equal_those_of_the_table(space, nats_table):
    lowest = {}
    representatives = [lowest.setdefault(space.canonical(arch), index) for index, arch in enumerate(space)]
    assert representatives == nats_table["iso_rep_index"].tolist()


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        # The same function, but the benchmark's classes keep the none edges of a node in its expression.
        (
            cell("nor_conv_3x3", "nor_conv_1x1", "none", "none", "skip_connect", "avg_pool_3x3"),
            cell("nor_conv_1x1", "nor_conv_3x3", "none", "none", "avg_pool_3x3", "skip_connect"),
            False,
        ),
        # The terms of a sum have no order.
        (
            cell("skip_connect", "nor_conv_3x3", "nor_conv_1x1", "none", "none", "skip_connect"),
            cell("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "none", "none", "skip_connect"),
            True,
        ),
        # A skip connection moves a convolution along the path.
        (
            cell("skip_connect", "none", "nor_conv_3x3", "none", "none", "skip_connect"),
            cell("nor_conv_3x3", "none", "skip_connect", "none", "none", "skip_connect"),
            True,
        ),
        # What is fed by nothing is nothing.
        (
            cell("none", "none", "nor_conv_3x3", "skip_connect", "avg_pool_3x3", "none"),
            cell("none", "none", "none", "skip_connect", "none", "none"),
            True,
        ),
        # The order of two operations on one path matters.
        (
            cell("nor_conv_3x3", "none", "avg_pool_3x3", "none", "none", "skip_connect"),
            cell("avg_pool_3x3", "none", "nor_conv_3x3", "none", "none", "skip_connect"),
            False,
        ),
        # One path or the same path twice.
        (
            cell("skip_connect", "none", "none", "skip_connect", "skip_connect", "none"),
            cell("none", "none", "none", "skip_connect", "none", "none"),
            False,
        ),
    ],
    ids=["swapped nodes", "swapped terms", "moved skip", "fed by nothing", "order on a path", "two paths"],
)
def test_canonical_form_of_pairs(space, first, second, same):
    assert (space.canonical(first) == space.canonical(second)) is same


# ----------------------------------------------------------------------------------------------------- sets of cells


def brute_force_has_dead_edges(operations):
    """Enumerate the four paths; an edge is alive if some path of edges other than none holds it."""
    operation = dict(zip(EDGES, operations, strict=True))
    used = {edge for path in PATHS if all(operation[edge] != "none" for edge in path) for edge in path}
    return any(name != "none" and edge not in used for edge, name in operation.items())


def test_dead_edges_equal_enumeration_of_paths(space):
    for operations in itertools.product(OPERATIONS, repeat=6):
        assert space.has_dead_edges(cell(*operations)) is brute_force_has_dead_edges(operations)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("all", [729, 2916, 4860, 4320, 2160, 576, 64]),
        ("filtered", [291, 1370, 2704, 2840, 1664, 512, 64]),
    ],
)
def test_subset_by_number_of_convolutions(space, name, counts):
    indices = space.subset(name)
    assert indices == sorted(set(indices))
    found = Counter(count_convolutions(space[index]) for index in indices)
    assert [found[number] for number in range(7)] == counts


def test_filtered_unique_holds_the_first_filtered_cell_of_each_network(space):
    first, layers = {}, {}
    for index in space.subset("filtered"):
        form = space.network_form(space[index])
        first.setdefault(form, index)
        layers.setdefault(form, set()).add(space.trainable_layers(space[index]))
    assert space.subset("filtered-unique") == sorted(first.values())
    assert len(first) == 5_260
    assert all(len(counts) == 1 for counts in layers.values())


def test_classes_of_the_benchmark_join_different_networks(space):
    forms = {}
    for index in space.subset("filtered"):
        forms.setdefault(space.canonical(space[index]), set()).add(space.network_form(space[index]))
    assert len(forms) == 6_285
    assert sum(len(networks) > 1 for networks in forms.values()) == 430


def test_cells_with_dead_edges_are_all_that_are_not_filtered(space):
    dead = space.subset("dead-edges")
    assert len(dead) == 6_180
    assert sorted(dead + space.subset("filtered")) == space.subset("all")
    assert all(space.has_dead_edges(space[index]) for index in dead)


def test_live_forms_are_those_without_dead_edges(space):
    filtered = set(space.subset("filtered"))
    for index in range(0, len(space), 7):
        live = space.live_form(space[index])
        assert (live == space[index]) == (index in filtered)
        assert not space.has_dead_edges(live)
        assert space.network_form(live) == space.network_form(space[index])


def test_subset_returns_a_list_of_its_own(space):
    space.subset("filtered").clear()
    assert len(space.subset("filtered")) == 9_445


def test_unknown_subset_is_refused(space):
    for method in (space.subset, space.sample_subset):
        with pytest.raises(NbnasError, match="'best'; choose from all, filtered, filtered-unique"):
            method("best")


@pytest.mark.parametrize("name", ["all", "filtered", "filtered-unique", "dead-edges"])
def test_smaller_samples_begin_larger_ones(space, name):
    everything = space.sample_subset(name, seed=3)
    assert sorted(everything) == space.subset(name)
    assert everything != space.subset(name)
    for size in (0, 1, 17, 500):
        assert space.sample_subset(name, size, seed=3) == everything[:size]
    assert space.sample_subset(name, 10**6, seed=3) == everything
    assert space.sample_subset(name, 500, seed=4) != everything[:500]


def test_samples_are_the_same_on_every_machine(space):
    assert space.sample_subset("filtered", 3) == [2960, 4690, 4508]
    assert space.sample_subset("all", 3, seed=7) == [2905, 676, 12762]


def test_samples_of_different_sets_overlap_as_far_as_they_can(space):
    filtered = set(space.subset("filtered"))
    of_all = [index for index in space.sample_subset("all", seed=5) if index in filtered]
    assert of_all == space.sample_subset("filtered", seed=5)


# -------------------------------------------------------------------------------------------------- sample and mutate


def test_sample_is_uniform_over_valid_cells(space):
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(6_000)]
    assert all(space.is_valid(arch) for arch in drawn)
    shares = Counter((edge, name) for arch in drawn for edge, name in zip(EDGES, parse_cell(arch), strict=True))
    # 1,200 expected in each of 30, standard deviation 31.
    assert len(shares) == 30
    assert all(1_050 < share < 1_350 for share in shares.values())


@given(operations=operation_names, seed=st.integers(0, 2**32))
def test_mutation_changes_exactly_one_edge(operations, seed):
    space = nbnas.get_space("nasbench201")
    mutant = space.mutate(cell(*operations), np.random.default_rng(seed))
    assert sum(a != b for a, b in zip(operations, parse_cell(mutant), strict=True)) == 1
    assert space.is_valid(mutant)


def test_mutation_is_uniform_over_edges_and_other_operations(space):
    rng = np.random.default_rng(0)
    parent = KNOWN_CELLS[11]
    reached = Counter(space.mutate(parent, rng) for _ in range(4_800))
    # 200 expected of each of 6 * 4 neighbours, standard deviation 14.
    assert len(reached) == 24
    assert all(130 < times < 270 for times in reached.values())


@pytest.mark.parametrize("method", ["sample", "mutate"])
def test_random_choices_come_from_the_generator_alone(space, method):
    arguments = (KNOWN_CELLS[0],) if method == "mutate" else ()
    runs = []
    for global_seed in (1, 2):
        np.random.seed(global_seed)  # noqa: NPY002
        rng = np.random.default_rng(9)
        runs.append([getattr(space, method)(*arguments, rng) for _ in range(20)])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 5


# --------------------------------------------------------------------------------------------------------- the string


@given(operations=operation_names)
def test_parsing_inverts_formatting(operations):
    assert format_cell(operations) == cell(*operations)
    assert parse_cell(cell(*operations)) == operations


def test_surrounding_white_space_is_ignored(space):
    assert space.index(f" {KNOWN_CELLS[11]}\n") == 11


MALFORMED = {
    "unknown operation": ("|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_5x5~2|", "edge 2-3 has unknown operation"),
    "unknown first operation": ("|None~0|+|none~0|none~1|+|none~0|none~1|none~2|", "edge 0-1 has unknown operation"),
    "operation of another node": ("|none~0|+|conv~0|none~1|+|none~0|none~1|none~2|", "edge 0-2 has unknown operation"),
    "empty operation": ("|none~0|+|none~0|~1|+|none~0|none~1|none~2|", "edge 1-2 has unknown operation ''"),
    "space in an edge": ("|none~0|+|none~0|none~1|+| none~0|none~1|none~2|", "edge 0-3 has unknown operation"),
    "wrong source": ("|none~1|+|none~0|none~1|+|none~0|none~1|none~2|", "edge 0-1 must read 'operation~0'"),
    "swapped sources": ("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "edge 0-2 must read 'operation~0'"),
    "missing source": (
        "|none~0|+|none~0|none~1|+|none~0|none~|none~2|",
        "edge 1-3 must read 'operation~1', got 'none~'",
    ),
    "no tilde": ("|none~0|+|none~0|none|+|none~0|none~1|none~2|", "edge 1-2 must read 'operation~1', got 'none'"),
    "two tildes": ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2~2|", "edge 2-3 must read"),
    "other digit two": ("|none~0|+|none~0|none~1|+|none~0|none~1|none~²|", "edge 2-3 must read"),
    "too few edges": ("|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2 needs 2 incoming edges, got 1"),
    "too many edges": (
        "|none~0|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "node 1 needs 1 incoming edges, got 2",
    ),
    "empty node": ("|none~0|+||+|none~0|none~1|none~2|", "node 2 needs 2 incoming edges, got 1"),
    "lone bar": ("|+|none~0|none~1|+|none~0|none~1|none~2|", "node 1 must be enclosed"),
    "no closing bar": ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2", "node 3 must be enclosed"),
    "no opening bar": ("|none~0|+none~0|none~1|+|none~0|none~1|none~2|", "node 2 must be enclosed"),
    "two nodes": ("|none~0|+|none~0|none~1|", "3 nodes joined by '\\+', got 2"),
    "four nodes": ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|", "3 nodes joined by '\\+', got 4"),
    "empty string": ("", "3 nodes joined by '\\+', got 1"),
    "index": (5, "is a string, got int"),
    "None": (None, "is a string, got NoneType"),
    "tuple of operations": (("none",) * 6, "is a string, got tuple"),
}


@pytest.mark.parametrize(("arch", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_cell_is_refused_and_named(space, arch, message):
    assert space.is_valid(arch) is False
    for method in (space.index, space.canonical, space.has_dead_edges, space.build, space.params, space.flops):
        with pytest.raises(NbnasError, match=message):
            method(arch)


# -------------------------------------------------------------------------------------------------------------- costs

SIZE_PROXIES = ("flops", "params", "trainable_layers")

COST_CELLS = [
    KNOWN_CELLS[1835],
    cell("none", "none", "none", "none", "none", "none"),
    cell("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "none", "nor_conv_1x1", "skip_connect"),
    cell(*["nor_conv_3x3"] * 6),
]


def assert_formulas_equal_execution(space, arch, resolution, num_classes, **macro):
    network = space.build(arch, num_classes, **macro)
    measured = nbnas.score(network, SIZE_PROXIES, input_shape=(1, 3, resolution, resolution)).value
    assert measured["flops"] == space.flops(arch, resolution, num_classes, **macro)
    assert measured["params"] == space.params(arch, num_classes, **macro)
    macro.pop("channels", None)
    assert measured["trainable_layers"] == space.trainable_layers(arch, **macro)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("arch", COST_CELLS)
def test_formulas_equal_execution(space, arch, dataset):
    num_classes, resolution = DATASETS[dataset]
    assert_formulas_equal_execution(space, arch, resolution, num_classes)


@pytest.mark.parametrize(
    ("resolution", "num_classes", "channels", "cells_per_stage"), [(8, 3, 4, 1), (12, 7, 5, 2), (4, 1, 1, 3)]
)
@pytest.mark.parametrize("arch", COST_CELLS)
def test_formulas_equal_execution_for_other_macro_networks(
    space, arch, resolution, num_classes, channels, cells_per_stage
):
    macro = {"channels": channels, "cells_per_stage": cells_per_stage}
    assert_formulas_equal_execution(space, arch, resolution, num_classes, **macro)


COST_LAWS = {
    "cifar10": ((7_783_050, 35_389_440, 3_932_160), (73_306, 243_040, 28_000)),
    "cifar100": ((7_788_900, 35_389_440, 3_932_160), (79_156, 243_040, 28_000)),
    "ImageNet16-120": ((1_953_400, 8_847_360, 983_040), (80_456, 243_040, 28_000)),
}
"""Data set -> FLOPs and parameters: constant, per 3x3 edge, per 1x1 edge."""


@pytest.mark.parametrize("dataset", DATASETS)
def test_formulas_equal_the_laws_of_the_benchmark(space, dataset):
    num_classes, resolution = DATASETS[dataset]
    assert space.datasets[dataset].num_classes == num_classes
    assert space.datasets[dataset].resolution == resolution
    for arch in itertools.islice(space, 0, None, 25):
        edges = (1, arch.count("nor_conv_3x3"), arch.count("nor_conv_1x1"))
        flops, params = (np.dot(law, edges) for law in COST_LAWS[dataset])
        assert space.flops(arch, resolution, num_classes) == flops
        assert space.params(arch, num_classes) == params
        assert space.trainable_layers(arch) == 21 + 45 * (edges[1] + edges[2])


def test_resolution_that_cannot_be_halved_twice_is_refused(space):
    with pytest.raises(NbnasError, match="resolution must be divisible by 4, the product of the strides, got 30"):
        space.flops(KNOWN_CELLS[0], 30)


# --------------------------------------------------------------------------------------------------- official records


@pytest.fixture(scope="module")
def official_archive():
    """Three records of the real NATS-Bench archive, read by its own package."""
    if not os.environ.get("NBNAS_DATA"):
        pytest.skip("NBNAS_DATA is not set; it names the folder that holds nats_bench_fixture")
    folder = Path(os.environ["NBNAS_DATA"]) / "nats_bench_fixture" / "NATS-tss-v1_0-3ffb9-simple"
    if not folder.exists():
        pytest.skip("NBNAS_DATA names a folder without nats_bench_fixture")
    nats_bench = pytest.importorskip("nats_bench")
    return nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("index", [0, 11, 284])
def test_costs_equal_the_official_records(space, official_archive, index, dataset):
    num_classes, resolution = DATASETS[dataset]
    official = official_archive.get_cost_info(index, dataset, hp="200")
    assert official_archive.arch(index) == space[index]
    assert space.flops(space[index], resolution, num_classes) / 1e6 == pytest.approx(official["flops"], rel=1e-12)
    assert space.params(space[index], num_classes) / 1e6 == pytest.approx(official["params"], rel=1e-12)


def test_order_is_that_of_the_official_archive(space, official_archive):
    assert list(official_archive.meta_archs) == list(space)


# -------------------------------------------------------------------------------------------- order of the parameters


def expected_registration(operations, channels, cells_per_stage, num_classes):
    """(place, shape) of every parameter tensor, in the order that section 6.1 of the reference sheet fixes."""
    tensors = []

    def convolution(place, before, after, kernel):
        tensors.append((f"{place} conv", (after, before, kernel, kernel)))

    def batch_norm(place, width):
        tensors.extend([(f"{place} scale", (width,)), (f"{place} shift", (width,))])

    convolution("stem", 3, channels, 3)
    batch_norm("stem", channels)
    stage = 0
    for block in range(3):
        width = channels * 2**block
        if block > 0:
            for place, before in (("conv_a", width // 2), ("conv_b", width)):
                convolution(f"stages.{stage} {place}", before, width, 3)
                batch_norm(f"stages.{stage} {place}", width)
            convolution(f"stages.{stage} downsample", width // 2, width, 1)
            stage += 1
        for _ in range(cells_per_stage):
            for edge, name in enumerate(operations):
                if name.startswith("nor_conv"):
                    convolution(f"stages.{stage} edge {edge}", width, width, 3 if name == "nor_conv_3x3" else 1)
                    batch_norm(f"stages.{stage} edge {edge}", width)
            stage += 1
    batch_norm("last_activation", width)
    tensors.extend([("classifier weight", (num_classes, width)), ("classifier bias", (num_classes,))])
    return tensors


def actual_registration(network):
    tensors = []
    for name, parameter in network.named_parameters():
        owner, _, kind = name.rpartition(".")
        layer = network.get_submodule(owner)
        parts = owner.split(".")
        if parts[0] == "stages" and parts[2] == "edges":
            place = f"stages.{parts[1]} edge {parts[3]}"
        elif parts[0] == "stages":
            place = f"stages.{parts[1]} {parts[2]}"
        else:
            place = parts[0]
        if isinstance(layer, nn.Conv2d):
            place += " conv"
        elif isinstance(layer, nn.BatchNorm2d):
            place += " scale" if kind == "weight" else " shift"
        else:
            place += f" {kind}"
        tensors.append((place, tuple(parameter.shape)))
    return tensors


@pytest.mark.parametrize(("channels", "cells_per_stage", "num_classes"), [(16, 5, 10), (4, 2, 7)])
@pytest.mark.parametrize("arch", COST_CELLS)
def test_parameters_are_registered_in_the_order_of_the_benchmark(space, arch, channels, cells_per_stage, num_classes):
    network = space.build(arch, num_classes, channels=channels, cells_per_stage=cells_per_stage)
    expected = expected_registration(parse_cell(arch), channels, cells_per_stage, num_classes)
    assert actual_registration(network) == expected


def test_tensor_128_of_the_all_convolution_cell(space):
    tensors = actual_registration(space.build(cell(*["nor_conv_3x3"] * 6)))
    assert len(tensors) == 291
    assert tensors[127] == ("stages.7 edge 3 conv", (32, 32, 3, 3))


@pytest.mark.parametrize("convolutions", [1, 3, 6])
def test_where_stages_and_reduction_blocks_end(space, convolutions):
    arch = cell(*["nor_conv_1x1"] * convolutions, *["skip_connect"] * (6 - convolutions))
    places = [place for place, _ in actual_registration(space.build(arch))]
    ends = [3 + 15 * convolutions, 10 + 15 * convolutions, 10 + 30 * convolutions, 17 + 30 * convolutions]
    stages = [place.split()[0] for place in places]
    assert [stages[end - 1] for end in ends] == ["stages.4", "stages.5", "stages.10", "stages.11"]
    assert [stages[end] for end in ends] == ["stages.5", "stages.6", "stages.11", "stages.12"]


def test_convolutions_have_no_bias_and_the_activation_comes_first(space):
    network = space.build(COST_CELLS[3], channels=4, cells_per_stage=1)
    assert all(layer.bias is None for layer in network.modules() if isinstance(layer, nn.Conv2d))
    # A cell of skip connections applied to negative numbers: a ReLU after the sum would return zero.
    skip = space.build(KNOWN_CELLS[1835], channels=4, cells_per_stage=1).stages[0]
    inputs = -torch.ones(1, 4, 4, 4)
    # Node 1 = x, node 2 = 2x, node 3 = x + x + 2x.
    assert torch.equal(skip(inputs), 4 * inputs)


@pytest.mark.parametrize(("num_classes", "resolution"), [(10, 32), (120, 16), (3, 8)])
def test_network_maps_images_to_logits(space, num_classes, resolution):
    network = space.build(KNOWN_CELLS[11], num_classes, channels=4, cells_per_stage=1)
    assert network(torch.zeros(2, 3, resolution, resolution)).shape == (2, num_classes)


def test_none_edge_keeps_gradients_as_zeros(space):
    network = space.build(cell(*["none"] * 6), channels=4, cells_per_stage=1)
    network(torch.ones(2, 3, 8, 8)).sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is not None for gradient in gradients)
    assert gradients[0].abs().max() == 0


def test_average_pooling_leaves_the_padding_out(space):
    pooled = space.build(cell("none", "none", "none", "avg_pool_3x3", "none", "none"), channels=2, cells_per_stage=1)
    torch.testing.assert_close(pooled.stages[0](torch.ones(1, 2, 4, 4)), torch.ones(1, 2, 4, 4))
