"""What the two spaces of super blocks share."""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from torch import nn

from nbnas.errors import NbnasError
from nbnas.spaces.space import SearchSpace
from nbnas.spaces.super_blocks.costs import BlockCosts, count
from nbnas.spaces.super_blocks.mutation import MutationRules, mutate_structure
from nbnas.spaces.super_blocks.network import BlockNetwork
from nbnas.spaces.super_blocks.structure import SuperBlock, format_structure, parse_structure

STEM, TAIL = "SuperConvK3BNRELU", "SuperConvK1BNRELU"


class BlockSpace(SearchSpace):
    """Structure strings of a stem, residual super blocks of one family, and a tail.

    Rules: the stem is a ``SuperConvK3BNRELU`` that takes 3 channels, the tail a ``SuperConvK1BNRELU``; between them
    are one or more super blocks of the space; every output and bottleneck width is a multiple of 8 and at most the
    space's largest. Super blocks of any L are read, but mutations split those of L >= 6, so the searches have none.
    """

    start: ClassVar[str]
    """Structure from which the published searches start."""
    rules: ClassVar[MutationRules]
    tail_outputs: ClassVar[int | None] = None
    """Output width of every tail, or ``None`` if it is free."""

    def blocks(self, arch: str) -> tuple[SuperBlock, ...]:
        """Return the super blocks of a structure string.

        Raises :class:`NbnasError` that names the first super block, counted from 1, that is malformed or breaks a rule.
        """
        blocks = parse_structure(arch)
        self._check(blocks)
        return blocks

    def normalise(self, arch: str) -> str:
        """Return the structure string without surrounding white space; raises :class:`NbnasError` as :meth:`blocks`."""
        return format_structure(self.blocks(arch))

    def sample(self, rng: np.random.Generator) -> str:
        """Draw a structure: the start structure after 12 uniform mutations.

        No draw is uniform over all structures, for there is no end to them. Budgets are the search's to keep.
        """
        blocks = self.blocks(self.start)
        for _ in range(12):
            blocks = mutate_structure(blocks, self.rules, rng)
        return format_structure(blocks)

    def mutate(
        self,
        arch: str,
        rng: np.random.Generator,
        *,
        candidates: Literal["uniform", "published"] = "uniform",
        replacements: int = 1,
    ) -> str:
        """Replace super blocks, re-align the input widths behind them, split super blocks of L >= 6.

        See :func:`~nbnas.spaces.super_blocks.mutation.candidates` for what may replace one. Strides never change.
        Where ``candidates`` is ``uniform`` the result always differs from ``arch``, where it is ``published`` it may
        not, see :func:`~nbnas.spaces.super_blocks.mutation.mutate_structure`. Of ``replacements``, the number of super
        blocks to draw, the published searches use 1 for the first networks, then 2.
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
        """Build the network; it maps (batch, 3, R, R) to logits (batch, num_classes).

        Its switches are explained at :class:`~nbnas.spaces.super_blocks.network.BlockNetwork`.
        """
        return BlockNetwork(self.blocks(arch), num_classes, residual=residual, squeeze_excite=squeeze_excite)

    def params(self, arch: str, num_classes: int = 10, **switches: bool) -> int:
        """Number of parameters of the built network; :meth:`counted_params` is what the budgets of searches count.

        Switches are those of :meth:`build`, here and below.
        """
        return self._count(arch, num_classes=num_classes, **switches).params

    def flops(self, arch: str, resolution: int = 32, num_classes: int = 10, **switches: bool) -> int:
        """Multiply-adds of convolutions and classifier for one image, without biases.

        :meth:`counted_flops` is what the budgets of searches count. The strides must divide the resolution.
        """
        return self._count(arch, resolution, num_classes, **switches).flops

    def counted_params(self, arch: str, num_classes: int, **switches: bool) -> int:
        """Parameters under the published convention, see :mod:`nbnas.spaces.super_blocks.costs`."""
        return self._count(arch, num_classes=num_classes, **switches).counted_params

    def counted_flops(self, arch: str, resolution: int, num_classes: int, **switches: bool) -> int:
        """Operations for one image under the published convention, see :mod:`nbnas.spaces.super_blocks.costs`."""
        return self._count(arch, resolution, num_classes, **switches).counted_flops

    def counted_layers(self, arch: str) -> int:
        """Layers under the published convention: the sum of L over all super blocks, stem and tail included."""
        return sum(block.repeats for block in self.blocks(arch))

    def costs(self, arch: str, resolution: int, num_classes: int) -> dict[str, int]:
        """Return what budgets of searches limit, as published: counted parameters, operations and layers.

        Shortcuts count, also where a search scores networks without them; squeeze-excitation does not.
        """
        counted = self._count(arch, resolution, num_classes)
        layers = self.counted_layers(arch)
        return {"params": counted.counted_params, "flops": counted.counted_flops, "layers": layers}

    def weight_layers(self, arch: str, **switches: bool) -> int:
        """Number of convolutions and linear layers."""
        return self._count(arch, **switches).weight_layers

    def trainable_layers(self, arch: str, **switches: bool) -> int:
        """Number of parameter tensors, which VKDNW calls trainable layers."""
        return self._count(arch, **switches).trainable_layers

    def _count(self, arch: str, resolution: int | None = None, num_classes: int = 10, **switches: bool) -> BlockCosts:
        """Count the network; without a resolution, the operations mean nothing."""
        blocks = self.blocks(arch)
        stride = math.prod(block.stride for block in blocks)
        if resolution is None:
            resolution = stride
        if resolution < 1 or resolution % stride:
            raise NbnasError(f"resolution must be divisible by {stride}, the product of the strides, got {resolution}")
        return count(blocks, resolution, num_classes, **switches)

    def _check(self, blocks: Sequence[SuperBlock]) -> None:
        last = len(blocks)
        for number, block in enumerate(blocks, start=1):
            where = f"block {number} ({block})"
            if number == 1:
                if block.name != STEM or block.inputs != 3:
                    raise NbnasError(f"{where} must be a stem {STEM} that takes 3 channels")
            elif number == last:
                if block.name != TAIL:
                    raise NbnasError(f"{where} is the last and must be a tail {TAIL}")
            elif block.name not in self.rules.names:
                raise NbnasError(
                    f"{where} is not of a kind of {self.name!r}; choose from {', '.join(self.rules.names)}"
                )
            for what, width in (("output", block.outputs), ("bottleneck", block.bottleneck)):
                if width is not None and (width % 8 or width > self.rules.widest):
                    raise NbnasError(
                        f"the {what} width of {where} must be a multiple of 8 up to {self.rules.widest}, got {width}"
                    )
            if number == last and self.tail_outputs not in (None, block.outputs):
                raise NbnasError(f"the output width of {where} must be {self.tail_outputs}, that of every tail")
        if last < 3:
            raise NbnasError(f"a structure needs a stem, residual super blocks and a tail, got {last} super blocks")
