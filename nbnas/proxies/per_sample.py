"""Gradients of each sample's own loss from one backward pass, layer by layer.

The gradient of a weight is a sum over samples and positions of what flows back into the layer's output times what
entered the layer. Keeping the samples apart gives all per-sample gradients at the price of one backward pass. Exact
where samples do not interact, that is without BatchNorm on batch statistics.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nbnas.proxies.recording import LayerCall, Recording

_BATCH_NORM = nn.modules.batchnorm._BatchNorm


def samples_interact(network: nn.Module) -> bool:
    """Whether some BatchNorm uses the statistics of the batch."""
    return any(
        isinstance(module, _BATCH_NORM) and (module.training or module.running_mean is None)
        for module in network.modules()
    )


def per_sample_gradients(
    network: nn.Module, recording: Recording, summed: Tensor, names: Sequence[str]
) -> dict[str, Tensor] | None:
    """Compute the gradient of each sample's own part of a sum.

    Args:
        network: The network that was recorded; its samples must not interact.
        recording: Its forward pass.
        summed: Scalar, a sum over samples of something that depends on one sample each.
        names: Parameters to differentiate.

    Returns:
        Parameter name -> (N, *its shape), zeros where it is unused. None if one of them has no formula: it is the
        weight of neither a Conv2d, a Linear, a GroupNorm nor a LayerNorm, or it is used outside its layer.
    """
    parameters = dict(network.named_parameters())
    samples = len(recording.inputs)
    calls = []
    covered = set()
    for call in recording.calls:
        name = f"{call.name}.weight".lstrip(".")
        if name in names:
            if not _has_formula(call, samples):
                return None
            calls.append((name, call))
            covered.add(parameters[name])
    for name in names:
        used = parameters[name] in covered or _is_unused(network, recording, name)
        if name in recording.stray_uses or not used:
            return None
    flowing = torch.autograd.grad(summed, [call.output for _, call in calls], retain_graph=True, allow_unused=True)
    gradients = {name: torch.zeros(samples, *parameters[name].shape).to(parameters[name]) for name in names}
    for (name, call), gradient in zip(calls, flowing, strict=True):
        if gradient is not None:
            gradients[name] += _weight_gradients(call.layer, call.inputs.detach(), gradient)
    return gradients


def _is_unused(network: nn.Module, recording: Recording, name: str) -> bool:
    owner = network.get_submodule(name.rpartition(".")[0])
    return all(call.layer is not owner for call in recording.calls)


def _has_formula(call: LayerCall, samples: int) -> bool:
    layer, shape = call.layer, call.output.shape
    if type(layer) in (nn.Conv2d, nn.GroupNorm):
        return shape[0] == samples and len(shape) == 4
    if type(layer) in (nn.Linear, nn.LayerNorm):
        # Of (tokens, samples, channels) with equal numbers of both nobody could tell.
        return shape[0] == samples and samples not in shape[1:-1]
    return False


def _weight_gradients(layer: nn.Module, inputs: Tensor, gradient: Tensor) -> Tensor:
    """Per-sample gradients (N, *weight.shape) from what entered the layer and what flows back into its output."""
    samples = len(inputs)
    if isinstance(layer, nn.Linear):
        flat_in, flat_out = (tensor.reshape(samples, -1, tensor.shape[-1]) for tensor in (inputs, gradient))
        return flat_out.mT @ flat_in
    if isinstance(layer, nn.LayerNorm):
        normalised = functional.layer_norm(inputs, layer.normalized_shape, eps=layer.eps)
        product = normalised * gradient
        return product.reshape(samples, -1, *layer.normalized_shape).sum(1)
    if isinstance(layer, nn.GroupNorm):
        return (functional.group_norm(inputs, layer.num_groups, eps=layer.eps) * gradient).flatten(2).sum(2)
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        inputs, padding = functional.pad(inputs, layer._reversed_padding_repeated_twice, mode=mode), 0
    else:
        padding = layer.padding
    patches = functional.unfold(inputs, layer.kernel_size, layer.dilation, padding, layer.stride)
    patches = patches.reshape(samples * layer.groups, -1, patches.shape[-1])
    flowing = gradient.reshape(samples * layer.groups, -1, patches.shape[-1])
    return (flowing @ patches.mT).reshape(samples, *layer.weight.shape)
