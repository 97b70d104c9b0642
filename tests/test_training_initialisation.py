"""The weights from which training starts."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from nbnas.spaces import get_space
from nbnas.spaces.super_blocks.network import UnitModule
from nbnas.training.recipe import TRAINING_INITIALISATIONS
from tests.training_data import STRUCTURE

ZERO_RESIDUAL = ["xavier_normal_zero_residual", "kaiming_normal_zero_residual"]


def initialised(name, model, seed=0):
    for parameter in model.parameters():
        nn.init.constant_(parameter, 3.25)
    TRAINING_INITIALISATIONS[name](model, torch.Generator().manual_seed(seed))
    return model


@pytest.mark.parametrize(
    ("layer", "fans"),
    [
        (nn.Conv2d(6, 40, 3), 9 * (6 + 40)),
        (nn.Conv2d(60, 60, 5, groups=60), 25 * (1 + 60)),
        (nn.Linear(30, 70), 100),
    ],
    ids=["convolution", "depthwise", "linear"],
)
def test_xavier_normal_weights(layer, fans):
    initialised("xavier_normal_zero_residual", layer)
    weights = layer.weight.detach().flatten().numpy()
    assert stats.kstest(weights, "norm", args=(0, 3.26033 * math.sqrt(2 / fans))).pvalue > 0.001
    assert not layer.bias.any()
    # The deviation is that of torch's own function.
    own = nn.init.xavier_normal_(torch.empty_like(layer.weight), 3.26033, torch.Generator().manual_seed(1))
    assert stats.ks_2samp(weights, own.flatten().numpy()).pvalue > 0.001


@pytest.mark.parametrize("name", ZERO_RESIDUAL)
def test_residual_units_start_as_their_shortcuts(name):
    network = initialised(name, get_space("zen_resnet").build(STRUCTURE))
    units = [module for module in network.modules() if isinstance(module, UnitModule)]
    residual = [unit for unit in units if unit.shortcut is not None]
    assert len(residual) == 2
    for unit in residual:
        inputs = torch.randn(2, unit.layers[0].in_channels, 8, 8)
        torch.testing.assert_close(unit(inputs), unit.shortcut(inputs).relu())
    silent = {id(unit.layers[-1].weight) for unit in residual}
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == (0 if id(module.weight) in silent else 1)).all()
            assert not module.bias.any()


@pytest.mark.parametrize("name", TRAINING_INITIALISATIONS)
def test_everything_comes_from_the_generator(name):
    networks = [get_space("zen_resnet").build(STRUCTURE) for _ in range(3)]
    before = torch.get_rng_state()
    first, again, other = (initialised(name, network, seed) for network, seed in zip(networks, (1, 1, 2), strict=True))
    assert torch.equal(torch.get_rng_state(), before)
    for one, two in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
