"""Lnwot: NASWOT layer by layer, on the outputs of convolutions and linear layers; the expressivity half of T-CET.

    K_l,nm = number of units of layer l in which samples n and m agree about being positive
    lnwot  = sum over layers of ln |det K_l| ,     nwot = ln | det sum over layers of K_l |

A layer whose kernel is singular counts 0, as in the released code. With no more classes than samples that is nearly
always so for the classifier. Source: Xiang et al., AutoML 2023 (key ``xiang2023tcet``), section 3.
"""

import torch
from torch import Tensor

from nbnas.networks.layers import WEIGHT_LAYERS, UnsupportedModelError
from nbnas.proxies.agreement import Agreement, agreement, log_determinant, total_kernel
from nbnas.proxies.info import ProxyInfo
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def layer_agreements(probe: Probe) -> dict[str, Agreement]:
    """Return the code agreement of every convolution and linear layer called in eval mode, in order of execution.

    The units of a layer that is called several times are those of all its calls.
    """

    def compute() -> dict[str, Agreement]:
        probe.require_pair()
        layers: dict[str, list[Agreement]] = {}
        # Only signs are needed, and no other proxy needs the pass: its graph is let go.
        recording = probe.record(mode="eval")
        for call in recording.calls:
            if isinstance(call.layer, WEIGHT_LAYERS):
                recording.require_samples_first(call.output)
                layers.setdefault(call.name, []).append(agreement(call.output))
        if not layers:
            raise UnsupportedModelError("needs convolutions or linear layers, called as modules")
        return {
            name: calls[0]
            if len(calls) == 1
            else Agreement(total_kernel(calls), sum(call.units for call in calls), calls[0].dimensions)
            for name, calls in layers.items()
        }

    return probe.share("layer agreements", compute)


def layer_log_determinants(probe: Probe) -> dict[str, Tensor]:
    """Return ln |det K_l| by layer name; 0 where K_l is singular, as it is where no unit is ever positive."""

    def compute() -> dict[str, Tensor]:
        layers = layer_agreements(probe)
        values = log_determinant(torch.stack([layer.kernel for layer in layers.values()]))
        return dict(zip(layers, torch.where(values.isneginf(), 0.0, values), strict=True))

    return probe.share("layer log-determinants", compute)


@register(
    ProxyInfo(
        name="nwot",
        title="Lnwot and NASWOT on layer outputs",
        family="activations",
        paper="Xiang et al., AutoML 2023",
        formula="lnwot: sum_l ln|det K_l|; nwot: ln|det sum_l K_l|; K_l = agreement of codes at the output of layer l",
        higher_is_better=True,
        mode="eval",
        batches=1,
        needs_labels=False,
        inputs="images",
        initialisation="torch_default",
        requires="convolutions or linear layers, called as modules",
        cost="F",
        scores=("lnwot", "nwot"),
    )
)
def nwot(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the log-determinants of the activation codes of its layers.

    Args:
        probe: Network in eval mode and one batch; labels are not used.

    Returns:
        ``lnwot`` and ``nwot``, in nats; degenerate if the sum of the kernels is singular, and ``lnwot`` alone is NaN
        if each of them is.
    """
    layers = torch.stack(list(layer_log_determinants(probe).values()))
    whole = log_determinant(total_kernel(list(layer_agreements(probe).values())))
    probe.degenerate_if(whole.isneginf(), "the agreement kernel of all layers is singular")
    return {"lnwot": torch.where((layers == 0).all(), float("nan"), layers.sum()), "nwot": whole}
