"""Per-sample Jacobian of the logits with respect to a few single entries of the parameters.

One forward pass and min(C, F) input-gradient passes, for C logits and F features before the classifier. The gradient of
one weight entry is an inner product of what enters its layer and what flows back into the layer's output; no weight
gradient is ever formed:

    convolution w[o, i, u, v]:  dz/dw = sum over positions q of  dz/dout[o, q] * in[i, q * stride + (u, v)]

and likewise for linear layers and for BatchNorm in eval mode. For an entry of any other parameter, the gradient g of
sum_nc u_nc z_nc is linear in u, and differentiating it by u gives dz_nc/dw for all n and c at once: one pass back
through the backward pass for each entry.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nbnas.networks.autograd import differentiating_twice, directions_at_once, gradients_along
from nbnas.networks.layers import BATCH_NORMS, UnsupportedModelError, uses_batch_statistics
from nbnas.networks.recording import LayerCall, Recording, record

# Layers with a formula; exact types, because a subclass may compute something else.
_PLAIN_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_WITH_FORMULA = (nn.Conv2d, nn.Linear, *_PLAIN_BATCH_NORMS)


class _Entry(NamedTuple):
    """One scalar of the weight or bias of a layer; ``position`` begins with the output channel."""

    column: int
    kind: str
    position: tuple[int, ...]


def entry_jacobian(model: nn.Module, inputs: Tensor, entries: Sequence[tuple[str, int]]) -> tuple[Tensor, Tensor]:
    """Compute dz[n, c] / dtheta[e] for every sample n, logit c and chosen scalar parameter e.

    The model is in eval mode, which keeps samples from interacting. Entries are pairs (parameter name, flat index into
    that parameter). Returns the Jacobian (N, C, len(entries)) and the logits (N, C), both in the model's precision.
    Raises :class:`UnsupportedModelError` if samples interact, there are no entries, or a chosen parameter needs a
    second derivative that torch lacks.
    """
    if not entries:
        raise UnsupportedModelError("needs parameters")
    for name, layer in model.named_modules():
        if isinstance(layer, BATCH_NORMS) and uses_batch_statistics(layer):
            raise UnsupportedModelError(f"the BatchNorm {name!r} must be in eval mode with running statistics")
    parameters = dict(model.named_parameters())
    frozen = [parameters[name] for name, _ in entries if not parameters[name].requires_grad]
    try:
        for parameter in frozen:
            parameter.requires_grad_(True)
        return _entry_jacobian(model, parameters, inputs, entries)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def _entry_jacobian(
    model: nn.Module, parameters: Mapping[str, Tensor], inputs: Tensor, entries: Sequence[tuple[str, int]]
) -> tuple[Tensor, Tensor]:
    recording = record(model, inputs)
    if recording.batch_statistics:
        raise UnsupportedModelError("needs samples that do not interact, found batch_norm on the statistics of a batch")
    logits, classifier = recording.logits, recording.classifier
    if classifier is not None and classifier.layer.in_features >= classifier.layer.out_features:
        classifier = None
    # Logits z = W f + b with fewer features f than logits: the Jacobian of the features is the smaller one.
    outputs = logits if classifier is None else classifier.inputs
    width = outputs.shape[1]
    by_layer, others = _group_by_layer(model, parameters, recording, entries)
    # The classifier is not below its own features.
    below = [call for call in recording.calls if call is not classifier]
    calls = [call for call in below if call.layer in by_layer and call.output.requires_grad]
    factors = [
        [(entry, _factor(call.layer, entry, call.inputs.detach())) for entry in by_layer[call.layer]] for call in calls
    ]
    jacobian = logits.new_zeros(len(logits), width, len(entries)).detach()
    basis = torch.eye(width, dtype=outputs.dtype, device=outputs.device).unsqueeze(1).expand(width, len(logits), width)
    at_once = directions_at_once(inputs)
    for columns, part in zip(jacobian.split(at_once, 1), basis.split(at_once), strict=True) if calls else ():
        # Not kept in a variable: the gradients fill the memory that the next ones need.
        _add_products(columns, calls, factors, gradients_along(outputs, [call.output for call in calls], part))
    if classifier is not None:
        jacobian = torch.einsum("cf,nfe->nce", classifier.layer.weight.detach(), jacobian)
        for entry in by_layer.get(classifier.layer, []):
            own = 1.0 if entry.kind == "bias" else classifier.inputs.detach()[:, entry.position[1]]
            jacobian[:, entry.position[0], entry.column] += own
    if others:
        jacobian[:, :, others] = _second_derivatives(parameters, logits, [entries[column] for column in others])
    return jacobian, logits.detach()


def _add_products(jacobian: Tensor, calls: Sequence[LayerCall], factors: Sequence, gradients: Sequence[Tensor]) -> None:
    """Add to the Jacobian (N, D, entries) what the gradients (D, N, ...) at the outputs of some calls give."""
    for call, own_factors, gradient in zip(calls, factors, gradients, strict=True):
        channels = gradient.movedim(-1 if isinstance(call.layer, nn.Linear) else 2, 0)
        for entry, factor in own_factors:
            flowing = channels[entry.position[0]]
            product = flowing if factor is None else flowing * factor
            # A layer that is called twice contributes twice.
            jacobian[:, :, entry.column] += product.reshape(*product.shape[:2], -1).sum(2).T


def _group_by_layer(
    model: nn.Module, parameters: Mapping[str, Tensor], recording: Recording, entries: Sequence[tuple[str, int]]
) -> tuple[dict[nn.Module, list[_Entry]], list[int]]:
    """Sort entries by the layers that own them; columns of entries without a formula come second."""
    # A tensor that several layers share has one name; each of them contributes to its gradient.
    owners = defaultdict(list)
    for layer in model.modules():
        for kind, parameter in layer.named_parameters(recurse=False):
            owners[parameter].append((layer, kind))
    unordered = {call.layer for call in recording.calls if not recording.samples_first(call.output)}
    by_layer, others = defaultdict(list), []
    for column, (name, flat_index) in enumerate(entries):
        owned = owners[parameters[name]]
        position = tuple(map(int, np.unravel_index(flat_index, parameters[name].shape)))
        known = all(layer not in unordered and _has_formula(layer, kind) for layer, kind in owned)
        if known and name not in recording.stray_uses:
            for layer, kind in owned:
                by_layer[layer].append(_Entry(column, kind, position))
        else:
            others.append(column)
    return by_layer, others


def _has_formula(layer: nn.Module, kind: str) -> bool:
    known = type(layer) in _WITH_FORMULA and kind in ("weight", "bias")
    return known and getattr(layer, "padding_mode", "zeros") == "zeros"


def _second_derivatives(parameters: Mapping[str, Tensor], logits: Tensor, entries: Sequence[tuple[str, int]]) -> Tensor:
    """Jacobian (N, C, entries) by differentiating gradients."""
    chosen = {name: parameters[name] for name, _ in entries}
    seed = torch.zeros_like(logits).requires_grad_()
    options = {"allow_unused": True, "materialize_grads": True}
    with torch.enable_grad():
        gradients = torch.autograd.grad(logits, list(chosen.values()), seed, create_graph=True, **options)
        by_name = dict(zip(chosen, gradients, strict=True))
        single = [by_name[name].reshape(-1)[index] for name, index in entries]
    with differentiating_twice(*single):
        columns = [
            torch.autograd.grad(entry, seed, retain_graph=True, **options)[0] if entry.requires_grad else 0 * seed
            for entry in single
        ]
    return torch.stack(columns, 2).detach()


def _factor(layer: nn.Module, entry: _Entry, inputs: Tensor) -> Tensor | None:
    """What multiplies the gradient at the layer's output, (batch, positions...); ``None`` stands for one."""
    if entry.kind == "bias":
        return None
    if isinstance(layer, nn.Linear):
        return inputs[..., entry.position[1]]
    if isinstance(layer, _PLAIN_BATCH_NORMS):
        channel = entry.position[0]
        return (inputs[:, channel] - layer.running_mean[channel]) * torch.rsqrt(layer.running_var[channel] + layer.eps)
    # Of a convolution: the input pixel that meets the weight entry at each output position.
    out_channel, channel_in_group, *offsets = entry.position
    group = out_channel // (layer.out_channels // layer.groups)
    patch = inputs[:, group * (layer.in_channels // layer.groups) + channel_in_group]
    patch = functional.pad(patch, layer._reversed_padding_repeated_twice)
    for dim, (offset, kernel, stride, dilation) in enumerate(
        zip(offsets, layer.kernel_size, layer.stride, layer.dilation, strict=True), start=1
    ):
        outputs = (patch.shape[dim] - dilation * (kernel - 1) - 1) // stride + 1
        indices = offset * dilation + stride * torch.arange(outputs, device=patch.device)
        patch = patch.index_select(dim, indices)
    return patch
