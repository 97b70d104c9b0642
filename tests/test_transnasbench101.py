"""TransNAS-Bench-101, cells and skeletons: strings, sets, costs, networks, trained accuracies."""

import ast
import gzip
import itertools
import math
import os
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import nbnas
from nbnas.benchmarks import load_benchmark
from nbnas.errors import NbnasError
from nbnas.networks.layers import weight_layers
from nbnas.spaces.parts import FactorizedReduction, count
from nbnas.spaces.transnasbench101 import format_cell, make_cell, parse_cell, parse_modules

MICRO = nbnas.get_space("transnasbench101_micro")
MACRO = nbnas.get_space("transnasbench101_macro")
SPACES = {"micro": MICRO, "macro": MACRO}

EDGES = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")
PATHS = (("0-3",), ("0-1", "1-3"), ("0-2", "2-3"), ("0-1", "1-2", "2-3"))

TASKS = ["class_scene", "class_object", "room_layout", "jigsaw", "segmentsemantic", "normal", "autoencoder"]

both_spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
needs_data = pytest.mark.skipif(
    not os.environ.get("NBNAS_DATA"), reason="NBNAS_DATA is not set; it names the folder that holds the tables"
)
cells = st.tuples(*[st.integers(0, 3)] * 6)
indices = {"micro": st.integers(0, 4095), "macro": st.integers(0, 3255)}


def build_without_weights(space, arch, *arguments, **keywords):
    with torch.device("meta"):
        return space.build(arch, *arguments, **keywords)


def count_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


# ------------------------------------------------------------------------------------------------- order and length


def test_cells_are_in_lexicographic_order_of_their_digits():
    assert len(MICRO) == 4_096
    assert [parse_cell(arch) for arch in MICRO] == list(itertools.product(range(4), repeat=6))
    assert MICRO[0] == "64-41414-0_00_000"
    assert MICRO[4_095] == "64-41414-3_33_333"
    # Digits go to the edges 0-1, then 0-2 and 1-2, then 0-3, 1-3 and 2-3.
    assert MICRO.index("64-41414-1_23_012") == int("123012", 4)


def test_skeletons_are_in_lexicographic_order_of_their_digits():
    skeletons = [parse_modules(arch) for arch in MACRO]
    assert skeletons == sorted(set(skeletons))
    assert Counter(map(len, skeletons)) == {4: 210, 5: 750, 6: 2_296}
    assert len(MACRO) == sum(
        math.comb(length, p) * math.comb(length, q) for length in (4, 5, 6) for p in (1, 2, 3, 4) for q in (1, 2, 3)
    )
    assert [MACRO[0], MACRO[3_255]] == ["64-111114-basic", "64-444311-basic"]
    # A shorter skeleton comes before those that it begins.
    start = MACRO.index("64-4443-basic")
    assert [MACRO[start + step] for step in (1, 2)] == ["64-44431-basic", "64-444311-basic"]


@both_spaces
def test_index_inverts_order(space):
    assert [space.index(arch) for arch in space] == list(range(len(space)))
    assert space.index(f" {space[17]}\n") == 17


# ------------------------------------------------------------------------------------------------------------ sets


def brute_force_live_form(digits):
    """Enumerate the four paths; an edge is alive if some path of edges other than none holds it."""
    operation = dict(zip(EDGES, digits, strict=True))
    used = {edge for path in PATHS if all(operation[edge] for edge in path) for edge in path}
    return format_cell([digit if edge in used else 0 for edge, digit in operation.items()])


def test_live_form_equals_enumeration_of_paths():
    for arch in MICRO:
        live = brute_force_live_form(parse_cell(arch))
        assert MICRO.live_form(arch) == live
        assert MICRO.has_dead_edges(arch) is (live != arch)
        assert MICRO.has_path(arch) is (live != MICRO[0])


def test_sets_of_cells():
    assert MICRO.subset("all") == list(range(4_096))
    live, unique = MICRO.subset("live"), MICRO.subset("unique")
    assert len(live) == 3_927 == 4_096 - 169
    assert all(MICRO.has_path(MICRO[index]) for index in live)
    lowest = {}
    for index, arch in enumerate(MICRO):
        lowest.setdefault(MICRO.live_form(arch), index)
    assert unique == sorted(lowest.values()) == sorted(map(MICRO.index, lowest))
    assert len(unique) == 2_128
    assert set(unique) - set(live) == {0}


