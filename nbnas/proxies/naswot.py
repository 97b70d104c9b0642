"""NASWOT: how well the ReLU patterns of a batch tell its samples apart.

The code of a sample at a ReLU is 1 where the input is positive, see :mod:`nbnas.proxies.agreement`. Source: Mellor et
al., ICML 2021 (key ``mellor2021naswot``).
"""

import torch
from torch import Tensor

from nbnas.networks.layers import UnsupportedModelError
from nbnas.proxies.agreement import Agreement, agreement, log_determinant
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def relu_agreements(probe: Probe) -> list[Agreement]:
    """Return the code agreement at every ReLU of the forward pass of the first batch, in order of execution.

    ReLU6, LeakyReLU and PReLU count too, as modules or as function calls: their kink is at zero.

    Raises:
        NbnasError: If the batch has one sample only.
        UnsupportedModelError: If the network has none, or in one of them dimension 0 is not the samples.
    """
    probe.require_pair()
    recording = probe.forward()
    if not recording.relu_inputs:
        raise UnsupportedModelError("needs ReLU activations")
    for entered in recording.relu_inputs:
        recording.require_samples_first(entered)
    return probe.share("relu agreements", lambda: [agreement(entered) for entered in recording.relu_inputs], probe.mode)


@register(
    title="NASWOT, ReLU inputs",
    family="activations",
    paper="Mellor et al., ICML 2021",
    formula="ln|det sum_l K_l|, K_l = agreement of codes at ReLU l",
    inputs="noise",
    initialisation="kaiming_normal",
    requires="ReLU activations",
    cost="F",
)
def naswot(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the log-determinant of the agreement kernel of its ReLU patterns, in nats.

    The published scores of VKDNW's tables are in train mode; T-CET's variant on layer outputs is ``nwot``. Degenerate
    if the kernel is singular, as when two samples share one pattern.
    """
    score = log_determinant(torch.stack([layer.kernel for layer in relu_agreements(probe)]).sum(0))
    probe.degenerate_if(score.isneginf(), "the agreement kernel is singular")
    return {"naswot": score}
