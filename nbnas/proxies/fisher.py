"""Fisher pruning saliency of activations.

For output channel c of a layer, with output a (bias included, before any normalisation) and g = dL/da,

    v_c    = 1/2 mean over samples of ( sum over positions of a g )^2
    fisher = sum over layers of (weights per channel) * sum_c v_c

Sources: Theis et al., 2018 (key ``theis2018fisher``); Turner et al., ICLR 2020; as in zero-cost-nas (Abdelfattah et
al., ICLR 2021), where the value of a channel is copied to each of its weights before summing.
"""

from torch import Tensor, nn

from nbnas.networks.layers import UnsupportedModelError, total
from nbnas.proxies.info import ProxyInfo
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def channel_saliency(output: Tensor, gradient: Tensor, channel_dim: int = 1) -> Tensor:
    """v_c = 1/2 mean_n (sum over positions of a g)^2.

    Args:
        output: a, (N, ...).
        gradient: dL/da, the same shape.
        channel_dim: Dimension of the channels.

    Returns:
        (channels,).
    """
    product = (output * gradient).movedim(channel_dim, 1)
    return product.reshape(*product.shape[:2], -1).sum(2).square().mean(0) / 2


@register(
    ProxyInfo(
        name="fisher",
        title="Fisher pruning saliency",
        family="saliency",
        paper="Theis et al., 2018",
        formula="sum_l (numel(w_l) / channels) sum_c 1/2 mean_n (sum_positions a dL/da)^2",
        higher_is_better=True,
        mode="train",
        batches=1,
        needs_labels=True,
        inputs="images",
        initialisation="torch_default",
        requires="convolutions or linear layers, called as modules",
        cost="F + B",
        scores=("fisher",),
    )
)
def fisher(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the total Fisher saliency of the output channels of its convolutions and linear layers.

    A layer that is called several times counts once a call.

    Args:
        probe: Network in train mode and one labelled batch.

    Returns:
        ``fisher``: at least 0.
    """
    parts, recording = [], probe.forward()
    for call, gradient in probe.output_gradients():
        recording.require_samples_first(call.output)
        channel_dim = -1 if isinstance(call.layer, nn.Linear) else 1
        channels = channel_saliency(call.output.detach(), gradient, channel_dim)
        parts.append(channels.sum() * (call.layer.weight.numel() / len(channels)))
    if not parts:
        raise UnsupportedModelError("needs convolutions or linear layers, called as modules")
    return {"fisher": total(parts)}
