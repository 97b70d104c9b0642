"""TransNAS-Bench-101: 4,096 cells (micro) and 3,256 skeletons (macro), trained on seven tasks.

Source: Duan et al., "TransNAS-Bench-101: Improving Transferability and Generalizability of Cross-Task Neural
Architecture Search", CVPR 2021. Networks are built for its three classification tasks; those for room layout,
segmentation, surface normals and the autoencoder are not. Indices are ours: architectures are in the lexicographic
order of their digits, a shorter one before those that it begins, as in the tables of NASLib.
"""

import itertools
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import cache, cached_property

import numpy as np
import torch
from torch import nn

from nbnas.datasets.shapes import DatasetShape
from nbnas.errors import NbnasError
from nbnas.spaces.four_node_cell import EDGES, edges_on_paths
from nbnas.spaces.space import EnumeratedSpace
from nbnas.spaces.tensorwatch import count_operations
from nbnas.spaces.transnasbench101_network import (
    MICRO_MODULES,
    STEM_CHANNELS,
    BasicBlock,
    TransNasBench101Network,
    block_shapes,
    edge_shape,
    make_cell,
)

OPERATIONS = ("none", "skip connection", "1x1 convolution", "3x3 convolution")
"""Edge operations of a cell; an architecture string names them by their place here."""

TASKS = {
    "class_scene": DatasetShape(num_classes=63, resolution=256),
    "class_object": DatasetShape(num_classes=100, resolution=256),
    "jigsaw": DatasetShape(num_classes=1000, resolution=64, channels=27),
}
"""Tasks that networks are built for. A jigsaw sample is nine tiles of three channels.

Classes of scenes and objects are those of NASLib, whose scores others compare with. The benchmark's own networks were
trained with 47 and 75, which ``num_classes`` gives.
"""


