"""Plain saliency (Abdelfattah et al., ICLR 2021, ``abdelfattah2021zerocost``, after Mozer & Smolensky, 1989)."""

from torch import Tensor

from nbnas.networks.layers import total
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


@register(
    title="Plain saliency",
    family="saliency",
    paper="Abdelfattah et al., ICLR 2021",
    formula="sum_w w dL/dw",
    needs_labels=True,
    requires="convolutions or linear layers",
    cost="F + B",
)
def plain(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the signed sum of weight times gradient of the mean cross-entropy, of either sign.

    It correlates negatively with accuracy on NAS-Bench-201; the direction stays the one in which it was proposed. A
    weight in front of a train-mode BatchNorm contributes next to nothing: rescaling it does not change the loss.
    """
    return {"plain": total([(weight * gradient).sum() for weight, gradient in probe.weight_gradients().values()])}
