"""L2 norm of the weights: a baseline that sees neither data nor gradients.

Source: NASLib (Krishnakumar et al., NeurIPS 2022, key ``krishnakumar2022suitezero``).
"""

from torch import Tensor

from nbnas.networks.layers import total, weight_layers
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


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

    With random weights of a known distribution this is a smooth function of layer sizes.
    """
    return {
        "l2_norm": total([layer.weight.detach().norm() for layer in weight_layers(probe.shared_network()).values()])
    }
