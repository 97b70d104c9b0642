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

from nbnas.spaces.super_blocks.structure import SuperBlock
from nbnas.spaces.super_blocks.units import squeezed_width, structure_units


def counted_layers(blocks: Sequence[SuperBlock]) -> int:
    """Layers as published: the sum of L over all super blocks, both ends included."""
    return sum(block.repeats for block in blocks)


def counted_params(
    blocks: Sequence[SuperBlock], num_classes: int, *, residual: bool = True, squeeze_excite: bool = False
) -> int:
    """Parameters as published."""
    classifier = blocks[-1].outputs * num_classes + 1
    return classifier + _unit_params(blocks, 1, 1, residual=residual, squeeze_excite=squeeze_excite)


def counted_flops(
    blocks: Sequence[SuperBlock],
    resolution: int,
    num_classes: int,
    *,
    residual: bool = True,
    squeeze_excite: bool = False,
) -> int:
    """Operations for one image as published."""
    total, side = blocks[-1].outputs * num_classes, resolution
    for unit in structure_units(blocks, residual=residual):
        for convolution in unit.convolutions:
            total += convolution.weights * side**2 // convolution.stride**2
            side //= convolution.stride
            total += convolution.outputs * side**2
            if squeeze_excite and convolution.gated:
                channels = convolution.outputs
                total += 2 * channels * squeezed_width(channels) + channels * (1 + side**2)
        if unit.shortcut == "projection":
            total += (unit.inputs + 1) * unit.outputs * side**2 // unit.stride**2
    return total


def params(
    blocks: Sequence[SuperBlock], num_classes: int, *, residual: bool = True, squeeze_excite: bool = False
) -> int:
    """Parameters of the built network."""
    classifier = (blocks[-1].outputs + 1) * num_classes
    return classifier + _unit_params(blocks, 2, 3, residual=residual, squeeze_excite=squeeze_excite)


def flops(
    blocks: Sequence[SuperBlock],
    resolution: int,
    num_classes: int,
    *,
    residual: bool = True,
    squeeze_excite: bool = False,
) -> int:
    """Multiply-adds of convolutions and classifier for one image, without biases."""
    total, side = blocks[-1].outputs * num_classes, resolution
    for unit in structure_units(blocks, residual=residual):
        for convolution in unit.convolutions:
            side //= convolution.stride
            total += convolution.weights * side**2
            if squeeze_excite and convolution.gated:
                total += 2 * convolution.outputs * squeezed_width(convolution.outputs)
        if unit.shortcut == "projection":
            total += unit.inputs * unit.outputs * side**2
    return total


def weight_layers(blocks: Sequence[SuperBlock], *, residual: bool = True, squeeze_excite: bool = False) -> int:
    """Convolutions and linear layers of the built network."""
    total = 1
    for unit in structure_units(blocks, residual=residual):
        total += len(unit.convolutions) + (unit.shortcut == "projection")
        if squeeze_excite:
            total += 2 * sum(convolution.gated for convolution in unit.convolutions)
    return total


def trainable_layers(blocks: Sequence[SuperBlock], *, residual: bool = True, squeeze_excite: bool = False) -> int:
    """Parameter tensors of the built network: 3 per convolution with its BatchNorm, and the biases."""
    projections = sum(unit.shortcut == "projection" for unit in structure_units(blocks, residual=residual))
    convolutions = weight_layers(blocks, residual=residual, squeeze_excite=squeeze_excite) - 1
    return 3 * convolutions + projections + 2


def _unit_params(
    blocks: Sequence[SuperBlock], per_channel: int, per_projected: int, *, residual: bool, squeeze_excite: bool
) -> int:
    """Parameters of all units; so many besides its weights has each output of a convolution and of a projection."""
    total = 0
    for unit in structure_units(blocks, residual=residual):
        for convolution in unit.convolutions:
            total += convolution.weights + per_channel * convolution.outputs
            if squeeze_excite and convolution.gated:
                squeezed = squeezed_width(convolution.outputs)
                total += 2 * (convolution.outputs * squeezed + convolution.outputs + squeezed)
        if unit.shortcut == "projection":
            total += (unit.inputs + per_projected) * unit.outputs
    return total
