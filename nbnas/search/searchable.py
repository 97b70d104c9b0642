"""What a search asks of a space, your own included."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from torch import nn

from nbnas.networks.layers import weight_layers
from nbnas.scoring.score import score

COSTS = ("params", "flops", "layers")
"""What budgets limit without running anything."""


class Searchable(Protocol):
    """A set of architectures, written as strings, as :func:`nbnas.search.evolve` needs it.

    Every :class:`nbnas.spaces.SearchSpace` is one, and any object of yours with these methods. Where candidates are
    scored in other processes, it must be one that pickle can send there: an instance of a class in a module.

    Three more methods are used where they exist. ``costs(arch, resolution, num_classes)`` returns ``params``,
    ``flops`` (operations for one image) and ``layers``; without it the built network is counted, its layers being
    convolutions and linear layers. ``network_form(arch)`` returns a text that architectures of one network share, by
    which duplicates are recognised; without it that is the architecture itself. ``normalise(arch)`` checks an
    architecture that the user gives as a start, and returns its standard spelling.
    """

    def sample(self, rng: np.random.Generator) -> str:
        """Draw an architecture."""
        ...

    def mutate(self, arch: str, rng: np.random.Generator) -> str:
        """Change an architecture a little."""
        ...

    def build(self, arch: str, num_classes: int = 10) -> nn.Module:
        """Build the network; it maps images to logits (batch, num_classes). Only scores of networks need it."""
        ...


def space_name(space: Searchable) -> str:
    """Name of a space: its attribute ``name``, or that of its class."""
    return str(getattr(space, "name", type(space).__name__))


def architecture_costs(
    space: Searchable, arch: str, input_shape: tuple[int, int, int, int], num_classes: int
) -> Mapping[str, float]:
    """Return the costs of an architecture by the space's ``costs``, or counted from the built network.

    Args:
        space: The space.
        arch: Architecture.
        input_shape: (batch, channels, height, width); the batch does not matter.
        num_classes: Number of classes.
    """
    if hasattr(space, "costs"):
        return space.costs(arch, input_shape[2], num_classes)
    network: Any = space.build(arch, num_classes)
    counted = score(network, ["params", "flops"], input_shape=(1, *input_shape[1:]), num_classes=num_classes)
    return {**counted["value"].to_dict(), "layers": len(weight_layers(network))}
