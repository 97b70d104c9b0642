"""The spaces of super blocks: ResNet-like networks on CIFAR, MobileNetV2-like ones on ImageNet.

Sources: Lin et al., ICCV 2021 (``lin2021zennas``); T-CET (AutoML 2023), Table 5; VKDNW (CVPR 2025), Table 2.
"""

import math
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from torch import nn

from nbnas.datasets.shapes import CIFAR10, CIFAR100, IMAGENET
from nbnas.errors import NbnasError
from nbnas.spaces.space import CountedSpace
from nbnas.spaces.super_blocks.mutation import MutationRules, mutate_structure
from nbnas.spaces.super_blocks.network import BlockCosts, BlockNetwork, block_costs
from nbnas.spaces.super_blocks.structure import (
    BASIC,
    BOTTLENECK,
    INVERTED,
    LARGEST_NUMBER,
    SuperBlock,
    format_structure,
    parse_structure,
)

STEM, TAIL = "SuperConvK3BNRELU", "SuperConvK1BNRELU"


class BlockSpace(CountedSpace):
    """Structure strings of a stem, residual super blocks of one family, and a tail.

    Rules: the stem is a ``SuperConvK3BNRELU`` that takes 3 channels, the tail a ``SuperConvK1BNRELU``; between them
    are one or more super blocks of the space; every output and bottleneck width is a multiple of 8. Super blocks of any
    width and L are read, but mutations keep to the space's largest width and split those of L >= 6.

    ``params`` and ``flops`` are those of the network. What the budgets of searches count is ``counted_...``, see
    :class:`~nbnas.spaces.super_blocks.network.BlockCosts`. The ``switches`` of all counts are those of :meth:`build`.
    """

    convention = "multiply_adds"
    format = staticmethod(format_structure)
    start: ClassVar[str]
    """Structure from which the published searches start."""
    rules: ClassVar[MutationRules]

    def blocks(self, arch: str) -> tuple[SuperBlock, ...]:
        """Return the super blocks; an error names the first one, counted from 1, that is malformed or breaks a rule."""
        blocks = parse_structure(arch)
        last, (names, _, tail_outputs) = len(blocks), self.rules
        for number, block in enumerate(blocks, start=1):
            where = f"block {number} ({block})"
            if number == 1 and (block.name != STEM or block.inputs != 3):
                raise NbnasError(f"{where} must be a stem {STEM} that takes 3 channels")
            if number == last > 1 and block.name != TAIL:
                raise NbnasError(f"{where} is the last and must be a tail {TAIL}")
            if 1 < number < last and block.name not in names:
                raise NbnasError(f"{where} is not of a kind of {self.name!r}; choose from {', '.join(names)}")
            for what, width in (("output", block.outputs), ("bottleneck", block.bottleneck)):
                if width is not None and width % 8:
                    raise NbnasError(f"the {what} width of {where} must be a multiple of 8, got {width}")
            if number == last and tail_outputs not in (None, block.outputs):
                raise NbnasError(f"the output width of {where} must be {tail_outputs}, that of every tail")
        if last < 3:
            raise NbnasError(f"a structure needs a stem, residual super blocks and a tail, got {last} super blocks")
        return blocks

    parse = blocks

    def sample(self, rng: np.random.Generator) -> str:
        """Return the start structure after 12 uniform mutations: there is no uniform draw from endlessly many."""
        arch = self.start
        for _ in range(12):
            arch = self.mutate(arch, rng)
        return arch

    def mutate(
        self,
        arch: str,
        rng: np.random.Generator,
        *,
        candidates: Literal["uniform", "published"] = "uniform",
        replacements: int = 1,
    ) -> str:
        """Replace so many super blocks, see :func:`~nbnas.spaces.super_blocks.mutation.mutate_structure`.

        Only where ``candidates`` is ``uniform`` does the result always differ from ``arch``. The published searches
        make 1 of the ``replacements`` for the first networks, then 2.
        """
        if candidates not in ("uniform", "published"):
            raise NbnasError(f"unknown candidates {candidates!r}; choose from uniform, published")
        if replacements < 1:
            raise NbnasError(f"replacements must be at least 1, got {replacements}")
        published = candidates == "published"
        blocks = mutate_structure(self.blocks(arch), self.rules, rng, published=published, replacements=replacements)
        return format_structure(blocks)

    def build(
        self, arch: str, num_classes: int = 10, *, residual: bool = True, squeeze_excite: bool = False
    ) -> nn.Module:
        """Build a :class:`~nbnas.spaces.super_blocks.network.BlockNetwork` for images (batch, 3, R, R)."""
        return BlockNetwork(self.blocks(arch), num_classes, residual=residual, squeeze_excite=squeeze_excite)

    def _divisor(self, arch: str) -> int:
        return math.prod(block.stride for block in self.blocks(arch))

    def _parts(self, arch: str, resolution: int, num_classes: int, **switches: bool) -> Iterator[BlockCosts]:
        return block_costs(self.blocks(arch), resolution, num_classes, **switches)

    def counted_params(self, arch: str, num_classes: int, **switches: bool) -> int:
        """Parameters under the published convention."""
        return self._total("counted_params", arch, None, num_classes, **switches)

    def counted_flops(self, arch: str, resolution: int, num_classes: int, **switches: bool) -> int:
        """Operations for one image under the published convention."""
        return self._total("counted_flops", arch, resolution, num_classes, **switches)

    def counted_layers(self, arch: str) -> int:
        """Layers under the published convention: the sum of L over all super blocks, stem and tail included."""
        return sum(block.repeats for block in self.blocks(arch))

    def costs(self, arch: str, resolution: int, num_classes: int) -> dict[str, int]:
        """Return what budgets of searches limit, as published: always with shortcuts, never squeeze-excitation."""
        return {
            "params": self.counted_params(arch, num_classes),
            "flops": self.counted_flops(arch, resolution, num_classes),
            "layers": self.counted_layers(arch),
        }


