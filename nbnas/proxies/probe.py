"""A network while it is scored, and what a proxy gets to see of it: copies, batches, and passes that are shared.

Two proxies that need the same pass (the same initialisation, mode and batch) get the same one, computed once. A pass
does not depend on which proxy asked first, so a score is the same alone and together with others.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nbnas.errors import NbnasError
from nbnas.networks.copying import copy_network
from nbnas.networks.fast_norms import use_cheap_second_derivative
from nbnas.networks.feature_maps import feature_blocks
from nbnas.networks.initialisation import INITIALISATIONS
from nbnas.networks.layers import WEIGHT_LAYERS, UnsupportedModelError, refuse_single_values, weight_layers
from nbnas.networks.moving_to_gpu import move_network
from nbnas.networks.recording import LayerCall, Recording, record
from nbnas.proxies.registry import ProxyInfo
from nbnas.seeding import derive_seed, generator_for, seeded_global_generators

Batch = tuple[Tensor, Tensor]
"""Inputs (N, channels, height, width) and integer labels (N,)."""

LogitsSelector = Callable[[Any], Tensor]
"""Takes what the network returns and gives its logits."""

Flag = tuple[Tensor, str, str]
"""A condition, the status that it gives the score where it holds, and why; a tensor, so that no device waits."""


class DegenerateScoreError(ValueError):
    """The quantity a proxy measures does not exist for this network; the message says why."""


@dataclass(frozen=True)
class SharedPass:
    """What was computed once for all proxies, in ``seconds`` without those of the other passes it used."""

    value: Any
    flags: list[Flag]
    seconds: float
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
    refusal: str | None = None
    """Why no copy of the network can be scored."""
    fewest_samples: int = 1
    """How many samples the network must be given; more than one if it is made for one batch size."""
    passes: dict[tuple, SharedPass] = field(default_factory=dict)

    def require(self, info: ProxyInfo) -> None:
        """Raise :class:`UnsupportedModelError` if the network cannot be scored by a proxy that has to run it."""
        if self.refusal is not None and info.batches:
            raise UnsupportedModelError(self.refusal)
        if self.device.type == "meta" and info.initialisation:
            raise UnsupportedModelError("needs weights with values, which a network on the device 'meta' has not")

    def initialisation_of(self, info: ProxyInfo) -> str | None:
        """Name of the initialisation under which this proxy sees the network."""
        return info.initialisation if self.init == "published" else None

    def keep_only(self, initialisation: str | None) -> None:
        """Drop the passes of other initialisations."""
        self.passes = {key: value for key, value in self.passes.items() if key[0] == initialisation}


class Probe:
    """One proxy's view of a session.

    ``batch`` is the number of a batch everywhere; ``mode`` is ``train`` or ``eval``, and None the proxy's own.
    """

    def __init__(self, session: ScoringSession, info: ProxyInfo) -> None:
        self._session, self._initialisation = session, session.initialisation_of(info)
        self._used: list[tuple] = []
        self._seconds_computing = 0.0
        self.mode = info.mode
        self.shared_seconds = 0.0
        """Time that passes computed for others would have cost this proxy."""
        self.flags: list[Flag] = []
        self.generator = generator_for(session.seed, info.name)
        """CPU generator of this proxy alone; draw every random number from it."""

    @cached_property
    def network(self) -> nn.Module:
        """A copy of the network for this proxy alone, initialised, in its mode; do with it what you like."""
        return self.new_network()

    @cached_property
    def batches(self) -> list[Batch]:
        """Copies of the batches, for this proxy alone."""
        return [(inputs.clone(), labels.clone()) for inputs, labels in self._session.batches]

    @property
    def fewest_samples(self) -> int:
        """How many samples the network must be given: 1, unless it is made for one batch size."""
        return self._session.fewest_samples

    def require_samples(self, count: int) -> None:
        """Raise :class:`UnsupportedModelError` unless the network takes batches of so few samples."""
        if self.fewest_samples > count:
            raise UnsupportedModelError(
                f"needs a network that takes a batch of {count}, not of {self.fewest_samples} alone"
            )

    @property
    def given_network(self) -> nn.Module:
        """The network itself, not a copy, with its own weights and in its own mode: count and read, do not run it."""
        return self._session.model

    def new_network(self, mode: str | None = None) -> nn.Module:
        """Return another copy of the network for this proxy alone, initialised from the seed, all of it trainable."""
        session = self._session
        network = copy_network(session.model)
        network.train((mode or self.mode) == "train")
        for parameter in network.parameters():
            if parameter.is_floating_point():
                parameter.requires_grad_(True)
        if self._initialisation is not None:
            INITIALISATIONS[self._initialisation](network, generator_for(session.seed, "weights"))
        network = move_network(network, session.device)
        refuse_single_values(network)
        if (select := session.logits) is not None:
            network.register_forward_hook(lambda module, arguments, output: select(output))
        return network

    def share(self, name: str, compute: Callable[[], Any], *details: Any) -> Any:
        """Return what ``compute`` gives, computed once for all proxies that see the network under one initialisation.

        ``compute`` must not depend on this proxy: no ``generator``, no ``network``. ``details`` are what decides the
        result besides ``name``, for example mode and batch number.
        """
        passes = self._session.passes
        key = (self._initialisation, name, *details)
        if key in passes:
            self.flags += passes[key].flags
            self.shared_seconds += sum(passes[part].seconds for part in passes[key].parts.difference(self._used))
        else:
            passes[key] = self._compute(key, compute)
        self._used += passes[key].parts
        return passes[key].value

    def _compute(self, key: tuple, compute: Callable[[], Any]) -> SharedPass:
        session, before = self._session, self._seconds_computing
        flags, used = len(self.flags), len(self._used)
        start = time.perf_counter()
        # Whoever asks first must not decide what a network that is random even in eval mode draws.
        with seeded_global_generators(derive_seed(session.seed, "shared", *map(str, key)), session.device):
            value = compute()
        if session.device.type == "cuda":
            torch.cuda.synchronize(session.device)  # Else the first proxy that waits would pay for all.
        # Passes that were computed inside this one have added their own time.
        seconds = time.perf_counter() - start - (self._seconds_computing - before)
        self._seconds_computing += seconds
        return SharedPass(value, self.flags[flags:], seconds, {key, *self._used[used:]})

    def forward(self, batch: int = 0, mode: str | None = None) -> Recording:
        """Return a forward pass with everything that was recorded in it. Do not write into its tensors."""
        mode = mode or self.mode
        return self.share("forward", lambda: self.record(batch, mode), mode, batch)

    def record(self, batch: int = 0, mode: str | None = None) -> Recording:
        """As :meth:`forward`, but a pass of one's own, which is not kept for others."""
        session, network = self._session, self.shared_network(mode)
        with seeded_global_generators(derive_seed(session.seed, "dropout", batch), session.device):
            recording = record(network, session.batches[batch][0], feature_blocks(network))
        self.check_outputs(recording.logits, recording.last_features)
        return recording

    def loss_gradients(self, batch: int = 0) -> dict[str, Tensor]:
        """Return the gradient of the mean cross-entropy in every parameter, by name; zeros where unused."""
        return self._loss_gradients(batch)[0]

    def output_gradients(self, batch: int = 0) -> list[tuple[LayerCall, Tensor]]:
        """Return every call of a convolution or linear layer, and the gradient of the loss at its output."""
        return self._loss_gradients(batch)[1]

    def _loss_gradients(self, batch: int) -> tuple[dict[str, Tensor], list[tuple[LayerCall, Tensor]]]:
        recording = self.forward(batch)

        def compute() -> tuple[dict[str, Tensor], list[tuple[LayerCall, Tensor]]]:
            loss = functional.cross_entropy(recording.logits, self.shared_batch(batch)[1])
            parameters = dict(self.shared_network().named_parameters())
            if not parameters:
                raise UnsupportedModelError("needs parameters")
            calls = [call for call in recording.calls if isinstance(call.layer, WEIGHT_LAYERS)]
            targets = [*parameters.values(), *(call.output for call in calls)]
            # The output of a layer under no_grad has no graph, and no gradient.
            used = [target for target in targets if target.requires_grad]
            found = iter(torch.autograd.grad(loss, used, retain_graph=True, allow_unused=True, materialize_grads=True))
            gradients = [next(found) if target.requires_grad else torch.zeros_like(target) for target in targets]
            by_name = dict(zip(parameters, gradients[: len(parameters)], strict=True))
            return by_name, list(zip(calls, gradients[len(parameters) :], strict=True))

        return self.share("loss gradients", compute, self.mode, batch)

    def weight_gradients(self, batch: int = 0) -> dict[str, tuple[Tensor, Tensor]]:
        """Return (weight, its gradient) of every convolution and linear layer, by layer name."""
        network = self.shared_network()
        layers = weight_layers(network)
        gradients = self.loss_gradients(batch)
        names = {parameter: name for name, parameter in network.named_parameters()}
        return {name: (layer.weight.detach(), gradients[names[layer.weight]]) for name, layer in layers.items()}

    def input_gradients(self, batch: int = 0) -> Tensor:
        """Return the gradient of the sum of all logits with respect to the inputs, (N, C, H, W)."""
        recording = self.forward(batch)

        def compute() -> Tensor:
            if not recording.inputs.requires_grad:
                raise UnsupportedModelError("needs inputs that can be differentiated by, not whole numbers")
            total = recording.logits.sum()
            return torch.autograd.grad(total, recording.inputs, retain_graph=True, materialize_grads=True)[0]

        return self.share("input gradients", compute, self.mode, batch)

    def shared_batch(self, batch: int = 0) -> Batch:
        """Return a batch that all proxies see; do not write into it."""
        return self._session.batches[batch]

    def shared_network(self, mode: str | None = None) -> nn.Module:
        """Return the network that the shared passes run; do not change it."""
        mode = mode or self.mode

        def build() -> nn.Module:
            network = self.new_network(mode)
            use_cheap_second_derivative(network)
            return network

        return self.share("network", build, mode)

    def require_pair(self) -> None:
        """Raise :class:`~nbnas.NbnasError` if the first batch is a single sample: the method compares samples."""
        if len(self.shared_batch()[0]) < 2:
            raise NbnasError("needs a batch of two or more samples")

    def check_outputs(self, logits: Tensor, features: Tensor | None = None) -> None:
        """Flag logits that are not finite, and features (or logits) that are exactly the same for all samples."""
        seen = (logits if features is None else features).detach()
        self.flags.append((~logits.detach().isfinite().all(), "non_finite", "the logits are not finite"))
        self.degenerate_if(len(seen) > 1 and (seen == seen[0]).all(), "the logits do not depend on the input")

    def degenerate_if(self, condition: Tensor | bool, reason: str) -> None:
        """Declare the score degenerate if ``condition``, a boolean scalar, holds; read after the proxy has run."""
        self.flags.append((torch.as_tensor(condition), "degenerate", reason))
