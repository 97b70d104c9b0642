"""Networks of super blocks as torch modules.

Sources: the ZenNAS line of searches (Lin et al., ICCV 2021, ``lin2021zennas``); the released code of VKDNW and T-CET;
squeeze-excitation: Hu et al., CVPR 2018.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from nbnas.spaces.super_blocks.structure import SuperBlock
from nbnas.spaces.super_blocks.units import Convolution, Unit, block_units, squeezed_width


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
        for number, convolution in enumerate(unit.convolutions, start=1):
            layers += [_convolution(convolution), batch_norm(convolution.outputs)]
            if number < len(unit.convolutions):
                layers.append(nn.ReLU())
                if squeeze_excite and convolution.gated:
                    layers.append(SqueezeExcitation(convolution.outputs))
        self.layers = nn.Sequential(*layers)
        self.shortcut = None if unit.shortcut == "none" else nn.Identity()
        if unit.shortcut == "projection":
            projection = nn.Conv2d(unit.inputs, unit.outputs, 1, unit.stride)
            self.shortcut = nn.Sequential(projection, batch_norm(unit.outputs))
        self.activation = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.layers(inputs)
        return self.activation(outputs if self.shortcut is None else outputs + self.shortcut(inputs))


def _convolution(convolution: Convolution) -> nn.Conv2d:
    inputs, outputs, kernel_size, stride, groups, _ = convolution
    return nn.Conv2d(inputs, outputs, kernel_size, stride, padding=kernel_size // 2, groups=groups, bias=False)


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
