"""The skip connection that halves the resolution, in the cells of DARTS and of TransNAS-Bench-101."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FactorizedReduction(nn.Module):
    """ReLU, two 1x1 convolutions of stride 2 side by side, BatchNorm.

    Each gives half of the output channels. The first reads the pixels at even positions, the second those one further
    down and to the right; with an odd side the last of these lie on a border of zeros.

    Args:
        in_channels: Of the input.
        out_channels: Of the output; even.
        affine: Whether the BatchNorm has scales and shifts.
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
