"""The NAS-Bench-101 space: records, network, string, pruning, isomorphism, sampling, the table of accuracies."""

import ast
import hashlib
import itertools
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import nbnas
from nbnas.benchmarks.naslib import nasbench101_cell
from nbnas.errors import NbnasError
from nbnas.spaces.nasbench101 import CellModule, module_hash, parse_cell, vertex_channels

SPACE = nbnas.get_space("nasbench101")
POOL, CONV1, CONV3 = "maxpool3x3", "conv1x1-bn-relu", "conv3x3-bn-relu"

EMPTY = "input,output:0-1"
CHAIN = f"input,{CONV3},output:0-1,1-2"
PARALLEL = f"input,{CONV3},{CONV1},{POOL},output:0-1,0-2,0-3,1-4,2-4,3-4"
FED = f"input,{CONV1},{POOL},{CONV3},output:0-1,0-2,0-4,1-2,1-3,2-4,3-4"
"""Vertex 1 feeds 2 and 3, which share the output; the input reaches vertices 1 and 2 and the output."""

RECORDS = {
    EMPTY: (882_570, 140_416_000),
    f"input,{CONV1},output:0-1,1-2": (1_920_138, 293_475_328),
    f"input,{POOL},output:0-1,1-2": (882_570, 146_609_152),
    CHAIN: (10_177_674, 1_501_434_880),
    f"input,{CONV3},output:0-1,0-2,1-2": (11_051_402, 1_637_716_992),
    PARALLEL: (2_040_231, 313_456_000),
}
"""Cell -> parameters and operations of published records."""

CODES = (
    *(0, 0, 1, 1, 0, 0, 0),
    *(0, 0, 0, 0, 1, 0, 1),
    *(0, 0, 0, 1, 0, 1, 1),
    *(0, 0, 0, 0, 1, 0, 0),
    *(0, 0, 0, 0, 0, 1, 1),
    *(0, 0, 0, 0, 0, 0, 0),
    *(0, 0, 0, 0, 0, 0, 0),
    *(0, 4, 2, 3, 4, 2, 1),
)
"""A cell in NASLib's notation; nothing reaches vertex 1, and vertex 5 leads nowhere."""
CODES_CELL = f"input,{POOL},{CONV1},{CONV3},output:0-1,0-2,1-2,1-4,2-3,3-4"

pairs = list(itertools.combinations(range(7), 2))
raw_cells = st.tuples(
    st.lists(st.sampled_from([POOL, CONV1, CONV3]), min_size=5, max_size=5), st.sets(st.sampled_from(pairs))
).map(lambda drawn: f"input,{','.join(drawn[0])},output:{','.join(f'{s}-{t}' for s, t in drawn[1])}")
cells = st.integers(0, 2**32).map(lambda seed: SPACE.sample(np.random.default_rng(seed)))


# ------------------------------------------------------------------------------------------------------------ records


@pytest.mark.parametrize(("arch", "costs"), RECORDS.items(), ids=range(len(RECORDS)))
def test_costs_equal_published_records(arch, costs):
    assert (SPACE.params(arch), SPACE.flops(arch)) == costs
    with torch.device("meta"):
        network = SPACE.build(arch)
    assert sum(parameter.numel() for parameter in network.parameters()) == costs[0]


def test_notation_of_naslib_is_read_and_pruned():
    assert nasbench101_cell(CODES) == CODES_CELL


@settings(max_examples=20)
@given(arch=cells, num_classes=st.integers(1, 20), channels=st.integers(5, 9))
def test_parameter_formula_equals_the_network(arch, num_classes, channels):
    with torch.device("meta"):
        network = SPACE.build(arch, num_classes, channels=channels)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert SPACE.params(arch, num_classes, channels=channels) == counted


# ----------------------------------------------------------------------------------------------------------- channels


def test_first_vertices_get_the_rest_of_the_channels():
    graph = parse_cell(PARALLEL)
    assert vertex_channels(graph, 128) == {1: 43, 2: 43, 3: 42, 4: 128}
    assert vertex_channels(graph, 256) == {1: 86, 2: 85, 3: 85, 4: 256}
    assert vertex_channels(graph, 512) == {1: 171, 2: 171, 3: 170, 4: 512}