class _TransNasBench101(EnumeratedSpace):
    """What both spaces share: tasks, head, costs."""

    datasets = TASKS

    @abstractmethod
    def _shapes(self, arch: str) -> list[tuple[int, int, int]]:
        """Input channels, output channels and stride of every block."""

    @abstractmethod
    def _blocks(self, arch: str) -> Iterable[nn.Module]:
        """Modules of the blocks."""

    @abstractmethod
    def _block_params(self, arch: str) -> int:
        """Number of parameters of all blocks."""

    @abstractmethod
    def _block_layers(self, arch: str) -> tuple[int, int]:
        """Number of convolutions and of BatchNorms of all blocks."""

    def weight_layers(self, arch: str) -> int:
        """Number of convolutions and linear layers: two of the stem, those of the blocks, the classifier."""
        convolutions, _ = self._block_layers(arch)
        return 2 + convolutions + 1

    def trainable_layers(self, arch: str) -> int:
        """Number of parameter tensors, two for a BatchNorm and for the classifier, one for a convolution."""
        convolutions, norms = self._block_layers(arch)
        return 2 + convolutions + 2 * (2 + norms) + 2

    def build(self, arch: str, num_classes: int = 63, *, tiles: int = 1) -> nn.Module:
        """Build the network of a classification task.

        Args:
            arch: Architecture string.
            num_classes: Number of logits. Scenes: 63 as NASLib scores, 47 as the benchmark trained; objects: 100 and
                75; jigsaw: 1,000 permutations.
            tiles: Pictures per sample, 9 for jigsaw.

        Returns:
            A network that maps (batch, 3 ``tiles``, R, R) to logits (batch, ``num_classes``).

        Raises:
            NbnasError: If ``arch`` is malformed.
        """
        _, channels, _ = self._shapes(arch)[-1]
        return TransNasBench101Network(self._blocks(arch), channels, num_classes, tiles)

    def build_for(self, arch: str, dataset: str) -> nn.Module:
        """Build the network for one of :data:`TASKS`; raises :class:`NbnasError` for the benchmark's other tasks."""
        if dataset not in self.datasets:
            raise NbnasError(f"{self.name} builds networks for {', '.join(self.datasets)}, not for {dataset!r}")
        shape = self.datasets[dataset]
        return self.build(arch, shape.num_classes, tiles=shape.channels // 3)

    def params(self, arch: str, num_classes: int = 63, *, tiles: int = 1) -> int:
        """Number of parameters, BatchNorm scales and shifts and edges that no signal passes included.

        19,488 of the stem, plus those of the blocks, plus (``tiles`` C + 1) ``num_classes`` of the classifier for C
        channels after the last block. Arguments as in :meth:`build`.
        """
        half = STEM_CHANNELS // 2
        stem = _convolution_params(3, half, 3) + _convolution_params(half, STEM_CHANNELS, 3)
        _, channels, _ = self._shapes(arch)[-1]
        return stem + self._block_params(arch) + (tiles * channels + 1) * num_classes

    def flops(self, arch: str, resolution: int = 256, num_classes: int = 63, *, tiles: int = 1) -> int:
        """Operations for one image as tensorwatch counts them, which are those of NASLib's records.

        They include BatchNorm, ReLU and pooling, see :mod:`nbnas.spaces.tensorwatch`. Counted by running the network
        without weights, which takes a tenth of a second. What runs several times counts once: of nine tiles one.

        Args:
            arch: Architecture string.
            resolution: Side of the image, or of a tile, in pixels.
            num_classes: Number of logits.
            tiles: As in :meth:`build`.
        """
        with torch.device("meta"):
            network = self.build(arch, num_classes, tiles=tiles)
        return count_operations(network, (3 * tiles, resolution, resolution))

    def params_for(self, arch: str, dataset: str) -> int:
        """Number of parameters for one of :data:`TASKS`, see :meth:`params`."""
        shape = self.datasets[dataset]
        return self.params(arch, shape.num_classes, tiles=shape.channels // 3)

    def flops_for(self, arch: str, dataset: str) -> int:
        """Operations for one image or tile of one of :data:`TASKS`, see :meth:`flops`."""
        shape = self.datasets[dataset]
        return self.flops(arch, shape.resolution, shape.num_classes, tiles=shape.channels // 3)


class TransNasBench101Micro(_TransNasBench101):
    """The space of cells; see :func:`nbnas.get_space`.

    An architecture is the benchmark's string ``64-41414-a_bc_def``: stem channels, modules, and node by node the
    operations of the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3 as digits of :data:`OPERATIONS`. The index of a cell is
    its six digits read as a number to base 4.
    """

    name = "transnasbench101_micro"

    @cached_property
    def _architectures(self) -> list[str]:
        return [format_cell(digits) for digits in itertools.product(range(len(OPERATIONS)), repeat=len(EDGES))]

    def normalise(self, arch: str) -> str:
        """Return the standard spelling of a cell; raises :class:`NbnasError` where it is malformed."""
        return format_cell(parse_cell(arch))

    def live_form(self, arch: str) -> str:
        """Return the cell with ``none`` on every edge that lies on no path from input to output (2,128 cells).

        Both compute the same function. The edges it drops have parameters that no gradient reaches or no signal.
        """
        digits = parse_cell(arch)
        live = edges_on_paths([edge for edge, digit in zip(EDGES, digits, strict=True) if digit])
        return format_cell([digit if edge in live else 0 for digit, edge in zip(digits, EDGES, strict=True)])

    def has_dead_edges(self, arch: str) -> bool:
        """Whether an edge other than ``none`` lies on no path from input to output (False for 2,128 cells).

        The empty cell has no such edge and counts as free of dead edges, as in NAS-Bench-201.
        """
        return self.live_form(arch) != self.normalise(arch)

    def has_path(self, arch: str) -> bool:
        """Whether the output depends on the input at all (False for 169 cells)."""
        return any(parse_cell(self.live_form(arch)))

    @cached_property
    def _subsets(self) -> dict[str, list[int]]:
        return {
            "all": list(range(len(self))),
            "live": [index for index, arch in enumerate(self) if self.has_path(arch)],
            "unique": [index for index, arch in enumerate(self) if not self.has_dead_edges(arch)],
        }

    def subset(self, name: str) -> list[int]:
        """Return the ascending indices of a named set of cells.

        Args:
            name: ``all`` (4,096), ``live`` (3,927 with a path from input to output) or ``unique`` (2,128 without dead
                edges: of all cells with one live form that form itself, which has the lowest index. The empty
                cell is among them; mirror images, with nodes 1 and 2 exchanged, are not joined).
        """
        return super().subset(name)

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Replace the operation of one edge, both drawn uniformly; the result always differs from ``arch``."""
        digits = list(parse_cell(arch))
        edge = int(rng.integers(len(EDGES)))
        alternatives = [digit for digit in range(len(OPERATIONS)) if digit != digits[edge]]
        digits[edge] = alternatives[int(rng.integers(len(alternatives)))]
        return format_cell(digits)

    def flops(self, arch: str, resolution: int = 256, num_classes: int = 63, *, tiles: int = 1) -> int:
        """Operations for one image as tensorwatch counts them, see :mod:`nbnas.spaces.tensorwatch`.

        They are those of the empty cell and of each edge, because sums are free. Arguments as of :meth:`build`;
        ``resolution`` is the side of the image, or of a tile, in pixels.
        """
        empty = (0,) * len(EDGES)
        total = base = _count_cell(empty, resolution, num_classes, tiles)
        for edge, digit in enumerate(parse_cell(arch)):
            total += _count_cell((*empty[:edge], digit, *empty[edge + 1 :]), resolution, num_classes, tiles) - base
        return total

    def _shapes(self, arch: str) -> list[tuple[int, int, int]]:
        return block_shapes(MICRO_MODULES)

    def _blocks(self, arch: str) -> Iterable[nn.Module]:
        digits = parse_cell(arch)
        return [make_cell(digits, *shape) for shape in self._shapes(arch)]

    def _block_layers(self, arch: str) -> tuple[int, int]:
        convolutions = norms = 0
        for digit, (source, _) in zip(parse_cell(arch), EDGES, strict=True):
            for before, after, stride in self._shapes(arch):
                reduces = edge_shape(source, before, after, stride) != (after, after, 1)
                # A skip connection that changes shape has two convolutions under one BatchNorm.
                convolutions += 2 * reduces if digit == 1 else digit > 1
                norms += reduces if digit == 1 else digit > 1
        return convolutions, norms

    def _block_params(self, arch: str) -> int:
        total = 0
        for digit, (source, _) in zip(parse_cell(arch), EDGES, strict=True):
            for before, after, stride in self._shapes(arch):
                total += _operation_params(digit, *edge_shape(source, before, after, stride))
        return total


class TransNasBench101Macro(_TransNasBench101):
    """The space of skeletons; see :func:`nbnas.get_space`.

    An architecture is the benchmark's string ``64-DIGITS-basic``: stem channels, 4 to 6 modules, kind of block. A
    module is two residual blocks. Digit 1 keeps channels and resolution, 2 doubles the channels, 3 halves the
    resolution, 4 does both. 1 to 4 modules halve, 1 to 3 double.
    """

    name = "transnasbench101_macro"

    @cached_property
    def _architectures(self) -> list[str]:
        candidates = (digits for length in (4, 5, 6) for digits in itertools.product((1, 2, 3, 4), repeat=length))
        return [format_modules(digits) for digits in sorted(candidates) if not _what_is_wrong(digits)]

    def normalise(self, arch: str) -> str:
        """Return the standard spelling of a skeleton; raises :class:`NbnasError` where it is malformed."""
        return format_modules(parse_modules(arch))

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Replace one digit, drawn uniformly from all replacements that give a valid skeleton of the same length."""
        digits = parse_modules(arch)
        neighbours = [
            (*digits[:place], digit, *digits[place + 1 :])
            for place, digit in itertools.product(range(len(digits)), (1, 2, 3, 4))
            if digit != digits[place]
        ]
        neighbours = [neighbour for neighbour in neighbours if not _what_is_wrong(neighbour)]
        return format_modules(neighbours[int(rng.integers(len(neighbours)))])

    def _shapes(self, arch: str) -> list[tuple[int, int, int]]:
        return block_shapes(parse_modules(arch))

    def _blocks(self, arch: str) -> Iterable[nn.Module]:
        return [BasicBlock(*shape) for shape in self._shapes(arch)]

    def _block_layers(self, arch: str) -> tuple[int, int]:
        layers = sum(2 + (stride > 1 or before != after) for before, after, stride in self._shapes(arch))
        return layers, layers

    def _block_params(self, arch: str) -> int:
        total = 0
        for before, after, stride in self._shapes(arch):
            total += _convolution_params(before, after, 3) + _convolution_params(after, after, 3)
            if stride > 1 or before != after:
                total += _convolution_params(before, after, 1)
        return total


def parse_cell(arch: str) -> tuple[int, ...]:
    """Split the string of a cell into its six digits, in the order of :data:`EDGES`.

    Raises:
        NbnasError: Names the first part that is malformed.
    """
    modules, cell = _split(arch, "micro", "64-41414-a_bc_def")
    if modules != "".join(map(str, MICRO_MODULES)):
        raise NbnasError(f"the modules of the micro space are '41414', got {modules!r} in {arch!r}")
    nodes = cell.split("_")
    if len(nodes) != 3:
        raise NbnasError(f"a TransNAS-Bench-101 cell has 3 nodes joined by '_', got {len(nodes)} in {arch!r}")
    for target, node in enumerate(nodes, start=1):
        if len(node) != target:
            raise NbnasError(f"node {target} needs {target} incoming edges, one digit each, got {node!r} in {arch!r}")
        for source, digit in enumerate(node):
            if digit not in "0123":
                known = ", ".join(f"{number} ({name})" for number, name in enumerate(OPERATIONS))
                raise NbnasError(f"edge {source}-{target} has unknown operation {digit!r}; choose from {known}")
    return tuple(int(digit) for node in nodes for digit in node)


def format_cell(digits: Sequence[int]) -> str:
    """Join six digits, in the order of :data:`EDGES`, into an architecture string."""
    a, b, c, d, e, f = digits
    return f"{STEM_CHANNELS}-{''.join(map(str, MICRO_MODULES))}-{a}_{b}{c}_{d}{e}{f}"


def parse_modules(arch: str) -> tuple[int, ...]:
    """Return the digits of a skeleton, first module first.

    Raises:
        NbnasError: Names the first part that is malformed, or the limit that the digits break.
    """
    modules, block = _split(arch, "macro", "64-DIGITS-basic")
    if block != "basic":
        raise NbnasError(f"the blocks of the macro space are 'basic', got {block!r} in {arch!r}")
    for place, digit in enumerate(modules, start=1):
        if digit not in "1234":
            raise NbnasError(f"module {place} has unknown digit {digit!r} in {arch!r}; choose from 1, 2, 3, 4")
    digits = tuple(map(int, modules))
    problem = _what_is_wrong(digits)
    if problem:
        raise NbnasError(f"{problem} in {arch!r}")
    return digits


def format_modules(digits: Sequence[int]) -> str:
    """Join the digits of the modules into an architecture string."""
    return f"{STEM_CHANNELS}-{''.join(map(str, digits))}-basic"


def _split(arch: str, kind: str, pattern: str) -> tuple[str, str]:
    """Check the type, the number of parts and the stem; return modules and blocks."""
    if not isinstance(arch, str):
        raise NbnasError(f"a TransNAS-Bench-101 architecture is a string, got {type(arch).__name__}")
    parts = arch.strip().split("-")
    if len(parts) != 3:
        raise NbnasError(f"a TransNAS-Bench-101 {kind} architecture reads {pattern!r}, got {arch!r}")
    if parts[0] != str(STEM_CHANNELS):
        raise NbnasError(f"the stem has {STEM_CHANNELS} channels, got {parts[0]!r} in {arch!r}")
    return parts[1], parts[2]


def _what_is_wrong(digits: Sequence[int]) -> str | None:
    """Say which limit of the macro space the modules break."""
    if len(digits) not in (4, 5, 6):
        return f"a skeleton has 4 to 6 modules, got {len(digits)}"
    halving = sum(digit in (3, 4) for digit in digits)
    if not 1 <= halving <= 4:
        return f"1 to 4 modules halve the resolution (digits 3 and 4), got {halving}"
    doubling = sum(digit in (2, 4) for digit in digits)
    if not 1 <= doubling <= 3:
        return f"1 to 3 modules double the channels (digits 2 and 4), got {doubling}"
    return None


@cache
def _count_cell(digits: tuple[int, ...], resolution: int, num_classes: int, tiles: int) -> int:
    """Operations of the network of a cell, counted by running it without weights."""
    with torch.device("meta"):
        network = TransNasBench101Micro().build(format_cell(digits), num_classes, tiles=tiles)
    return count_operations(network, (3 * tiles, resolution, resolution))


def _operation_params(digit: int, in_channels: int, out_channels: int, stride: int) -> int:
    """Parameters of one edge of a cell. A skip connection that changes shape has as many as a 1x1 convolution."""
    if digit == 0 or (digit == 1 and stride == 1 and in_channels == out_channels):
        return 0
    return _convolution_params(in_channels, out_channels, 3 if digit == 3 else 1)


def _convolution_params(in_channels: int, out_channels: int, kernel_size: int) -> int:
    """Parameters of a convolution without bias and the BatchNorm after it."""
    return kernel_size**2 * in_channels * out_channels + 2 * out_channels
