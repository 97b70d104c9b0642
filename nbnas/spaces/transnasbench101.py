"""TransNAS-Bench-101: 4,096 cells (micro) and 3,256 skeletons (macro), trained on seven tasks.

Source: Duan et al., CVPR 2021, and its released code. Networks are built for its three classification tasks; those for
room layout, segmentation, surface normals and the autoencoder are not. Indices are ours: architectures are in the
lexicographic order of their digits, a shorter one before those that it begins, as in the tables of NASLib.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from nbnas.datasets.shapes import DatasetShape
from nbnas.errors import NbnasError
from nbnas.spaces.four_node_cell import EDGES, Cell, FourNodeSpace
from nbnas.spaces.parts import Costs, FactorizedReduction, classifier_costs, conv_bn, part_costs, relu_conv_bn
from nbnas.spaces.space import CountedSpace, EnumeratedSpace, split_into, text_of

OPERATIONS = ("none", "skip connection", "1x1 convolution", "3x3 convolution")
"""Edge operations of a cell; an architecture string names them by their place here."""

STEM_CHANNELS = 64
"""What the stem hands to the first module, at a quarter of the resolution."""

TASKS = {
    "class_scene": DatasetShape(num_classes=63, resolution=256),
    "class_object": DatasetShape(num_classes=100, resolution=256),
    "jigsaw": DatasetShape(num_classes=1000, resolution=64, channels=27),
}
"""Tasks that networks are built for, with the classes of NASLib, whose scores others compare with.

