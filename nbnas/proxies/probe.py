"""What a proxy gets to see: a network, batches, and passes that it shares with other proxies.

Two proxies that need the same pass (the same initialisation, mode and batch) get the same one, computed once. A pass
never depends on who asked first, so a score is the same alone and in company.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from nbnas.errors import NbnasError
from nbnas.networks.fast_batch_norm import use_cheap_second_derivative
from nbnas.networks.feature_maps import feature_blocks
from nbnas.networks.layers import WEIGHT_LAYERS, UnsupportedModelError, weight_layers
from nbnas.networks.recording import LayerCall, Recording, record
from nbnas.proxies.info import Batch, ProxyInfo
from nbnas.proxies.session import ScoringSession, _Cost, _OpenPass
from nbnas.seeding import derive_seed, generator_for, seeded_global_generators

_LossGradients = tuple[dict[str, Tensor], list[tuple[LayerCall, Tensor]]]
"""By parameter name, and at the output of every call of a convolution or linear layer."""


class Probe:
    """One proxy's view of a session.

    Args:
        session: The network under scoring and the passes that proxies share.
        info: The proxy's record.
    """

    def __init__(self, session: ScoringSession, info: ProxyInfo) -> None:
        self._session, self._info = session, info
        self.mode = info.mode
        self._paid: set[tuple] = set()
        self._network: nn.Module | None = None
        self._batches: list[Batch] | None = None
        self.shared_seconds = 0.0
        """Time that passes computed for others would have cost this proxy."""
        self.flags: list[tuple[Tensor, str, str]] = []
        """Conditions, the status that each gives the score, and why; tensors, so that no device waits."""
        self.generator: Generator = generator_for(session.seed, info.name)
        """CPU generator of this proxy alone; draw every random number from it."""

    @property
    def network(self) -> nn.Module:
        """A copy of the network for this proxy alone, initialised, in its mode; do with it what you like."""
        if self._network is None:
            self._network = self.new_network()
        return self._network

    @property
    def given_network(self) -> nn.Module:
        """The network itself, not a copy, with its own weights and in its own mode: count and read, do not run it."""
        return self._session.model

    def new_network(self, mode: str | None = None) -> nn.Module:
        """Return another such copy, in the proxy's own mode or in ``mode``."""
        return self._session.build(self._session.initialisation_of(self._info), mode or self.mode)

    @property
    def batches(self) -> list[Batch]:
        """Copies of the batches, for this proxy alone."""
        if self._batches is None:
            self._batches = [(inputs.clone(), labels.clone()) for inputs, labels in self._session.batches]
        return self._batches

    def share(self, name: str, compute: Callable[[], Any], *details: Any) -> Any:
        """Return what ``compute`` gives, computed once for all proxies that see the network under one initialisation.

        Args:
            name: What it is, for example ``"synflow saliency"``.
            compute: Must not depend on this proxy: no ``generator``, no ``network``.
            details: What else decides the result, for example mode and batch number.
        """
        session = self._session
        key = (session.initialisation_of(self._info), name, *details)
        if key in session.passes:
            value = session.passes[key]
            self.flags += session.flags[key]
        else:
            flags_before = len(self.flags)
            session.open_passes.append(_OpenPass())
            start = time.perf_counter()
            try:
                # Whoever asks first must not decide what a network that is random even in eval mode draws.
                with seeded_global_generators(derive_seed(session.seed, "shared", *map(str, key)), session.device):
                    value = compute()
                if session.device.type == "cuda":
                    torch.cuda.synchronize(session.device)  # Else the first proxy that waits would pay for all.
            finally:
                done = session.open_passes.pop()
            seconds = time.perf_counter() - start
            session.passes[key] = value
            session.flags[key] = self.flags[flags_before:]
            session.costs[key] = _Cost(seconds - done.seconds_below, done.keys_below | {key})
            self._paid.add(key)
            if session.open_passes:
                session.open_passes[-1].seconds_below += seconds
        for part in session.costs[key].parts - self._paid:
            self.shared_seconds += session.costs[part].own_seconds
            self._paid.add(part)
        if session.open_passes:
            session.open_passes[-1].keys_below |= session.costs[key].parts
        return value

    def forward(self, batch: int = 0, mode: str | None = None) -> Recording:
        """Return a forward pass with everything that was recorded in it. Do not write into its tensors.

        Where all samples get exactly the same features the network ignores its input, and the score is degenerate.

        Args:
            batch: Number of the batch.
            mode: ``train`` or ``eval``; None is the proxy's own mode.
        """
        mode = mode or self.mode
        return self.share("forward", lambda: self.record(batch, mode), mode, batch)

    def record(self, batch: int = 0, mode: str | None = None) -> Recording:
        """As :meth:`forward`, but a pass of one's own, which is not kept for others.

        Args:
            batch: Number of the batch.
            mode: ``train`` or ``eval``; None is the proxy's own mode.
        """
        session, network = self._session, self.shared_network(mode)
        with seeded_global_generators(derive_seed(session.seed, "dropout", batch), session.device):
            recording = record(network, session.batches[batch][0], feature_blocks(network))
        self.check_outputs(recording.logits, recording.last_features)
        return recording

    def loss_gradients(self, batch: int = 0) -> dict[str, Tensor]:
        """Return the gradient of the mean cross-entropy with respect to every parameter, by name; zeros where unused.

        Args:
            batch: Number of the batch.
        """
        return self._loss_gradients(batch)[0]

    def weight_gradients(self, batch: int = 0) -> dict[str, tuple[Tensor, Tensor]]:
        """Return (weight, its gradient of the mean cross-entropy) of every convolution and linear layer, by layer name.

        Args:
            batch: Number of the batch.
        """
        network = self.shared_network()
        layers = weight_layers(network)
        gradients = self.loss_gradients(batch)
        names = {parameter: name for name, parameter in network.named_parameters()}
        return {name: (layer.weight.detach(), gradients[names[layer.weight]]) for name, layer in layers.items()}

    def output_gradients(self, batch: int = 0) -> list[tuple[LayerCall, Tensor]]:
        """Return every call of a convolution or linear layer with the gradient of the mean cross-entropy at its output.

        Args:
            batch: Number of the batch.
        """
        return self._loss_gradients(batch)[1]

    def input_gradients(self, batch: int = 0) -> Tensor:
        """Return the gradient of the sum of all logits with respect to the inputs, (N, C, H, W).

        Args:
            batch: Number of the batch.
        """
        recording = self.forward(batch)
        return self.share(
            "input gradients",
            lambda: torch.autograd.grad(
                recording.logits.sum(), recording.inputs, retain_graph=True, materialize_grads=True
            )[0],
            self.mode,
            batch,
        )

    def shared_batch(self, batch: int = 0) -> Batch:
        """Return a batch that all proxies see; do not write into it."""
        return self._session.batches[batch]

    def shared_network(self, mode: str | None = None) -> nn.Module:
        """Return the network that the shared passes run; do not change it.

        Args:
            mode: ``train`` or ``eval``; None is the proxy's own mode.
        """
        mode = mode or self.mode

        def build() -> nn.Module:
            network = self.new_network(mode)
            use_cheap_second_derivative(network)
            return network

        return self.share("network", build, mode)

    def require_pair(self) -> None:
        """Check that the first batch has at least two samples, for methods that compare samples.

        Raises:
            NbnasError: Otherwise.
        """
        if len(self.shared_batch()[0]) < 2:
            raise NbnasError("needs a batch of two or more samples")

    def check_outputs(self, logits: Tensor, features: Tensor | None = None) -> None:
        """Flag logits that are not finite, and a network that maps two or more samples all to the very same features.

        Args:
            logits: (N, K).
            features: What the classifier makes them from, (N, ...); None looks at the logits themselves.
        """
        seen = (logits if features is None else features).detach()
        self.non_finite_if(~logits.detach().isfinite().all(), "the logits are not finite")
        self.degenerate_if(len(seen) > 1 and (seen == seen[0]).all(), "the logits do not depend on the input")

    def degenerate_if(self, condition: Tensor | bool, reason: str) -> None:
        """Declare the score degenerate if ``condition``, a boolean scalar, holds. It is looked at after the proxy."""
        self.flags.append((torch.as_tensor(condition), "degenerate", reason))

    def non_finite_if(self, condition: Tensor | bool, reason: str) -> None:
        """Declare the score not finite if ``condition``, a boolean scalar, holds. It is looked at after the proxy."""
        self.flags.append((torch.as_tensor(condition), "non_finite", reason))

    def _loss_gradients(self, batch: int) -> _LossGradients:
        recording = self.forward(batch)

        def compute() -> _LossGradients:
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
