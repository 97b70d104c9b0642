"""The NAS-Bench-Macro space and its accuracies: order, networks that are the same, sizes, the data file."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import nbnas
from nbnas.benchmarks import load_benchmark
from nbnas.errors import NbnasError
from nbnas.networks.layers import weight_layers
from nbnas.spaces.nasbench_macro import InvertedResidual

architectures = st.text("012", min_size=8, max_size=8)

RECORDS = {
    "00000000": (387_882, 7_713_280),
    "02012100": (890_666, 47_327_744),
    "11111111": (1_588_874, 53_246_464),
    "21012012": (1_994_922, 64_512_512),
    "22222222": (2_932_586, 105_660_928),
}
"""Architecture -> parameters, multiply-adds, as the benchmark lists them."""


@pytest.fixture(scope="module")
def macro():
    return nbnas.get_space("nasbench_macro")


@pytest.fixture(scope="module")
def macro_benchmark(data_folder):
    if not (data_folder / "nas_bench_macro_cifar10.json").exists():
        pytest.skip("NBNAS_DATA names a folder without nas_bench_macro_cifar10.json")
    return load_benchmark("nasbench_macro")


def count_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


# ------------------------------------------------------------------------------------------------------------- order


def test_indices_are_the_numbers_in_base_three(macro):
    assert len(macro) == len(set(macro)) == 6_561
    assert all(macro[int(arch, 3)] == arch and macro.index(arch) == int(arch, 3) for arch in macro)


def test_identities_behind_the_first_position_of_a_stage_have_no_place(macro):
    assert macro.network_form("01001001") == "01010010"
    assert macro.network_form("10012002") == "10012020"
    assert macro.network_form("20101202") == "20110220"
    unique = macro.subset("unique")
    assert len(unique) == 3_969 == len({macro.network_form(arch) for arch in macro})
    assert {macro[index] for index in unique} == {macro.network_form(arch) for arch in macro}


@given(arch=architectures)
def test_equal_networks_are_the_same_function(arch):
    """Same weights, drawn in the order of the layers, same logits: an identity takes none away."""
    space = nbnas.get_space("nasbench_macro")
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    logits = []
    for form in (arch, space.network_form(arch)):
        torch.manual_seed(3)
        with torch.no_grad():
            logits.append(space.build(form).eval()(images))
    torch.testing.assert_close(*logits)


# ------------------------------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize(("arch", "params", "flops"), [(arch, *sizes) for arch, sizes in RECORDS.items()])
def test_sizes_of_known_networks(macro, arch, params, flops):
    assert (macro.params(arch), macro.flops(arch)) == (params, flops)
    assert count_parameters(macro.build(arch)) == params


@given(arch=architectures, num_classes=st.integers(1, 200))
def test_parameters_are_those_of_the_built_network(arch, num_classes):
    space = nbnas.get_space("nasbench_macro")
    with torch.device("meta"):
        network = space.build(arch, num_classes)
    assert count_parameters(network) == space.params(arch, num_classes)
    assert len(weight_layers(network)) == space.weight_layers(arch)


@pytest.mark.parametrize("resolution", [16, 32])
def test_flops_are_the_counted_ones_without_the_bias(macro, resolution):
    for arch in ("02012100", "21012012"):
        shape = (1, 3, resolution, resolution)
        counted = nbnas.score(macro.build(arch), ["flops"], input_shape=shape)["value"].item()
        assert counted == macro.flops(arch, resolution) + 10


def test_odd_resolutions_are_refused(macro):
    with pytest.raises(NbnasError, match="resolution must be divisible by 8, the product of the strides, got 28"):
        macro.flops("00000000", 28)


# ---------------------------------------------------------------------------------------------------------- network


def test_shapes_and_order_of_the_layers(macro):
    network = macro.build("01200000", num_classes=7)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    first, second, third, *_ = network.operations
    assert [type(layer) for layer in first] == [nn.Conv2d, nn.BatchNorm2d]
    assert (first[0].kernel_size, first[0].stride) == ((1, 1), (2, 2))
    assert isinstance(second, InvertedResidual)
    assert second.residual
    assert not third.residual
    assert [layer.kernel_size[0] for layer in third.layers if isinstance(layer, nn.Conv2d)] == [1, 5, 1]
    assert third.layers[3].groups == 64 * 6
    assert isinstance(network.operations[3], nn.Identity)
    assert isinstance(third.layers[-1], nn.BatchNorm2d)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("0120", "has 8 digits, got 4 in '0120'"),
        ("012012012", "has 8 digits, got 9"),
        ("01301201", "position 3 has unknown operation '3' in '01301201'; choose from 0, 1, 2"),
        ("", "has 8 digits, got 0"),
        (12, "is a string, got int"),
    ],
)
def test_malformed_architectures_are_refused(macro, arch, message):
    assert not macro.is_valid(arch)
    for method in (macro.index, macro.build, macro.params, macro.flops, macro.network_form):
        with pytest.raises(NbnasError, match=message):
            method(arch)


@given(arch=architectures, seed=st.integers(0, 2**32))
def test_mutation_changes_one_digit(arch, seed):
    mutant = nbnas.get_space("nasbench_macro").mutate(arch, np.random.default_rng(seed))
    assert sum(a != b for a, b in zip(arch, mutant, strict=True)) == 1
    assert set(mutant) <= set("012")


# ---------------------------------------------------------------------------------------------------------- accuracy


def test_sizes_equal_all_records(macro, macro_benchmark):
    table = macro_benchmark.table
    assert table["arch"].tolist() == list(macro) == macro_benchmark.archs
    assert [macro.params(arch) for arch in macro] == table["params"].tolist()
    assert [macro.flops(arch) for arch in macro] == table["flops"].tolist()


def test_equal_networks_have_equal_records(macro, macro_benchmark):
    accuracy = macro_benchmark.accuracy("cifar10")
    assert (accuracy == accuracy[[macro.index(macro.network_form(arch)) for arch in macro]]).all()
    assert macro.network_form(macro[int(accuracy.argmax())]) == "22212220"
    assert macro[int(accuracy.argmin())] == "00000000"
    runs = macro_benchmark.table[[f"cifar10_test_run{run}" for run in (1, 2, 3)]]
    np.testing.assert_allclose(runs.mean(axis=1), accuracy)


def test_sizes_rank_as_published(macro_benchmark):
    """Table 3 of T-CET prints .56 and .22."""
    accuracy = macro_benchmark.accuracy("cifar10")
    assert nbnas.rankings.kendall_tau(macro_benchmark.table["flops"], accuracy) == pytest.approx(0.556, abs=5e-4)
    assert nbnas.rankings.kendall_tau(macro_benchmark.table["params"], accuracy) == pytest.approx(0.218, abs=5e-4)


def test_absent_file_says_what_to_do(monkeypatch, tmp_path):
    for folder in ("", str(tmp_path)):
        monkeypatch.setenv("NBNAS_DATA", folder)
        with pytest.raises(NbnasError, match="set NBNAS_DATA to a folder with nas_bench_macro"):
            load_benchmark("nasbench_macro")
    with pytest.raises(NbnasError, match="unknown source 'csv' of NAS-Bench-Macro accuracies; choose from auto, json"):
        load_benchmark("nasbench_macro", "csv")


@pytest.mark.parametrize("content", ["{", "[]", "{}", json.dumps({"00000000": {"test_acc": [1, 2]}})])
def test_damaged_file_is_refused(monkeypatch, tmp_path, content):
    (tmp_path / "nas_bench_macro_cifar10.json").write_text(content)
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    with pytest.raises(NbnasError, match="is not the file of NAS-Bench-Macro"):
        load_benchmark("nasbench_macro")
