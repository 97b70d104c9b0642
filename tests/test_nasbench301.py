"""The DARTS space as NAS-Bench-301 is scored: records, network, string, sampling, the table of accuracies."""

import gzip
import os
import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import nbnas
from nbnas.benchmarks.naslib import nasbench301_architecture
from nbnas.errors import NbnasError
from nbnas.networks.layers import weight_layers
from nbnas.spaces.nasbench301 import OPERATIONS, Cell, CellShape, Edge, make_operation
from nbnas.spaces.parts import count

SPACE = nbnas.get_space("nasbench301")
NODES = (2, 3, 4, 5)

RECORDS = [
    (
        [
            [(0, 0), (1, 5), (1, 1), (0, 1), (1, 3), (0, 3), (1, 3), (3, 2)],
            [(1, 0), (0, 2), (1, 3), (0, 3), (3, 0), (0, 1), (2, 0), (3, 6)],
        ],
        856_298,
        153_499_136,
    ),
    (
        [
            [(0, 5), (1, 0), (2, 1), (0, 2), (3, 2), (0, 3), (1, 0), (3, 5)],
            [(1, 1), (0, 2), (0, 5), (1, 0), (0, 6), (2, 2), (4, 6), (0, 0)],
        ],
        673_834,
        126_252_544,
    ),
    (
        [
            [(1, 6), (0, 3), (1, 1), (0, 2), (3, 5), (1, 5), (0, 3), (2, 1)],
            [(1, 5), (0, 6), (1, 0), (0, 2), (1, 3), (0, 5), (3, 5), (0, 1)],
        ],
        885_674,
        156_210_688,
    ),
]
"""NASLib's notation of three published records, their parameters and operations."""


def cell(*nodes):
    """Four texts such as ``max_pool_3x3~0 skip_connect~1`` -> a cell."""
    return "+".join(f"|{node.replace(' ', '|')}|" for node in nodes)


def uniform_cell(operation, *, sources=("0", "1")):
    return cell(*[" ".join(f"{operation}~{source}" for source in sources)] * 4)


SKIPS = uniform_cell("skip_connect")
EXAMPLE = f"{cell('max_pool_3x3~0 dil_conv_5x5~1', *['skip_connect~0 sep_conv_3x3~2'] * 3)}//{SKIPS}"
TINY = {"channels": 4, "cells": 3}

operations = st.sampled_from(OPERATIONS)
cells = st.tuples(
    *(
        st.tuples(st.permutations(range(node)).map(lambda order: order[:2]), operations, operations).map(
            lambda drawn: f"|{drawn[1]}~{drawn[0][0]}|{drawn[2]}~{drawn[0][1]}|"
        )
        for node in NODES
    )
).map("+".join)
architectures = st.tuples(cells, cells).map("//".join)


def inputs_of(arch):
    """(operation, source) of the 16 edges, in the order of the string."""
    return [tuple(part.split("~")) for part in arch.replace("+", "").replace("//", "").split("|") if part]


# ------------------------------------------------------------------------------------------------------------ records


@given(seed=st.integers(0, 2**32), cells=st.integers(1, 9), resolution=st.sampled_from([4, 12, 32]))
def test_counts_equal_the_built_network(seed, cells, resolution):
    arch = SPACE.sample(np.random.default_rng(seed))
    with torch.device("meta"):
        network = SPACE.build(arch, 7, channels=4, cells=cells)
    flops = SPACE.flops(arch, resolution, 7, channels=4, cells=cells)
    assert flops == count(network, (3, resolution, resolution)).operations
    assert SPACE.weight_layers(arch, cells=cells) == len(weight_layers(network))
    assert SPACE.trainable_layers(arch, cells=cells) == len(list(network.parameters()))


@pytest.mark.parametrize(("pairs", "params", "flops"), RECORDS)
def test_costs_equal_published_records(pairs, params, flops):
    arch = nasbench301_architecture(pairs)
    assert SPACE.params(arch) == params
    assert SPACE.flops(arch) == flops
    with torch.device("meta"):
        network = SPACE.build(arch)
    assert sum(parameter.numel() for parameter in network.parameters()) == params