@both_spaces
def test_unknown_set_is_refused(space):
    with pytest.raises(NbnasError, match="unknown set of architectures 'best'; choose from all"):
        space.subset("best")


# -------------------------------------------------------------------------------------------------- sample and mutate


@both_spaces
def test_sample_draws_from_the_whole_space_with_the_given_generator_alone(space):
    first, second = ([space.sample(rng) for _ in range(500)] for rng in map(np.random.default_rng, (3, 3)))
    assert first == second
    drawn = [space.index(arch) for arch in first]
    assert min(drawn) < len(space) / 50
    assert max(drawn) > len(space) * 49 / 50


@given(digits=cells, seed=st.integers(0, 2**32))
def test_mutation_changes_exactly_one_edge(digits, seed):
    mutant = parse_cell(MICRO.mutate(format_cell(digits), np.random.default_rng(seed)))
    assert sum(a != b for a, b in zip(digits, mutant, strict=True)) == 1


@given(index=indices["macro"], seed=st.integers(0, 2**32))
def test_mutation_changes_exactly_one_module(index, seed):
    mutant = parse_modules(MACRO.mutate(MACRO[index], np.random.default_rng(seed)))
    assert sum(a != b for a, b in zip(parse_modules(MACRO[index]), mutant, strict=True)) == 1


@pytest.mark.parametrize(
    ("space", "parent", "neighbours"),
    [
        (MICRO, "64-41414-0_12_301", 18),
        # Without its 4 no module would halve, or none would double.
        (MACRO, "64-1114-basic", 9),
        # Four modules halve and three double already: each 4 can become anything, the 3 only 1, the 1s nothing.
        (MACRO, "64-444311-basic", 10),
    ],
)
def test_mutation_is_uniform_over_neighbours(space, parent, neighbours):
    rng = np.random.default_rng(0)
    valid = {arch for arch in space if len(arch) == len(parent) and sum(map(str.__ne__, arch, parent)) == 1}
    reached = Counter(space.mutate(parent, rng) for _ in range(100 * neighbours))
    assert set(reached) == valid
    assert len(valid) == neighbours
    # 100 expected of each, standard deviation 10.
    assert all(60 < times < 140 for times in reached.values())


def test_every_skeleton_has_a_neighbour():
    rng = np.random.default_rng(0)
    assert all(MACRO.is_valid(MACRO.mutate(arch, rng)) for arch in MACRO)


# --------------------------------------------------------------------------------------------------------- the string

NO_STRING = {5: "is a string, got int", None: "is a string, got NoneType", (0,) * 6: "is a string, got tuple"}

MALFORMED_CELLS = {
    **NO_STRING,
    "": "micro architecture reads '64-41414-a_bc_def', got ''",
    "0_00_000": "reads '64-41414-a_bc_def', got '0_00_000'",
    "64-41414-0_00_000-": "reads '64-41414-a_bc_def'",
    "(0, 0, 0, 0, 0, 0)": "reads '64-41414-a_bc_def'",
    "64-111114-basic": "modules of the micro space are '41414', got '111114'",
    "32-41414-0_00_000": "the stem has 64 channels, got '32'",
    "64 -41414-0_00_000": "the stem has 64 channels, got '64 '",
    "64-4141-0_00_000": "modules of the micro space are '41414', got '4141'",
    "64-41414-000000": "3 nodes joined by '_', got 1",
    "64-41414-0_00": "3 nodes joined by '_', got 2",
    "64-41414-0_00_000_": "3 nodes joined by '_', got 4",
    "64-41414-00_0_000": "node 1 needs 1 incoming edges, one digit each, got '00'",
    "64-41414-0_0_000": "node 2 needs 2 incoming edges, one digit each, got '0'",
    "64-41414-0_00_00": "node 3 needs 3 incoming edges, one digit each, got '00'",
    "64-41414-_00_000": "node 1 needs 1 incoming edges, one digit each, got ''",
    "64-41414-0_0 _000": "edge 1-2 has unknown operation ' '",
    "64-41414-4_00_000": r"edge 0-1 has unknown operation '4'; choose from 0 \(none\), 1 \(skip connection\)",
    "64-41414-0_0²_000": "edge 1-2 has unknown operation '²'",
    "64-41414-0_00_00x": "edge 2-3 has unknown operation 'x'",
}