def test_other_vertices_are_as_wide_as_the_widest_that_they_feed():
    assert vertex_channels(parse_cell(EMPTY), 128) == {1: 128}
    assert vertex_channels(parse_cell(FED), 129) == {1: 65, 2: 65, 3: 64, 4: 129}
    chain = f"input,{POOL},{POOL},{POOL},{POOL},output:0-1,1-2,2-3,2-4,3-5,4-5"
    assert vertex_channels(parse_cell(chain), 7) == {1: 4, 2: 4, 3: 4, 4: 3, 5: 7}


@given(arch=cells)
def test_channels_add_up_and_never_grow_along_an_edge(arch):
    graph = parse_cell(arch)
    widths = vertex_channels(graph, 128)
    if graph.interior:
        assert sum(widths[vertex] for vertex in graph.concatenated) == 128
    for source, target in graph.edges:
        if source > 0 and target < graph.output:
            assert widths[source] >= widths[target]


def test_cell_that_has_too_few_channels_is_refused():
    for method in (SPACE.build, SPACE.params, SPACE.flops):
        with pytest.raises(NbnasError, match="3 vertices cannot share 2 channels"):
            method(PARALLEL, channels=2)


# ------------------------------------------------------------------------------------------------------------ network


@pytest.mark.parametrize("arch", [*RECORDS, FED, CODES_CELL], ids=range(len(RECORDS) + 2))
@pytest.mark.parametrize(("num_classes", "resolution"), [(10, 32), (3, 4)])
def test_network_maps_images_to_logits(arch, num_classes, resolution):
    network = SPACE.build(arch, num_classes, channels=8)
    assert network(torch.zeros(2, 3, resolution, resolution)).shape == (2, num_classes)


@settings(max_examples=40)
@given(arch=cells)
def test_every_sample_runs(arch):
    with torch.device("meta"):
        assert CellModule(parse_cell(arch), 5, 7)(torch.zeros(2, 5, 3, 3)).shape == (2, 7, 3, 3)


def test_order_of_the_parameters():
    expected = [(4, 3, 3, 3), (4,), (4,)]
    for stack, width in enumerate((4, 8, 16)):
        for place in range(3):
            before = width // 2 if stack and not place else width
            half = width // 2
            # Vertex 1, vertex 3 (vertex 2 has no weights), then the projections to vertices 1, 2 and the output.
            shapes = [(half, half, 1, 1), (half, half, 3, 3)]
            shapes += [(half, before, 1, 1), (half, before, 1, 1), (width, before, 1, 1)]
            expected += [tensor for shape in shapes for tensor in (shape, shape[:1], shape[:1])]
    expected += [(10, 16), (10,)]
    network = SPACE.build(FED, channels=4)
    assert [tuple(parameter.shape) for parameter in network.parameters()] == expected


def test_layers_are_convolution_norm_activation():
    network = SPACE.build(PARALLEL, channels=8)
    leaves = [type(module) for module in network.modules() if not list(module.children())]
    for first, second, third in zip(leaves, leaves[1:], leaves[2:], strict=False):
        if first is nn.Conv2d:
            assert (second, third) == (nn.BatchNorm2d, nn.ReLU)
    assert all(module.affine for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    assert all(module.bias is None for module in network.modules() if isinstance(module, nn.Conv2d))


def test_weights_are_drawn_as_published():
    torch.manual_seed(0)
    network = SPACE.build(CHAIN, channels=32)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] ** 2 * module.out_channels
            standard = module.weight.detach() * (fan_out / 2) ** 0.5
            error = 5 * standard.numel() ** -0.5
            assert standard.std().item() == pytest.approx(1, abs=error)
            assert abs(standard.mean()) < error
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
    assert network.classifier.weight.std().item() == pytest.approx(0.01, rel=0.15)
    assert (network.classifier.bias == 0).all()


