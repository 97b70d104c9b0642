"""Gradient norm of the loss at initialisation, in the two definitions in use.

``grad_norm`` is the one of Zen-NAS (Lin et al., ICCV 2021) and AZ-NAS (Lee & Ham, CVPR 2024), used in both papers;
``grad_norm_layerwise`` that of NASLib and zero-cost-nas (Abdelfattah et al., ICLR 2021, ``abdelfattah2021zerocost``).
"""

from torch import Tensor

from nbnas.networks.layers import total
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


@register(
    title="Gradient norm",
    family="gradients",
    paper="Lin et al., ICCV 2021",
    formula="sqrt(sum_theta (dL/dtheta)^2)",
    needs_labels=True,
    inputs="noise",
    initialisation="kaiming_normal",
    requires="parameters",
    cost="F + B",
)
def grad_norm(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the Euclidean norm of the gradient of the mean cross-entropy, over all parameters."""
    return {"grad_norm": total([gradient.norm() ** 2 for gradient in probe.loss_gradients().values()]).sqrt()}


@register(
    title="Gradient norm, layer by layer",
    family="gradients",
    paper="Abdelfattah et al., ICLR 2021",
    formula="sum_l ||dL/dw_l||",
    needs_labels=True,
    requires="convolutions or linear layers",
    cost="F + B",
)
def grad_norm_layerwise(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the summed norms of the gradients of its convolution and linear weights."""
    return {"grad_norm_layerwise": total([gradient.norm() for _, gradient in probe.weight_gradients().values()])}
