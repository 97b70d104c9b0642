"""Per-sample Jacobian of the logits with respect to a few single entries of the parameters.

One forward pass and min(C, F) input-gradient passes, for C logits and F features before the classifier. The
gradient of one weight entry is an inner product of what enters its layer and what flows back into the layer's
output, so no weight gradient is ever formed:

    convolution w[o, i, u, v]:  dz/dw = sum over positions q of  dz/dout[o, q] * in[i, q * stride + (u, v)]

and likewise for linear layers and for BatchNorm in eval mode.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
SUPPORTED = (nn.Conv2d, nn.Linear, *BATCH_NORMS)
"""Layers with a formula; exact types, because a subclass may compute something else."""


class UnsupportedModelError(ValueError):
    """The network does something for which this method has no formula; the message says what."""


@dataclass(frozen=True)
class _Entry:
    """One scalar parameter of a layer and its column in the Jacobian."""

    column: int
    kind: str
    """``weight`` or ``bias``."""
    position: tuple[int, ...]
    """Index into the parameter; the first number is the output channel."""


def entry_jacobian(model: nn.Module, inputs: Tensor, entries: Sequence[tuple[str, int]]) -> tuple[Tensor, Tensor]:
    """Compute dz[n, c] / dtheta[e] for every sample n, logit c and chosen scalar parameter e.

    Args:
        model: Network in eval mode, so that samples do not interact; maps ``inputs`` to logits (N, C).
        inputs: A batch (N, ...).
        entries: Pairs (parameter name, flat index into that parameter).

    Returns:
        Jacobian (N, C, len(entries)) and logits (N, C), both in the precision of the model.

    Raises:
        UnsupportedModelError: If a chosen parameter belongs to a layer other than Conv2d, Linear or BatchNorm, or its
            layer is not called.
    """
    by_layer = _group_by_layer(model, entries)
    jacobian: Tensor | None = None
    direction = 0
    called = set()
    linear_outputs = {}

    def watch(layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        called.add(layer)
        # The factors are copied now: a later in-place operation may overwrite the layer's input.
        factors = [_factor(layer, entry, arguments[0].detach()) for entry in by_layer[layer]]
        channel_dim = -1 if isinstance(layer, nn.Linear) else 1

        def accumulate(gradient: Tensor) -> None:
            for entry, factor in zip(by_layer[layer], factors, strict=True):
                flowing = gradient.select(channel_dim, entry.position[0])
                product = flowing if factor is None else flowing * factor
                # A layer that is called twice contributes twice.
                jacobian[:, direction, entry.column] += product.reshape(len(product), -1).sum(1)

        output.register_hook(accumulate)

    def remember(layer: nn.Linear, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        linear_outputs[id(output)] = (layer, arguments[0], output, output._version)

    handles = [layer.register_forward_hook(watch) for layer in by_layer]
    handles += [layer.register_forward_hook(remember) for layer in model.modules() if isinstance(layer, nn.Linear)]
    frozen = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for parameter, _ in frozen:
            parameter.requires_grad_(False)
        leaf = inputs.detach().requires_grad_()
        with torch.enable_grad():
            logits = model(leaf.clone())  # A copy, on which the first layer may work in place.
            if not isinstance(logits, Tensor) or logits.dim() != 2:
                raise UnsupportedModelError("the network must return one tensor of logits with shape (batch, classes)")
            for layer in by_layer.keys() - called:
                raise UnsupportedModelError(
                    f"a {type(layer).__name__} with chosen parameters is never called as a layer"
                )
            batch, classes = logits.shape
            # With more classes than features, the Jacobian of the features is the smaller one: z = W f + b.
            classifier, features, _, version = linear_outputs.get(id(logits), (None, None, None, None))
            through_features = (
                classifier is not None
                and logits._version == version  # not overwritten since
                and features.dim() == 2
                and classifier.in_features < classes
            )
            outputs = features if through_features else logits
            jacobian = logits.new_zeros(batch, outputs.shape[1], len(entries)).detach()
            for direction in range(outputs.shape[1]):
                torch.autograd.grad(outputs[:, direction].sum(), leaf, retain_graph=True, allow_unused=True)
        if through_features:
            jacobian = torch.einsum("cf,nfe->nce", classifier.weight, jacobian)
            for entry in by_layer.get(classifier, []):
                factor = 1.0 if entry.kind == "bias" else features.detach()[:, entry.position[1]]
                jacobian[:, entry.position[0], entry.column] += factor
    finally:
        for handle in handles:
            handle.remove()
        for parameter, required in frozen:
            parameter.requires_grad_(required)
    return jacobian, logits.detach()


def _group_by_layer(model: nn.Module, entries: Sequence[tuple[str, int]]) -> dict[nn.Module, list[_Entry]]:
    parameters = dict(model.named_parameters())
    # A tensor that several layers share has one name; each of them contributes to its gradient.
    owners: dict[Tensor, list[tuple[nn.Module, str]]] = {}
    for layer in model.modules():
        for kind, parameter in layer.named_parameters(recurse=False):
            owners.setdefault(parameter, []).append((layer, kind))
    by_layer: dict[nn.Module, list[_Entry]] = {}
    for column, (name, flat_index) in enumerate(entries):
        parameter = parameters[name]
        position = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat_index), parameter.shape))
        for layer, kind in owners[parameter]:
            _check_supported(layer, kind, name)
            by_layer.setdefault(layer, []).append(_Entry(column, kind, position))
    return by_layer


def _check_supported(layer: nn.Module, kind: str, name: str) -> None:
    if type(layer) not in SUPPORTED or kind not in ("weight", "bias"):
        raise UnsupportedModelError(
            f"parameter {name!r} belongs to {type(layer).__name__}; supported are Conv2d, Linear and BatchNorm"
        )
    if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
        raise UnsupportedModelError(f"the convolution of {name!r} pads with {layer.padding_mode!r}, not zeros")
    if isinstance(layer, BATCH_NORMS) and (layer.training or layer.running_mean is None):
        raise UnsupportedModelError(f"the BatchNorm of {name!r} must be in eval mode with running statistics")


def _factor(layer: nn.Module, entry: _Entry, inputs: Tensor) -> Tensor | None:
    """What multiplies the gradient at the layer's output, (batch, positions...); None stands for one."""
    if entry.kind == "bias":
        return None
    if isinstance(layer, nn.Linear):
        return inputs[..., entry.position[1]].clone()
    if isinstance(layer, BATCH_NORMS):
        channel = entry.position[0]
        return (inputs[:, channel] - layer.running_mean[channel]) * torch.rsqrt(layer.running_var[channel] + layer.eps)
    return _convolution_patch(layer, entry.position, inputs)


def _convolution_patch(layer: nn.Conv2d, position: tuple[int, ...], inputs: Tensor) -> Tensor:
    """The input pixel that meets one weight entry at each output position: (batch, rows, columns)."""
    out_channel, channel_in_group, *offsets = position
    group = out_channel // (layer.out_channels // layer.groups)
    patch = inputs[:, group * (layer.in_channels // layer.groups) + channel_in_group]
    for dim, (offset, kernel, stride, dilation) in enumerate(
        zip(offsets, layer.kernel_size, layer.stride, layer.dilation, strict=True), start=1
    ):
        reach = dilation * (kernel - 1)
        if layer.padding == "same":
            before, after = reach // 2, reach - reach // 2
        else:
            before = after = 0 if layer.padding == "valid" else layer.padding[dim - 1]
        widths = (before, after) if dim == 2 else (0, 0, before, after)
        patch = functional.pad(patch, widths)
        outputs = (patch.shape[dim] - reach - 1) // stride + 1
        first = offset * dilation
        indices = torch.arange(first, first + (outputs - 1) * stride + 1, stride, device=patch.device)
        patch = patch.index_select(dim, indices)
    return patch
