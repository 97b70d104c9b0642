"""One forward pass, and what happened in it: layer inputs and outputs, ReLU inputs, feature maps.

Hooks watch layers. ReLUs are watched where torch dispatches its functions, so that functional calls count as well as
modules. Uses of parameters are read from the graph of the logits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nbnas.networks.autograd import graph_nodes
from nbnas.networks.exact_kernels import exact_kernels
from nbnas.networks.layers import UnsupportedModelError

_RELUS = {
    functional.relu, functional.relu6, functional.leaky_relu, functional.prelu, functional.leaky_relu_,
    torch.relu, torch.relu_, torch.prelu, Tensor.relu, Tensor.relu_, Tensor.prelu,
}  # fmt: skip
"""Piecewise linear activations with their kink at zero."""

_SMOOTH_RELUS = {functional.gelu, functional.silu, torch._C._nn.gelu, torch._C._nn.silu}
"""Smooth activations whose output has the sign of their input."""

_HARD_TANHS = {functional.hardtanh, functional.hardtanh_}
_BATCH_NORMS = {functional.batch_norm, torch.batch_norm}


@dataclass(frozen=True)
class LayerCall:
    """One call of a module that owns parameters; its tensors, of the inputs the first, are part of the graph."""

    name: str
    layer: nn.Module
    inputs: Tensor
    output: Tensor


@dataclass
class Recording:
    """A forward pass, in order of execution. All tensors hold the values they had when they were recorded."""

    inputs: Tensor
    """The batch, a leaf that requires a gradient unless it holds whole numbers."""
    logits: Tensor
    """(N, K)."""
    calls: list[LayerCall] = field(default_factory=list)
    classifier: LayerCall | None = None
    """The call of the linear layer whose output the logits are, if there is one."""
    relu_inputs: list[Tensor] = field(default_factory=list)
    """What entered each ReLU, detached."""
    smooth_relu_inputs: list[Tensor] = field(default_factory=list)
    """What entered each GELU and SiLU, detached."""
    features: list[Tensor] = field(default_factory=list)
    """Outputs of the watched blocks, part of the graph."""
    used: set[str] = field(default_factory=set)
    """Names of parameters that the logits can be differentiated by."""
    stray_uses: set[str] = field(default_factory=set)
    """Of these, the ones also used outside a recorded call of the layer that owns them."""
    batch_statistics: bool = False
    """Whether torch's batch_norm, the function, used the statistics of the batch, which makes samples interact."""
    other_order: set[int] = field(default_factory=set)
    """Identities of recorded tensors with N entries in dimension 0 that are not the samples."""

    @property
    def last_features(self) -> Tensor:
        """What enters the classifier, else the logits: beside a classifier's bias a weak signal may round away."""
        return self.logits if self.classifier is None else self.classifier.inputs

    def samples_first(self, tensor: Tensor) -> bool:
        """Whether dimension 0 of a recorded output or ReLU input is the samples; in (tokens, N, channels) it is not."""
        return tensor.dim() > 0 and len(tensor) == len(self.inputs) and id(tensor) not in self.other_order

    def require_samples_first(self, tensor: Tensor) -> None:
        """Raise :class:`UnsupportedModelError` unless dimension 0 is the samples."""
        if not self.samples_first(tensor):
            found = f"shape {tuple(tensor.shape)} in a batch of {len(self.inputs)}"
            raise UnsupportedModelError(f"needs layers and activations whose dimension 0 is the samples, found {found}")


def record(network: nn.Module, inputs: Tensor, blocks: Sequence[nn.Module] = ()) -> Recording:
    """Run a network once with gradients enabled and record what happens; outputs of ``blocks`` are feature maps.

    Where modules or code work in place the network runs on copies of what is recorded, which changes no value. The
    pass is repeated where this is noticed only afterwards, and where only another batch size tells samples and tokens
    apart. In train mode the batch statistics of the network change. Raises :class:`UnsupportedModelError` if the
    network returns anything else than one tensor (N, K) with a graph.
    """
    statistics = [buffer.clone() for buffer in network.buffers()]
    recorder = _Recorder(network, blocks, any(getattr(each, "inplace", False) is True for each in network.modules()))
    recording = recorder.run(inputs)
    if recorder.overwritten() and not recorder.copies:
        _restore(network, statistics)
        recorder = _Recorder(network, blocks, copies=True)
        recording = recorder.run(inputs)
    if recorder.overwritten():
        raise UnsupportedModelError("needs a network that does not overwrite the output of a block in place")
    _read_graph(network, recording)
    _tell_samples_from_tokens(network, recording)
    return recording


def require_logits(output: Any, samples: int) -> Tensor:
    """Return logits (N, K); raise :class:`UnsupportedModelError` if a network returned anything else."""
    if not isinstance(output, Tensor) or output.dim() != 2 or len(output) != samples:
        wanted = "one tensor of logits with shape (batch, classes); with a tuple or a dict, say which entry by logits="
        raise UnsupportedModelError(f"the network must return {wanted}")
    return output


