"""What the slow references of the other methods share; nothing of the package is used."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm)


def fresh(network: nn.Module, mode: str) -> nn.Module:
    """A copy in ``train`` or ``eval`` mode in which no ReLU works in place."""
    network = copy.deepcopy(network).train(mode == "train")
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return network


def layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Convolutions and linear layers in registration order."""
    return ((name, module) for name, module in network.named_modules() if isinstance(module, LAYERS))


def mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over samples of -ln of the softmax of the labelled class."""
    losses = [-torch.log(row[label].exp() / row.exp().sum()) for row, label in zip(logits, labels, strict=True)]
    return sum(losses) / len(losses)


def calls(network: nn.Module, inputs: Tensor, kinds: tuple[type, ...]) -> tuple[Tensor, list[tuple]]:
    """Run a network.

    Returns:
        Its output, and (name, module, what entered, what left) of every call of a module of the given types, in order.
    """
    found = []
    for name, module in network.named_modules():
        if isinstance(module, kinds):
            module.register_forward_hook(
                lambda module, entered, left, name=name: found.append((name, module, entered[0], left))
            )
    return network(inputs), found