MALFORMED_SKELETONS = {
    **NO_STRING,
    "": "macro architecture reads '64-DIGITS-basic', got ''",
    "111114": "reads '64-DIGITS-basic', got '111114'",
    "64-41414-0_00_000": "blocks of the macro space are 'basic', got '0_00_000'",
    "64-1114-bottleneck": "blocks of the macro space are 'basic', got 'bottleneck'",
    "64-1114- basic": "blocks of the macro space are 'basic', got ' basic'",
    "16-1114-basic": "the stem has 64 channels, got '16'",
    "64--basic": "4 to 6 modules, got 0",
    "64-114-basic": "4 to 6 modules, got 3",
    "64-1111114-basic": "4 to 6 modules, got 7",
    "64-444300-basic": "module 5 has unknown digit '0'",
    "64-1115-basic": "module 4 has unknown digit '5'",
    "64-11²4-basic": "module 3 has unknown digit '²'",
    "64-1112-basic": r"1 to 4 modules halve the resolution \(digits 3 and 4\), got 0",
    "64-33343-basic": r"1 to 4 modules halve the resolution \(digits 3 and 4\), got 5",
    "64-1113-basic": r"1 to 3 modules double the channels \(digits 2 and 4\), got 0",
    "64-2224-basic": r"1 to 3 modules double the channels \(digits 2 and 4\), got 4",
}


@given(digits=cells)
def test_parsing_inverts_formatting(digits):
    a, b, c, d, e, f = digits
    assert format_cell(digits) == f"64-41414-{a}_{b}{c}_{d}{e}{f}"
    assert parse_cell(format_cell(digits)) == digits


@pytest.mark.parametrize(
    ("space", "arch", "message"),
    [(MICRO, *row) for row in MALFORMED_CELLS.items()] + [(MACRO, *row) for row in MALFORMED_SKELETONS.items()],
)
def test_malformed_architecture_is_refused_and_named(space, arch, message):
    assert space.is_valid(arch) is False
    methods = [space.index, space.build, space.params, space.flops, lambda arch: space.mutate(arch, None)]
    if space is MICRO:
        methods += [space.live_form, space.has_dead_edges, space.has_path]
    for method in methods:
        with pytest.raises(NbnasError, match=message) as caught:
            method(arch)
        assert "\n" not in str(caught.value)


# -------------------------------------------------------------------------------------------------------------- costs

RECORDS = [
    (MICRO, "64-41414-1_00_210", 878_368, 910_687, 263_299_072),
    (MICRO, "64-41414-3_00_003", 13_816_864, 13_849_183, 2_890_571_776),
    (MICRO, "64-41414-1_02_333", 22_520_608, 22_552_927, 4_599_488_512),
    (MICRO, "64-41414-2_30_233", 22_859_808, 22_892_127, 4_693_860_352),
    (MICRO, "64-41414-3_33_333", 41_411_616, 41_443_935, 8_488_067_072),
    (MACRO, "64-111114-basic", 1_284_896, 1_293_023, 3_666_362_368),
    (MACRO, "64-4131-basic", 2_334_240, 2_342_367, 1_543_319_552),
    (MACRO, "64-32133-basic", 2_503_072, 2_511_199, 1_586_948_096),
    (MACRO, "64-4443-basic", 20_742_944, 20_775_263, 1_861_177_344),
    (MACRO, "64-142231-basic", 30_332_192, 30_364_511, 16_888_676_352),
]
"""Space, architecture, parameters of the encoder, parameters and FLOPs with 63 classes at 256 pixels."""


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_layers_are_those_of_the_built_network(space):
    for index in range(0, len(space), 131):
        with torch.device("meta"):
            network = space.build(space[index])
        assert space.weight_layers(space[index]) == len(weight_layers(network))
        assert space.trainable_layers(space[index]) == len(list(network.parameters()))


@pytest.mark.parametrize("arch", [MICRO[index] for index in (0, 1_234, 2_345, 3_210, 4_095)])
def test_operations_of_a_cell_are_the_sum_over_its_edges(arch):
    with torch.device("meta"):
        network = MICRO.build(arch, 75, tiles=2)
    assert MICRO.flops(arch, 96, 75, tiles=2) == count(network, (6, 96, 96)).operations


