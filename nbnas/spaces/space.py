"""What every search space offers, and what those of the package share."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from nbnas.datasets.shapes import CIFAR10, DatasetShape
from nbnas.errors import NbnasError
from nbnas.networks.layers import weight_layers
from nbnas.seeding import derive_seed
from nbnas.spaces.parts import Costs


class SearchSpace(ABC):
    """A set of architectures, written as strings, and the networks that they stand for."""

    name: ClassVar[str]
    datasets: ClassVar[Mapping[str, DatasetShape]]
    """Data sets that the space's benchmark trained on."""
    default_set: ClassVar[str] = "trained"
    """Named set that is scored unless another is asked for: one architecture of each distinct network."""
    set_names: ClassVar[Mapping[str, str]] = {"trained": "networks"}
    """Named set -> what its members are called in a sentence."""
    ranked_sets: ClassVar[Mapping[str, Mapping[str, str]]] = {"trained": {"trained": "trained"}}
    """Set that papers rank -> its disjoint parts, each with the named set that is scored for it."""

    @abstractmethod
    def normalise(self, arch: str) -> str:
        """Return the standard spelling of an architecture; raises :class:`NbnasError` where it is malformed."""

    def is_valid(self, arch: str) -> bool:
        """Whether ``arch`` is a well-formed architecture of this space."""
        try:
            self.normalise(arch)
        except NbnasError:
            return False
        return True

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> str:
        """Draw an architecture."""

    @abstractmethod
    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Change one decision at random; the result always differs from ``arch``."""

    @abstractmethod
    def build(self, arch: str, num_classes: int = 10) -> nn.Module:
        """Build the network; it maps (batch, 3, R, R) to logits (batch, num_classes)."""

    def _head(self, dataset: str) -> dict[str, int]:
        """What the network must know of a data set."""
        if dataset not in self.datasets:
            raise NbnasError(f"{self.name} builds networks for {', '.join(self.datasets)}, not for {dataset!r}")
        return {"num_classes": self.datasets[dataset].num_classes}

    def build_for(self, arch: str, dataset: str) -> nn.Module:
        """Build the network for one of :attr:`datasets`; raises :class:`NbnasError` for another one."""
        return self.build(arch, **self._head(dataset))

    def params_for(self, arch: str, dataset: str) -> int:
        """Number of parameters for one of :attr:`datasets`, see :meth:`params`."""
        return self.params(arch, **self._head(dataset))

    def flops_for(self, arch: str, dataset: str) -> int:
        """Operations for one image (jigsaw: one tile) of one of :attr:`datasets`, see :meth:`flops`."""
        return self.flops(arch, resolution=self.datasets[dataset].resolution, **self._head(dataset))

    def named_set(self, name: str, trained: Callable[[], Sequence[str]]) -> dict[int, str]:
        """Return a named set, row -> architecture; ``trained`` returns those of the benchmark in its order."""
        if name != "trained":
            raise NbnasError(f"{self.name} cannot be listed; its only set of architectures is 'trained', not {name!r}")
        return dict(enumerate(trained()))

    def network_form(self, arch: str) -> str:
        """Return a text that two architectures share if they are the same network up to the order of parameters."""
        return self.normalise(arch)

    def weight_layers(self, arch: str) -> int:
        """Number of convolutions and linear layers."""
        with torch.device("meta"):
            return len(weight_layers(self.build(arch)))

    def trainable_layers(self, arch: str) -> int:
        """Number of parameter tensors, which VKDNW calls trainable layers."""
        with torch.device("meta"):
            return len(list(self.build(arch).parameters()))

    def costs(self, arch: str, resolution: int, num_classes: int) -> dict[str, int]:
        """Return what budgets of searches limit: ``params``, ``flops`` for one image, and ``layers`` with weights."""
        return {
            "params": self.params(arch, num_classes),
            "flops": self.flops(arch, resolution, num_classes),
            "layers": self.weight_layers(arch),
        }

    @abstractmethod
    def params(self, arch: str, num_classes: int = 10) -> int:
        """Number of parameters, as the benchmark counts them."""

    @abstractmethod
    def flops(self, arch: str, resolution: int = 32, num_classes: int = 10) -> int:
        """Operations for one image, as the benchmark counts them: conventions differ between benchmarks."""


class EnumeratedSpace(SearchSpace):
    """A space small enough to list; an architecture's place in the list is its index."""

    default_set = "all"
    set_names: ClassVar[Mapping[str, str]] = {"all": "networks"}

    @property
    def ranked_sets(self) -> Mapping[str, Mapping[str, str]]:
        """Set that papers rank -> its disjoint parts, each with the named set that is scored for it."""
        return {"all": {"all": self.default_set}}

    @cached_property
    @abstractmethod
    def _architectures(self) -> list[str]:
        """All architectures in the order of the benchmark."""

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {arch: index for index, arch in enumerate(self._architectures)}

    def __len__(self) -> int:
        return len(self._architectures)

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has architectures 0 to {len(self) - 1}, not {index}")
        return self._architectures[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._architectures)

    def index(self, arch: str) -> int:
        """Return the index of ``arch``; raises :class:`NbnasError` when it is malformed."""
        found = self._indices.get(arch) if isinstance(arch, str) else None
        return self._indices[self.normalise(arch)] if found is None else found

    @cached_property
    def _subsets(self) -> Mapping[str, list[int]]:
        return {"all": list(range(len(self)))}

    def subset(self, name: str) -> list[int]:
        """Return the ascending indices of a named set of architectures; ``all`` is there in every space."""
        if name not in self._subsets:
            raise NbnasError(f"unknown set of architectures {name!r}; choose from {', '.join(self._subsets)}")
        return list(self._subsets[name])

    def named_set(self, name: str, trained: Callable[[], Sequence[str]]) -> dict[int, str]:
        """Return a set of :meth:`subset`: index -> architecture."""
        return {index: self[index] for index in self.subset(name)}

    def sample_subset(self, name: str, size: int | None = None, seed: int = 0) -> list[int]:
        """Return ``size`` indices of a named set in a fixed random order. A smaller sample begins a larger one.

        The order is that of a hash of each architecture and of ``seed``. It is the same everywhere, and samples of
        different sets share as many architectures as they can. A ``size`` of ``None`` means all, still shuffled.
        """
        if (name, seed) not in self._orders:
            shuffled = sorted(self.subset(name), key=lambda index: derive_seed(seed, "sample", self[index]))
            self._orders[name, seed] = shuffled
        return self._orders[name, seed][:size]

    @cached_property
    def _orders(self) -> dict[tuple[str, int], list[int]]:
        return {}

    def sample(self, rng: np.random.Generator) -> str:
        """Draw an architecture uniformly."""
        return self[int(rng.integers(len(self)))]


