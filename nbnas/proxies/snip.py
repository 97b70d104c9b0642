"""SNIP: how much the loss would change if a connection were cut, summed over all connections.

|w * dL/dw| is |dL/dm| for a mask m of ones multiplied into the weights. Source: Lee et al., ICLR 2019 (key
``lee2019snip``); as a score of networks Abdelfattah et al., ICLR 2021 (key ``abdelfattah2021zerocost``).
"""

from torch import Tensor

from nbnas.networks.layers import total
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def snip_saliency(probe: Probe) -> dict[str, Tensor]:
    """Return |w * dL/dw| of every weight, by layer name, for the probe's first batch."""
    return {name: (weight * gradient).abs() for name, (weight, gradient) in probe.weight_gradients().items()}


@register(
    title="SNIP",
    family="saliency",
    paper="Lee et al., ICLR 2019",
    formula="sum_w |w dL/dw|",
    needs_labels=True,
    initialisation="kaiming_normal",
    requires="convolutions or linear layers",
    cost="F + B",
)
def snip(probe: Probe) -> dict[str, Tensor]:
    """Score a network by its total SNIP saliency, in nats, at least 0; biases and normalisation layers do not count."""
    return {"snip": total([saliency.sum() for saliency in snip_saliency(probe).values()])}