def test_notation_of_naslib_is_read_as_input_and_operation():
    assert nasbench301_architecture(RECORDS[0][0]) == (
        "|max_pool_3x3~0|dil_conv_3x3~1|+|avg_pool_3x3~0|avg_pool_3x3~1|+|sep_conv_3x3~0|sep_conv_3x3~1|"
        "+|sep_conv_3x3~1|skip_connect~3|//|skip_connect~0|max_pool_3x3~1|+|sep_conv_3x3~0|sep_conv_3x3~1|"
        "+|avg_pool_3x3~0|max_pool_3x3~3|+|max_pool_3x3~2|dil_conv_5x5~3|"
    )


@pytest.mark.parametrize(
    ("num_classes", "channels", "number"), [(10, 32, 8), (7, 4, 3), (3, 5, 1), (10, 6, 2), (2, 4, 11)]
)
def test_parameter_formula_equals_the_network(num_classes, channels, number):
    rng = np.random.default_rng(number)
    for _ in range(3):
        arch = SPACE.sample(rng)
        with torch.device("meta"):
            network = SPACE.build(arch, num_classes, channels=channels, cells=number)
        counted = sum(parameter.numel() for parameter in network.parameters())
        assert SPACE.params(arch, num_classes, channels=channels, cells=number) == counted


def test_counting_parameters_is_fast():
    start = time.process_time()
    for _ in range(10):
        SPACE.params(EXAMPLE)
    assert (time.process_time() - start) / 10 < 0.05


@pytest.mark.parametrize("resolution", [30, 33])
def test_resolution_that_cannot_be_halved_twice_is_refused(resolution):
    with pytest.raises(
        NbnasError, match=f"resolution must be divisible by 4, the product of the strides, got {resolution}"
    ):
        SPACE.flops(EXAMPLE, resolution)


# ------------------------------------------------------------------------------------------------------------ network


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("num_classes", "resolution"), [(10, 32), (3, 8)])
def test_network_maps_images_to_logits(operation, num_classes, resolution):
    arch = f"{uniform_cell(operation)}//{uniform_cell(operation)}"
    network = SPACE.build(arch, num_classes, **TINY)
    assert network(torch.zeros(2, 3, resolution, resolution)).shape == (2, num_classes)


@pytest.mark.parametrize(
    ("number", "reductions"), [(8, [2, 5]), (20, [6, 13]), (3, [1, 2]), (2, [0, 1]), (1, [0]), (4, [1, 2])]
)
def test_where_the_resolution_is_halved(number, reductions):
    network = SPACE.build(EXAMPLE, channels=2, cells=number)
    shapes = []
    for module in network.cells:
        module.register_forward_hook(lambda _, __, output: shapes.append(output.shape))
    network(torch.zeros(1, 3, 16, 16))
    halved = [sum(place <= index for place in reductions) for index in range(number)]
    assert shapes == [(1, 8 * 2**times, 16 // 2**times, 16 // 2**times) for times in halved]


def test_spellings_of_one_architecture_are_one_network():
    spelled = EXAMPLE.replace("|max_pool_3x3~0|dil_conv_5x5~1|", "|dil_conv_5x5~1|max_pool_3x3~0|")
    assert spelled != EXAMPLE
    networks = [SPACE.build(arch, **TINY) for arch in (spelled, EXAMPLE)]
    shapes = [[(name, parameter.shape) for name, parameter in network.named_parameters()] for network in networks]
    assert shapes[0] == shapes[1]


GENOTYPE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2), "
    "('max_pool_3x3', 3), ('sep_conv_5x5', 1), ('avg_pool_3x3', 0), ('sep_conv_3x3', 4)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1)] * 1 + [], reduce_concat=[2, 3, 4, 5])"
)