The benchmark's own networks were trained with 47 scenes and 75 objects, which ``num_classes`` gives. A jigsaw sample is
nine tiles of three channels, in one of 1,000 permutations.
"""


def parse_cell(arch: str) -> tuple[int, ...]:
    """Return the digits of a cell in the order of :data:`EDGES`; an error names the first part that is malformed."""
    modules, cell = _split(arch, "micro", "64-41414-a_bc_def")
    if modules != "41414":
        raise NbnasError(f"the modules of the micro space are '41414', got {modules!r} in {arch!r}")
    nodes = split_into(3, cell, "_", "a TransNAS-Bench-101 cell has 3 nodes")
    for target, node in enumerate(nodes, start=1):
        if len(node) != target:
            raise NbnasError(f"node {target} needs {target} incoming edges, one digit each, got {node!r} in {arch!r}")
        for source, digit in enumerate(node):
            if digit not in "0123":
                known = ", ".join(f"{number} ({name})" for number, name in enumerate(OPERATIONS))
                raise NbnasError(f"edge {source}-{target} has unknown operation {digit!r}; choose from {known}")
    return tuple(map(int, "".join(nodes)))


def format_cell(digits: Sequence[int]) -> str:
    """Join six digits, in the order of :data:`EDGES`, into an architecture string."""
    a, b, c, d, e, f = digits
    return f"64-41414-{a}_{b}{c}_{d}{e}{f}"


def parse_modules(arch: str) -> tuple[int, ...]:
    """Return the digits of a skeleton; an error names the first malformed part, or the limit that the digits break."""
    modules, block = _split(arch, "macro", "64-DIGITS-basic")
    if block != "basic":
        raise NbnasError(f"the blocks of the macro space are 'basic', got {block!r} in {arch!r}")
    for place, digit in enumerate(modules, start=1):
        if digit not in "1234":
            raise NbnasError(f"module {place} has unknown digit {digit!r} in {arch!r}; choose from 1, 2, 3, 4")
    digits = tuple(map(int, modules))
    if problem := _what_is_wrong(digits):
        raise NbnasError(f"{problem} in {arch!r}")
    return digits


def format_modules(digits: Sequence[int]) -> str:
    """Join the digits of the modules into an architecture string."""
    return f"64-{''.join(map(str, digits))}-basic"


def _split(arch: str, kind: str, pattern: str) -> tuple[str, str]:
    """Return modules and blocks."""
    parts = text_of(arch).split("-")
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


Shape = tuple[int, int, int]
"""Input channels, output channels and stride."""


class _TransNasBench101(CountedSpace, EnumeratedSpace):
    """What both spaces share; ``_block`` builds a block, ``_block_parts`` counts it for an input of ``side`` pixels.

    FLOPs are those of NASLib's records, BatchNorm, ReLU and pooling included. The encoder is counted for one tile.
    """

    datasets = TASKS
    default_shape = TASKS["class_scene"]
    modules: ClassVar[tuple[int, ...]] = ()
    """The modules that all networks have, if they do, by the digits of the macro space."""

    def build(self, arch: str, num_classes: int = 63, *, tiles: int = 1) -> nn.Module:
        """Build the network of a classification task; it maps (batch, 3 ``tiles``, R, R) to (batch, num_classes)."""
        digits = self.parse(arch)
        shapes = block_shapes(self.modules or digits)
        blocks = [self._block(digits, shape) for shape in shapes]
        return TransNasBench101Network(blocks, shapes[-1][1], num_classes, tiles)

    def _head(self, dataset: str) -> dict[str, int]:
        return {**super()._head(dataset), "tiles": TASKS[dataset].channels // 3}

    def _parts(self, arch: str, resolution: int, num_classes: int, tiles: int = 1) -> Iterator[Costs]:
        half, side = STEM_CHANNELS // 2, _divide(resolution, 2)
        yield part_costs(conv_bn, (3, half, 3, 2), 3, resolution)
        yield part_costs(relu_conv_bn, (half, STEM_CHANNELS, 3, 2), half, side)
        side = _divide(side, 2)
        digits = self.parse(arch)
        for shape in block_shapes(self.modules or digits):
            yield from self._block_parts(digits, shape, side)
            _, channels, stride = shape
            side = _divide(side, stride)
        yield part_costs(nn.AdaptiveAvgPool2d, (1,), tiles * channels, side)
        yield classifier_costs(tiles * channels, num_classes)


class TransNasBench101Micro(_TransNasBench101, FourNodeSpace):
    """The space of cells.

    An architecture is the benchmark's string ``64-41414-a_bc_def``: stem channels, modules, and the operations of
    :data:`EDGES` as places in :data:`OPERATIONS`. The index of a cell is its six digits read as a number to base 4.

    Its sets are ``all``, the 3,927 ``live`` cells with a path from input to output, and the 2,128 ``unique`` ones
    without dead edges: of all cells with one live form that form itself, which has the lowest index. The empty cell is
    among the unique ones; mirror images, with nodes 1 and 2 exchanged, are not joined.
    """

    name = "transnasbench101_micro"
    modules = (4, 1, 4, 1, 4)
    options = (0, 1, 2, 3)
    parse = staticmethod(parse_cell)
    format = staticmethod(format_cell)

    def has_path(self, arch: str) -> bool:
        """Whether the output depends on the input at all (False for 169 cells)."""
        return any(parse_cell(self.live_form(arch)))

    @cached_property
    def _subsets(self) -> dict[str, list[int]]:
        live = [index for index, arch in enumerate(self) if self.has_path(arch)]
        unique = [index for index, arch in enumerate(self) if not self.has_dead_edges(arch)]
        return super()._subsets | {"live": live, "unique": unique}

    def _block(self, digits: tuple[int, ...], shape: Shape) -> nn.Module:
        return make_cell(digits, *shape)

    def _block_parts(self, digits: tuple[int, ...], shape: Shape, side: int) -> Iterator[Costs]:
        for digit, (source, _) in zip(digits, EDGES, strict=True):
            edge = edge_shape(source, *shape)
            yield part_costs(make_operation, (digit, *edge), edge[0], side if source == 0 else _divide(side, shape[2]))


class TransNasBench101Macro(_TransNasBench101):
    """The space of skeletons.

    An architecture is the benchmark's string ``64-DIGITS-basic``: stem channels, 4 to 6 modules, kind of block. A
    module is two residual blocks. Digit 1 keeps channels and resolution, 2 doubles the channels, 3 halves the
    resolution, 4 does both. 1 to 4 modules halve, 1 to 3 double.
    """

    name = "transnasbench101_macro"
    parse = staticmethod(parse_modules)
    format = staticmethod(format_modules)

    @cached_property
    def _architectures(self) -> list[str]:
        candidates = (digits for length in (4, 5, 6) for digits in itertools.product((1, 2, 3, 4), repeat=length))
        return [format_modules(digits) for digits in sorted(candidates) if not _what_is_wrong(digits)]

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Replace one digit, drawn uniformly from all replacements that give a valid skeleton of the same length."""
        digits = parse_modules(arch)
        changes = itertools.product(range(len(digits)), (1, 2, 3, 4))
        changed = ((*digits[:place], digit, *digits[place + 1 :]) for place, digit in changes)
        neighbours = [other for other in changed if other != digits and not _what_is_wrong(other)]
        return format_modules(neighbours[int(rng.integers(len(neighbours)))])

    def _block(self, digits: tuple[int, ...], shape: Shape) -> nn.Module:
        return BasicBlock(*shape)

    def _block_parts(self, digits: tuple[int, ...], shape: Shape, side: int) -> Iterator[Costs]:
        yield part_costs(BasicBlock, shape, shape[0], side)


