"""Normalisations with cheaper derivatives than torch's own; values are the same up to rounding.

Torch composes the backward pass of BatchNorm's backward pass, which GraSP takes, from some thirty elementwise
operations. On narrow networks that takes longer than all convolutions. In closed form it needs one more call of
BatchNorm's own backward kernel, a sum and a weighted sum of three tensors. Per channel, with M values x, their
normalised form h = (x - mean) / s, s = sqrt(var + eps), and the incoming gradient G,

    backward:       dx = (gamma / s) (G - a - b h) ,              a = mean G,  b = mean(G h)
    backward of it, for v at dx:
        at G:       (gamma / s) (v - c - d h) ,                   c = mean v,  d = mean(v h)
        at x:       - (gamma / s^2) (d G + b v + (e - a c - 3 b d) h - (a d + b c)) ,   e = mean(v G)
        at gamma:   (M / s) (e - a c - b d)

Torch's instance normalisation copies its input into the contiguous format and gives gradients back in it. The
channels-last format, which convolutions want on a CPU, makes GradSign a tenth to a fifth faster.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def use_cheap_second_derivative(network: nn.Module) -> None:
    """Make every BatchNorm of a network that is in train mode compute by the formulas above, from now on.

    Values and first derivatives stay what they are. Running statistics are no longer updated.
    """
    for module in network.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d) and module.training:
            # The argument has the name that torch gives it: a network may pass it by keyword.
            def forward(input: Tensor, norm: nn.Module = module) -> Tensor:
                norm._check_input_dim(input)
                if input.numel() == input.shape[1]:
                    raise ValueError(f"BatchNorm needs more than one value per channel, got shape {tuple(input.shape)}")
                return _BatchNorm.apply(input, norm.weight, norm.bias, norm.eps)

            module.forward = forward


class _BatchNorm(Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        output, mean, inverse = torch.native_batch_norm(inputs, weight, bias, None, None, True, 0.0, eps)
        ctx.save_for_backward(inputs, weight, mean, inverse)
        ctx.eps = eps
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, mean, inverse = ctx.saved_tensors
        # Without a graph the kernel will do, and can be vectorised over many gradients.
        backward = _Backward.apply if torch.is_grad_enabled() else _kernel
        at_inputs, at_weight, at_bias = backward(gradient, inputs, weight, mean, inverse, ctx.eps)
        return (at_inputs, None, None, None) if weight is None else (at_inputs, at_weight, at_bias, None)


class _Backward(Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:
        results = _kernel(*arguments)
        ctx.save_for_backward(*arguments[:-1], *results[1:])
        ctx.eps = arguments[-1]
        ctx.set_materialize_grads(False)
        return results

    @staticmethod
    def backward(ctx: Any, v: Tensor | None, at_weight: Tensor | None, at_bias: Tensor | None) -> tuple[Any, ...]:
        gradient, inputs, weight, mean, inverse, gradient_h, gradient_sum = ctx.saved_tensors
        count = inputs.numel() // inputs.shape[1]
        shape = [1, -1, *[1] * (inputs.dim() - 2)]
        a, b = gradient_sum / count, gradient_h / count
        gamma = torch.ones_like(mean) if weight is None else weight
        to_gradient = to_inputs = to_weight = None
        if v is not None:
            to_gradient, v_h, v_sum = _kernel(v, inputs, weight, mean, inverse, ctx.eps)
            c, d = v_sum / count, v_h / count
            e = (v * gradient).movedim(1, 0).flatten(1).sum(1) / count
            scale, along = -gamma * inverse**2, e - a * c - 3 * b * d
            constant = scale * (-(a * d + b * c) - along * mean * inverse)
            to_inputs = gradient * (scale * d).view(shape)
            to_inputs.addcmul_(v, (scale * b).view(shape))
            to_inputs.addcmul_(inputs, (scale * along * inverse).view(shape)).add_(constant.view(shape))
            to_weight = None if weight is None else count * inverse * (e - a * c - b * d)
        if at_weight is not None or at_bias is not None:
            # The gradients of scale and shift, sum(G h) and sum G, were differentiated too.
            at_weight, at_bias = (torch.zeros_like(mean) if at is None else at for at in (at_weight, at_bias))
            h = (inputs - mean.view(shape)) * inverse.view(shape)
            more_gradient = h * at_weight.view(shape) + at_bias.view(shape)
            more_inputs = (gradient - a.view(shape) - h * b.view(shape)) * (at_weight * inverse).view(shape)
            to_gradient = more_gradient if to_gradient is None else to_gradient + more_gradient
            to_inputs = more_inputs if to_inputs is None else to_inputs + more_inputs
        return to_gradient, to_inputs, to_weight, None, None, None


def _kernel(
    gradient: Tensor, inputs: Tensor, weight: Tensor | None, mean: Tensor, inverse: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """dx, sum(G h) and sum G of an incoming gradient G."""
    gamma = torch.ones_like(mean) if weight is None else weight
    return torch.ops.aten.native_batch_norm_backward(
        gradient, inputs, gamma, None, None, mean, inverse, True, eps, [True, True, True]
    )


def instance_norm(inputs: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Normalise every channel of every sample: weight (x - mean) / sqrt(variance + eps) + bias.

    Mean and variance, with the divisor P, are over the P positions of inputs (N, C, ...). Weight (C,) is 1 where it is
    None, bias (C,) 0. The memory format is kept. The result can be differentiated once.
    """
    return _InstanceNorm.apply(inputs, weight, bias, eps)


class _InstanceNorm(Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        flat = inputs.flatten(2)
        centred = flat - flat.mean(2, keepdim=True)
        inverse = ((centred * centred).mean(2, keepdim=True) + eps).rsqrt()
        scale = inverse if weight is None else inverse * weight.unsqueeze(1)
        ctx.save_for_backward(centred, inverse, scale)
        output = centred * scale
        if bias is not None:
            output += bias.unsqueeze(1)
        shaped = output.unflatten(2, inputs.shape[2:])
        # The tensor itself and not a view of it: on a view, torch lets nobody work in place afterwards.
        return output.as_strided_(shaped.shape, shaped.stride())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        centred, inverse, scale = ctx.saved_tensors
        flat = gradient.flatten(2)
        product = flat * centred
        along = product.mean(2, keepdim=True) * inverse**2
        to_inputs = (flat - flat.mean(2, keepdim=True)).addcmul_(centred, along, value=-1).mul_(scale)
        to_weight = (product * inverse).sum((0, 2)) if ctx.needs_input_grad[1] else None
        to_bias = flat.sum((0, 2)) if ctx.needs_input_grad[2] else None
        return to_inputs.unflatten(2, gradient.shape[2:]), to_weight, to_bias, None
