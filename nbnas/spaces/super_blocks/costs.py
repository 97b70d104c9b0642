"""Sizes of networks of super blocks, without building them, under two conventions.

The *published* one keeps the budgets of the searches of ZenNAS, ZiCo, AZ-NAS, T-CET and VKDNW; it is not the size of
the network. With C channels after a layer and r pixels on a side before it, r // stride after it:

==================  ====================  ===========================================
layer               parameters            operations
==================  ====================  ===========================================
convolution         w = k^2 in out / g    w r^2 // stride^2
BatchNorm           C                     C r^2
ReLU, sum, pooling  0                     0
projection          in out + out          (in out + out) (r_out / stride)^2
squeeze-excitation  2 C s + 2 C + 2 s     2 C s + C + C r^2
classifier          in K + 1              in K
==================  ====================  ===========================================

Here s is :func:`~.units.squeezed_width` and K the number of classes. A projection's BatchNorm is
counted with neither, and its stride twice: projections of stride 2 count for a quarter of their operations.

The *true* counts are all parameters (2 C per BatchNorm, the biases of projections and classifier), and the
multiply-adds of convolutions and classifier without biases.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nbnas.spaces.super_blocks.structure import SuperBlock
from nbnas.spaces.super_blocks.units import Convolution, Unit, block_units, squeezed_width


@dataclass
class BlockCosts:
    """Sizes of a network, for one image; ``counted`` ones as published, the others true."""

    params: int = 0
    flops: int = 0
    counted_params: int = 0
    counted_flops: int = 0
    weight_layers: int = 0
    """Convolutions and linear layers."""
    trainable_layers: int = 0
    """Parameter tensors."""

    def add_convolution(self, convolution: Convolution, side: int, *, squeeze_excite: bool) -> None:
        """Add a convolution with its BatchNorm, and squeeze-excitation where it belongs; ``side`` is the output's."""
        weights, outputs = convolution.weights, convolution.outputs
        self.params += weights + 2 * outputs
        self.flops += weights * side**2
        self.counted_params += weights + outputs
        self.counted_flops += (weights + outputs) * side**2
        self.weight_layers += 1
        self.trainable_layers += 3
        if squeeze_excite and convolution.gated:
            squeezed = squeezed_width(outputs)
            products, scales = 2 * outputs * squeezed, 2 * (outputs + squeezed)
            self.params += products + scales
            self.flops += products
            self.counted_params += products + scales
            self.counted_flops += products + outputs * (1 + side**2)
            self.weight_layers += 2
            self.trainable_layers += 6

    def add_projection(self, unit: Unit, side: int) -> None:
        """Add the projection of a unit; ``side`` is the output's."""
        weights, outputs = unit.inputs * unit.outputs, unit.outputs
        self.params += weights + 3 * outputs
        self.flops += weights * side**2
        self.counted_params += weights + outputs
        self.counted_flops += (weights + outputs) * side**2 // unit.stride**2
        self.weight_layers += 1
        self.trainable_layers += 4


def count(
    blocks: Sequence[SuperBlock], resolution: int, classes: int, *, residual: bool = True, squeeze_excite: bool = False
) -> BlockCosts:
    """Count a network whose strides divide the resolution."""
    weights, side = blocks[-1].outputs * classes, resolution
    costs = BlockCosts(weights + classes, weights, weights + 1, weights, 1, 2)
    for unit in (unit for block in blocks for unit in block_units(block, residual=residual)):
        for convolution in unit.convolutions:
            side //= convolution.stride
            costs.add_convolution(convolution, side, squeeze_excite=squeeze_excite)
        if unit.shortcut == "projection":
            costs.add_projection(unit, side)
    return costs
