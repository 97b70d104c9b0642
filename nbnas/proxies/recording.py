"""One forward pass, and what happened in it: layer inputs and outputs, ReLU inputs, feature maps.

Networks need no special methods. Layers are watched by hooks; ReLUs and uses of parameters are watched where torch
dispatches its functions, so functional calls count as well as modules.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nbnas.proxies.layers import UnsupportedModelError

_RELUS = {
    functional.relu, functional.relu6, functional.leaky_relu, functional.prelu, functional.hardtanh,
    torch.relu, torch.relu_, torch.prelu, Tensor.relu, Tensor.relu_, functional.leaky_relu_, functional.hardtanh_,
}  # fmt: skip
"""Piecewise linear activations with their kink at zero. (Of hardtanh that is ReLU6; another one has it elsewhere.)"""


@dataclass(frozen=True)
class LayerCall:
    """One call of a module that owns parameters."""

    name: str
    layer: nn.Module
    inputs: Tensor
    """What entered; part of the graph, so that it can be differentiated."""
    output: Tensor
    """What left; part of the graph, so that logits can be differentiated with respect to it."""


@dataclass
class Recording:
    """A forward pass. All tensors hold the values they had when they were recorded."""

    inputs: Tensor
    """The batch, a leaf that requires a gradient."""
    logits: Tensor
    """(N, K)."""
    calls: list[LayerCall] = field(default_factory=list)
    """In order of execution."""
    relu_inputs: list[Tensor] = field(default_factory=list)
    """What entered each ReLU, detached, in order of execution."""
    features: list[Tensor] = field(default_factory=list)
    """Outputs of the watched blocks, part of the graph, in order of execution."""
    stray_uses: set[str] = field(default_factory=set)
    """Names of parameters that were also used outside a recorded call of the layer that owns them."""


def record(network: nn.Module, inputs: Tensor, blocks: Sequence[nn.Module] = ()) -> Recording:
    """Run a network once with gradients enabled and record what happens.

    Modules that work in place are told not to, which changes no value. Where code works in place on a recorded tensor
    all the same, the pass is repeated with copies.

    Args:
        network: Maps ``inputs`` to logits (N, K). In train mode its batch statistics change.
        inputs: (N, ...).
        blocks: Modules whose outputs to keep as feature maps.

    Raises:
        UnsupportedModelError: If the network returns anything else than one tensor (N, K).
    """
    in_place = [module for module in network.modules() if getattr(module, "inplace", False) is True]
    statistics = [buffer.clone() for buffer in network.buffers()]
    recorder = _Recorder(network, blocks, copies=False)
    try:
        for module in in_place:
            module.inplace = False
        recording = recorder.run(inputs)
        if recorder.overwritten():
            for buffer, before in zip(network.buffers(), statistics, strict=True):
                buffer.data.copy_(before)
            recording = _Recorder(network, blocks, copies=True).run(inputs)
    finally:
        for module in in_place:
            module.inplace = True
    return recording


class _Recorder(TorchFunctionMode):
    def __init__(self, network: nn.Module, blocks: Sequence[nn.Module], copies: bool) -> None:
        super().__init__()
        self.network, self.copies = network, copies
        self.blocks = set(blocks)
        self.names = {module: name for name, module in network.named_modules()}
        self.owners = [module for module in network.modules() if module._parameters]
        self.parameters = {id(parameter): name for name, parameter in network.named_parameters()}
        self.uses: Counter[str] = Counter()
        self.kept: list[tuple[Tensor, int]] = []
        self.recording: Recording

    def run(self, inputs: Tensor) -> Recording:
        leaf = inputs.detach().requires_grad_()
        self.recording = Recording(leaf, leaf)
        watched = [*self.owners, *(block for block in self.blocks if not block._parameters)]
        handles = [module.register_forward_hook(self._watch) for module in watched]
        try:
            with torch.enable_grad(), self:
                # A copy, on which the first layer may work in place.
                logits = self.network(leaf.clone())
        finally:
            for handle in handles:
                handle.remove()
        if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(inputs):
            raise UnsupportedModelError(
                "the network must return one tensor of logits with shape (batch, classes); "
                "with a tuple or a dict, say which entry by logits="
            )
        self.recording.logits = logits
        own_uses = Counter(
            self.parameters[id(parameter)]
            for call in self.recording.calls
            for parameter in call.layer._parameters.values()
            if parameter is not None
        )
        self.recording.stray_uses = {name for name, count in self.uses.items() if count != own_uses[name]}
        return self.recording

    def overwritten(self) -> bool:
        return any(tensor._version != version for tensor, version in self.kept)

    def _keep(self, tensor: Tensor) -> Tensor:
        """Return a tensor that holds today's value as long as :meth:`overwritten` is false."""
        if self.copies:
            return tensor.clone()
        self.kept.append((tensor, tensor._version))
        return tensor

    def _watch(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> Tensor | None:
        if not isinstance(output, Tensor):
            return None
        if not self.copies:
            self.kept.append((output, output._version))
        if module._parameters and len(arguments) == 1 and isinstance(arguments[0], Tensor):
            self.recording.calls.append(LayerCall(self.names[module], module, self._keep(arguments[0]), output))
        if module in self.blocks:
            self.recording.features.append(output)
        # The network goes on with a copy, so that the recorded tensor stays what it is.
        return output.clone() if self.copies else None

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__name__", "") != "__get__":  # Reading an attribute such as shape is no use.
            for tensor in _tensors((*args, *kwargs.values())):
                if id(tensor) in self.parameters:
                    self.uses[self.parameters[id(tensor)]] += 1
        if function in _RELUS:
            entering = args[0] if args else kwargs["input"]
            self.recording.relu_inputs.append(self._keep(entering).detach())
        return function(*args, **kwargs)


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (item for item in value if isinstance(item, Tensor))
