"""The NAS-Bench-Macro network as a torch module.

Source: Su et al., CVPR 2021 (``su2021prioritized``), and the repository of the benchmark.
"""

from collections.abc import Iterator

from torch import Tensor, nn

STEM_CHANNELS, LAST_CHANNELS = 32, 1280
STAGES = (2, 3, 3)
"""Positions per stage; the first of a stage halves the resolution and doubles the channels."""

EXPANSIONS = {"1": (3, 3), "2": (6, 5)}
"""Digit -> expansion and kernel size of its inverted residual; ``0`` is the identity."""


def positions() -> Iterator[tuple[int, int, int]]:
    """Yield input channels, output channels and stride of the eight positions."""
    width = STEM_CHANNELS
    for length in STAGES:
        for place in range(length):
            grown = 2 * width if place == 0 else width
            yield width, grown, 2 if place == 0 else 1
            width = grown


def conv_bn(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution without bias, BatchNorm."""
    padding = kernel_size // 2
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out_channels)]


class InvertedResidual(nn.Module):
    """1x1 to ``expansion`` times the channels, depthwise k x k, 1x1 back without activation; added to a like input."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int, kernel_size: int) -> None:
        super().__init__()
        hidden = expansion * in_channels
        self.layers = nn.Sequential(
            *conv_bn(in_channels, hidden, 1),
            nn.ReLU(),
            *conv_bn(hidden, hidden, kernel_size, stride, groups=hidden),
            nn.ReLU(),
            *conv_bn(hidden, out_channels, 1),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.layers(inputs)
        return inputs + outputs if self.residual else outputs


def make_operation(digit: str, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Build what a digit stands for at a position."""
    if digit == "0":
        return nn.Identity() if stride == 1 else nn.Sequential(*conv_bn(in_channels, out_channels, 1, stride))
    return InvertedResidual(in_channels, out_channels, stride, *EXPANSIONS[digit])


class NasBenchMacroNetwork(nn.Module):
    """Stem, eight chosen operations, a wide 1x1 convolution, classifier.

    Args:
        digits: Eight digits, the first position first.
        num_classes: Number of logits K.

    Shapes: inputs (batch, 3, R, R) with R divisible by 8; logits (batch, K).
    """

    def __init__(self, digits: str, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(3, STEM_CHANNELS, 3), nn.ReLU())
        places = list(positions())
        self.operations = nn.Sequential(
            *(make_operation(digit, *place) for digit, place in zip(digits, places, strict=True))
        )
        self.last = nn.Sequential(*conv_bn(places[-1][1], LAST_CHANNELS, 1), nn.ReLU())
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(LAST_CHANNELS, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.last(self.operations(self.stem(inputs)))
        return self.classifier(self.pooling(features).flatten(1))
