"""Gradient norm of the loss at initialisation, in the two definitions in use.

    grad_norm            sqrt( sum over all parameters of (dL/dtheta)^2 )
    grad_norm_layerwise  sum over convolutions and linear layers of || dL/dw_l ||

Sources: the first is the one of Zen-NAS (Lin et al., ICCV 2021) and AZ-NAS (Lee & Ham, CVPR 2024), used in both papers;
the second that of zero-cost-nas (Abdelfattah et al., ICLR 2021, key ``abdelfattah2021zerocost``) and NASLib.
"""

from collections.abc import Iterable, Mapping

from torch import Tensor

from nbnas.networks.layers import total
from nbnas.proxies.info import ProxyInfo
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def global_norm(gradients: Mapping[str, Tensor]) -> Tensor:
    """Euclidean norm of all gradients taken as one vector.

    Args:
        gradients: Parameter name -> gradient, any shapes.
    """
    return total([gradient.norm() ** 2 for gradient in gradients.values()]).sqrt()


def sum_of_norms(gradients: Iterable[Tensor]) -> Tensor:
    """Sum of the Euclidean norms of tensors of any shape."""
    return total([gradient.norm() for gradient in gradients])


@register(
    ProxyInfo(
        name="grad_norm",
        title="Gradient norm",
        family="gradients",
        paper="Lin et al., ICCV 2021",
        formula="sqrt(sum_theta (dL/dtheta)^2)",
        higher_is_better=True,
        mode="train",
        batches=1,
        needs_labels=True,
        inputs="noise",
        initialisation="kaiming_normal",
        requires="parameters",
        cost="F + B",
        scores=("grad_norm",),
    )
)
def grad_norm(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the norm of the gradient of the mean cross-entropy, over all parameters.

    Args:
        probe: Network in train mode and one labelled batch.

    Returns:
        ``grad_norm``, at least 0.
    """
    return {"grad_norm": global_norm(probe.loss_gradients())}


@register(
    ProxyInfo(
        name="grad_norm_layerwise",
        title="Gradient norm, layer by layer",
        family="gradients",
        paper="Abdelfattah et al., ICLR 2021",
        formula="sum_l ||dL/dw_l||",
        higher_is_better=True,
        mode="train",
        batches=1,
        needs_labels=True,
        inputs="images",
        initialisation="torch_default",
        requires="convolutions or linear layers",
        cost="F + B",
        scores=("grad_norm_layerwise",),
    )
)
def grad_norm_layerwise(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the summed norms of the gradients of its convolution and linear weights.

    Args:
        probe: Network in train mode and one labelled batch.

    Returns:
        ``grad_norm_layerwise``, at least 0.
    """
    return {"grad_norm_layerwise": sum_of_norms(gradient for _, gradient in probe.weight_gradients().values())}
