"""Convolutions with BatchNorm, and the skip connection that halves the resolution, as several spaces use them."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv_bn(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution without bias, BatchNorm."""
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
    )


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