@pytest.mark.parametrize(("space", "arch", "encoder", "params", "flops"), RECORDS)
def test_costs_equal_the_records_of_naslib(space, arch, encoder, params, flops):
    network = build_without_weights(space, arch)
    assert count_parameters(network.encoder) == encoder
    assert count_parameters(network) == space.params(arch) == params
    assert space.flops(arch) == flops


def test_one_tile_costs_what_the_image_does_at_its_resolution():
    arch = "64-41414-3_33_333"
    encoder = MICRO.flops(arch, 64, num_classes=1) - 512 * (3 * 3 + 1)
    assert MICRO.flops(arch, 64, 1_000, tiles=9) == encoder + 9 * 512 * (3 * 3 + 1_000) == 535_149_056


EDGE_PARAMS = {"from the input": (0, 173_824, 685_056, 6_124_544), "from other nodes": (0, 0, 857_088, 7_672_832)}


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize("digit", range(4))
def test_parameters_of_one_edge(position, digit):
    digits = [0] * 6
    digits[position] = digit
    kind = "from the input" if position in (0, 1, 3) else "from other nodes"
    assert MICRO.params(format_cell(digits), 0) == 19_488 + EDGE_PARAMS[kind][digit]


@pytest.mark.parametrize(
    ("space", "arch", "sizes"),
    [
        (MICRO, "64-41414-0_00_000", (32_319, 24_111, 51_300, 38_475, 4_609_000)),
        (MACRO, "64-1114-basic", (8_127, 6_063, 12_900, 9_675, 1_153_000)),
        (MACRO, "64-1144-basic", (16_191, 12_079, 25_700, 19_275, 2_305_000)),
        (MACRO, "64-1444-basic", (32_319, 24_111, 51_300, 38_475, 4_609_000)),
    ],
)
def test_parameters_of_the_head(space, arch, sizes):
    network = build_without_weights(space, arch)
    encoder = count_parameters(network.encoder)
    for num_classes, size in zip((63, 47, 100, 75), sizes[:4], strict=True):
        assert space.params(arch, num_classes) == encoder + size
    assert space.params(arch, 1_000, tiles=9) == encoder + sizes[4]


@pytest.mark.parametrize("name", SPACES)
def test_parameters_equal_those_of_the_network(name):
    space = SPACES[name]

    @settings(max_examples=15)
    @given(index=indices[name], num_classes=st.integers(1, 1_000), tiles=st.integers(1, 9))
    def check(index, num_classes, tiles):
        network = build_without_weights(space, space[index], num_classes, tiles=tiles)
        assert count_parameters(network) == space.params(space[index], num_classes, tiles=tiles)

    check()


# ------------------------------------------------------------------------------------------- order of the parameters

STEM = [("encoder.0", (32, 3, 3, 3)), ("encoder.1", (64, 32, 3, 3))]
BLOCKS = {"1": (1, 1), "2": (2, 1), "3": (1, 2), "4": (2, 2)}
"""Digit of a module -> by what its first block multiplies channels and divides the resolution."""
PLACE = re.compile(r"encoder\.\d+\.(edges\.\d|conv_a|conv_b|shortcut)|encoder\.\d|classifier")


