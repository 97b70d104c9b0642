"""NAS-Bench-Macro: 6,561 networks of eight positions with three choices each.

Source: Su et al., CVPR 2021 (``su2021prioritized``). An architecture is a string of eight digits, the first position
first: ``0`` identity (where the stride is 2, a 1x1 convolution and BatchNorm), ``1`` inverted residual with expansion 3
and kernel 3, ``2`` with expansion 6 and kernel 5. The index is the number that the digits write in base 3.
"""

import itertools
from functools import cached_property
from typing import ClassVar

import numpy as np
from torch import nn

from nbnas.datasets.shapes import CIFAR10
from nbnas.errors import NbnasError
from nbnas.spaces.nasbench_macro_network import (
    EXPANSIONS,
    LAST_CHANNELS,
    STAGES,
    STEM_CHANNELS,
    NasBenchMacroNetwork,
    positions,
)
from nbnas.spaces.space import EnumeratedSpace

DIGITS = "012"


class NasBenchMacro(EnumeratedSpace):
    """The search space; see :func:`nbnas.get_space`."""

    name = "nasbench_macro"
    default_set = "unique"
    set_names: ClassVar = {"all": "networks", "unique": "distinct networks"}
    datasets: ClassVar = {"cifar10": CIFAR10}

    @cached_property
    def _architectures(self) -> list[str]:
        return ["".join(digits) for digits in itertools.product(DIGITS, repeat=sum(STAGES))]

    def normalise(self, arch: str) -> str:
        """Return the eight digits without surrounding white space.

        Raises:
            NbnasError: Names the first digit that is wrong.
        """
        if not isinstance(arch, str):
            raise NbnasError(f"a NAS-Bench-Macro architecture is a string, got {type(arch).__name__}")
        digits = arch.strip()
        for place, digit in enumerate(digits, start=1):
            if digit not in DIGITS:
                raise NbnasError(f"position {place} has unknown operation {digit!r} in {digits!r}; choose from 0, 1, 2")
        if len(digits) != sum(STAGES):
            raise NbnasError(f"a NAS-Bench-Macro architecture has {sum(STAGES)} digits, got {len(digits)} in {arch!r}")
        return digits

    def network_form(self, arch: str) -> str:
        """Return the architecture that stands for all that are the same network (3,969 of 6,561).

        Behind the first position of a stage an identity is nothing at all, so its place does not matter: the zeros
        move to the end of the stage. The benchmark trained these networks once and copied the results.
        """
        digits, form, start = self.normalise(arch), "", 0
        for length in STAGES:
            first, *rest = digits[start : start + length]
            form += first + "".join(rest).replace("0", "").ljust(length - 1, "0")
            start += length
        return form

    @cached_property
    def _subsets(self) -> dict[str, list[int]]:
        unique = [index for index, arch in enumerate(self) if self.network_form(arch) == arch]
        return super()._subsets | {"unique": unique}

    def subset(self, name: str) -> list[int]:
        """Return the ascending indices of a named set: ``all`` (6,561) or ``unique`` (3,969, one per network)."""
        return super().subset(name)

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Replace one digit, position and new digit drawn uniformly; the result always differs from ``arch``."""
        digits = list(self.normalise(arch))
        place = int(rng.integers(len(digits)))
        alternatives = [digit for digit in DIGITS if digit != digits[place]]
        digits[place] = alternatives[int(rng.integers(len(alternatives)))]
        return "".join(digits)

    def build(self, arch: str, num_classes: int = 10) -> nn.Module:
        """Build the network; it maps (batch, 3, R, R) to logits (batch, num_classes)."""
        return NasBenchMacroNetwork(self.normalise(arch), num_classes)

    def weight_layers(self, arch: str) -> int:
        """Number of convolutions and linear layers: 3, 3 per inverted residual, 1 per identity with stride 2."""
        strides = (stride for *_, stride in positions())
        return 3 + sum(
            3 if digit != "0" else stride - 1 for digit, stride in zip(self.normalise(arch), strides, strict=True)
        )

    def params(self, arch: str, num_classes: int = 10) -> int:
        """Number of parameters, BatchNorm scales and shifts included.

        For 10 classes 343,978 and per position, from i to o channels: 0 for the identity or i o + 2 o with stride 2;
        i h + k^2 h + h o + 4 h + 2 o for an inverted residual with kernel k and h = expansion * i.
        """
        last = list(positions())[-1][1]
        total = (27 + 2) * STEM_CHANNELS + (last + 2) * LAST_CHANNELS + (LAST_CHANNELS + 1) * num_classes
        for digit, (inputs, outputs, stride) in zip(self.normalise(arch), positions(), strict=True):
            if digit == "0":
                total += 0 if stride == 1 else (inputs + 2) * outputs
            else:
                expansion, kernel_size = EXPANSIONS[digit]
                hidden = expansion * inputs
                total += (inputs + kernel_size**2 + outputs + 4) * hidden + 2 * outputs
        return total

    def flops(self, arch: str, resolution: int = 32, num_classes: int = 10) -> int:
        """Multiply-adds of convolutions and classifier for one image, without biases, as the benchmark counts them."""
        if resolution % 8:
            raise NbnasError(f"resolution must be divisible by 8, got {resolution}")
        total, side = 27 * STEM_CHANNELS * resolution**2, resolution
        for digit, (inputs, outputs, stride) in zip(self.normalise(arch), positions(), strict=True):
            before, side = side, side // stride
            if digit == "0":
                total += 0 if stride == 1 else inputs * outputs * side**2
            else:
                expansion, kernel_size = EXPANSIONS[digit]
                hidden = expansion * inputs
                total += hidden * (inputs * before**2 + (kernel_size**2 + outputs) * side**2)
        return total + outputs * LAST_CHANNELS * side**2 + LAST_CHANNELS * num_classes
