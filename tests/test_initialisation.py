"""The initialisations that the published methods start from: their distributions, and what they leave alone."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import nbnas
from nbnas.networks.initialisation import INITIALISATIONS, kaiming_normal, standard_normal, torch_default
from nbnas.seeding import generator_for


class Network(nn.Module):
    """Layers of every kind: grouped and transposed convolutions, norms, an embedding, a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(16, 64, 3, groups=2)
        self.narrow = nn.Conv1d(10, 30, 5)
        self.deep = nn.Conv3d(4, 20, 2, bias=False)
        self.classifier = nn.Linear(72, 120)
        self.single = nn.Linear(1, 2000)
        self.batch_norm = nn.BatchNorm2d(8)
        self.group_norm = nn.GroupNorm(2, 8)
        self.layer_norm = nn.LayerNorm(8)
        self.plain_norm = nn.BatchNorm2d(8, affine=False)
        self.transposed = nn.ConvTranspose2d(3, 4, 3)
        self.embedding = nn.Embedding(5, 3)
        self.own = nn.Parameter(torch.full((7,), 3.25))


FAN_IN = {"wide": 8 * 9, "narrow": 50, "deep": 32, "classifier": 72, "single": 1}
UNLISTED = ["transposed.weight", "transposed.bias", "embedding.weight", "own"]
NORMS = ["batch_norm", "group_norm", "layer_norm"]


def spoiled():
    """A network in which no tensor has a value that an initialisation gives."""
    network = Network()
    for tensor in network.state_dict().values():
        tensor.fill_(3.25) if tensor.is_floating_point() else tensor.fill_(5)
    return network