def plain(module):
    """Replace projections and convolutions by the first channels of their input, repeated if there are too few."""

    class Cut(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.channels = channels

        def forward(self, inputs):
            return inputs.repeat(1, self.channels, 1, 1)[:, : self.channels]

    for children in (module.operations._modules, module.projections._modules):
        for name, child in children.items():
            if isinstance(child, nn.Sequential):
                children[name] = Cut(child[0].out_channels)
    return module


def test_vertices_sum_the_first_channels_and_the_output_concatenates():
    # Channels 1, 2, 3: vertices 2 and 3 have 2 and 1, vertex 1 has 2 as its widest successor.
    module = plain(CellModule(parse_cell(FED), 3, 3))
    assert module.widths == {1: 2, 2: 2, 3: 1, 4: 3}
    inputs = torch.tensor([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1)
    # Vertex 1 = (1, 10); vertex 2 = vertex 1 + projection = (2, 20); vertex 3 = (1); output = (2, 20, 1) + input.
    assert module(inputs).flatten().tolist() == [3.0, 30.0, 101.0]


def test_input_is_projected_even_to_equal_channels():
    assert list(CellModule(parse_cell(CHAIN), 4, 4).projections) == ["1"]
    assert list(CellModule(parse_cell(EMPTY), 4, 4).projections) == ["1"]
    assert list(CellModule(parse_cell(FED), 4, 4).projections) == ["1", "2", "4"]


def test_proxies_score_the_network():
    network = SPACE.build(FED, channels=8)
    scores = nbnas.score(network, ["snip", "synflow", "tcet_snip"], input_shape=(2, 3, 32, 32))
    assert np.isfinite(scores.value).all()
    assert (scores.value > 0).any()


# ----------------------------------------------------------------------------------------------- the string and pruning


def live_vertices(count, edges):
    """Enumerate all paths from first to last vertex."""
    live = set()
    paths = [[0]]
    while paths:
        path = paths.pop()
        if path[-1] == count - 1:
            live.update(path)
        paths += [[*path, target] for source, target in edges if source == path[-1]]
    return sorted(live)


@given(arch=raw_cells)
def test_normalising_equals_enumeration_of_paths(arch):
    names, _, connections = arch.partition(":")
    names = names.split(",")
    edges = [tuple(map(int, text.split("-"))) for text in connections.split(",") if text]
    live = live_vertices(7, edges)
    kept = sorted((live.index(s), live.index(t)) for s, t in edges if s in live and t in live)
    if not live or len(kept) > 9:
        with pytest.raises(NbnasError, match="no path" if not live else f"at most 9 edges, got {len(kept)}"):
            SPACE.normalise(arch)
        return
    expected = f"{','.join(names[vertex] for vertex in live)}:{','.join(f'{s}-{t}' for s, t in kept)}"
    assert SPACE.normalise(arch) == expected
    assert SPACE.normalise(expected) == expected


def test_white_space_around_and_order_of_edges_do_not_matter():
    assert SPACE.normalise(f" input,{CONV3},output:1-2,0-1\n") == CHAIN


MALFORMED = {
    "no edges": (f"input,{POOL},output", "must read 'operations:edges'"),
    "no path": (f"input,{POOL},{POOL},output:0-1,2-3", "no path leads from input to output"),
    "empty edges": ("input,output:", "no path leads from input to output"),
    "loop": (f"input,{POOL},output:0-1,1-1,1-2", "edges must lead to a later vertex, got 1-1"),
    "backward edge": (f"input,{POOL},{POOL},output:0-1,2-1,1-3", "edges must lead to a later vertex, got 2-1"),
    "edge twice": (f"input,{POOL},output:0-1,1-2,0-1", "edge 0-1 occurs twice"),
    "no such vertex": (f"input,{POOL},output:0-1,1-3", "vertices s, t from 0 to 2, got '1-3'"),
    "negative vertex": (f"input,{POOL},output:0--1", "vertices s, t from 0 to 2, got '0--1'"),
    "one number": (f"input,{POOL},output:0-1,1", "vertices s, t from 0 to 2, got '1'"),
    "last comma": (f"input,{POOL},output:0-1,1-2,", "vertices s, t from 0 to 2, got ''"),
    "unknown operation": ("input,conv5x5,output:0-1,1-2", "vertex 1 has unknown operation 'conv5x5'; choose from max"),
    "dead unknown operation": ("input,none,output:0-2", "vertex 1 has unknown operation 'none'"),
    "second input": ("input,input,output:0-1,1-2", "vertex 1 has unknown operation 'input'"),
    "no input": (f"{POOL},output:0-1", "the first vertex must be 'input' and the last 'output'"),
    "no output": (f"input,{POOL}:0-1", "the first vertex must be 'input' and the last 'output'"),
    "one vertex": ("input:", "the first vertex must be 'input' and the last 'output'"),
    "eight vertices": (
        f"input,{','.join([POOL] * 6)},output:{','.join(f'{v}-{v + 1}' for v in range(7))}",
        "at most 7 vertices, got 8 after pruning",
    ),
    "ten edges": (
        f"input,{POOL},{POOL},{POOL},output:{','.join(f'{s}-{t}' for s, t in itertools.combinations(range(5), 2))}",
        "at most 9 edges, got 10 after pruning",
    ),
    "empty string": ("", "must read 'operations:edges'"),
    "None": (None, "is a string, got NoneType"),
    "tuple": (CODES, "is a string, got tuple"),
}


@pytest.mark.parametrize(("arch", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_cell_is_refused_and_named(arch, message):
    assert SPACE.is_valid(arch) is False
    for method in (SPACE.normalise, SPACE.canonical, SPACE.build, SPACE.params, SPACE.flops):
        with pytest.raises(NbnasError, match=message):
            method(arch)


def test_limits_hold_after_pruning():
    dead = ",".join([POOL] * 8)
    edges = ",".join(f"{source}-{target}" for source, target in itertools.combinations(range(1, 7), 2))
    assert SPACE.normalise(f"input,{dead},output:{edges},0-9") == EMPTY


# -------------------------------------------------------------------------------------------------------- isomorphism


@given(arch=cells, seed=st.integers(0, 2**32))
def test_order_of_the_vertices_does_not_change_the_canonical_form(arch, seed):
    graph = parse_cell(arch)
    order = [0, *np.random.default_rng(seed).permutation(graph.interior).astype(int).tolist(), graph.output]
    edges = [(order.index(source), order.index(target)) for source, target in graph.edges]
    assume(all(source < target for source, target in edges))
    names = ",".join(graph.operations[vertex] for vertex in order)
    other = f"{names}:{','.join(f'{source}-{target}' for source, target in edges)}"
    assert SPACE.canonical(other) == SPACE.canonical(arch)


@given(arch=cells)
def test_canonical_form_is_a_cell_of_its_class(arch):
    canonical = SPACE.canonical(arch)
    assert SPACE.normalise(canonical) == SPACE.canonical(canonical) == canonical
    ours, theirs = parse_cell(arch), parse_cell(canonical)
    assert Counter(ours.operations) == Counter(theirs.operations)
    degrees = [
        Counter(
            (graph.operations[v], sum(s == v for s, _ in graph.edges), sum(t == v for _, t in graph.edges))
            for v in range(graph.output + 1)
        )
        for graph in (ours, theirs)
    ]
    assert degrees[0] == degrees[1]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (f"input,{POOL},{CONV3},output:0-1,0-2,1-3,2-3", f"input,{CONV3},{POOL},output:0-1,0-2,1-3,2-3", True),
        (f"input,{POOL},{CONV3},output:0-1,1-2,2-3", f"input,{CONV3},{POOL},output:0-1,1-2,2-3", False),
        (f"input,{POOL},{CONV3},output:0-1,0-2,2-3", f"input,{CONV3},{CONV1},output:0-1,0-2,1-3", True),
        (f"input,{POOL},{POOL},output:0-1,0-2,1-3,2-3", f"input,{POOL},output:0-1,1-2", False),
    ],
    ids=["parallel", "order on a path", "dead vertex", "one or two"],
)
def test_canonical_form_of_pairs(first, second, same):
    assert (SPACE.canonical(first) == SPACE.canonical(second)) is same


def test_cells_of_one_class_can_differ_in_size():
    other = f"input,{POOL},{CONV1},{CONV3},output:0-1,0-2,0-3,1-4,2-4,3-4"
    assert SPACE.canonical(other) == SPACE.canonical(PARALLEL)
    assert SPACE.params(other) < SPACE.params(PARALLEL)


# -------------------------------------------------------------------------------------------------- sample and mutate


def test_samples_have_the_sizes_of_the_published_sample():
    rng = np.random.default_rng(0)
    drawn = [SPACE.sample(rng) for _ in range(5_000)]
    assert all(SPACE.normalise(arch) == arch for arch in set(drawn))
    sizes = Counter(len(parse_cell(arch).operations) for arch in drawn)
    published = {2: 55, 3: 90, 4: 130, 5: 164, 6: 60, 7: 1}
    for size, count in published.items():
        # Four standard deviations of the 500 published draws and of ours.
        share = count / 500
        assert sizes[size] / 5_000 == pytest.approx(share, abs=4 * (share * (1 - share) * (1 / 500 + 1 / 5_000)) ** 0.5)
    labels = Counter(name for arch in drawn for name in parse_cell(arch).operations[1:-1])
    assert set(labels) == {POOL, CONV1, CONV3}
    assert max(labels.values()) < 1.1 * min(labels.values())


@given(arch=cells, seed=st.integers(0, 2**32))
def test_mutation_is_another_valid_cell(arch, seed):
    mutant = SPACE.mutate(arch, np.random.default_rng(seed))
    assert SPACE.normalise(mutant) == mutant
    assert mutant != arch


def test_mutation_accepts_unpruned_cells():
    rng = np.random.default_rng(0)
    raw = f"input,{POOL},output:0-1,0-2"
    assert all(SPACE.mutate(raw, rng) not in (raw, EMPTY) for _ in range(50))


def test_mutations_grow_and_shrink_cells_and_change_operations():
    rng = np.random.default_rng(0)
    from_empty = [parse_cell(SPACE.mutate(EMPTY, rng)) for _ in range(200)]
    assert max(len(graph.operations) for graph in from_empty) > 3
    from_chain = {SPACE.mutate(CHAIN, rng) for _ in range(400)}
    neighbours = {f"input,{CONV1},output:0-1,1-2", f"input,{POOL},output:0-1,1-2", f"input,{CONV3},output:0-1,0-2,1-2"}
    assert neighbours <= from_chain
    assert EMPTY in {SPACE.mutate(f"input,{CONV3},output:0-1,0-2,1-2", rng) for _ in range(200)}


@pytest.mark.parametrize("method", ["sample", "mutate"])
def test_random_choices_come_from_the_generator_alone(method):
    arguments = (FED,) if method == "mutate" else ()
    runs = []
    for global_seed in (1, 2):
        np.random.seed(global_seed)  # noqa: NPY002
        rng = np.random.default_rng(9)
        runs.append([getattr(SPACE, method)(*arguments, rng) for _ in range(20)])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 5


# ------------------------------------------------------------------------------------------------------------ the hash


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (EMPTY, "043721b9c7fe8c5fad811d47d83132ec"),
        (CHAIN, "b49ac8c578b4561d79ac7087988f1c61"),
        (PARALLEL, "ce9bc2765d63f261e5ad257382c09e92"),
    ],
)
def test_hash_equals_that_of_a_record(cell, expected):
    assert module_hash(parse_cell(cell)) == expected


