"""Jacov (jacob_cov): how differently a network reacts to different inputs. Mellor et al., 2020, ``mellor2020jacov``."""

import torch
from torch import Tensor

from nbnas.networks.eigenvalues import eigenvalues
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def correlation_matrix(rows: Tensor) -> Tensor:
    """Pearson correlation between rows, (N, D) -> (N, N) in float64; NaN for a constant row."""
    centred = rows.double() - rows.double().mean(1, keepdim=True)
    normalised = centred / centred.norm(dim=1, keepdim=True)
    return (normalised @ normalised.T).clamp(-1, 1)


def jacov_score(input_gradients: Tensor) -> Tensor:
    """Score from the input gradients (N, ...) of the sum of all logits; NaN if a sample has a constant gradient."""
    correlation = correlation_matrix(input_gradients.flatten(1))
    broken = correlation.isnan().any()
    values = eigenvalues(torch.where(broken, torch.eye(len(correlation)).to(correlation), correlation))
    score = -((values + 1e-5).log() + 1 / (values + 1e-5)).sum()
    return torch.where(broken, float("nan"), score)


@register(
    title="Jacobian covariance",
    family="kernel",
    paper="Mellor et al., 2020",
    formula="-sum_i [ln(v_i + 1e-5) + 1/(v_i + 1e-5)], v = eig(corr of input gradients)",
    initialisation="kaiming_normal",
    requires="logits differentiable with respect to the input",
    cost="F + I",
)
def jacov(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the correlation matrix of its flattened input gradients over a batch: at most -N."""
    probe.require_pair()
    score = jacov_score(probe.input_gradients())
    probe.degenerate_if(score.isnan(), "a sample has a constant input gradient")
    return {"jacov": score}
