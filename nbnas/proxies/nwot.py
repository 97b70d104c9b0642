"""Lnwot: NASWOT layer by layer, on the outputs of convolutions and linear layers; the expressivity half of T-CET.

K_l is a kernel of :mod:`nbnas.proxies.naswot`. A layer whose kernel is singular counts 0, as in the released code.
With no more classes than samples that is nearly always the case for the classifier. Source: Xiang et al., AutoML 2023
(key ``xiang2023tcet``), section 3.
"""

import torch
from torch import Tensor

from nbnas.networks.layers import WEIGHT_LAYERS, UnsupportedModelError
from nbnas.proxies.naswot import agreement, log_determinant
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def _layers(probe: Probe) -> tuple[dict[str, Tensor], Tensor]:
    """Return ln |det K_l| of every convolution and linear layer called in eval mode, and the sum of their kernels.

    The units of a layer that is called several times are those of all its calls.
    """

    def compute() -> tuple[dict[str, Tensor], Tensor]:
        probe.require_pair()
        calls: dict[str, list[Tensor]] = {}
        # Only signs are needed, and no other proxy needs the pass: its graph is let go.
        recording = probe.record(mode="eval")
        for call in recording.calls:
            if isinstance(call.layer, WEIGHT_LAYERS):
                recording.require_samples_first(call.output)
                calls.setdefault(call.name, []).append(agreement(call.output).kernel)
        if not calls:
            raise UnsupportedModelError("needs convolutions or linear layers, called as modules")
        kernels = torch.stack([torch.stack(own).sum(0) for own in calls.values()])
        values = log_determinant(kernels)
        return dict(zip(calls, torch.where(values.isneginf(), 0.0, values), strict=True)), kernels.sum(0)

    return probe.share("layer agreements", compute)


def layer_log_determinants(probe: Probe) -> dict[str, Tensor]:
    """Return ln |det K_l| by layer name; 0 where K_l is singular, as it is where no unit is ever positive."""
    return _layers(probe)[0]


@register(
    title="Lnwot and NASWOT on layer outputs",
    family="activations",
    paper="Xiang et al., AutoML 2023",
    formula="lnwot: sum_l ln|det K_l|; nwot: ln|det sum_l K_l|; K_l = agreement of codes at the output of layer l",
    mode="eval",
    requires="convolutions or linear layers, called as modules",
    cost="F",
    scores=("lnwot", "nwot"),
)
def nwot(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the log-determinants of the activation codes of its layers, in nats.

    Degenerate if the sum of the kernels is singular; ``lnwot`` alone is NaN if each of them is.
    """
    determinants, kernel = _layers(probe)
    layers, whole = torch.stack(list(determinants.values())), log_determinant(kernel)
    probe.degenerate_if(whole.isneginf(), "the agreement kernel of all layers is singular")
    return {"lnwot": torch.where((layers == 0).all(), float("nan"), layers.sum()), "nwot": whole}