def expected_weights(space, arch):
    """(place, shape) of every convolution and of the classifier, in the order of the released code."""
    weights, channels, block = list(STEM), 64, 2
    for digit in "41414" if space is MICRO else arch.split("-")[1]:
        for factor, stride in (BLOCKS[digit], (1, 1)):
            before, channels = channels, channels * factor
            place = f"encoder.{block}"
            if space is MACRO:
                weights += [
                    (f"{place}.conv_a", (channels, before, 3, 3)),
                    (f"{place}.conv_b", (channels, channels, 3, 3)),
                ]
                if factor * stride > 1:
                    weights.append((f"{place}.shortcut", (channels, before, 1, 1)))
            else:
                for edge, operation in enumerate(arch.split("-")[2].replace("_", "")):
                    width = before if EDGES[edge].startswith("0") else channels
                    changes = EDGES[edge].startswith("0") and factor * stride > 1
                    if operation in "23":
                        kernel = 1 if operation == "2" else 3
                        weights.append((f"{place}.edges.{edge}", (channels, width, kernel, kernel)))
                    elif operation == "1" and changes:
                        weights += [(f"{place}.edges.{edge}", (channels // 2, width, 1, 1))] * 2
            block += 1
    return [*weights, ("classifier", (63, channels))]


@pytest.mark.parametrize(
    ("space", "arch"),
    [
        (MICRO, "64-41414-1_02_333"),
        (MICRO, "64-41414-1_11_111"),
        (MICRO, "64-41414-2_30_233"),
        (MACRO, "64-142231-basic"),
        (MACRO, "64-3114-basic"),
    ],
)
def test_parameters_are_registered_in_the_order_of_the_benchmark(space, arch):
    network = build_without_weights(space, arch)
    found = []
    for name, parameter in network.named_parameters():
        owner = name.rpartition(".")[0]
        if isinstance(network.get_submodule(owner), nn.Conv2d | nn.Linear) and name.endswith("weight"):
            found.append((PLACE.match(name)[0], tuple(parameter.shape)))
    assert found == expected_weights(space, arch)
    assert all(layer.bias is None for layer in network.modules() if isinstance(layer, nn.Conv2d))
    assert all(layer.affine for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))


# ----------------------------------------------------------------------------------------------------------- networks

LIGHT = {"micro": "64-41414-1_20_112", "macro": "64-3114-basic"}


@pytest.mark.parametrize("name", SPACES)
def test_networks_map_images_and_tiles_to_logits(name):
    space, arch = SPACES[name], LIGHT[name]
    assert space.build(arch)(torch.zeros(2, 3, 64, 64)).shape == (2, 63)
    assert space.build_for(arch, "jigsaw")(torch.zeros(2, 27, 64, 64)).shape == (2, 1_000)


@pytest.mark.parametrize(
    ("space", "arch", "shape"),
    [
        (MICRO, "64-41414-3_12_012", (512, 8, 8)),
        (MACRO, "64-111114-basic", (128, 32, 32)),
        (MACRO, "64-4443-basic", (512, 4, 4)),
        (MACRO, "64-142231-basic", (512, 16, 16)),
    ],
)
def test_shape_of_the_encoder_output_and_of_the_logits(space, arch, shape):
    channels, *sides = shape
    for dataset, tiles in {"class_scene": 1, "jigsaw": 9}.items():
        data = space.datasets[dataset]
        with torch.device("meta"):
            network = space.build_for(arch, dataset).eval()
        inputs = torch.zeros(2, 3 * tiles, data.resolution, data.resolution, device="meta")
        features = network.encoder(inputs[:, :3])
        assert features.shape == (2, channels, *(side * data.resolution // 256 for side in sides))
        assert network(inputs).shape == (2, data.num_classes)


@both_spaces
def test_shapes_of_the_tasks(space):
    tasks = {name: (task.num_classes, task.channels, task.resolution) for name, task in space.datasets.items()}
    assert tasks == {"class_scene": (63, 3, 256), "class_object": (100, 3, 256), "jigsaw": (1_000, 27, 64)}


@pytest.mark.parametrize("resolution", [33, 50, 80])
def test_sides_that_are_odd_somewhere_do_not_break_the_sums(resolution):
    network = build_without_weights(MICRO, "64-41414-1_20_130")
    assert network(torch.zeros(2, 3, resolution, resolution, device="meta")).shape == (2, 63)


@both_spaces
def test_other_tasks_of_the_benchmark_are_not_built(space):
    with pytest.raises(NbnasError, match="builds networks for class_scene, class_object, jigsaw, not for 'normal'"):
        space.build_for(space[0], "normal")


def test_tiles_pass_one_after_the_other():
    network = MICRO.build(LIGHT["micro"], 5, tiles=9)
    entered = []
    network.classifier.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0].detach()))
    tiles = torch.randn(3, 27, 32, 32, generator=torch.Generator().manual_seed(0))
    other = tiles.clone()
    other[:, 6:9] = 5 - 3 * other[:, 6:9]
    network(tiles)
    assert network.encoder[0][1].num_batches_tracked == 9
    network(other)
    first, second = (features.view(3, 9, 512) for features in entered)
    # The statistics of one tile are no business of another, although the network is in train mode.
    changed = (first != second).any(dim=2)
    assert changed[:, 2].all()
    assert not changed[:, [0, 1, 3, 4, 5, 6, 7, 8]].any()
    torch.testing.assert_close(first[:, 4], network.encoder(tiles[:, 12:15]).mean(dim=(2, 3)))


def test_activation_comes_first_and_none_after_a_sum():
    inputs = -torch.rand(2, 6, 4, 4) - 1
    # Node 1 = x, node 2 = 2x, node 3 = x + x + 2x: a ReLU after a sum would return zero.
    torch.testing.assert_close(make_cell((1,) * 6, 6, 6, 1)(inputs), 4 * inputs)
    # One before the convolution does so.
    for digit in (2, 3):
        assert not make_cell((0, 0, 0, digit, 0, 0), 6, 6, 1)(inputs).any()
    torch.manual_seed(0)
    network = MACRO.build("64-1114-basic", 4)
    entered = []
    network.classifier.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    images = torch.randn(2, 3, 32, 32)
    network.eval()(images)
    torch.testing.assert_close(entered[0], network.encoder(images).mean(dim=(2, 3)))
    assert (entered[0] < 0).any()


@pytest.mark.parametrize("side", [4, 5])
def test_factorized_reduce_reads_even_and_odd_positions(side):
    reduce = FactorizedReduction(1, 2).eval()
    nn.init.ones_(reduce.even.weight)
    nn.init.ones_(reduce.odd.weight)
    inputs = torch.arange(-2.0, side**2 - 2).view(1, 1, side, side)
    active = inputs.clamp(min=0)
    padded = nn.functional.pad(active, (0, 1, 0, 1))
    odd = padded[:, :, 1::2, 1::2]
    expected = torch.cat([active[:, :, ::2, ::2], odd], dim=1)
    torch.testing.assert_close(reduce(inputs), expected / math.sqrt(1 + reduce.batch_norm.eps))


@pytest.mark.parametrize(("channels", "stride", "side"), [((6, 6), 1, 5), ((6, 12), 2, 3)])
def test_none_edges_keep_gradients_as_zeros(channels, stride, side):
    inputs = torch.rand(2, 6, 5, 5, requires_grad=True)
    output = make_cell((0,) * 6, *channels, stride)(inputs)
    assert output.shape == (2, channels[1], side, side)
    assert not output.any()
    output.sum().backward()
    assert not inputs.grad.any()


@pytest.mark.parametrize("name", SPACES)
def test_convolutions_start_from_the_published_initialisation(name):
    torch.manual_seed(0)
    network = SPACES[name].build({"micro": "64-41414-3_00_200", "macro": "64-3114-basic"}[name])
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            expected = math.sqrt(2 / (layer.out_channels * layer.kernel_size[0] ** 2))
            # Five standard errors of a sample's standard deviation.
            assert layer.weight.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * layer.weight.numel()))
        elif isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()
    bound = 1 / math.sqrt(network.classifier.in_features)
    assert 0.99 * bound < network.classifier.weight.abs().max() <= bound


