"""Size of a network, the baselines every proxy must beat: multiply-adds, parameters, tensors, norm of the weights."""

from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from nbnas.networks.layers import total, weight_layers
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register

_BASE = {"family": "size", "mode": "eval", "inputs": "none", "initialisation": None}
_COUNT = _BASE | {"batches": 0, "cost": "none"}


class _LinearBiasCounter(TorchFunctionMode):
    """Counts bias additions of linear layers: the product's kernel sees them only sometimes, and in attention never."""

    additions = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if function is functional.multi_head_attention_forward:
            self.additions += _attention_bias_additions(*args, **kwargs)
        if function is functional.linear and (args[2] if len(args) > 2 else kwargs.get("bias")) is not None:
            self.additions += result.numel()
        return result


def _attention_bias_additions(*args: Any, **kwargs: Any) -> int:
    given = signature(functional.multi_head_attention_forward).bind(*args, **kwargs).arguments
    tokens = {name: given[name].numel() // given[name].shape[-1] for name in ("query", "key", "value")}
    additions = (given["in_proj_bias"] is not None) * sum(tokens.values())
    additions += (given["out_proj_bias"] is not None) * tokens["query"]
    return additions * given["embed_dim_to_check"]


def _convolution_flops(inputs: Any, weight: Any, bias: Any, *rest: Any, out_shape: Any, **_: Any) -> int:
    """Two per multiply-add, as torch counts, and per bias; ``rest`` is stride, padding, dilation, transposed, ..."""
    bias_additions = 0 if bias is None else torch.Size(out_shape).numel()
    return conv_flop_count(inputs, weight, out_shape, transposed=rest[3]) + 2 * bias_additions


@register(
    title="Multiply-adds of one image",
    paper="Dong & Yang, ICLR 2020",
    formula="multiply-adds of convolutions and matrix products, their biases included",
    cost="F of one sample",
    **_BASE,
)
def flops(probe: Probe) -> dict[str, float]:
    """Count the multiply-adds of one image by running the first of the batch, the way NATS-Bench counts them.

    A multiply-add is one operation, so the number is half of what counts additions and multiplications apart.
    Convolutions and matrix products count, wherever in the code they happen, and a bias costs one operation per
    output; BatchNorm, activations, pooling and sums are free.
    """
    network, (inputs, _) = probe.shared_network(), probe.shared_batch()
    mapping = {torch.ops.aten.convolution: _convolution_flops}
    counter, biases = FlopCounterMode(display=False, custom_mapping=mapping), _LinearBiasCounter()
    with torch.no_grad(), counter, biases:
        # Without parameters that require gradients: the counter would watch for a backward pass.
        parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
        functional_call(network, parameters, (inputs[: probe.fewest_samples].clone(),))
    return {"flops": (counter.get_total_flops() / 2 + biases.additions) / probe.fewest_samples}


@register(
    title="Parameters",
    paper="Dong & Yang, ICLR 2020",
    formula="sum over parameter tensors of their number of entries",
    **_COUNT,
)
def params(probe: Probe) -> dict[str, float]:
    """Count the parameters, a shared tensor once; BatchNorm scales and shifts count, running statistics do not."""
    return {"params": float(sum(parameter.numel() for parameter in probe.given_network.parameters()))}


@register(
    title="Trainable layers (parameter tensors)",
    paper="Tybl & Neumann, CVPR 2025",
    formula="number of parameter tensors (aleph in the paper)",
    **_COUNT,
)
def trainable_layers(probe: Probe) -> dict[str, float]:
    """Count the parameter tensors: a convolution with bias is two, a BatchNorm two, a shared tensor one."""
    return {"trainable_layers": float(len(list(probe.given_network.parameters())))}


@register(
    title="L2 norm of the weights",
    family="size",
    paper="Krishnakumar et al., NeurIPS 2022",
    formula="sum_l ||w_l||",
    batches=0,
    inputs="none",
    requires="convolutions or linear layers",
    cost="none",
)
def l2_norm(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the sum over convolutions and linear layers of the Euclidean norm of the weight.

    It sees neither data nor gradients, and with random weights of a known distribution it is a smooth function of layer
    sizes. Source: NASLib (key ``krishnakumar2022suitezero``).
    """
    layers = weight_layers(probe.shared_network()).values()
    return {"l2_norm": total([layer.weight.detach().norm() for layer in layers])}
