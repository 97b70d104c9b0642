"""SynFlow: how much signal flows through each connection of the network made linear and positive.

Every parameter is replaced by its absolute value and BatchNorm by the identity; R is the sum of the logits of one input
of ones. Of the batch only the shape is used. In float64, because the values grow exponentially with depth. Source:
Tanaka et al., NeurIPS 2020 (key ``tanaka2020synflow``); as a score of networks Abdelfattah et al., ICLR 2021.
"""

import torch
from torch import Tensor

from nbnas.errors import first_line
from nbnas.networks.layers import NORMALISATIONS, UnsupportedModelError, total, weight_layers
from nbnas.networks.recording import require_logits
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def synflow_saliency(probe: Probe) -> dict[str, Tensor]:
    """Return |w * dR/dw| of every weight, by layer name; zeros if nothing flows from the input to the logits."""

    def compute() -> dict[str, Tensor]:
        network = probe.new_network("eval").double()
        for module in network.modules():
            if isinstance(module, NORMALISATIONS):
                module.forward = lambda input: input
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        layers = weight_layers(network)
        weights = [layer.weight for layer in layers.values()]
        inputs = _ones_like(probe)
        try:
            # A copy, on which the first layer may work in place.
            logits = require_logits(network(inputs.clone()), len(inputs))
        except RuntimeError as error:
            raise UnsupportedModelError(f"needs a network that runs in float64: {first_line(error)}") from error
        flow, *gradients = torch.autograd.grad(logits[0].sum(), [inputs, *weights], allow_unused=True)
        return {
            name: torch.zeros_like(weight) if flow is None or gradient is None else (weight.detach() * gradient).abs()
            for name, weight, gradient in zip(layers, weights, gradients, strict=True)
        }

    return probe.share("synflow saliency", compute)


def _ones_like(probe: Probe) -> Tensor:
    """Return one input of ones, or as many as the network must be given."""
    batch = probe.shared_batch()[0]
    if not batch.is_floating_point():
        raise UnsupportedModelError("needs inputs of real numbers, not whole ones")
    shape = (probe.fewest_samples, *batch.shape[1:])
    return torch.ones(shape, dtype=torch.float64, device=batch.device).requires_grad_()


@register(
    title="SynFlow",
    family="saliency",
    paper="Tanaka et al., NeurIPS 2020",
    formula="sum_w |w dR/dw|, R = sum of logits of the network with |parameters|, no BatchNorm, input of ones",
    mode="eval",
    inputs="none",
    initialisation="kaiming_normal",
    requires="convolutions or linear layers",
    cost="F + B of one sample, in float64",
)
def synflow(probe: Probe) -> dict[str, Tensor]:
    """Score a network by its total SynFlow saliency, without a logarithm: positive, often astronomically large.

    Batch-, Group-, Instance-, Layer- and RMSNorm modules are the identity; functional normalisation stays. Degenerate
    if no flow reaches the logits.
    """
    score = total([saliency.sum() for saliency in synflow_saliency(probe).values()])
    probe.degenerate_if(score == 0, "no flow from the input reaches the logits")
    return {"synflow": score}
