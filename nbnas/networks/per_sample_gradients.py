"""Gradients of each sample's own loss from one backward pass, layer by layer.

The gradient of a weight is a sum over samples and positions of what flows back into the layer's output times what
entered the layer; here the samples are kept apart. Exact where samples do not interact, that is without BatchNorm on
batch statistics.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nbnas.networks.layers import BATCH_NORMS, uses_batch_statistics
from nbnas.networks.recording import LayerCall, Recording


def samples_interact(network: nn.Module, recording: Recording) -> bool:
    """Whether some BatchNorm, as a module or as a function, uses the statistics of the batch."""
    return recording.batch_statistics or any(
        isinstance(module, BATCH_NORMS) and uses_batch_statistics(module) for module in network.modules()
    )


def per_sample_gradients(
    network: nn.Module, recording: Recording, summed: Tensor, names: Sequence[str]
) -> dict[str, Tensor] | None:
    """Compute the gradients, by the named parameters, of each sample's own part of ``summed``.

    That is a scalar computed from the recorded pass: a sum of terms that depend on one sample each.

    Returns:
        Parameter name -> (N, *its shape), zeros where it is unused. ``None`` if one of them has no formula: it is the
        weight of neither a Conv2d, a Linear, a GroupNorm nor a LayerNorm, or it is used outside its layer.
    """
    parameters = dict(network.named_parameters())
    wanted = {parameters[name]: name for name in names}
    calls = [
        (wanted[weight], call)
        for call in recording.calls
        if (weight := call.layer._parameters.get("weight")) in wanted and call.output.requires_grad
    ]
    uncovered = recording.stray_uses | (recording.used - {name for name, _ in calls})
    if not calls or uncovered & set(names) or not all(_has_formula(call, recording) for _, call in calls):
        return None
    flowing = torch.autograd.grad(summed, [call.output for _, call in calls], retain_graph=True, allow_unused=True)
    gradients: dict[str, Tensor] = {}
    for (name, call), gradient in zip(calls, flowing, strict=True):
        if gradient is not None:
            added = _weight_gradients(call.layer, call.inputs.detach(), gradient)
            # A layer that is called twice contributes twice.
            gradients[name] = gradients[name].add_(added) if name in gradients else added
    for name in set(names).difference(gradients):
        gradients[name] = parameters[name].new_zeros(len(recording.inputs), *parameters[name].shape)
    return {name: gradients[name] for name in names}


def _has_formula(call: LayerCall, recording: Recording) -> bool:
    kinds = (nn.Conv2d, nn.GroupNorm, nn.Linear, nn.LayerNorm) if call.output.dim() == 4 else (nn.Linear, nn.LayerNorm)
    return type(call.layer) in kinds and recording.samples_first(call.output)


def _weight_gradients(layer: nn.Module, inputs: Tensor, gradient: Tensor) -> Tensor:
    """Per-sample gradients (N, *weight.shape) from what entered the layer and what flows back into its output."""
    if isinstance(layer, nn.Linear):
        flat_in, flat_out = (tensor.reshape(len(inputs), -1, tensor.shape[-1]) for tensor in (inputs, gradient))
        return flat_out.mT @ flat_in
    if isinstance(layer, nn.LayerNorm):
        product = functional.layer_norm(inputs, layer.normalized_shape, eps=layer.eps) * gradient
        return product.reshape(len(inputs), -1, *layer.normalized_shape).sum(1)
    if isinstance(layer, nn.GroupNorm):
        return (functional.group_norm(inputs, layer.num_groups, eps=layer.eps) * gradient).flatten(2).sum(2)
    return _convolution_gradients(layer, inputs, gradient)


def _convolution_gradients(layer: nn.Conv2d, inputs: Tensor, gradient: Tensor) -> Tensor:
    samples, stride, padding, dilation = len(inputs), layer.stride, layer.padding, layer.dilation
    if layer.padding_mode != "zeros" or isinstance(padding, str):
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        inputs, padding = functional.pad(inputs, layer._reversed_padding_repeated_twice, mode=mode), (0, 0)

    if one_product_for_all_samples(inputs) and layer.groups == 1:
        patches = functional.unfold(inputs, layer.kernel_size, dilation, padding, stride)
        return (gradient.flatten(2) @ patches.mT).unflatten(2, layer.weight.shape[1:])

    def weight_gradient(gradient: Tensor, inputs: Tensor, weight: Tensor, groups: int) -> Tensor:
        settings = (stride, padding, dilation, False, [0, 0], groups)
        return torch.ops.aten.convolution_backward(gradient, inputs, weight, None, *settings, [False, True, False])[1]

    if layer.groups == 1 and max(layer.kernel_size) > 1:
        # One sample whose groups of channels are the samples.
        weights = layer.weight.new_empty(samples * layer.out_channels, *layer.weight.shape[1:])
        pair = [tensor.contiguous().flatten(0, 1).unsqueeze(0) for tensor in (gradient, inputs)]
        return weight_gradient(*pair, weights, samples).unflatten(0, (samples, layer.out_channels))
    # Parts of a batch, not samples with a dimension put in front: with the strides of those, torch's kernel for grouped
    # convolutions in the channels-last layout gives wrong gradients.
    pairs = zip(gradient.split(1), inputs.split(1), strict=True)
    return torch.stack([weight_gradient(*pair, layer.weight.detach(), layer.groups) for pair in pairs])


def one_product_for_all_samples(inputs: Tensor) -> bool:
    """Whether to spend the memory of every patch: a GPU wants few large kernels."""
    return inputs.is_cuda