def _divide(side: int, stride: int) -> int:
    """Side after a layer with this stride, rounded up."""
    return -(-side // stride)


def block_shapes(modules: Iterable[int]) -> list[Shape]:
    """Return the shapes of all blocks: each module is two, of which the first makes the module's change."""
    shapes, channels = [], STEM_CHANNELS
    for digit in modules:
        before, channels = channels, channels * (2 if digit in (2, 4) else 1)
        shapes += [(before, channels, 2 if digit in (3, 4) else 1), (channels, channels, 1)]
    return shapes


def edge_shape(source: int, in_channels: int, out_channels: int, stride: int) -> Shape:
    """Return the shape of an edge in a cell: edges that leave the input make the cell's change, the others none."""
    return (in_channels, out_channels, stride) if source == 0 else (out_channels, out_channels, 1)


class Zero(nn.Module):
    """The ``none`` edge: multiplies by zero, so that gradients are zeros rather than missing."""

    def __init__(self, out_channels: int, stride: int) -> None:
        super().__init__()
        self.out_channels, self.stride = out_channels, stride

    def forward(self, inputs: Tensor) -> Tensor:
        zeros = inputs[:, :1, :: self.stride, :: self.stride].mul(0.0)
        return zeros.expand(-1, self.out_channels, -1, -1)


def make_operation(digit: int, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Build one of :data:`OPERATIONS`; the side of its output is rounded up."""
    if digit == 0:
        return Zero(out_channels, stride)
    if digit == 1:
        same = stride == 1 and in_channels == out_channels
        return nn.Identity() if same else FactorizedReduction(in_channels, out_channels)
    return relu_conv_bn(in_channels, out_channels, 1 if digit == 2 else 3, stride)


def make_cell(operations: Sequence[int], in_channels: int, out_channels: int, stride: int) -> Cell:
    """Build a cell of six operations, in the order of :data:`EDGES`."""
    shapes = [edge_shape(source, in_channels, out_channels, stride) for source, _ in EDGES]
    return Cell(make_operation(digit, *shape) for digit, shape in zip(operations, shapes, strict=True))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the activation comes before each convolution, none after the sum."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv_a = relu_conv_bn(in_channels, out_channels, 3, stride)
        self.conv_b = relu_conv_bn(out_channels, out_channels, 3)
        changes = stride > 1 or in_channels != out_channels
        self.shortcut = conv_bn(in_channels, out_channels, 1, stride) if changes else nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.conv_b(self.conv_a(inputs)) + self.shortcut(inputs)


class TransNasBench101Network(nn.Module):
    """Stem, blocks, pooling, classifier; neither BatchNorm nor activation between the last sum and the pooling.

    Convolutions start as published, from N(0, 2 / fan_out) with fan_out = output channels times kernel size squared.
    The classifier keeps torch's default. Parameters are registered in the order of execution, in a cell edge by edge.

    The tiles pass one after the other through one encoder, and BatchNorm in train mode sees one tile of each sample at
    a time. A sample's features are those of all its tiles, ``channels`` of each.
    """

    def __init__(self, blocks: Iterable[nn.Module], channels: int, num_classes: int, tiles: int) -> None:
        super().__init__()
        self.tiles = tiles
        half = STEM_CHANNELS // 2
        stem = conv_bn(3, half, 3, stride=2), relu_conv_bn(half, STEM_CHANNELS, 3, stride=2)
        self.encoder = nn.Sequential(*stem, *blocks)
        for layer in self.encoder.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(tiles * channels, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        features = torch.cat([self.encoder(tile) for tile in inputs.chunk(self.tiles, dim=1)], dim=1)
        return self.classifier(self.pooling(features).flatten(1))