@pytest.mark.parametrize("name", SPACES)
def test_networks_can_be_scored(name):
    network = SPACES[name].build(LIGHT[name])
    proxies = ["snip", "synflow", "tcet_snip", "params"]
    scores = nbnas.score(network, proxies, input_shape=(2, 3, 64, 64))
    assert (scores["status"] == "ok").all()
    assert scores.value["params"] == SPACES[name].params(LIGHT[name])


def test_networks_with_tiles_can_be_scored():
    network = MICRO.build_for("64-41414-1_00_110", "jigsaw")
    scores = nbnas.score(network, ["snip", "synflow"], input_shape=(2, 27, 64, 64))
    assert (scores["status"] == "ok").all()


# ------------------------------------------------------------------------------------------------- trained accuracies


def made_up_table(name):
    parse = {"micro": parse_cell, "macro": parse_modules}[name]
    space = SPACES[name]
    columns = {f"{task}_val": np.linspace(place, 50, len(space)).round(4) for place, task in enumerate(TASKS)}
    return pd.DataFrame({"arch": [str(parse(arch)) for arch in space], **columns})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("source", ["auto", "csv"])
@pytest.mark.parametrize("name", SPACES)
def test_table_is_read_under_the_strings_of_the_space(folder, name, source):
    table = made_up_table(name)
    table.to_csv(folder / f"transnasbench101_{name}.csv.gz", index=False)
    benchmark = load_benchmark(f"transnasbench101_{name}", source)
    assert benchmark.source == "csv"
    assert "validation metric of NASLib's result files" in benchmark.description
    assert benchmark.archs == list(SPACES[name])
    assert list(benchmark.table) == list(table)
    for task in TASKS:
        assert benchmark.accuracy(task).tolist() == table[f"{task}_val"].tolist()
    with pytest.raises(NbnasError, match="cifar10 test accuracies are not in source 'csv': it has class_scene"):
        benchmark.accuracy("cifar10")


