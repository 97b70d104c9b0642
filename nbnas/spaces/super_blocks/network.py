"""Networks of super blocks as torch modules, and their sizes without building them.

Sources: the ZenNAS line of searches (Lin et al., ICCV 2021, ``lin2021zennas``); the released code of VKDNW and T-CET;
squeeze-excitation: Hu et al., CVPR 2018.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from nbnas.spaces.super_blocks.structure import SuperBlock, Unit, block_units


def squeezed_width(channels: int) -> int:
    """Inner width of squeeze-excitation: a quarter, rounded half to even, at least 1."""
    return max(1, round(channels / 4))


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm that adds 1e-3 to the variance, in place of torch's 1e-5."""
    return nn.BatchNorm2d(channels, eps=1e-3)


class SqueezeExcitation(nn.Module):
    """Multiply every channel by a number in (0, 1) that is computed from the means of all.

    Pooling, 1x1 convolution to a quarter, BatchNorm, ReLU, 1x1 convolution back, BatchNorm, sigmoid. In train mode the
    BatchNorms see one value per channel and image, so a batch needs two images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = squeezed_width(channels)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1, bias=False),
            batch_norm(squeezed),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, 1, bias=False),
            batch_norm(channels),
            nn.Sigmoid(),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.gate(inputs)


class UnitModule(nn.Module):
    """Convolutions with BatchNorm, ReLU and perhaps squeeze-excitation between them; sum with the shortcut; ReLU."""

    def __init__(self, unit: Unit, *, squeeze_excite: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, kernel_size, stride, groups, gated in unit.convolutions:
            padding = kernel_size // 2
            layers.append(nn.Conv2d(inputs, outputs, kernel_size, stride, padding, groups=groups, bias=False))
            layers += [batch_norm(outputs), nn.ReLU()]
            if squeeze_excite and gated:
                layers.append(SqueezeExcitation(outputs))
        # The last ReLU comes after the sum.
        self.layers = nn.Sequential(*layers[:-1])
        self.shortcut = nn.Identity() if unit.residual else None
        if (shortcut := unit.projection) is not None:
            projection = nn.Conv2d(shortcut.inputs, shortcut.outputs, 1, shortcut.stride)
            self.shortcut = nn.Sequential(projection, batch_norm(shortcut.outputs))
        self.activation = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.layers(inputs)
        return self.activation(outputs if self.shortcut is None else outputs + self.shortcut(inputs))


class BlockNetwork(nn.Module):
    """Super blocks in a row, global average pooling, classifier with bias.

    Weights are drawn as torch's constructors draw them. Parameters are registered super block by super block; in a
    unit first the main path in order, each convolution with its BatchNorm, then the projection; last the classifier.
    ``blocks[i]`` puts out what super block i does, after its last ReLU.

    Where it is ``residual``, residual units have shortcuts; T-CET's search scores networks without, and trains with
    them. With ``squeeze_excite``, squeeze-excitation follows the k x k convolution of every inverted bottleneck (and
    bottleneck) unit, the first of a basic one. VKDNW trains with it. The papers do not use it with basic and bottleneck
    units; its place there is ours.
    """

    def __init__(
        self, blocks: Sequence[SuperBlock], num_classes: int, *, residual: bool = True, squeeze_excite: bool = False
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential()
        for block in blocks:
            units = block_units(block, residual=residual)
            self.blocks.append(nn.Sequential(*(UnitModule(unit, squeeze_excite=squeeze_excite) for unit in units)))
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(blocks[-1].outputs, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(self.pooling(self.blocks(inputs)).flatten(1))


class BlockCosts(NamedTuple):
    """Sizes of a part of a network, for one image.

    Those with *counted* names keep the budgets of the searches of ZenNAS, ZiCo, AZ-NAS, T-CET and VKDNW. They are not
    the size of the network. With C channels after a layer and r pixels on a side before it, r // stride after it:

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

    Here s is :func:`squeezed_width` and K the number of classes. A projection's BatchNorm is counted with neither, and
    its stride twice: projections of stride 2 count for a quarter of their operations.

    The other counts are true: all parameters (2 C per BatchNorm, the biases of projections and classifier), and the
    multiply-adds of convolutions and classifier without biases.
    """

    params: int
    multiply_adds: int
    weight_layers: int
    trainable_layers: int
    counted_params: int
    counted_flops: int


def block_costs(
    blocks: Sequence[SuperBlock], resolution: int, classes: int, *, residual: bool = True, squeeze_excite: bool = False
) -> Iterator[BlockCosts]:
    """Yield the costs of the parts of a :class:`BlockNetwork` whose strides divide the resolution."""
    side = resolution
    for unit in (unit for block in blocks for unit in block_units(block, residual=residual)):
        for convolution in unit.convolutions:
            side //= convolution.stride
            weights, outputs = convolution.weights, convolution.outputs
            counted = weights + outputs
            yield BlockCosts(weights + 2 * outputs, weights * side**2, 1, 3, counted, counted * side**2)
            if squeeze_excite and convolution.gated:
                squeezed = squeezed_width(outputs)
                products, scales = 2 * outputs * squeezed, 2 * (outputs + squeezed)
                operations = products + outputs * (1 + side**2)
                yield BlockCosts(products + scales, products, 2, 6, products + scales, operations)
        if unit.projection is not None:
            weights, outputs, stride = unit.projection.weights, unit.projection.outputs, unit.projection.stride
            counted = weights + outputs
            yield BlockCosts(weights + 3 * outputs, weights * side**2, 1, 4, counted, counted * side**2 // stride**2)
    weights = blocks[-1].outputs * classes
    yield BlockCosts(weights + classes, weights, 1, 2, weights + 1, weights)
