"""The weights from which the published recipes start to train."""

from collections.abc import Callable

import torch
from torch import Generator, nn

from nbnas.networks.initialisation import kaiming_normal, torch_default
from nbnas.networks.layers import NORMALISATIONS, WEIGHT_LAYERS
from nbnas.spaces.super_blocks.network import UnitModule

XAVIER_GAIN = 3.26033
"""Gain of the released code of T-CET."""


@torch.no_grad()
def xavier_normal_zero_residual(model: nn.Module, generator: Generator) -> None:
    """Draw convolution and linear weights from N(0, g^2 2 / (fan_in + fan_out)), g = 3.26033; silence residual units.

    Biases are 0, normalisation scales 1 and shifts 0, but for the last BatchNorm scale of every residual unit of a
    block network, which is 0: a unit starts as its shortcut. fan_in and fan_out are the products of the kernel size
    with the second and the first dimension of the weight, which for a convolution in groups is that of one group.
    Numbers are drawn on the CPU in float32.

    Source: Glorot & Bengio, AISTATS 2010; the initialisation "custom" in the released code of T-CET (AutoML 2023).
    """
    for module in model.modules():
        if isinstance(module, WEIGHT_LAYERS):
            weight = module.weight
            size = weight[0, 0].numel()
            deviation = XAVIER_GAIN * (2 / (size * (weight.shape[0] + weight.shape[1]))) ** 0.5
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float32) * deviation)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, NORMALISATIONS):
            module.reset_parameters()
    _silence_residual_units(model)


def kaiming_normal_zero_residual(model: nn.Module, generator: Generator) -> None:
    """Draw weights as :func:`~nbnas.networks.initialisation.kaiming_normal`, and silence residual units as T-CET does.

    Our reading of the initialisation that the released recipe of AZ-NAS and VKDNW calls "custom_kaiming".
    """
    kaiming_normal(model, generator)
    _silence_residual_units(model)


def _silence_residual_units(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, UnitModule) and module.shortcut is not None:
            nn.init.zeros_(module.layers[-1].weight)


TRAINING_INITIALISATIONS: dict[str, Callable[[nn.Module, Generator], None]] = {
    "xavier_normal_zero_residual": xavier_normal_zero_residual,
    "kaiming_normal_zero_residual": kaiming_normal_zero_residual,
    "torch_default": torch_default,
}
"""Name in a recipe -> function (model, generator) that changes the model in place."""