@pytest.mark.parametrize("name", SPACES)
def test_absent_table_is_an_error_that_says_where_to_put_it(folder, monkeypatch, name):
    message = f"set NBNAS_DATA to a folder with transnasbench101_{name}.csv.gz$"
    with pytest.raises(NbnasError, match=message):
        load_benchmark(f"transnasbench101_{name}")
    monkeypatch.delenv("NBNAS_DATA")
    with pytest.raises(NbnasError, match=message):
        load_benchmark(f"transnasbench101_{name}")
    with pytest.raises(NbnasError, match=r"unknown source 'nats' of .* accuracies; choose from auto, csv"):
        load_benchmark(f"transnasbench101_{name}", "nats")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda table: table.drop(columns=["jigsaw_val"]), "lacks the columns jigsaw_val"),
        (lambda table: table.iloc[:-1], "does not list the 3,256 architectures"),
        (lambda table: table.iloc[::-1], "does not list the 3,256 architectures .* in lexicographic order"),
        (lambda table: table.assign(arch=list(MACRO)), "does not list the 3,256 architectures"),
        (lambda table: table.assign(normal_val="high"), "without a number in column normal_val"),
        (lambda table: table.assign(normal_val=table.normal_val.mask(table.index == 7)), "without a number in column"),
    ],
    ids=["column missing", "row missing", "other order", "other spelling", "words", "gap"],
)
def test_foreign_table_is_a_one_line_error(folder, damage, message):
    path = folder / "transnasbench101_macro.csv.gz"
    damage(made_up_table("macro")).to_csv(path, index=False)
    with pytest.raises(NbnasError, match=message) as caught:
        load_benchmark("transnasbench101_macro")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(b"", mtime=0), gzip.compress(b"arch\n" * 99, mtime=0)[:-9]]
)
def test_damaged_table_is_a_one_line_error(folder, content):
    path = folder / "transnasbench101_micro.csv.gz"
    path.write_bytes(content)
    with pytest.raises(NbnasError, match=r"cannot be read as a gzipped csv: \w") as caught:
        load_benchmark("transnasbench101_micro")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@needs_data
@pytest.mark.parametrize("name", SPACES)
def test_rows_of_the_published_table_are_the_space(name):
    path = nbnas.machine.paths.user_data_file(f"transnasbench101_{name}.csv.gz")
    if path is None:
        pytest.skip("NBNAS_DATA names a folder without the table")
    published = pd.read_csv(path)
    strings = {"micro": "64-41414-{}_{}{}_{}{}{}", "macro": "64-{}-basic"}
    archs = [ast.literal_eval(row) for row in published["arch"]]
    expected = [strings[name].format(*(digits if name == "micro" else ["".join(map(str, digits))])) for digits in archs]
    benchmark = load_benchmark(f"transnasbench101_{name}")
    assert expected == benchmark.archs == list(SPACES[name])
    for task in TASKS:
        assert np.array_equal(benchmark.accuracy(task), published[f"{task}_val"])


@needs_data
def test_cells_without_a_path_share_one_accuracy():
    if nbnas.machine.paths.user_data_file("transnasbench101_micro.csv.gz") is None:
        pytest.skip("NBNAS_DATA names a folder without the table")
    benchmark = load_benchmark("transnasbench101_micro")
    without = np.setdiff1d(MICRO.subset("all"), MICRO.subset("live"))
    assert len(without) == 169
    for task, value in {"class_scene": 7.484, "class_object": 26.548, "jigsaw": 0.0498}.items():
        assert set(benchmark.accuracy(task)[without].round(4 if task == "jigsaw" else 3)) == {value}
        assert len(set(benchmark.accuracy(task)[without])) == 1
    assert len(benchmark.table.drop(columns="arch").drop_duplicates()) == 2_994
