"""Lnwot: NASWOT layer by layer, on the outputs of convolutions and linear layers; the expressivity half of T-CET.

K_l is a kernel of :mod:`nbnas.proxies.agreement`. A layer whose kernel is singular counts 0, as in the released code.
With no more classes than samples that is nearly always the case for the classifier. Source: Xiang et al., AutoML 2023
(key ``xiang2023tcet``), section 3.
"""

import torch
from torch import Tensor

from nbnas.networks.layers import WEIGHT_LAYERS, UnsupportedModelError
from nbnas.proxies.agreement import agreement, log_determinant
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def _layer_kernels(probe: Probe) -> dict[str, Tensor]:
    """Return K_l of every convolution and linear layer called in eval mode, in order of execution.

    The units of a layer that is called several times are those of all its calls.
    """

    def compute() -> dict[str, Tensor]:
        probe.require_pair()
        kernels: dict[str, list[Tensor]] = {}
        # Only signs are needed, and no other proxy needs the pass: its graph is let go.
        recording = probe.record(mode="eval")
        for call in recording.calls:
            if isinstance(call.layer, WEIGHT_LAYERS):
                recording.require_samples_first(call.output)
                kernels.setdefault(call.name, []).append(agreement(call.output).kernel)
        if not kernels:
            raise UnsupportedModelError("needs convolutions or linear layers, called as modules")
        return {name: torch.stack(calls).sum(0) for name, calls in kernels.items()}

    return probe.share("layer agreements", compute)


def layer_log_determinants(probe: Probe) -> dict[str, Tensor]:
    """Return ln |det K_l| by layer name; 0 where K_l is singular, as it is where no unit is ever positive."""

    def compute() -> dict[str, Tensor]:
        kernels = _layer_kernels(probe)
        values = log_determinant(torch.stack(list(kernels.values())))
        return dict(zip(kernels, torch.where(values.isneginf(), 0.0, values), strict=True))

    return probe.share("layer log-determinants", compute)


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
    layers = torch.stack(list(layer_log_determinants(probe).values()))
    whole = log_determinant(torch.stack(list(_layer_kernels(probe).values())).sum(0))
    probe.degenerate_if(whole.isneginf(), "the agreement kernel of all layers is singular")
    return {"lnwot": torch.where((layers == 0).all(), float("nan"), layers.sum()), "nwot": whole}
