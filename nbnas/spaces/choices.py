"""Spaces whose architectures are a choice at each of some places."""

import itertools
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from nbnas.errors import NbnasError
from nbnas.spaces.space import EnumeratedSpace


def text_of(arch: Any, what: str) -> str:
    """Return a string without surrounding white space; raises :class:`NbnasError` for anything else."""
    if not isinstance(arch, str):
        raise NbnasError(f"{what} is a string, got {type(arch).__name__}")
    return arch.strip()


class ChoiceSpace(EnumeratedSpace):
    """All ways to choose one of :attr:`options` at each of some places, in lexicographic order."""

    options: ClassVar[Sequence]
    """What can be chosen, the same at every place."""
    places: ClassVar[int]
    """Number of choices in an architecture."""

    @staticmethod
    @abstractmethod
    def parse(arch: str) -> tuple:
        """Return what an architecture chooses; raises :class:`NbnasError` that names what is malformed first."""

    @staticmethod
    @abstractmethod
    def format(choices: Sequence) -> str:
        """Write choices as an architecture string."""

    @cached_property
    def _architectures(self) -> list[str]:
        return [self.format(choices) for choices in itertools.product(self.options, repeat=self.places)]

    def normalise(self, arch: str) -> str:
        """Return the standard spelling of an architecture; raises :class:`NbnasError` where it is malformed."""
        return self.format(self.parse(arch))

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Replace one choice, place and option drawn uniformly; the result always differs from ``arch``."""
        choices = list(self.parse(arch))
        place = int(rng.integers(self.places))
        others = [option for option in self.options if option != choices[place]]
        choices[place] = others[int(rng.integers(len(others)))]
        return self.format(choices)