def hash_from_matrix(matrix, labels):
    """The hash, from the matrix of edges, source by target, and the numbers of the labels."""

    def digest(text):
        return hashlib.md5(text.encode()).hexdigest()

    size, leaving, entering = len(labels), matrix.sum(axis=1).tolist(), matrix.sum(axis=0).tolist()
    hashes = np.array([digest(str(triple)) for triple in zip(leaving, entering, labels, strict=True)], dtype=object)
    for _ in range(size):
        texts = []
        for vertex in range(size):
            sources, targets = sorted(hashes[matrix[:, vertex]]), sorted(hashes[matrix[vertex]])
            texts.append("|".join(["".join(sources), "".join(targets), hashes[vertex]]))
        hashes = np.array([digest(text) for text in texts], dtype=object)
    return digest(str(sorted(hashes.tolist())))


@given(cells)
def test_hash_equals_that_from_the_matrix(cell):
    graph = parse_cell(cell)
    matrix = np.zeros((len(graph.operations),) * 2, dtype=bool)
    for edge in graph.edges:
        matrix[edge] = True
    numbers = {"input": -1, "output": -2, CONV3: 0, CONV1: 1, POOL: 2}
    assert module_hash(graph) == hash_from_matrix(matrix, [numbers[name] for name in graph.operations])
    assert module_hash(graph) == module_hash(parse_cell(SPACE.canonical(cell)))