class CountedSpace(SearchSpace):
    """A space that counts its networks part by part; its strings are read by ``parse`` and written by ``format``.

    ``skeleton`` stands for the other keyword arguments of :meth:`build`.
    """

    parse: ClassVar[Callable[[str], Any]]
    """Raises :class:`NbnasError` that names what is malformed first."""
    format: ClassVar[Callable[[Any], str]]
    default_shape: ClassVar[DatasetShape] = CIFAR10
    """Resolution and number of classes unless given."""
    convention: ClassVar[Literal["multiply_adds", "operations"]] = "operations"
    """Which of :class:`~nbnas.spaces.parts.Costs` the benchmark calls FLOPs."""
    divisor: ClassVar[int] = 1
    """Product of the strides, which must divide the resolution."""

    def normalise(self, arch: str) -> str:
        """Return the standard spelling of an architecture; raises :class:`NbnasError` where it is malformed."""
        return self.format(self.parse(arch))

    @abstractmethod
    def _parts(self, arch: str, resolution: int, num_classes: int, **skeleton: int) -> Iterable[Costs]:
        """Costs of all parts of the network."""

    def _divisor(self, arch: str) -> int:
        return self.divisor

    def _total(self, name: str, arch: str, resolution: int | None, num_classes: int | None, **skeleton: int) -> int:
        """Sum over the parts; without a resolution, numbers of operations mean nothing."""
        divisor = 1 if resolution is None else self._divisor(arch)
        resolution = self.default_shape.resolution if resolution is None else resolution
        if resolution < 1 or resolution % divisor:
            raise NbnasError(f"resolution must be divisible by {divisor}, the product of the strides, got {resolution}")
        num_classes = self.default_shape.num_classes if num_classes is None else num_classes
        return sum(getattr(part, name) for part in self._parts(arch, resolution, num_classes, **skeleton))

    def params(self, arch: str, num_classes: int | None = None, **skeleton: int) -> int:
        """Number of parameters, BatchNorm scales and shifts included."""
        return self._total("params", arch, None, num_classes, **skeleton)

    def flops(self, arch: str, resolution: int | None = None, num_classes: int | None = None, **skeleton: int) -> int:
        """Operations for one image by the benchmark's :attr:`convention`; the strides must divide the resolution."""
        resolution = self.default_shape.resolution if resolution is None else resolution
        return self._total(self.convention, arch, resolution, num_classes, **skeleton)

    def weight_layers(self, arch: str, **skeleton: int) -> int:
        """Number of convolutions and linear layers."""
        return self._total("weight_layers", arch, None, None, **skeleton)

    def trainable_layers(self, arch: str, **skeleton: int) -> int:
        """Number of parameter tensors, which VKDNW calls trainable layers."""
        return self._total("trainable_layers", arch, None, None, **skeleton)


class ChoiceSpace(CountedSpace, EnumeratedSpace):
    """All ways to choose one of ``options`` at each of ``places``, in lexicographic order; ``parse`` returns them."""

    options: ClassVar[Sequence]
    places: ClassVar[int]

    @cached_property
    def _architectures(self) -> list[str]:
        return [self.format(choices) for choices in itertools.product(self.options, repeat=self.places)]

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Replace one choice, place and option drawn uniformly; the result always differs from ``arch``."""
        choices = list(self.parse(arch))
        place = int(rng.integers(self.places))
        others = [option for option in self.options if option != choices[place]]
        choices[place] = others[int(rng.integers(len(others)))]
        return self.format(choices)


def text_of(arch: Any) -> str:
    """Return a string without surrounding white space; raises :class:`NbnasError` for anything else."""
    if not isinstance(arch, str):
        raise NbnasError(f"an architecture is a string, got {type(arch).__name__}")
    return arch.strip()


def split_into(number: int, text: str, separator: str, rule: str) -> list[str]:
    """Return so many parts of a text; raises :class:`NbnasError` with the ``rule`` where there are more or fewer."""
    parts = text.split(separator)
    if len(parts) != number:
        raise NbnasError(f"{rule} joined by {separator!r}, got {len(parts)} in {text!r}")
    return parts
