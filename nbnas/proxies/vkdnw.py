"""VKDNW: entropy of the spectrum of the Fisher information matrix of an untrained network.

Source: Tybl & Neumann, CVPR 2025 (key ``tybl2025vkdnw``), Eq. 8-12. For logits z_n with Jacobian J_n (C x P) with
respect to P chosen parameters and predicted distribution p_n,

    F = 1/N sum_n A_n^T A_n ,   A_n = L_n^T J_n ,   L_n L_n^T = diag(p_n) - p_n p_n^T ,
    score = - sum_k w_k ln w_k  over the nine inner deciles of the eigenvalues of F, w_k = decile_k / sum of deciles.

The released code multiplies by L_n where the paper has L_n^T. The two matrices differ; both variants are here:
``official`` (A = L J), which the published tables used, and ``paper`` (A = L^T J).
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from nbnas.proxies.entry_jacobian import entry_jacobian
from nbnas.proxies.registry import Batch, DegenerateScoreError, ProxyInfo, register

QUANTILES = tuple(k / 10 for k in range(1, 10))
"""The inner deciles; minimum and maximum are left out on purpose."""


def select_entries(model: nn.Module, tensors: int = 128) -> list[tuple[str, int]]:
    """Choose entry 0 of each of the first ``tensors`` parameter tensors, in registration order."""
    return [(name, 0) for name, _ in model.named_parameters()][:tensors]


def smoothed_probabilities(logits: Tensor, smoothing: float = 0.05, *, half_precision_constants: bool = True) -> Tensor:
    """Softmax mixed with the uniform distribution: (1 - a) softmax(z) + a / C.

    At initialisation the softmax is nearly one-hot, and without the mixture its covariance would vanish.

    Args:
        logits: (N, C).
        smoothing: The weight a of the uniform distribution.
        half_precision_constants: Round a, 1 - a and a / C to float16 as the released code does, on which the golden
            values and the published numbers rest; the probabilities then add up to about 1.0002.

    Returns:
        Probabilities (N, C), in the precision of ``logits``.
    """
    classes = logits.shape[1]
    uniform = torch.tensor(smoothing, dtype=torch.float16 if half_precision_constants else torch.float64)
    keep, share = float(1 - uniform), float(uniform / classes)
    return logits.softmax(1) * keep + share


def covariance_factor(probabilities: Tensor) -> Tensor:
    """Lower triangular L with L L^T = diag(p) - p p^T, in closed form (Tanabe & Sagae, 1992).

    With q_j = 1 - (p_1 + ... + p_j), q_0 = 1 and d_j = sqrt(p_j q_j / q_(j-1)): L_jj = d_j and L_ij = -p_i d_j / q_j
    below the diagonal. The last column is zero because the covariance is singular.

    Args:
        probabilities: (N, C).

    Returns:
        (N, C, C).
    """
    rest = (1 - probabilities.cumsum(1)).clamp(min=0)
    rest[:, -1] = 0
    rest_before = torch.cat([torch.ones_like(rest[:, :1]), rest[:, :-1]], dim=1)
    diagonal = (probabilities * rest / rest_before).nan_to_num(0.0).sqrt()
    ratio = torch.where(rest > 0, diagonal / rest, torch.zeros_like(rest))
    below = -(probabilities.unsqueeze(2) * ratio.unsqueeze(1)).tril(-1)
    return below + torch.diag_embed(diagonal)


def fisher_matrix(jacobian: Tensor, probabilities: Tensor, variant: str = "official") -> Tensor:
    """Empirical Fisher information matrix, averaged over samples.

    Args:
        jacobian: (N, C, P).
        probabilities: (N, C).
        variant: ``official`` puts the covariance factor on the side the released code puts it, ``paper`` where the
            definition puts it.

    Returns:
        Symmetric positive semi-definite matrix (P, P).

    Raises:
        ValueError: If ``variant`` is neither.
    """
    factor = covariance_factor(probabilities)
    if variant == "official":
        scaled = factor @ jacobian
    elif variant == "paper":
        scaled = factor.mT @ jacobian
    else:
        raise ValueError(f"variant must be 'official' or 'paper', got {variant!r}")
    stacked = scaled.flatten(0, 1)
    return stacked.T @ stacked / len(jacobian)


def spectrum_deciles(matrix: Tensor, quantiles: Sequence[float] = QUANTILES) -> Tensor:
    """Quantiles, with linear interpolation, of the eigenvalues of a positive semi-definite matrix.

    A matrix that is not finite has no eigenvalues; its quantiles are NaN.
    """
    if not matrix.isfinite().all():
        return matrix.new_full((len(quantiles),), float("nan"))
    eigenvalues = torch.linalg.eigvalsh(matrix).clamp(min=0)
    return torch.quantile(eigenvalues, torch.as_tensor(quantiles, dtype=matrix.dtype, device=matrix.device))


def entropy(deciles: Tensor) -> Tensor:
    """Entropy in nats of the deciles normalised to sum one: 0 to ln 9 = 2.197."""
    weights = deciles / (deciles.sum() + 1e-10)
    return -(weights * (weights + 1e-10).log()).sum()


@register(
    ProxyInfo(
        name="vkdnw",
        title="Entropy of the Fisher information spectrum",
        paper="Tybl & Neumann, CVPR 2025",
        formula="-sum_k w_k ln w_k, w = normalised deciles 0.1..0.9 of eig(1/N sum_n J_n^T cov(p_n) J_n)",
        higher_is_better=True,
        mode="eval",
        batches=1,
        needs_labels=False,
        initialisation="kaiming_normal",
        cost="1 forward + min(classes, features) input-gradient passes",
        scores=tuple(
            f"{prefix}_{suffix}"
            for prefix in ("vkdnw", "vkdnw_paper")
            for suffix in ("entropy", *(f"decile_{k}" for k in range(1, 10)), "trace")
        ),
    )
)
def vkdnw(network: nn.Module, batches: Sequence[Batch], generator: Generator) -> dict[str, float]:
    """Score a network by VKDNW, in both variants at the cost of one.

    The published settings: the first 128 parameter tensors, entry 0 of each, smoothing 0.05, eval mode (in which
    BatchNorm with untouched statistics is the identity). The published ranking VKDNW_single orders networks by the
    number of parameter tensors first and by ``vkdnw_entropy`` second.

    Args:
        network: Maps inputs to logits (N, C); Conv2d, Linear and BatchNorm layers.
        batches: One batch; labels are not used.
        generator: Not used.

    Returns:
        ``vkdnw_entropy`` (nats), ``vkdnw_decile_1`` to ``_9`` and ``vkdnw_trace`` of the official variant, the same
        with ``vkdnw_paper`` for the paper's. Spectra are computed in float64; in a float32 network the smallest
        deciles are rounding noise all the same, because the Jacobian carries float32 errors.

    Raises:
        UnsupportedModelError: See :func:`entry_jacobian`.
        DegenerateScoreError: If all nine deciles are zero in both variants; in one alone, its entropy is NaN.
    """
    inputs, _ = batches[0]
    jacobian, logits = entry_jacobian(network, inputs, select_entries(network))
    jacobian, probabilities = jacobian.double(), smoothed_probabilities(logits.double())
    scores, degenerate = {}, 0
    for prefix, variant in (("vkdnw", "official"), ("vkdnw_paper", "paper")):
        matrix = fisher_matrix(jacobian, probabilities, variant)
        deciles = spectrum_deciles(matrix)
        if not deciles.any():
            deciles = torch.full_like(deciles, float("nan"))
            degenerate += 1
        scores[f"{prefix}_entropy"] = entropy(deciles)
        scores |= {f"{prefix}_decile_{k}": value for k, value in enumerate(deciles, start=1)}
        scores[f"{prefix}_trace"] = matrix.trace()
    if degenerate == 2:
        raise DegenerateScoreError("all deciles of the Fisher spectrum are zero, in both variants")
    return {name: float(value) for name, value in scores.items()}
