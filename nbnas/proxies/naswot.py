"""NASWOT: how well the ReLU patterns of a batch tell its samples apart.

With c_n the code (1 where a unit is positive, else 0) of sample n over the L units of a layer,

    K = C C^T + (1 - C)(1 - C)^T ,   K_nm = number of units in which n and m agree.

Source: Mellor et al., ICML 2021 (key ``mellor2021naswot``).
"""

import torch
from torch import Tensor

from nbnas.networks.layers import UnsupportedModelError
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def agreement(activations: Tensor) -> Tensor:
    """K of one layer, (N, ...) -> (N, N), whole numbers in float64; the diagonal is L."""
    activations = activations.detach()
    if activations.dim() == 4 and activations.is_contiguous(memory_format=torch.channels_last):
        activations = activations.permute(0, 2, 3, 1)  # The order of units does not matter; flattening is then free.
    flat = activations.reshape(len(activations), -1)
    codes = torch.empty(flat.shape, dtype=torch.float32, device=flat.device)
    torch.gt(flat, 0, out=codes)  # Writing numbers at once saves a pass over all units.
    # K_nm = L - r_n - r_m + 2 (C C^T)_nm, exact in float32 up to 2^24 units.
    common = (codes @ codes.T).double()
    counts = common.diagonal()
    return codes.shape[1] - counts.unsqueeze(0) - counts.unsqueeze(1) + 2 * common


def log_determinant(kernels: Tensor) -> Tensor:
    """ln |det K| of positive semi-definite (..., N, N) in float64; minus infinity where singular at that precision."""
    eigenvalues = torch.linalg.eigvalsh(kernels)
    negligible = eigenvalues[..., -1] * kernels.shape[-1] * torch.finfo(kernels.dtype).eps
    return torch.where(eigenvalues[..., 0] <= negligible, -torch.inf, eigenvalues.abs().log().sum(-1))


def relu_agreements(probe: Probe) -> list[Tensor]:
    """Return K of the input of every ReLU of the forward pass of the first batch, in order of execution.

    ReLU6, LeakyReLU and PReLU count too, as modules or as function calls: their kink is at zero.
    """
    probe.require_pair()
    recording = probe.forward()
    if not recording.relu_inputs:
        raise UnsupportedModelError("needs ReLU activations")
    for entered in recording.relu_inputs:
        recording.require_samples_first(entered)
    return probe.share("relu agreements", lambda: list(map(agreement, recording.relu_inputs)), probe.mode)


_BASE = {
    "family": "activations",
    "paper": "Mellor et al., ICML 2021",
    "formula": "ln|det sum_l K_l|, K_l = agreement of codes at ReLU l",
    "sees_classifier": False,
    "requires": "ReLU activations",
    "cost": "F",
}


@register(title="NASWOT, ReLU inputs", inputs="noise", initialisation="kaiming_normal", **_BASE)
def naswot(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the log-determinant of the agreement kernel of its ReLU patterns, in nats.

    The published scores of VKDNW's tables are in train mode; those of T-CET's tables are ``naswot_eval``. T-CET's
    ``nwot`` reads the outputs of layers instead.
    """
    return {"naswot": _score(probe)}


@register(title="NASWOT, ReLU inputs, eval mode", mode="eval", ablation=True, **_BASE)
def naswot_eval(probe: Probe) -> dict[str, Tensor]:
    """Score as :func:`naswot` in eval mode under torch's own initialisation, as the authors of T-CET did."""
    return {"naswot_eval": _score(probe)}


def _score(probe: Probe) -> Tensor:
    score = log_determinant(torch.stack(relu_agreements(probe)).sum(0))
    probe.degenerate_if(score.isneginf(), "the agreement kernel is singular")
    return score