class _Recorder(TorchFunctionMode):
    def __init__(self, network: nn.Module, blocks: Sequence[nn.Module], copies: bool) -> None:
        super().__init__()
        self.network, self.blocks, self.copies = network, set(blocks), copies
        self.names = {module: name for name, module in network.named_modules()}
        self.kept: list[tuple[Tensor, int]] = []
        self.copied: dict[int, tuple[Tensor, int, Tensor]] = {}
        """Identity of a copy that the network went on with -> (the copy itself, its version, the original)."""
        self.recording: Recording

    def run(self, inputs: Tensor) -> Recording:
        leaf = inputs.detach().requires_grad_(inputs.is_floating_point())
        recording = self.recording = Recording(leaf, leaf)
        watched = [module for module in self.names if module._parameters or module in self.blocks]
        handles = [module.register_forward_hook(self._watch, with_kwargs=True) for module in watched]
        try:
            with exact_kernels(inputs.device), self:
                # A copy, on which the first layer may work in place.
                output = self.network(leaf.clone())
        finally:
            for handle in handles:
                handle.remove()
        recording.logits = require_logits(output, len(inputs))
        while id(output) in self.copied and output._version == self.copied[id(output)][1]:
            output = self.copied[id(output)][2]
        for call in recording.calls:
            if type(call.layer) is nn.Linear and call.output is output:
                recording.classifier = call
        if not output.requires_grad:
            raise UnsupportedModelError("needs logits that depend on the input or on parameters, and not under no_grad")
        return recording

    def overwritten(self) -> bool:
        return any(tensor._version != version for tensor, version in self.kept)

    def _keep(self, tensor: Tensor) -> Tensor:
        """Return a tensor that holds today's value as long as :meth:`overwritten` is false."""
        if self.copies:
            return tensor.clone()
        self.kept.append((tensor, tensor._version))
        return tensor

    def _watch(self, module: nn.Module, arguments: tuple[Any, ...], kwargs: dict, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor):
            return None
        self.kept.append((output, output._version))
        entering = next((value for value in (*arguments, *kwargs.values()) if isinstance(value, Tensor)), None)
        if module._parameters and entering is not None:
            self.recording.calls.append(LayerCall(self.names[module], module, self._keep(entering), output))
        if module in self.blocks:
            self.recording.features.append(output)
        if not self.copies:
            return None
        # The network goes on with a copy, and the recorded tensor stays what it is.
        copy = output.clone()
        self.copied[id(copy)] = (copy, copy._version, output)
        return copy

    def _may_depend_on_inputs(self, tensor: Tensor) -> bool:
        """Whether a tensor is more than a function of parameters, as a standardised weight is."""
        leaf = self.recording.inputs
        return not (tensor.requires_grad and leaf.requires_grad) or any(
            getattr(node, "variable", None) is leaf for node in graph_nodes(tensor)
        )

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}

        def argument(position: int, name: str, default: Any = None) -> Any:
            return args[position] if len(args) > position else kwargs.get(name, default)

        if function in _RELUS or (function in _HARD_TANHS and argument(1, "min_val", -1) == 0):
            self.recording.relu_inputs.append(self._keep(argument(0, "input")).detach())
        if function in _SMOOTH_RELUS:
            self.recording.smooth_relu_inputs.append(self._keep(argument(0, "input")).detach())
        if function in _BATCH_NORMS and argument(5, "training", False) and not self.recording.batch_statistics:
            self.recording.batch_statistics = self._may_depend_on_inputs(argument(0, "input"))
        return function(*args, **kwargs)


def _restore(network: nn.Module, statistics: Sequence[Tensor]) -> None:
    for buffer, before in zip(network.buffers(), statistics, strict=True):
        buffer.data.copy_(before)


def _read_graph(network: nn.Module, recording: Recording) -> None:
    """Find out which parameters the logits depend on, and how often otherwise than by a recorded call."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    reached = graph_nodes(recording.logits)
    leaves = [below for node in reached for below, _ in node.next_functions if hasattr(below, "variable")]
    uses = Counter(names[id(leaf.variable)] for leaf in leaves if id(leaf.variable) in names)
    layers = [call.layer for call in recording.calls if call.output.grad_fn in reached]
    own_uses = Counter(names[id(own)] for layer in layers for own in layer._parameters.values() if own is not None)
    recording.used = set(uses)
    recording.stray_uses = {name for name, count in uses.items() if count > own_uses[name]}


def _tell_samples_from_tokens(network: nn.Module, recording: Recording) -> None:
    """Find recorded (tokens, N, channels) with as many tokens as samples: one more sample lengthens dimension 1."""
    samples = len(recording.inputs)
    recorded = _recorded(recording)
    if samples < 2 or not any(tensor.dim() == 3 and tensor.shape[:2] == (samples, samples) for tensor in recorded):
        return
    statistics = [buffer.clone() for buffer in network.buffers()]
    longer = _Recorder(network, [], copies=False).run(torch.cat([recording.inputs, recording.inputs[:1]]))
    _restore(network, statistics)
    others = _recorded(longer)
    if len(others) != len(recorded):
        raise UnsupportedModelError("needs a network that makes the same calls in every pass")
    recording.other_order = {
        id(tensor) for tensor, other in zip(recorded, others, strict=True) if len(other) == len(tensor) == samples
    }


def _recorded(recording: Recording) -> list[Tensor]:
    outputs = [call.output for call in recording.calls]
    return [*outputs, *recording.relu_inputs, *recording.smooth_relu_inputs]
