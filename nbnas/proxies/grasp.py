"""GraSP: how much cutting a connection would reduce the flow of gradients.

Source: Wang et al., ICLR 2020 (key ``wang2020grasp``), with the sign that makes larger better, as both papers' code has
it. H is the Hessian of the loss L; H g is the gradient of g . dL/dw with g held fixed: one backward pass through the
backward pass.
"""

import torch
from torch import Tensor
from torch.nn import functional

from nbnas.networks.autograd import differentiating_twice
from nbnas.networks.layers import total, weight_layers
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def grasp_saliency(probe: Probe) -> dict[str, Tensor]:
    """Return -w * (H g) of every weight, by layer name, for the probe's first batch."""

    def compute() -> dict[str, Tensor]:
        layers = weight_layers(probe.shared_network())
        weights = [layer.weight for layer in layers.values()]
        loss = functional.cross_entropy(probe.forward().logits, probe.shared_batch()[1])
        options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
        gradients = torch.autograd.grad(loss, weights, create_graph=True, **options)
        along = sum((gradient.detach() * gradient).sum() for gradient in gradients)
        with differentiating_twice(along):
            products = torch.autograd.grad(along, weights, **options)
        pairs = zip(layers, weights, products, strict=True)
        return {name: -weight.detach() * product for name, weight, product in pairs}

    return probe.share("grasp saliency", compute, probe.mode)


@register(
    title="GraSP",
    family="saliency",
    paper="Wang et al., ICLR 2020",
    formula="sum_w -w (H g), g = dL/dw",
    needs_labels=True,
    initialisation="kaiming_normal",
    requires="convolutions or linear layers, twice differentiable operations",
    cost="F + B + backward through B",
)
def grasp(probe: Probe) -> dict[str, Tensor]:
    """Score a network by its total GraSP saliency at temperature 1, of either sign."""
    return {"grasp": total([saliency.sum() for saliency in grasp_saliency(probe).values()])}
