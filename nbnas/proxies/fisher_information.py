"""The Fisher information matrix of a network with respect to chosen parameters, and the scores of its spectrum."""

import random
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from nbnas.errors import NbnasError
from nbnas.networks.eigenvalues import eigenvalues
from nbnas.networks.entry_jacobian import entry_jacobian
from nbnas.networks.exact_kernels import exact_kernels
from nbnas.proxies.probe import Probe

QUANTILES = tuple(k / 10 for k in range(1, 10))
"""The inner deciles; minimum and maximum are left out on purpose."""


def select_entries(
    model: nn.Module,
    tensors: int = 128,
    *,
    entries_per_tensor: int = 1,
    position: float | None = 0.0,
    which: str = "first",
    generator: Generator | None = None,
) -> list[tuple[str, int]]:
    """Choose the scalar parameters that the Fisher matrix is about.

    Args:
        model: Any network.
        tensors: Number of parameter tensors; all where there are fewer.
        entries_per_tensor: k > 1 takes the flat indices floor(linspace(0, numel - 1, k)) of each tensor.
        position: For k = 1, the relative position of the entry: flat index floor(position * (numel - 1)); None draws it
            from ``generator``.
        which: ``first`` or ``last`` tensors in registration order, or ``random``: drawn without replacement by Python's
            generator seeded with the number of tensors, as in the authors' MobileNetV2 search, so that networks with
            equally many tensors get the same choice.
        generator: CPU generator of random positions.

    Returns:
        Pairs (parameter name, flat index).

    Raises:
        ValueError: If an argument is out of range.
    """
    if tensors < 1 or entries_per_tensor < 1 or which not in ("first", "last", "random"):
        raise ValueError("tensors and entries_per_tensor must be at least 1, and which 'first', 'last' or 'random'")
    if position is None and generator is None:
        raise ValueError("random positions need a generator")
    if position is not None and not 0 <= position <= 1:
        raise ValueError(f"position must lie between 0 and 1, got {position}")
    named = list(model.named_parameters())
    if which == "first":
        named = named[:tensors]
    elif which == "last":
        named = named[-tensors:]
    else:
        named = random.Random(len(named)).sample(named, min(tensors, len(named)))
    entries = []
    for name, parameter in named:
        last = parameter.numel() - 1
        if entries_per_tensor > 1:
            indices = torch.linspace(0, last, entries_per_tensor, dtype=torch.float64).long().tolist()
        elif position is None:
            indices = torch.randint(last + 1, (1,), generator=generator).tolist()
        else:
            indices = [int(position * last)]
        entries += [(name, index) for index in indices]
    return entries


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


def fisher_root(jacobian: Tensor, probabilities: Tensor, variant: str = "official") -> Tensor:
    """Return A of all samples, one below the other: the Fisher matrix is A^T A / N.

    Args:
        jacobian: (N, C, P).
        probabilities: (N, C).
        variant: ``official`` puts the covariance factor on the side the released code puts it, ``paper`` where the
            definition puts it.

    Returns:
        (N C, P).

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
    return scaled.flatten(0, 1)


def fisher_matrix(jacobian: Tensor, probabilities: Tensor, variant: str = "official") -> Tensor:
    """Empirical Fisher information matrix, averaged over samples; arguments and errors of :func:`fisher_root`.

    Returns:
        Symmetric positive semi-definite matrix (P, P).
    """
    root = fisher_root(jacobian, probabilities, variant)
    return root.T @ root / len(jacobian)


def fisher_eigenvalues(probe: Probe, variant: str = "official") -> Tensor:
    """Return all eigenvalues of the matrix whose deciles the proxy ``vkdnw`` takes.

    Args:
        probe: As the proxy gets it.
        variant: See :func:`fisher_matrix`.

    Returns:
        (P,), ascending, at least 0, in float64.

    Raises:
        NbnasError: If the network's output is not finite, or ``variant`` is unknown.
        UnsupportedModelError: See :func:`entry_jacobian`.
    """
    if variant not in ("official", "paper"):
        raise NbnasError(f"variant must be 'official' or 'paper', got {variant!r}")
    network, (inputs, _) = probe.shared_network(), probe.shared_batch()
    jacobian, logits = entry_jacobian(network, inputs, select_entries(network))
    matrix = fisher_matrix(jacobian.double(), smoothed_probabilities(logits.double()), variant)
    if not matrix.isfinite().all():
        raise NbnasError("the Fisher matrix is not finite, so it has no spectrum")
    return eigenvalues(matrix).clamp(min=0)


def spectrum_deciles(matrix: Tensor, quantiles: Sequence[float] = QUANTILES) -> Tensor:
    """Quantiles, with linear interpolation, of the eigenvalues of a positive semi-definite matrix.

    A matrix that is not finite has no eigenvalues; its quantiles are NaN.
    """
    finite = matrix.isfinite().all()
    spectrum = eigenvalues(torch.where(finite, matrix, torch.eye(len(matrix)).to(matrix))).clamp(min=0)
    levels = torch.as_tensor(quantiles, dtype=matrix.dtype, device=matrix.device)
    return torch.where(finite, torch.quantile(spectrum, levels), float("nan"))


def entropy(deciles: Tensor) -> Tensor:
    """Entropy in nats of the deciles normalised to sum one, - sum_k w_k ln(w_k + 1e-10): 0 to ln 9 = 2.197.

    w_k is the decile divided by (their sum + 1e-10). The released code has both guards; they bite where the deciles
    themselves are as small as the guard, with weights far smaller than the published initialisation.
    """
    weights = deciles / (deciles.sum() + 1e-10)
    return -(weights * (weights + 1e-10).log()).sum()


def vkdnw_scores(
    network: nn.Module,
    inputs: Tensor,
    entries: Sequence[tuple[str, int]] | None = None,
    *,
    smoothing: float = 0.05,
    half_precision_constants: bool = True,
    quantiles: Sequence[float] = QUANTILES,
    variant: str = "official",
) -> dict[str, Tensor]:
    """Compute the spectrum of the Fisher matrix of a network and its entropy.

    Args:
        network: In eval mode; maps inputs to logits (N, C).
        inputs: One batch.
        entries: See :func:`select_entries`; None is the published choice.
        smoothing: See :func:`smoothed_probabilities`.
        half_precision_constants: See :func:`smoothed_probabilities`.
        quantiles: Which quantiles of the spectrum enter the entropy.
        variant: See :func:`fisher_matrix`.

    Returns:
        ``entropy`` (NaN if all quantiles are zero), ``quantiles`` (a vector) and ``trace``, in float64.

    Raises:
        UnsupportedModelError: See :func:`entry_jacobian`.
    """
    with exact_kernels(inputs.device):
        jacobian, logits = entry_jacobian(network, inputs, select_entries(network) if entries is None else entries)
        probabilities = smoothed_probabilities(
            logits.double(), smoothing, half_precision_constants=half_precision_constants
        )
        return spectrum_scores(jacobian, probabilities, quantiles, variant)


def spectrum_scores(
    jacobian: Tensor, probabilities: Tensor, quantiles: Sequence[float] = QUANTILES, variant: str = "official"
) -> dict[str, Tensor]:
    """As :func:`vkdnw_scores`, from a Jacobian (N, C, P) and probabilities (N, C)."""
    matrix = fisher_matrix(jacobian.double(), probabilities, variant)
    values = spectrum_deciles(matrix, quantiles)
    values = torch.where(values.any(), values, float("nan"))
    return {"entropy": entropy(values), "quantiles": values, "trace": matrix.trace()}
