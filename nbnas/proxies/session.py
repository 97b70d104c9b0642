"""What a network is while it is scored: its copies, its inputs, and the passes that proxies share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nbnas.networks.copying import copy_network
from nbnas.networks.initialisation import INITIALISATIONS
from nbnas.networks.layers import refuse_single_values
from nbnas.networks.moving_to_gpu import move_network
from nbnas.proxies.info import Batch, ProxyInfo
from nbnas.seeding import generator_for

LogitsSelector = Callable[[Any], Tensor]
"""Takes what the network returns and gives its logits."""


@dataclass
class _OpenPass:
    """A pass that is being computed, and what it has used so far."""

    seconds_below: float = 0.0
    keys_below: set[tuple] = field(default_factory=set)


@dataclass(frozen=True)
class _Cost:
    own_seconds: float
    parts: set[tuple]
    """Keys of this pass and of all that went into it."""


@dataclass
class ScoringSession:
    """One network, its batches, and the passes made so far."""

    model: nn.Module
    batches: Sequence[Batch]
    init: str | None
    """``published``: each proxy's own initialisation; None: the weights as given."""
    seed: int
    device: torch.device
    logits: LogitsSelector | None = None
    passes: dict[tuple, Any] = field(default_factory=dict)
    flags: dict[tuple, list[tuple[Tensor, str, str]]] = field(default_factory=dict)
    """What was found while a pass was computed, see :attr:`Probe.flags`."""
    costs: dict[tuple, _Cost] = field(default_factory=dict)
    open_passes: list[_OpenPass] = field(default_factory=list)

    def initialisation_of(self, info: ProxyInfo) -> str | None:
        """Name of the initialisation under which this proxy sees the network."""
        return info.initialisation if self.init == "published" else None

    def build(self, initialisation: str | None, mode: str) -> nn.Module:
        """Return a fresh copy of the network, initialised from the seed, in ``mode``, every parameter trainable."""
        network = copy_network(self.model).train(mode == "train")
        for parameter in network.parameters():
            if parameter.is_floating_point():
                parameter.requires_grad_(True)
        if initialisation is not None:
            INITIALISATIONS[initialisation](network, generator_for(self.seed, "weights"))
        network = move_network(network, self.device)
        refuse_single_values(network)
        if self.logits is not None:
            network.register_forward_hook(lambda module, arguments, output: self.logits(output))
        return network

    def keep_only(self, initialisation: str | None) -> None:
        """Forget the passes of other initialisations."""
        self.passes = {key: value for key, value in self.passes.items() if key[0] == initialisation}
