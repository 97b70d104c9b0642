"""The layers that methods look at, and the error where a network lacks what a method needs."""

import torch
from torch import Tensor, nn

WEIGHT_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
"""The layers whose weights saliency methods score."""

NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)

BATCH_NORMS = nn.modules.batchnorm._BatchNorm


class UnsupportedModelError(ValueError):
    """The network lacks what a method needs; the message says what."""


def weight_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the convolutions and linear layers by name, in registration order; a shared weight appears once.

    Raises :class:`UnsupportedModelError` if there are none, or a weight is computed from others (weight norm, say).
    """
    layers: dict[Tensor, tuple[str, nn.Module]] = {}
    for name, layer in network.named_modules():
        if isinstance(layer, WEIGHT_LAYERS):
            if layer._parameters.get("weight") is None:
                raise UnsupportedModelError(f"the weight of {name!r} is not a parameter but computed from others")
            layers.setdefault(layer.weight, (name, layer))
    if not layers:
        raise UnsupportedModelError("needs convolutions or linear layers")
    return dict(layers.values())


def total(values: list[Tensor]) -> Tensor:
    """Add scalars in float64."""
    return torch.stack([value.double() for value in values]).sum()


def uses_batch_statistics(norm: nn.Module) -> bool:
    """Whether a BatchNorm normalises by the statistics of the batch."""
    return norm.training or norm.running_mean is None


def refuse_single_values(network: nn.Module) -> None:
    """Make every BatchNorm say in plain words that it cannot take statistics of one value per channel."""
    for name, norm in network.named_modules():
        if isinstance(norm, BATCH_NORMS):

            def check(norm: nn.Module, arguments: tuple, kwargs: dict, name: str = name) -> None:
                given = arguments[0] if arguments else kwargs["input"]
                if uses_batch_statistics(norm) and given[:, 0].numel() < 2:
                    raise UnsupportedModelError(f"the BatchNorm {name!r} needs more than one value per channel")

            norm.register_forward_pre_hook(check, with_kwargs=True)
