"""NEAR, MeCo, Dextr, SWAP, ZiCo-BC and RoBoT against the values of released code on deterministic networks.

Weights, inputs and, where a method draws random numbers, those draws are given; tests/golden/newer_proxies.json has
what released code returns in float64. Of ZiCo-BC there is no code: its values follow from the formula.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_networks import golden_batch, golden_normal
from torch import nn

import nbnas
from nbnas.networks.eigenvalues import in_stacks
from nbnas.networks.layers import NORMALISATIONS
from nbnas.networks.recording import record as record_pass
from nbnas.proxies.dextr import bend, curvature, inverse_condition
from nbnas.proxies.meco import least_eigenvalue, sample_maps
from nbnas.proxies.near import effective_rank, layer_blocks
from nbnas.proxies.swap import activation_inputs, count_patterns, patterns, regularised
from nbnas.proxies.zico_bc import penalty

EMPTY_CELL = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
QUICK_CELLS = ("|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|", None)


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, stride=4)
        self.norm1 = nn.LayerNorm(12)
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.norm2 = nn.LayerNorm(12)
        self.mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.head = nn.Linear(12, 5)

    def forward(self, inputs):
        tokens = self.patches(inputs).flatten(2).transpose(1, 2)
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed, normed)[0]
        tokens = tokens + self.mlp(self.norm2(tokens))
        return self.head(tokens.mean(1))


def tiny_conv():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, stride=2, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 5),
    )


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 20), nn.SiLU(), nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 5))


BUILD = {
    "tiny_conv": tiny_conv,
    "mlp": mlp,
    "transformer": Transformer,
    "nasbench201": lambda arch, classes: nbnas.get_space("nasbench201").build(arch, classes),
}


@cache
def records():
    return json.loads((Path(__file__).parent / "golden" / "newer_proxies.json").read_text())


def named(record):
    return f"{record['network']}-{record['dataset']}-{record['arch']}"


def network_of(record):
    """The network with its given weights, in train mode."""
    options = (record["arch"], record["num_classes"]) if record["arch"] else ()
    network = BUILD[record["network"]](*options).double()
    for number, (name, parameter) in enumerate(network.named_parameters()):
        owner = network.get_submodule(name.rpartition(".")[0])
        draws = golden_normal(1000 + number, parameter.shape)
        if name.endswith("weight") and isinstance(owner, nn.Conv2d | nn.Linear):
            draws = draws * np.sqrt(2 / parameter[0].numel())
        else:
            draws = 0.1 * draws + name.endswith("weight")
        parameter.data = draws
    return network


def inputs_of(record, samples=None):
    """The first batch, or as many samples of its stream."""
    return golden_normal(7, (samples or record["batch_size"], 3, record["resolution"], record["resolution"]))


NETWORKS = [
    pytest.param(
        record,
        id=named(record),
        marks=pytest.mark.slow if record["dataset"] == "cifar10" or record["arch"] not in QUICK_CELLS else (),
    )
    for record in records()
    if record["network"] != "robot"
]


def near_blocks(record, draw):
    """Layers with their blocks; a layer with fewer samples than units takes as many batches as it needs."""
    network, (classes, size) = network_of(record), (record["num_classes"], record["batch_size"])
    inputs = inputs_of(record)
    if record["network"] == "mlp":
        inputs = torch.cat([inputs, golden_batch(record, 1)[0]])
    _, layers = layer_blocks(network, inputs, draw)
    if record["network"] == "nasbench201" and size < classes:
        with torch.no_grad():
            logits = [network(golden_batch(record, number)[0]) for number in range(-(-classes // size))]
        layers[-1] = (layers[-1][0], torch.cat(logits)[:classes])
    return layers


@pytest.mark.parametrize("record", NETWORKS)
def test_near(record):
    if record["network"] == "transformer":
        pytest.skip("released code raises")
    values, layers = record["values"], near_blocks(record, lambda choices: 0)
    ranks = in_stacks(effective_rank, [matrix for _, matrix in layers])
    assert float(ranks.sum()) == pytest.approx(values["near_start0"], rel=1e-9)
    plain = torch.tensor([not isinstance(layer, NORMALISATIONS) for layer, _ in layers])
    assert float(ranks[plain].sum()) == pytest.approx(values["near_start0_without_norms"], rel=1e-9)
    if record["network"] != "mlp":  # Two batches at once leave another choice.
        draws = np.random.RandomState(0)
        layers = near_blocks(record, lambda choices: int(draws.randint(0, choices)))
        ranks = in_stacks(effective_rank, [matrix for _, matrix in layers])
        assert float(ranks.sum()) == pytest.approx(values["near_seed0"], rel=1e-9)


def is_leaf(module):
    return not any(module.children())


def first_sample_maps(record, sample=None):
    """Modules and maps; flattening is no module of the NAS-Bench-201 network that released code ran."""
    found = sample_maps(network_of(record), inputs_of(record)[:1] if sample is None else sample)[1]
    left_out = nn.Flatten if record["network"] == "nasbench201" else ()
    return zip(*((module, each) for module, each in found if not isinstance(module, left_out)), strict=True)


@pytest.mark.parametrize("record", NETWORKS)
def test_meco(record):
    values = record["values"]
    modules, maps = first_sample_maps(record)
    least = in_stacks(least_eigenvalue, maps)
    leaves = torch.tensor([is_leaf(module) for module in modules])
    if record["network"] != "transformer":
        convolutions = torch.tensor([isinstance(module, nn.Conv2d) for module in modules])
        assert len(modules) == values["meco_given_input_modules"]
        assert float(least.sum()) == pytest.approx(values["meco_given_input"], abs=1e-9 * len(modules))
        assert float(least[convolutions].sum()) == pytest.approx(values["meco_given_input_convolutions"], abs=1e-7)
    assert float(least[leaves].sum()) == pytest.approx(values["meco_given_input_leaves"], abs=1e-9 * len(modules))
    if record["network"] == "nasbench201":
        drawn = {
            "meco_opt_first8": lambda channels: range(8),
            "meco_opt_spread8": lambda channels: [j * channels // 8 for j in range(8)],
        }
        for key, channels in drawn.items():
            chosen = in_stacks(least_eigenvalue, [each[list(channels(len(each)))] for each in maps])
            weights = torch.tensor([len(each) / 8 for each in maps])
            assert float((weights * chosen).sum()) == pytest.approx(values[key], abs=1e-8 * len(modules)), key
    else:
        np.testing.assert_allclose(least[leaves], values["meco_given_input_leaf_values"], atol=1e-9)


@pytest.mark.parametrize("record", [each for each in NETWORKS if "meco_official" in each.values[0]["values"]])
def test_meco_of_noise(record):
    modules, maps = first_sample_maps(record, golden_normal(21, (1, 3, 64, 64)))
    least, values = in_stacks(least_eigenvalue, maps), record["values"]
    assert float(least.sum()) == pytest.approx(values["meco_official"], abs=1e-9 * len(modules))


@pytest.mark.parametrize("record", NETWORKS)
def test_dextr_conditions(record):
    values = record["values"]
    modules, maps = first_sample_maps(record)
    ratios = in_stacks(inverse_condition, maps)
    leaves = torch.tensor([is_leaf(module) for module in modules])
    assert float(ratios[leaves].sum()) == pytest.approx(values["dextr_leaf_ratio_sum"], rel=1e-9)
    if record["network"] != "transformer":
        assert float(ratios.sum()) == pytest.approx(values["dextr_ratio_sum"], rel=1e-9)
        assert float(ratios.sum().log1p()) == pytest.approx(values["dextr_s"], rel=1e-9)


@pytest.mark.parametrize("record", NETWORKS)
def test_dextr_curvature(record):
    side, classes, values = record["resolution"], record["num_classes"], record["values"]
    first, second = golden_normal(22, (3 * side**2, 2)).T
    first = first / first.norm()
    second = second - first * (first @ second)
    second = second / second.norm()
    circle = [each.reshape(1, 3, side, side) for each in (first, second)]
    velocity, acceleration = curvature(network_of(record), *circle)
    drawn = np.random.RandomState(23).randint(0, classes, 10)
    for logits, key in ((slice(None), f"curvature_{side}_all_logits"), (drawn, f"curvature_{side}")):
        if key in values:
            kappa = float(bend(velocity[logits], acceleration[logits]))
            assert kappa == pytest.approx(float(values[key]), rel=1e-7, nan_ok=True), key


@pytest.mark.parametrize("record", NETWORKS)
def test_swap(record):
    values, network = record["values"], network_of(record)
    entering = activation_inputs(record_pass(network, inputs_of(record)))
    assert count_patterns(entering)[0] == values["swap"]
    entering = activation_inputs(record_pass(network_of(record), inputs_of(record, 32)))
    total, layerwise = count_patterns(entering)
    assert (total, layerwise) == (values["swap_32"], values["swap_32_layerwise"])
    if "swap_32_layers" in values:
        # ReLUs come before smooth activations here.
        assert sorted(len(patterns(each)) for each in entering) == sorted(values["swap_32_layers"])
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert regularised(total, parameters, 800, 250_000) == pytest.approx(values["swap_regularised"], rel=1e-9)


@pytest.mark.parametrize("record", [each for each in NETWORKS if each.values[0]["network"] == "nasbench201"])
def test_zico_bc(record):
    values, network = record["values"], network_of(record)
    calls = record_pass(network, inputs_of(record)).calls
    layers = {call.name: call for call in calls if isinstance(call.layer, nn.Conv2d | nn.Linear)}
    channels = {name: len(call.layer.weight) for name, call in layers.items()}
    found = penalty({name: call.output for name, call in layers.items()}, channels)
    assert found == pytest.approx(values["zico_bc_penalty_with_linear"], rel=1e-9)
    if record["arch"] != EMPTY_CELL:
        batches = [golden_batch(record, number) for number in range(2)]
        table = nbnas.score(network, "zico_bc", batches=batches, init=None)
        assert table.value["zico_bc"] == pytest.approx(values["zico_bc_beta1"], rel=1e-9)


@pytest.mark.parametrize("record", [each for each in NETWORKS if each.values[0]["arch"] == EMPTY_CELL])
def test_empty_cell_is_degenerate(record):
    batches = [golden_batch(record, number) for number in range(2)]
    names = ["near", "meco", "dextr_s", "dextr", "swap", "zico_bc"]
    assert set(nbnas.score(network_of(record), names, batches=batches, init=None).status) == {"degenerate"}
