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

Flag = tuple[Tensor, str, str]
"""A condition, the status that it gives the score where it holds, and why; a tensor, so that no device waits."""


@dataclass(frozen=True)
class SharedPass:
    """What was computed once for all proxies."""

    value: Any
    flags: list[Flag]
    seconds: float
    """Without the passes that it used."""
    parts: set[tuple]
    """Keys of this pass and of all that it used."""


@dataclass
class ScoringSession:
    """One network, its batches, and the passes made until now."""

    model: nn.Module
    batches: Sequence[Batch]
    init: str | None
    """``published``: each proxy's own initialisation; None: the weights as given."""
    seed: int
    device: torch.device
    logits: LogitsSelector | None = None
    passes: dict[tuple, SharedPass] = field(default_factory=dict)

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