def test_hash_and_parameters_of_recorded_cells(data_folder):
    records = pd.read_csv(data_folder / "nasbench101_cells_1k.csv.gz")
    assert len(records) == 1_000
    assert [module_hash(parse_cell(cell)) for cell in records["arch"]] == records["module_hash"].tolist()
    assert [SPACE.params(cell) for cell in records["arch"]] == records["params"].tolist()


# ------------------------------------------------------------------------------------------------------ the accuracies


@pytest.fixture(scope="module")
def benchmark():
    if not os.environ.get("NBNAS_DATA"):
        pytest.skip("NBNAS_DATA is not set; it names the folder that holds nasbench101_subset.csv.gz")
    return nbnas.load_benchmark("nasbench101")


def test_table_holds_the_records_in_the_order_of_the_file(benchmark):
    file = pd.read_csv(Path(os.environ["NBNAS_DATA"]) / "nasbench101_subset.csv.gz")
    assert len(file) == 500
    assert benchmark.archs == [nasbench101_cell(ast.literal_eval(codes)) for codes in file["arch"]]
    assert all(SPACE.normalise(arch) == arch for arch in benchmark.archs)
    pd.testing.assert_frame_equal(benchmark.table.drop(columns="arch"), file.drop(columns="arch"))
    assert benchmark.accuracy("cifar10").tolist() == file["cifar10_val"].tolist()
    assert "one random training run" in benchmark.description


