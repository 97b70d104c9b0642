"""NAS-Bench-Macro: 6,561 networks of eight positions with three choices each.

Source: Su et al., CVPR 2021 (``su2021prioritized``), and the repository of the benchmark. An architecture is a string
of eight digits, the first position first: ``0`` identity (where the stride is 2, a 1x1 convolution and BatchNorm),
``1`` inverted residual with expansion 3 and kernel 3, ``2`` with expansion 6 and kernel 5. The index is the number that
the digits write in base 3.
"""

import itertools
from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar

from torch import Tensor, nn

from nbnas.datasets.shapes import CIFAR10
from nbnas.errors import NbnasError
from nbnas.spaces.parts import Costs, classifier_costs, classifier_network, conv_bn, conv_bn_relu, part_costs
from nbnas.spaces.space import ChoiceSpace, text_of

STEM_CHANNELS, LAST_CHANNELS = 32, 1280
STAGES = (2, 3, 3)
"""Positions per stage; the first of a stage halves the resolution and doubles the channels."""


class NasBenchMacro(ChoiceSpace):
    """The search space; its sets are ``all`` (6,561) and ``unique`` (3,969, one per network).

    FLOPs are multiply-adds of convolutions and classifier, without biases, as the benchmark counts them.
    """

    name = "nasbench_macro"
    default_set = "unique"
    set_names: ClassVar = {"all": "networks", "unique": "distinct networks"}
    datasets: ClassVar = {"cifar10": CIFAR10}
    options = "012"
    places = sum(STAGES)
    convention = "multiply_adds"
    divisor = 8
    format = staticmethod("".join)

    @staticmethod
    def parse(arch: str) -> tuple[str, ...]:
        """Return the eight digits; raises :class:`NbnasError` that names the first one that is wrong."""
        digits = text_of(arch)
        for place, digit in enumerate(digits, start=1):
            if digit not in "012":
                raise NbnasError(f"position {place} has unknown operation {digit!r} in {digits!r}; choose from 0, 1, 2")
        if len(digits) != sum(STAGES):
            raise NbnasError(f"a NAS-Bench-Macro architecture has {sum(STAGES)} digits, got {len(digits)} in {arch!r}")
        return tuple(digits)

    def network_form(self, arch: str) -> str:
        """Return the architecture that stands for all that are the same network (3,969 of 6,561).

        Behind the first position of a stage an identity is nothing at all, so its place does not matter: the zeros
        move to the end of the stage. The benchmark trained these networks once and copied the results.
        """
        digits, form = self.normalise(arch), ""
        for length in STAGES:
            first, rest, digits = digits[0], digits[1:length], digits[length:]
            form += first + rest.replace("0", "").ljust(length - 1, "0")
        return form

    @cached_property
    def _subsets(self) -> dict[str, list[int]]:
        unique = [index for index, arch in enumerate(self) if self.network_form(arch) == arch]
        return super()._subsets | {"unique": unique}

    def build(self, arch: str, num_classes: int = 10) -> nn.Module:
        """Build the network; it maps (batch, 3, R, R), R divisible by 8, to logits (batch, num_classes)."""
        choices = list(self._choices(arch))
        width = choices[-1][2]
        return classifier_network(
            LAST_CHANNELS,
            num_classes,
            stem=conv_bn_relu(3, STEM_CHANNELS, 3),
            operations=nn.Sequential(*(make_operation(*choice) for choice in choices)),
            last=conv_bn_relu(width, LAST_CHANNELS, 1),
        )

    def _choices(self, arch: str) -> Iterator[tuple[str, int, int, int]]:
        """Yield digit, input channels, output channels and stride of the eight positions."""
        digits, width = iter(self.parse(arch)), STEM_CHANNELS
        for length in STAGES:
            yield next(digits), width, 2 * width, 2
            width *= 2
            for digit in itertools.islice(digits, length - 1):
                yield digit, width, width, 1

    def _parts(self, arch: str, resolution: int, num_classes: int) -> Iterator[Costs]:
        yield part_costs(conv_bn_relu, (3, STEM_CHANNELS, 3), 3, resolution)
        side = resolution
        for choice in self._choices(arch):
            _, inputs, outputs, stride = choice
            yield part_costs(make_operation, choice, inputs, side)
            side //= stride
        yield part_costs(conv_bn_relu, (outputs, LAST_CHANNELS, 1), outputs, side)
        yield classifier_costs(LAST_CHANNELS, num_classes)


class InvertedResidual(nn.Module):
    """1x1 to ``expansion`` times the channels, depthwise k x k, 1x1 back without activation; added to a like input."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int, kernel_size: int) -> None:
        super().__init__()
        hidden = expansion * in_channels
        self.layers = nn.Sequential(
            *conv_bn_relu(in_channels, hidden, 1),
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
        return nn.Identity() if stride == 1 else conv_bn(in_channels, out_channels, 1, stride)
    expansion, kernel_size = (3, 3) if digit == "1" else (6, 5)
    return InvertedResidual(in_channels, out_channels, stride, expansion, kernel_size)
