"""The layers whose weights saliency methods score."""

import torch
from torch import Tensor, nn

WEIGHT_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


class UnsupportedModelError(ValueError):
    """The network lacks what a method needs; the message says what."""


def weight_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the convolutions and linear layers by name, in registration order; a shared weight appears once.

    Raises:
        UnsupportedModelError: If there are none, or a weight is computed from other parameters (weight norm, say).
    """
    layers, seen = {}, set()
    for name, layer in network.named_modules():
        if not isinstance(layer, WEIGHT_LAYERS):
            continue
        if layer._parameters.get("weight") is None:
            raise UnsupportedModelError(f"the weight of {name!r} is not a parameter but computed from others")
        if layer.weight not in seen:
            seen.add(layer.weight)
            layers[name] = layer
    if not layers:
        raise UnsupportedModelError("needs convolutions or linear layers")
    return layers


def total(values: list[Tensor]) -> Tensor:
    """Add scalars in float64."""
    return torch.stack([value.double() for value in values]).sum()
