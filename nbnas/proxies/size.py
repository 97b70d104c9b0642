"""Size of a network: multiply-adds, parameters, parameter tensors. The baselines every proxy must beat."""

from inspect import signature
from typing import Any

import torch
from torch.func import functional_call
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from nbnas.proxies.info import ProxyInfo
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


class _LinearBiasCounter(TorchFunctionMode):
    """Counts bias additions of linear layers, which reach the product's kernel only sometimes.

    Torch dispatches its attention as one function, in which the linear layers are not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.additions = 0

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
    into, out = (
        sum(given[name].numel() // given[name].shape[-1] for name in names)
        for names in (("query", "key", "value"), ("query",))
    )
    additions = (given["in_proj_bias"] is not None) * into + (given["out_proj_bias"] is not None) * out
    return additions * given["embed_dim_to_check"]


def _convolution_flops(
    inputs: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    *_: Any,
    out_shape: Any,
    **__: Any,
) -> int:
    bias_additions = 0 if bias is None else torch.Size(out_shape).numel()
    return conv_flop_count(inputs, weight, out_shape, transposed=transposed) + 2 * bias_additions


@register(
    ProxyInfo(
        name="flops",
        title="Multiply-adds of one image",
        family="size",
        paper="Dong & Yang, ICLR 2020",
        formula="multiply-adds of convolutions and matrix products, their biases included",
        higher_is_better=True,
        mode="eval",
        batches=1,
        needs_labels=False,
        inputs="none",
        initialisation=None,
        requires="nothing",
        cost="F of one sample",
        scores=("flops",),
    )
)
def flops(probe: Probe) -> dict[str, float]:
    """Count the multiply-adds of one image by running it, the way NATS-Bench counts them.

    A multiply-add is one operation, so the number is half of what counts additions and multiplications apart.
    Convolutions and matrix products count, wherever in the code they happen, and a bias costs one operation per
    output; BatchNorm, activations, pooling and sums are free.

    Args:
        probe: Any network and one batch, of which the first image is used.

    Returns:
        ``flops``: number of multiply-adds per image.
    """
    inputs, _ = probe.shared_batch()
    network = probe.shared_network()
    mapping = {torch.ops.aten.convolution: _convolution_flops}
    counter, biases = FlopCounterMode(display=False, custom_mapping=mapping), _LinearBiasCounter()
    with torch.no_grad(), counter, biases:
        # Without parameters that require gradients: the counter would watch for a backward pass.
        parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
        functional_call(network, parameters, (inputs[:1].clone(),))
    return {"flops": counter.get_total_flops() / 2 + biases.additions}


@register(
    ProxyInfo(
        name="params",
        title="Parameters",
        family="size",
        paper="Dong & Yang, ICLR 2020",
        formula="sum over parameter tensors of their number of entries",
        higher_is_better=True,
        mode="eval",
        batches=0,
        needs_labels=False,
        inputs="none",
        initialisation=None,
        requires="nothing",
        cost="none",
        scores=("params",),
    )
)
def params(probe: Probe) -> dict[str, float]:
    """Count the parameters, a shared tensor once; BatchNorm scales and shifts count, running statistics do not."""
    return {"params": float(sum(parameter.numel() for parameter in probe.given_network.parameters()))}


@register(
    ProxyInfo(
        name="trainable_layers",
        title="Trainable layers (parameter tensors)",
        family="size",
        paper="Tybl & Neumann, CVPR 2025",
        formula="number of parameter tensors (aleph in the paper)",
        higher_is_better=True,
        mode="eval",
        batches=0,
        needs_labels=False,
        inputs="none",
        initialisation=None,
        requires="nothing",
        cost="none",
        scores=("trainable_layers",),
    )
)
def trainable_layers(probe: Probe) -> dict[str, float]:
    """Count the parameter tensors: a convolution with bias is two, a BatchNorm two, a shared tensor one."""
    return {"trainable_layers": float(sum(1 for _ in probe.given_network.parameters()))}