def initialised(initialise, seed=0, network=None):
    network = spoiled() if network is None else network
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def tensors(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_equal(one, two):
    assert list(one) == list(two)
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name


@pytest.fixture(params=INITIALISATIONS)
def initialise(request):
    return INITIALISATIONS[request.param]


def test_names():
    assert {
        "kaiming_normal": kaiming_normal,
        "standard_normal": standard_normal,
        "torch_default": torch_default,
    } == INITIALISATIONS
    assert set(nbnas.list_proxies().initialisation.dropna()) <= set(INITIALISATIONS)


@pytest.mark.parametrize("layer", FAN_IN)
@pytest.mark.parametrize(
    ("initialise", "deviation"),
    [(standard_normal, lambda fan_in: 1.0), (kaiming_normal, lambda fan_in: math.sqrt(2 / fan_in))],
    ids=["standard_normal", "kaiming_normal"],
)
def test_normal_weights(initialise, deviation, layer):
    network = initialised(initialise)
    weight = network.get_submodule(layer).weight.detach().flatten().numpy()
    expected = deviation(FAN_IN[layer])
    assert stats.kstest(weight, "norm", args=(0, expected)).pvalue > 0.001
    # The smallest layer has 640 weights; the error of a standard deviation is 1 / sqrt(2 n) of it.
    assert weight.std() == pytest.approx(expected, rel=4 / math.sqrt(2 * len(weight)))
    assert abs(weight.mean()) < 4 * expected / math.sqrt(len(weight))
    # No truncation.
    assert np.abs(weight).max() > 2.5 * expected


@pytest.mark.parametrize("initialise", [standard_normal, kaiming_normal])
def test_normal_initialisations_have_no_biases(initialise):
    network = initialised(initialise)
    for layer in FAN_IN:
        bias = network.get_submodule(layer).bias
        assert bias is None or not bias.any()


@pytest.mark.parametrize("kind", ["weight", "bias"])
@pytest.mark.parametrize("layer", FAN_IN)
def test_torch_default_is_uniform_within_its_bound(layer, kind):
    drawn = []
    for seed in range(10):
        parameter = getattr(initialised(torch_default, seed).get_submodule(layer), kind)
        if parameter is None:
            assert (layer, kind) == ("deep", "bias")
            return
        drawn.append(parameter.detach().flatten())
    values = torch.cat(drawn).numpy()
    bound = 1 / math.sqrt(FAN_IN[layer])
    assert np.abs(values).max() <= bound * (1 + 1e-6)
    assert stats.kstest(values, "uniform", args=(-bound, 2 * bound)).pvalue > 0.001
    # 300 biases or more: both ends are reached within 5 per cent of the range.
    assert values.min() < -0.95 * bound
    assert values.max() > 0.95 * bound


@pytest.mark.parametrize("layer", ["wide", "narrow", "classifier"])
def test_torch_default_has_the_distribution_of_a_new_layer(layer):
    ours = initialised(torch_default).get_submodule(layer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        new = copy.deepcopy(ours)
        new.reset_parameters()
    for kind in ("weight", "bias"):
        one, two = (getattr(module, kind).detach().flatten().numpy() for module in (ours, new))
        assert stats.ks_2samp(one, two).pvalue > 0.001
        assert not np.array_equal(one, two)


def test_normalisations_are_reset(initialise):
    network = initialised(initialise)
    for name in NORMS:
        norm = network.get_submodule(name)
        assert (norm.weight == 1).all()
        assert (norm.bias == 0).all()
    for norm in (network.batch_norm, network.plain_norm):
        assert (norm.running_mean == 0).all()
        assert (norm.running_var == 1).all()
        assert norm.num_batches_tracked == 0


def test_unlisted_parameters_keep_their_values(initialise):
    before = tensors(spoiled())
    after = tensors(initialised(initialise))
    for name in UNLISTED:
        assert torch.equal(after[name], before[name])
    kept = {name for name, tensor in after.items() if torch.equal(tensor, before[name])}
    assert kept == set(UNLISTED)


def test_everything_comes_from_the_generator(initialise):
    first = tensors(initialised(initialise, seed=1))
    torch.manual_seed(99)
    assert_equal(tensors(initialised(initialise, seed=1)), first)
    # What was there before does not matter for what is drawn.
    other = spoiled()
    other.wide.weight.data.zero_()
    assert_equal(tensors(initialised(initialise, seed=1, network=other)), first)
    for layer in FAN_IN:
        weight = initialised(initialise, seed=2).get_submodule(layer).weight
        assert not torch.equal(weight, first[f"{layer}.weight"])


def test_global_random_state_is_untouched(initialise):
    network = spoiled()
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    initialise(network, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()  # noqa: NPY002


def test_generator_is_advanced(initialise):
    generator = torch.Generator().manual_seed(0)
    first, second = (initialised(lambda network, _: initialise(network, generator)) for _ in range(2))
    assert not torch.equal(first.wide.weight, second.wide.weight)


def test_numbers_do_not_depend_on_the_precision(initialise):
    single, double = initialised(initialise), initialised(initialise, network=spoiled().double())
    for name, tensor in double.state_dict().items():
        expected = single.state_dict()[name]
        assert tensor.dtype == (torch.float64 if expected.is_floating_point() else expected.dtype)
        # The factor is applied in single precision for weights of either kind.
        torch.testing.assert_close(tensor.to(expected.dtype), expected, rtol=1e-6, atol=0)


def test_gradients_are_neither_recorded_nor_switched_off(initialise):
    network = spoiled()
    network.wide.weight.requires_grad_(False)
    initialise(network, torch.Generator().manual_seed(0))
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad == (name != "wide.weight")
        assert parameter.is_leaf
        assert parameter.grad is None


def test_published_initialisation_is_drawn_from_the_seed():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5))
    drawn = copy.deepcopy(network)
    torch_default(drawn, generator_for(3, "weights"))
    expected = nbnas.score(drawn, "l2_norm", init=None)
    assert nbnas.score(network, "l2_norm", seed=3).value.equals(expected.value)
    assert not nbnas.score(network, "l2_norm", seed=4).value.equals(expected.value)
    assert not nbnas.score(network, "l2_norm", init=None).value.equals(expected.value)


def test_weight_norm_is_drawn_through():
    network = nn.Sequential(nn.Flatten(), torch.nn.utils.parametrizations.weight_norm(nn.Linear(12, 5)))
    plain = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    for model in (network, plain):
        kaiming_normal(model, torch.Generator().manual_seed(0))
    torch.testing.assert_close(network[1].weight, plain[1].weight)


def test_weight_that_cannot_be_drawn_is_refused():
    class Doubled(nn.Module):
        def forward(self, weight):
            return 2 * weight

    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    torch.nn.utils.parametrize.register_parametrization(network[1], "weight", Doubled())
    table = nbnas.score(network, ["jacov", "vkdnw"], input_shape=(4, 3, 2, 2))
    assert table.status.str.contains("needs weights that can be drawn: the weight of a ParametrizedLinear").all()


def test_rms_norm_is_reset():
    network = nn.Sequential(nn.RMSNorm(4))
    network[0].weight.data.fill_(7)
    torch_default(network, torch.Generator())
    assert (network[0].weight == 1).all()
