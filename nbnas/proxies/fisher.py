"""Fisher pruning saliency of activations.

For output channel c of a layer, with output a (bias included, before any normalisation), v_c = 1/2 mean over samples of
(sum over positions of a dL/da)^2. As in zero-cost-nas (Abdelfattah et al., ICLR 2021), the value of a channel is copied
to each of its weights before summing. Sources: Theis et al., 2018 (key ``theis2018fisher``); Turner et al., ICLR 2020.
"""

from torch import Tensor, nn

from nbnas.networks.layers import UnsupportedModelError, total
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


@register(
    title="Fisher pruning saliency",
    family="saliency",
    paper="Theis et al., 2018",
    formula="sum_l (numel(w_l) / channels) sum_c 1/2 mean_n (sum_positions a dL/da)^2",
    needs_labels=True,
    requires="convolutions or linear layers, called as modules",
    cost="F + B",
)
def fisher(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the Fisher saliency, at least 0, of all channels, in each call of a layer with weights."""
    parts, recording = [], probe.forward()
    for call, gradient in probe.output_gradients():
        recording.require_samples_first(call.output)
        product = (call.output.detach() * gradient).movedim(-1 if isinstance(call.layer, nn.Linear) else 1, 1)
        channels = product.reshape(*product.shape[:2], -1).sum(2).square().mean(0) / 2
        parts.append(channels.sum() * (call.layer.weight.numel() / len(channels)))
    if not parts:
        raise UnsupportedModelError("needs convolutions or linear layers, called as modules")
    return {"fisher": total(parts)}
