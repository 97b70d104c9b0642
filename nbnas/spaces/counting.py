"""Costs of networks, counted on torch's device ``meta``, where nothing is computed. Equal parts are counted once."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import cache
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from nbnas.errors import NbnasError
from nbnas.spaces.space import SearchSpace


class Costs(NamedTuple):
    """Costs of a network, or of a part of one, for one image. A module that runs several times counts once."""

    params: int = 0
    """Parameters, BatchNorm scales and shifts included."""
    weight_layers: int = 0
    """Convolutions and linear layers."""
    trainable_layers: int = 0
    """Parameter tensors."""
    multiply_adds: int = 0
    """Multiply-adds of convolutions and linear layers, without biases."""
    operations: int = 0
    """Operations as tensorwatch 0.9.1 counts them, the convention of the records that NASLib publishes.

    Of an output of n elements: a convolution counts its multiply-adds and n if it has a bias; BatchNorm 2 n, without
    scales n; ReLU n; pooling with kernel k counts k^2 n; pooling to one pixel counts channels * (height + 1) *
    (width + 1), as released; a linear layer in * out. All else is free.
    """


def count(network: nn.Module, input_shape: tuple[int, ...]) -> Costs:
    """Count the costs of a network on ``meta`` for an image of shape (channels, height, width).

    The network is left in evaluation mode.
    """
    counts: dict[nn.Module, Costs] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        own = list(module.parameters(recurse=False))
        weighted = isinstance(module, nn.Conv2d | nn.Linear)
        multiply_adds = module.weight[0].numel() * output.numel() if weighted else 0
        operations = multiply_adds + _operations(module, inputs[0], output)
        counts[module] = Costs(sum(p.numel() for p in own), int(weighted), len(own), multiply_adds, operations)

    handles = [module.register_forward_hook(note) for module in network.modules() if not list(module.children())]
    network.eval()(torch.zeros(1, *input_shape, device="meta"))
    for handle in handles:
        handle.remove()
    return total(counts.values())


def total(parts: Iterable[Costs]) -> Costs:
    """Costs of several parts together."""
    return Costs(*map(sum, zip(*parts, strict=True)))


def _operations(module: nn.Module, inputs: Tensor, output: Tensor) -> int:
    """Operations besides multiply-adds."""
    match module:
        case nn.Conv2d(bias=Tensor()) | nn.ReLU():
            return output.numel()
        case nn.BatchNorm2d():
            return (2 if module.affine else 1) * output.numel()
        case nn.MaxPool2d() | nn.AvgPool2d():
            return module.kernel_size**2 * output.numel()
        case nn.AdaptiveAvgPool2d():
            _, channels, height, width = inputs.shape
            return channels * (height + 1) * (width + 1)
    return 0


@cache
def part_costs(make: Callable[..., nn.Module], arguments: tuple, channels: int, side: int) -> Costs:
    """Costs of ``make(*arguments)`` for an input of so many channels, and of ``side`` pixels on a side."""
    with torch.device("meta"):
        return count(make(*arguments), (channels, side, side))


def conv_bn_costs(in_channels: int, out_channels: int, kernel_size: int, side: int) -> Costs:
    """Costs of a convolution without bias, whose output has ``side`` pixels on a side, and of BatchNorm after it."""
    weights = kernel_size**2 * in_channels * out_channels
    norm = 2 * out_channels
    return Costs(weights + norm, 1, 3, weights * side**2, (weights + norm) * side**2)


def pooling_costs(channels: int, side: int) -> Costs:
    """Costs of global average pooling."""
    return part_costs(nn.AdaptiveAvgPool2d, (1,), channels, side)


def classifier_costs(channels: int, num_classes: int) -> Costs:
    """Costs of a linear layer with bias."""
    weights = channels * num_classes
    return Costs(weights + num_classes, 1, 2, weights, weights)


class CountedSpace(SearchSpace):
    """A space that counts its networks part by part.

    ``skeleton`` stands for the other keyword arguments of :meth:`build`. Resolution and number of classes are those of
    the first of :attr:`datasets` unless given.
    """

    convention: ClassVar[Literal["multiply_adds", "operations"]] = "operations"
    """Which of :class:`Costs` the benchmark calls FLOPs."""
    divisor: ClassVar[int] = 1
    """Number that divides the resolution."""

    @abstractmethod
    def _parts(self, arch: str, resolution: int, num_classes: int, **skeleton: int) -> Iterable[Costs]:
        """Costs of all parts of the network."""

    def _total(
        self, name: str, arch: str, resolution: int | None = None, num_classes: int | None = None, **skeleton: int
    ) -> int:
        first = next(iter(self.datasets.values()))
        resolution = first.resolution if resolution is None else resolution
        if resolution % self.divisor:
            raise NbnasError(f"resolution must be divisible by {self.divisor}, got {resolution}")
        num_classes = first.num_classes if num_classes is None else num_classes
        return sum(getattr(part, name) for part in self._parts(arch, resolution, num_classes, **skeleton))

    def params(self, arch: str, num_classes: int | None = None, **skeleton: int) -> int:
        """Number of parameters, BatchNorm scales and shifts included."""
        return self._total("params", arch, num_classes=num_classes, **skeleton)

    def flops(self, arch: str, resolution: int | None = None, num_classes: int | None = None, **skeleton: int) -> int:
        """Operations for one image by the benchmark's :attr:`convention`, see :class:`Costs`.

        Raises:
            NbnasError: If the architecture is malformed, or :attr:`divisor` does not divide the resolution.
        """
        return self._total(self.convention, arch, resolution, num_classes, **skeleton)

    def weight_layers(self, arch: str, **skeleton: int) -> int:
        """Number of convolutions and linear layers."""
        return self._total("weight_layers", arch, **skeleton)

    def trainable_layers(self, arch: str, **skeleton: int) -> int:
        """Number of parameter tensors, which VKDNW calls trainable layers."""
        return self._total("trainable_layers", arch, **skeleton)