def test_number_of_distinct_cells(benchmark):
    counts = Counter(SPACE.canonical(arch) for arch in benchmark.archs)
    assert len(counts) == 292
    assert counts[EMPTY] == 55
    sizes = Counter(len(parse_cell(arch).operations) for arch in benchmark.archs)
    assert sizes == {2: 55, 3: 90, 4: 130, 5: 164, 6: 60, 7: 1}


def test_cells_that_occur_again_can_have_another_accuracy(benchmark):
    rows = benchmark.table.assign(cell=[SPACE.canonical(arch) for arch in benchmark.archs])
    different = rows.groupby("cell")["cifar10_val"].nunique()
    assert different.max() == 3
    assert (different > 1).sum() == 35


def test_parameters_of_all_rows_equal_the_file(benchmark):
    recorded = (benchmark.table["params"] * 1e6).round().astype(int).tolist()
    assert [SPACE.params(arch) for arch in benchmark.archs] == recorded


def test_operations_of_some_rows_equal_the_file(benchmark):
    some = benchmark.table.drop_duplicates("arch").iloc[::30]
    assert [SPACE.flops(arch) for arch in some["arch"]] == (some["flops"] * 1e6).round().astype(int).tolist()


def write_table(folder, **changes):
    columns = {"arch": [str(CODES)], "cifar10_val": [90.0], "flops": [1.0], "params": [1.0]} | changes
    path = folder / "nasbench101_subset.csv.gz"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def test_table_in_the_data_folder_is_found(tmp_path, monkeypatch):
    write_table(tmp_path)
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    loaded = nbnas.load_benchmark("nasbench101")
    assert loaded.archs == [CODES_CELL]
    assert loaded.accuracy("cifar10").tolist() == [90.0]


@pytest.mark.parametrize("folder", [None, "empty"])
def test_absent_table_is_an_error_that_says_what_to_do(tmp_path, monkeypatch, folder):
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path)) if folder else monkeypatch.delenv("NBNAS_DATA", raising=False)
    with pytest.raises(NbnasError, match=r"set NBNAS_DATA to a folder with nasbench101_subset\.csv\.gz$"):
        nbnas.load_benchmark("nasbench101")


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (CODES[1:], "needs 56 numbers, got 55"),
        ((*[0] * 49, *CODES[49:]), "no path leads from input to output"),
        ((*CODES[:-1], 0), "the last 'output'"),
        ((*CODES[:50], 9, *CODES[51:]), "is not a NAS-Bench-101 architecture"),
    ],
    ids=["short", "no path", "no output", "unknown label"],
)
def test_damaged_row_is_a_one_line_error(tmp_path, monkeypatch, codes, message):
    path = write_table(tmp_path, arch=[str(codes)])
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    with pytest.raises(NbnasError, match=message) as caught:
        nbnas.load_benchmark("nasbench101")
    assert f"row 0 of {path}" in str(caught.value)
    assert "\n" not in str(caught.value)
