"""Layers that several spaces share, and costs of parts: counted on torch's ``meta`` device, equal parts once."""

from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv_bn(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution without bias, BatchNorm."""
    padding = kernel_size // 2
    convolution = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels))


def relu_conv_bn(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution without bias, BatchNorm: the ReLU comes first."""
    return nn.Sequential(nn.ReLU(), *conv_bn(in_channels, out_channels, kernel_size, stride))


def conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Convolution without bias, BatchNorm, ReLU: the ReLU comes last."""
    return nn.Sequential(*conv_bn(in_channels, out_channels, kernel_size), nn.ReLU())


class FactorizedReduction(nn.Module):
    """ReLU, two 1x1 convolutions of stride 2 side by side, BatchNorm, with scales and shifts if it is ``affine``.

    Each convolution gives half of the output channels, which must be even. The first reads the pixels at even
    positions, the second those one further down and to the right; with an odd side the last of these lie on a border
    of zeros.
    """

    def __init__(self, in_channels: int, out_channels: int, *, affine: bool = True) -> None:
        super().__init__()
        self.activation = nn.ReLU()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.batch_norm = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, inputs: Tensor) -> Tensor:
        active = self.activation(inputs)
        height, width = active.shape[2:]
        moved = functional.pad(active, (-1, width % 2, -1, height % 2))
        return self.batch_norm(torch.cat([self.even(active), self.odd(moved)], dim=1))


def classifier_network(channels: int, num_classes: int, **parts: nn.Module) -> nn.Sequential:
    """Put parts, of which the last has ``channels`` channels, before global average pooling and a classifier."""
    head = {"pooling": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "classifier": nn.Linear(channels, num_classes)}
    return nn.Sequential(OrderedDict(parts | head))


class Costs(NamedTuple):
    """Costs of a network, or of a part of one, for one image. A module that runs several times counts once.

    Weight layers are convolutions and linear layers, trainable layers are parameter tensors.
    """

    params: int = 0
    weight_layers: int = 0
    trainable_layers: int = 0
    multiply_adds: int = 0
    """Multiply-adds of convolutions and linear layers, without biases."""
    operations: int = 0
    """Operations as tensorwatch 0.9.1 counts them, the convention of the records that NASLib publishes.

    Of an output of n elements: a convolution counts its multiply-adds and n if it has a bias; BatchNorm 2 n, without
    scales n; ReLU n; pooling with kernel k counts k^2 n; pooling to one pixel counts channels * (height + 1) *
    (width + 1), as released; a linear layer in * out. All else is free.
    """


def count(network: nn.Module, input_shape: tuple[int, ...]) -> Costs:
    """Count a network on ``meta`` for an image of shape (channels, height, width); it is left in evaluation mode."""
    counts: dict[nn.Module, Costs] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        own = list(module.parameters(recurse=False))
        weighted = isinstance(module, nn.Conv2d | nn.Linear)
        multiply_adds = module.weight[0].numel() * output.numel() if weighted else 0
        operations = multiply_adds + _operations(module, inputs[0], output)
        counts[module] = Costs(sum(p.numel() for p in own), int(weighted), len(own), multiply_adds, operations)

    handles = [module.register_forward_hook(note) for module in network.modules() if not list(module.children())]
    network.eval()(torch.zeros(1, *input_shape, device="meta"))
    for handle in handles:
        handle.remove()
    return Costs(*map(sum, zip(*counts.values(), strict=True)))


def _operations(module: nn.Module, inputs: Tensor, output: Tensor) -> int:
    """Operations besides multiply-adds."""
    match module:
        case nn.Conv2d(bias=Tensor()) | nn.ReLU():
            return output.numel()
        case nn.BatchNorm2d():
            return (2 if module.affine else 1) * output.numel()
        case nn.MaxPool2d() | nn.AvgPool2d():
            return module.kernel_size**2 * output.numel()
        case nn.AdaptiveAvgPool2d():
            _, channels, height, width = inputs.shape
            return channels * (height + 1) * (width + 1)
    return 0


@cache
def part_costs(make: Callable[..., nn.Module], arguments: tuple, channels: int, side: int, times: int = 1) -> Costs:
    """Costs of so many ``make(*arguments)``, for an input of so many channels and of ``side`` pixels on a side."""
    with torch.device("meta"):
        return Costs(*(times * cost for cost in count(make(*arguments), (channels, side, side))))


def classifier_costs(channels: int, num_classes: int) -> Costs:
    """Costs of a linear layer with bias."""
    weights = channels * num_classes
    return Costs(weights + num_classes, 1, 2, weights, weights)