def test_a_printed_genotype_is_read():
    reduction = "[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), "
    reduction += "('skip_connect', 2), ('skip_connect', 3), ('skip_connect', 2), ('avg_pool_3x3', 0)]"
    text = GENOTYPE.replace("[('max_pool_3x3', 0), ('max_pool_3x3', 1)] * 1 + []", reduction)
    normal = "|sep_conv_3x3~0|sep_conv_3x3~1|+|skip_connect~0|dil_conv_3x3~2|+|sep_conv_5x5~1|max_pool_3x3~3|"
    normal += "+|avg_pool_3x3~0|sep_conv_3x3~4|"
    expected = "|max_pool_3x3~0|max_pool_3x3~1|+|max_pool_3x3~1|skip_connect~2|+|skip_connect~2|skip_connect~3|"
    expected += "+|avg_pool_3x3~0|skip_connect~2|"
    assert SPACE.normalise(text) == f"{normal}//{expected}"
    for wrong in (text.replace("(2, 6)", "(3, 6)"), GENOTYPE, text[:-20], text.replace("normal=", "other=")):
        with pytest.raises(NbnasError, match="genotype"):
            SPACE.normalise(wrong)


def test_order_of_the_parameters():
    def batch_norm(width):
        return [(width,), (width,)]

    def dilated(width):
        return [(width, 1, 5, 5), (width, width, 1, 1)]

    def separable(width):
        return [(width, 1, 3, 3), (width, width, 1, 1)] * 2

    def preprocessing(before, last, width, *, halved=False):
        first = [(width // 2, before, 1, 1)] * 2 if halved else [(width, before, 1, 1)]
        return [*first, *batch_norm(width), (width, last, 1, 1), *batch_norm(width)]

    halving_skip = [(4, 8, 1, 1), (4, 8, 1, 1)]
    expected = [
        *[(12, 3, 3, 3), *batch_norm(12)],
        *preprocessing(12, 12, 4),
        *dilated(4),
        *separable(4) * 3,
        # Cell 1 is the first reduction: skip connections of the inputs become convolutions.
        *preprocessing(12, 16, 8),
        *halving_skip * 8,
        *preprocessing(16, 32, 16, halved=True),
        *[(8, 16, 1, 1)] * 16,
        *[(10, 64), (10,)],
    ]
    network = SPACE.build(EXAMPLE, **TINY)
    assert [tuple(parameter.shape) for parameter in network.parameters()] == expected
    places = [name.split(".")[0] for name, _ in network.named_parameters()]
    assert list(dict.fromkeys(places)) == ["stem", "cells", "classifier"]


def test_only_stem_and_preprocessing_have_scales():
    with torch.device("meta"):
        network = SPACE.build(f"{uniform_cell('max_pool_3x3')}//{SKIPS}")
    norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for name, module in norms.items():
        assert module.affine == (".edges." not in name)
        assert module.track_running_stats
    # Stem; two inputs in each of 8 cells; 8 poolings in each normal cell, 8 halving skips in each reduction cell.
    assert len(norms) == 1 + 16 + 64


def test_convolutions_have_no_bias_and_drawn_weights_are_those_of_torch():
    torch.manual_seed(0)
    network = SPACE.build(EXAMPLE, **TINY)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert all(module.bias is None for module in convolutions)
    torch.manual_seed(0)
    assert torch.equal(network.stem[0].weight, nn.Conv2d(3, 12, 3, bias=False).weight)
    for module in convolutions:
        assert module.weight.abs().max() <= module.weight[0].numel() ** -0.5


def test_cell_is_the_concatenation_of_sums():
    nodes = [
        [Edge("skip_connect", 0), Edge("skip_connect", 1)],
        [Edge("skip_connect", 0), Edge("skip_connect", 2)],
        [Edge("skip_connect", 1), Edge("skip_connect", 3)],
        [Edge("skip_connect", 2), Edge("skip_connect", 4)],
    ]
    module = Cell(nodes, CellShape(before=2, last=2, width=2, reduces=False, follows_reduction=False))
    module.before = module.last = nn.Identity()
    first, second = torch.randn(2, 1, 2, 4, 4)
    # Node 2 = a + b, 3 = 2a + b, 4 = 2a + 2b, 5 = 3a + 3b.
    expected = torch.cat([first + second, 2 * first + second, 2 * (first + second), 3 * (first + second)], dim=1)
    torch.testing.assert_close(module(first, second), expected)


def test_only_edges_from_the_inputs_halve_the_resolution():
    nodes = [[Edge("avg_pool_3x3", 0), Edge("avg_pool_3x3", 1)]]
    nodes += [[Edge("avg_pool_3x3", 1), Edge("avg_pool_3x3", node)] for node in (2, 3, 4)]
    module = Cell(nodes, CellShape(before=2, last=2, width=2, reduces=True, follows_reduction=False))
    assert [edge[0].stride for edge in module.edges] == [2, 2, 2, 1, 2, 1, 2, 1]
    assert module(torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8)).shape == (1, 8, 4, 4)


def test_halving_skip_sees_every_second_pixel_from_two_corners():
    skip = make_operation("skip_connect", 2, 2).eval()
    with torch.no_grad():
        for convolution in (skip.even, skip.odd):
            convolution.weight.copy_(torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1))
    image = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(1, 2, 1, 1)
    expected = torch.tensor([[[[0.0, 2], [8, 10]], [[5, 7], [13, 15]]]])
    torch.testing.assert_close(skip(image), expected, rtol=1e-4, atol=1e-4)
    assert skip(-image).abs().max() == 0


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
def test_operations_keep_channels_and_set_resolution(operation, stride):
    assert make_operation(operation, 4, stride)(torch.zeros(2, 4, 8, 8)).shape == (2, 4, 8 // stride, 8 // stride)


def test_average_pooling_leaves_the_padding_out():
    pooling = make_operation("avg_pool_3x3", 2, 1)[0]
    torch.testing.assert_close(pooling(torch.ones(1, 2, 4, 4)), torch.ones(1, 2, 4, 4))


def test_proxies_score_the_network():
    network = SPACE.build(EXAMPLE, channels=8, cells=3)
    scores = nbnas.score(network, ["snip", "synflow", "tcet_snip"], input_shape=(2, 3, 32, 32))
    assert np.isfinite(scores.value).all()
    assert (scores.value > 0).any()


# --------------------------------------------------------------------------------------------------------- the string


@given(arch=architectures)
def test_normalising_sorts_the_inputs_and_no_more(arch):
    normal = SPACE.normalise(arch)
    assert SPACE.normalise(normal) == normal
    edges = inputs_of(normal)
    pairs, written = ([tuple(e[i : i + 2]) for i in range(0, 16, 2)] for e in (edges, inputs_of(arch)))
    assert all(first[1] < second[1] for first, second in pairs)
    assert [set(pair) for pair in pairs] == [set(pair) for pair in written]


def test_surrounding_white_space_is_ignored():
    assert SPACE.normalise(f" {EXAMPLE}\n") == EXAMPLE


NODE = "|skip_connect~0|skip_connect~1|"
MALFORMED = {
    "one cell": (SKIPS, "2 cells joined by '//', got 1"),
    "three cells": (f"{SKIPS}//{SKIPS}//{SKIPS}", "2 cells joined by '//', got 3"),
    "three nodes": (f"{SKIPS}//{NODE}+{NODE}+{NODE}", "the reduction cell must have 4 nodes joined by '\\+', got 3"),
    "five nodes": (f"{SKIPS}+{NODE}//{SKIPS}", "the normal cell must have 4 nodes joined by '\\+', got 5"),
    "no bar": (f"{SKIPS[:-1]}//{SKIPS}", "node 5 of the normal cell must be enclosed"),
    "lone bar": (f"|{SKIPS[len(NODE) :]}//{SKIPS}", "node 2 of the normal cell must be enclosed"),
    "one input": (
        f"{SKIPS}//|skip_connect~0|{SKIPS[len(NODE) :]}",
        "node 2 of the reduction cell needs 2 inputs",
    ),
    "three inputs": (f"{NODE}skip_connect~1|{SKIPS[len(NODE) :]}//{SKIPS}", "node 2 of the normal cell needs 2 inputs"),
    "equal inputs": (
        f"{SKIPS.replace('~1', '~0', 1)}//{SKIPS}",
        "the inputs of node 2 of the normal cell must differ",
    ),
    "input from itself": (f"{SKIPS.replace('~1', '~2', 1)}//{SKIPS}", "i from 0 to 1, got 'skip_connect~2'"),
    "negative input": (f"{SKIPS.replace('~0', '~-1', 1)}//{SKIPS}", "i from 0 to 1, got 'skip_connect~-1'"),
    "no input": (f"{SKIPS.replace('~0', '', 1)}//{SKIPS}", "must read 'operation~i'"),
    "unknown operation": (
        f"{SKIPS}//{SKIPS.replace('skip_connect', 'none', 1)}",
        "node 2 of the reduction cell has unknown operation 'none'; choose from max_pool_3x3",
    ),
    "empty string": ("", "2 cells joined by '//', got 1"),
    "None": (None, "is a string, got NoneType"),
    "pairs": (RECORDS[0][0], "is a string, got list"),
}


@pytest.mark.parametrize(("arch", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_architecture_is_refused_and_named(arch, message):
    assert SPACE.is_valid(arch) is False
    for method in (SPACE.normalise, SPACE.build, SPACE.params, SPACE.flops):
        with pytest.raises(NbnasError, match=message):
            method(arch)


# -------------------------------------------------------------------------------------------------- sample and mutate


def test_sample_is_uniform():
    rng = np.random.default_rng(0)
    drawn = [SPACE.sample(rng) for _ in range(2_000)]
    assert all(SPACE.normalise(arch) == arch for arch in drawn)
    edges = [inputs_of(arch) for arch in drawn]
    for place in range(16):
        names = Counter(edge[place][0] for edge in edges)
        # 286 expected of each of 7, standard deviation 16.
        assert len(names) == 7
        assert all(220 < times < 350 for times in names.values())
    for node in NODES:
        first = 2 * (node - 2)
        pairs = Counter((edge[first][1], edge[first + 1][1]) for edge in edges)
        expected = 2_000 / (node * (node - 1) / 2)
        assert len(pairs) == node * (node - 1) / 2
        assert all(abs(times - expected) < 5 * expected**0.5 for times in pairs.values())


@given(arch=architectures, seed=st.integers(0, 2**32))
def test_mutation_changes_one_operation_or_one_input(arch, seed):
    mutant = SPACE.mutate(arch, np.random.default_rng(seed))
    assert SPACE.normalise(mutant) == mutant
    before, after = inputs_of(SPACE.normalise(arch)), inputs_of(mutant)
    changed = [place for place in range(0, 16, 2) if before[place : place + 2] != after[place : place + 2]]
    assert len(changed) == 1
    old, new = (edges[changed[0] : changed[0] + 2] for edges in (before, after))
    operation_changed = [source for _, source in old] == [source for _, source in new]
    if operation_changed:
        assert sum(a != b for a, b in zip(old, new, strict=True)) == 1
    else:
        assert len({source for _, source in old} & {source for _, source in new}) == 1
        assert Counter(name for name, _ in old) == Counter(name for name, _ in new)
        assert len(set(old) & set(new)) == 1


def test_every_neighbour_can_be_reached():
    rng = np.random.default_rng(0)
    reached = Counter(SPACE.mutate(EXAMPLE, rng) for _ in range(3_000))
    # 6 other operations on 16 edges; 1, 2 and 3 free inputs for the two edges of nodes 3, 4 and 5 of both cells.
    assert len(reached) == 16 * 6 + 2 * 2 * (1 + 2 + 3)


# ------------------------------------------------------------------------------------------------------- the accuracies


@pytest.fixture(scope="module")
def benchmark():
    if not os.environ.get("NBNAS_DATA"):
        pytest.skip("NBNAS_DATA is not set; it names the folder that holds nasbench301_subset.csv.gz")
    return nbnas.load_benchmark("nasbench301")


def test_table_holds_the_records_in_the_order_of_the_file(benchmark):
    assert len(benchmark.archs) == len(set(benchmark.archs)) == 725
    assert benchmark.archs[:3] == [nasbench301_architecture(pairs) for pairs, _, _ in RECORDS]
    assert all(SPACE.normalise(arch) == arch for arch in benchmark.archs)
    accuracies = benchmark.accuracy("cifar10")
    assert accuracies.shape == (725,)
    assert 91 < accuracies.min() < accuracies.max() < 95
    assert "surrogate" in benchmark.description


def test_parameters_of_all_rows_equal_the_file(benchmark):
    recorded = (benchmark.table["params"] * 1e6).round().astype(int).tolist()
    assert [SPACE.params(arch) for arch in benchmark.archs] == recorded


def test_operations_of_all_rows_equal_the_file(benchmark):
    recorded = (benchmark.table["flops"] * 1e6).round().astype(int).tolist()
    assert [SPACE.flops(arch) for arch in benchmark.archs] == recorded


def write_table(folder, **changes):
    columns = {"arch": [str(RECORDS[0][0])], "cifar10_val": [90.0], "flops": [1.0], "params": [1.0]} | changes
    path = folder / "nasbench301_subset.csv.gz"
    pd.DataFrame({name: values for name, values in columns.items() if values}).to_csv(path, index=False)
    return path


def test_table_in_the_data_folder_is_found(tmp_path, monkeypatch):
    write_table(tmp_path)
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    for source in ("auto", "csv"):
        loaded = nbnas.load_benchmark("nasbench301", source)
        assert loaded.archs == [nasbench301_architecture(RECORDS[0][0])]
        assert loaded.accuracy("cifar10").tolist() == [90.0]
    with pytest.raises(NbnasError, match="cifar100 test accuracies are not in source 'csv'"):
        loaded.accuracy("cifar100")


@pytest.mark.parametrize("folder", [None, "empty"])
def test_absent_table_is_an_error_that_says_what_to_do(tmp_path, monkeypatch, folder):
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path)) if folder else monkeypatch.delenv("NBNAS_DATA", raising=False)
    with pytest.raises(NbnasError, match=r"set NBNAS_DATA to a folder with nasbench301_subset\.csv\.gz$"):
        nbnas.load_benchmark("nasbench301")


def test_unknown_source_is_refused():
    with pytest.raises(NbnasError, match="unknown source 'nats' of NAS-Bench-301 accuracies; choose from auto, csv"):
        nbnas.load_benchmark("nasbench301", "nats")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"params": None}, "lacks the columns params"),
        ({"cifar10_val": ["good"]}, "without a number in column cifar10_val"),
        ({"arch": ["[[(0, 0)]]"]}, "row 0 of .* is not a NAS-Bench-301 architecture"),
        ({"arch": [str(RECORDS[0][0]).replace("(1, 5)", "(0, 5)", 1)]}, "row 0 of .* must differ"),
        ({"arch": ["exit()"]}, "row 0 of .* is not a NAS-Bench-301 architecture"),
    ],
    ids=["no_column", "word", "short", "equal_inputs", "call"],
)
def test_damaged_table_is_a_one_line_error(tmp_path, monkeypatch, changes, message):
    path = write_table(tmp_path, **changes)
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    with pytest.raises(NbnasError, match=message) as caught:
        nbnas.load_benchmark("nasbench301")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not compressed", gzip.compress(b"a" * 1000, mtime=0)[:-8]])
def test_file_that_is_no_gzipped_csv_is_a_one_line_error(tmp_path, monkeypatch, content):
    path = tmp_path / "nasbench301_subset.csv.gz"
    path.write_bytes(content)
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    with pytest.raises(NbnasError, match="cannot be read as a gzipped csv") as caught:
        nbnas.load_benchmark("nasbench301")
    assert "\n" not in str(caught.value)