class ZenResNetSpace(BlockSpace):
    """The space in which T-CET searches on CIFAR, of super blocks ``SuperResK{k}K{k}`` and ``SuperResK1K{k}K1``.

    The search keeps widths to at most 2,048. It allows 1e6 counted parameters and 18 counted layers, at 100 classes.
    """

    name = "zen_resnet"
    datasets: ClassVar = {"cifar10": CIFAR10, "cifar100": CIFAR100}
    start = (
        "SuperConvK3BNRELU(3,8,1,1)SuperResK3K3(8,16,1,8,1)SuperResK3K3(16,32,2,16,1)"
        "SuperResK3K3(32,64,2,32,1)SuperResK3K3(64,64,2,32,1)SuperConvK1BNRELU(64,128,1,1)"
    )
    rules = MutationRules(
        {name: 2 if kind.kernel_size == 7 else 3 for name, kind in (BASIC | BOTTLENECK).items()}, 2048
    )


class MobileNetV2Space(BlockSpace):
    """The space in which VKDNW searches on ImageNet, of super blocks ``SuperResIDWE{e}K{k}``.

    Every tail puts out 2,048 channels. Published widths have no limit; ours is that of numbers in a structure string.
    The search allows 450e6 counted operations at 224 pixels, and limits the counted layers.
    """

    name = "mobilenetv2"
    datasets: ClassVar = {"imagenet": IMAGENET}
    start = (
        "SuperConvK3BNRELU(3,8,2,1)SuperResIDWE6K3(8,32,2,8,1)SuperResIDWE6K3(32,48,2,32,1)"
        "SuperResIDWE6K3(48,96,2,48,1)SuperResIDWE6K3(96,128,2,96,1)SuperConvK1BNRELU(128,2048,1,1)"
    )
    rules = MutationRules(
        dict(zip(INVERTED, (12, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2), strict=True)),
        widest=LARGEST_NUMBER // 8 * 8,
        tail_outputs=2048,
    )


VKDNW_CANDIDATES = {
    "480M, 14 layers": (
        "SuperConvK3BNRELU(3,48,2,1)SuperResIDWE1K7(48,40,2,40,1)SuperResIDWE1K3(40,96,2,96,2)"
        "SuperResIDWE4K7(96,96,2,96,5)SuperResIDWE2K7(96,224,2,224,5)SuperConvK1BNRELU(224,2048,1,1)"
    ),
    "480M, 17 layers": (
        "SuperConvK3BNRELU(3,32,2,1)SuperResIDWE1K7(32,40,2,40,1)SuperResIDWE1K3(40,56,2,64,5)"
        "SuperResIDWE4K7(56,96,2,96,5)SuperResIDWE2K7(96,224,2,224,5)SuperConvK1BNRELU(224,2048,1,1)"
    ),
    "480M of a 520M run, first": (
        "SuperConvK3BNRELU(3,32,2,1)SuperResIDWE1K3(32,40,2,32,1)SuperResIDWE2K7(40,72,2,64,2)"
        "SuperResIDWE4K7(72,96,2,96,5)SuperResIDWE2K7(96,224,2,224,5)SuperConvK1BNRELU(224,2048,1,1)"
    ),
    "480M, entropy": (
        "SuperConvK3BNRELU(3,32,2,1)SuperResIDWE1K3(32,40,2,24,1)SuperResIDWE1K3(40,96,2,40,1)"
        "SuperResIDWE2K5(96,120,2,192,3)SuperResIDWE1K7(120,152,1,240,3)SuperResIDWE6K5(152,112,2,112,5)"
        "SuperConvK1BNRELU(112,2048,1,1)"
    ),
    "450M, 14 layers": (
        "SuperConvK3BNRELU(3,40,2,1)SuperResIDWE1K3(40,40,2,32,1)SuperResIDWE1K5(40,80,2,72,2)"
        "SuperResIDWE4K7(80,96,2,96,5)SuperResIDWE2K7(96,224,2,224,5)SuperConvK1BNRELU(224,2048,1,1)"
    ),
    "450M, 17 layers": (
        "SuperConvK3BNRELU(3,24,2,1)SuperResIDWE2K3(24,64,2,40,1)SuperResIDWE2K3(64,96,2,80,2)"
        "SuperResIDWE1K3(96,80,2,96,3)SuperResIDWE4K3(80,80,1,56,5)SuperResIDWE1K7(80,112,2,144,1)"
        "SuperResIDWE6K5(112,112,1,112,4)SuperConvK1BNRELU(112,2048,1,1)"
    ),
    "520M run, fourth": (
        "SuperConvK3BNRELU(3,32,2,1)SuperResIDWE2K3(32,56,2,48,2)SuperResIDWE1K3(56,96,2,128,1)"
        "SuperResIDWE2K5(96,112,2,120,3)SuperResIDWE4K5(112,112,2,112,3)SuperResIDWE4K5(112,112,1,112,4)"
        "SuperConvK1BNRELU(112,2048,1,1)"
    ),
}
"""Structures that the authors of VKDNW recorded; the label is the budget and a number of layers, or how it was chosen.

One of those of 480 million operations is the network of Table 2; which one is not recorded.
"""
