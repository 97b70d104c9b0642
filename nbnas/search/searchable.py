"""What a search asks of a space, your own included."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from torch import nn

from nbnas.networks.layers import weight_layers
from nbnas.scoring.score import score
from nbnas.scoring.setting import Setting

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


def architecture_costs(setting: Setting, arch: str) -> dict[str, float]:
    """Return the costs of an architecture by the space's ``costs``, or counted from the built network.

    Costs for inputs that are not square are always counted.
    """
    space, shape = setting.space, setting.shape
    if hasattr(space, "costs") and isinstance(shape.resolution, int):
        costs: Mapping[str, Any] = space.costs(arch, shape.resolution, shape.num_classes)
    else:
        network = space.build(arch, shape.num_classes)
        counted = score(network, ["params", "flops"], input_shape=(1, *setting.input_shape[1:]))
        costs = {**counted["value"], "layers": len(weight_layers(network))}
    # Plain numbers: a checkpoint holds them as JSON.
    return {name: float(costs[name]) for name in COSTS}
