"""What the sizes of layers alone predict of T-CET, against slow counts and the scores themselves."""

from itertools import product

import numpy as np
import pytest
import torch

import nbnas
from nbnas.errors import NbnasError
from nbnas.proxies.naswot import agreement, log_determinant
from nbnas.proxies.tcet import signal_to_noise
from nbnas.studies.compressibility import (
    choice_effects,
    ideal_log_determinant,
    ideal_shape,
    layer_sizes,
    main_effect_shares,
    size_forecasts,
)

CELLS = nbnas.get_space("nasbench201")
MACRO = nbnas.get_space("nasbench_macro")
SMALL = "00000000"


@pytest.mark.parametrize("initialisation", ["torch_default", "kaiming_normal"])
@pytest.mark.parametrize("saliency", ["snip", "synflow"])
def test_ideal_shape_is_that_of_independent_draws(saliency, initialisation):
    generator = torch.Generator().manual_seed(0)
    size = (1_000_000,)
    uniform, normal = 2 * torch.rand(size, generator=generator) - 1, torch.randn(size, generator=generator)
    weights = uniform if initialisation == "torch_default" else normal
    factors = torch.randn(size, generator=generator) if saliency == "snip" else torch.ones(size)
    measured = float(signal_to_noise((3 * weights * 7 * factors).abs())) / len(weights)
    assert ideal_shape(saliency, initialisation) == pytest.approx(measured, rel=5e-3)


def test_ideal_log_determinant_is_that_of_the_expected_kernel():
    kernel = 50 * (torch.eye(6, dtype=torch.float64) + torch.ones(6, 6, dtype=torch.float64))
    assert ideal_log_determinant(100, 6) == pytest.approx(float(torch.logdet(kernel)))


def test_many_independent_signs_come_close_to_it():
    outputs = torch.randn(16, 20_000, generator=torch.Generator().manual_seed(0))
    measured = float(log_determinant(agreement(outputs)))
    assert ideal_log_determinant(20_000, 16) == pytest.approx(measured, abs=0.05)


@pytest.mark.parametrize("space", [CELLS, MACRO], ids=lambda space: space.name)
def test_forecasts_add_up_the_layers_of_the_network(space):
    arch = "".join("20110212") if space is MACRO else space[6123]
    layers = layer_sizes(space.name, arch)
    assert len(layers) == space.weight_layers(arch)
    weights, determinants = layers["weights"], []
    for units, linear in zip(layers["units"], layers["linear"], strict=True):
        determinants.append(0 if linear else 8 * np.log(units / 2) + np.log(9))
    ratio, determinants = weights * ideal_shape("synflow"), np.array(determinants)
    expected = {
        "layers": len(layers),
        "weights": weights.sum(),
        "log_weights": np.log(weights).sum(),
        "ssnr": ratio.sum(),
        "ssnr_log": np.log(ratio).sum(),
        "lnwot": determinants.sum(),
        "tcet": (ratio * determinants).sum(),
        "tcet_log": (np.log(ratio) * determinants).sum(),
    }
    forecast = size_forecasts(space.name, [space[0], arch], batch_size=8, saliency="synflow").loc[arch]
    assert forecast.to_dict() == pytest.approx(expected)


def test_sizes_are_those_of_the_running_network():
    network = MACRO.build(SMALL).eval()
    outputs = {}
    for name, layer in network.named_modules():
        if hasattr(layer, "weight") and layer.weight is not None and layer.weight.dim() > 1:
            layer.register_forward_hook(lambda module, given, output, name=name: outputs.update({name: output[0]}))
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    layers = layer_sizes("nasbench_macro", SMALL)
    assert layers["units"].to_dict() == {name: output.numel() for name, output in outputs.items()}
    assert layers.index[layers["linear"]].tolist() == ["classifier"]


def test_other_spaces_have_no_forecasts():
    with pytest.raises(NbnasError, match="not for 'nasbench101'"):
        size_forecasts("nasbench101", [])


def test_effects_of_choices_are_recovered():
    archs = [MACRO[index] for index in range(0, len(MACRO), 50)]
    values = [10 + 3 * arch.count("1") - 2 * arch.count("2") for arch in archs]
    assert choice_effects("nasbench_macro", archs, values, ("1", "2")) == pytest.approx([3, -2])


def test_shares_of_positions_are_those_of_an_additive_quantity():
    archs = ["".join(digits) for digits in product("012", repeat=3)]
    values = [int(arch[0]) + 2 * int(arch[2]) for arch in archs]
    assert main_effect_shares(archs, values) == pytest.approx([1 / 5, 0, 4 / 5])
