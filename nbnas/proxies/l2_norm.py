"""L2 norm of the weights: sum over layers of || w_l ||. A baseline that sees neither data nor gradients.

Source: NASLib (Krishnakumar et al., NeurIPS 2022, key ``krishnakumar2022suitezero``).
"""

from torch import Tensor

from nbnas.networks.layers import weight_layers
from nbnas.proxies.grad_norm import sum_of_norms
from nbnas.proxies.info import ProxyInfo
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


@register(
    ProxyInfo(
        name="l2_norm",
        title="L2 norm of the weights",
        family="size",
        paper="Krishnakumar et al., NeurIPS 2022",
        formula="sum_l ||w_l||",
        higher_is_better=True,
        mode="train",
        batches=0,
        needs_labels=False,
        inputs="none",
        initialisation="torch_default",
        requires="convolutions or linear layers",
        cost="none",
        scores=("l2_norm",),
    )
)
def l2_norm(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the sum over convolutions and linear layers of the Euclidean norm of the weight.

    With random weights of a known distribution this is a smooth function of layer sizes.

    Args:
        probe: The network.

    Returns:
        ``l2_norm``: at least 0.
    """
    return {"l2_norm": sum_of_norms(layer.weight.detach() for layer in weight_layers(probe.shared_network()).values())}
