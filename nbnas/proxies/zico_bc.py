"""ZiCo-BC: ZiCo less a term that falls with the number of channels.

    ZiCo - beta sum_l ln(H_l W_l / sqrt(C_l)) ,   beta = 1 for classification (2 for segmentation),

with H_l W_l the positions and C_l the channels of the output of layer l; a classifier has one position. ZiCo's
logarithms reward depth more than width, and the term takes that back. Source: Bhardwaj et al., ICCV Workshops 2023 (key
``bhardwaj2023zicobc``), who released no code and do not say whether they mean outputs, and whether linear layers count.
"""

import math

from torch import Tensor

from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register
from nbnas.proxies.zico import zico


def penalty(outputs: dict[str, Tensor], channels: dict[str, int]) -> float:
    """Sum over layers of ln(positions / sqrt(channels)), for outputs (N, ...) by layer name."""
    positions = {name: output[0].numel() / channels[name] for name, output in outputs.items()}
    return sum(math.log(count) - math.log(channels[name]) / 2 for name, count in positions.items())


@register(
    title="ZiCo-BC",
    family="gradients",
    paper="Bhardwaj et al., ICCV Workshops 2023",
    formula="zico - sum_l ln(H_l W_l / sqrt(C_l)) of layer outputs",
    batches=2,
    needs_labels=True,
    requires="convolutions or linear layers",
    cost="2 F + 2 B",
)
def zico_bc(probe: Probe) -> dict[str, Tensor]:
    """Score a network by ``zico`` with its bias corrected; degenerate as that is. A layer counts by its last call."""
    layers = {name: len(weight) for name, (weight, _) in probe.weight_gradients().items()}
    outputs = {call.name: call.output for call in probe.forward().calls if call.name in layers}
    return {"zico_bc": zico(probe)["zico"] - penalty(outputs, layers)}
