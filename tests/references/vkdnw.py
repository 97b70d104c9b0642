"""VKDNW the slow and obvious way: plain torch.func Jacobians, explicit matrices, one sample at a time.

Nothing is shared with the package. Source: Tybl & Neumann, CVPR 2025 (key ``tybl2025vkdnw``), Eq. 8-12.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap


def reference_vkdnw(
    network: nn.Module, inputs: Tensor, variant: str = "official", *, half_precision_constants: bool = True
) -> dict[str, object]:
    """Score a network in eval mode from entry 0 of each of its first 128 parameter tensors.

    Args:
        network: Maps inputs to logits (N, C); put it in eval mode first.
        inputs: (N, ...).
        variant: ``official`` is 1/N sum J^T L^T L J with the Tanabe-Sagae factor L, as the released code has it;
            ``paper`` is 1/N sum J^T (diag(p) - p p^T) J, as the definition has it.
        half_precision_constants: Round the smoothing constants to float16, as the released code does. The
            probabilities then add up to 1.0002, and L L^T differs from diag(p) - p p^T by up to 3e-4.

    Returns:
        ``entropy`` and ``trace`` (floats), ``deciles`` (array of nine), ``jacobian`` (N, C, P) and ``logits`` (N, C).
    """
    entries = [(name, 0) for name, _ in network.named_parameters()][:128]
    jacobian = reference_jacobian(network, inputs, entries)
    with torch.no_grad():
        logits = torch.cat([network(sample.unsqueeze(0)) for sample in inputs])
    probabilities = [reference_probabilities(row, half_precision_constants) for row in logits.double().tolist()]
    matrix = reference_fisher(jacobian.double().numpy(), probabilities, variant)
    deciles = np.quantile(np.linalg.svd(matrix, compute_uv=False), [k / 10 for k in range(1, 10)])
    return {
        "entropy": reference_entropy(deciles.tolist()),
        "deciles": deciles,
        "trace": sum(matrix[i, i] for i in range(len(matrix))),
        "jacobian": jacobian,
        "logits": logits,
    }


def reference_jacobian(
    network: nn.Module, inputs: Tensor, entries: Sequence[tuple[str, int]], *, vectorised: bool = False
) -> Tensor:
    """Jacobian (N, C, P) of the logits with respect to single entries, each sample passed as a batch of one.

    Args:
        network: In eval mode.
        inputs: (N, ...).
        entries: Pairs (parameter name, flat index into it).
        vectorised: Vectorise over the samples, as released code does, instead of taking one after the other.
    """
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    buffers = {name: buffer.detach() for name, buffer in network.named_buffers()}
    values = torch.stack([parameters[name].reshape(-1)[index] for name, index in entries])

    def logits_of(values: Tensor, sample: Tensor) -> Tensor:
        replaced = dict(parameters)
        for value, (name, index) in zip(values, entries, strict=True):
            # index_put returns a copy: torch.func refuses to write into captured tensors.
            flat = replaced[name].reshape(-1).index_put((torch.tensor([index]),), value.unsqueeze(0))
            replaced[name] = flat.reshape(replaced[name].shape)
        # The clone lets a network whose first layer works in place run.
        return functional_call(network, (replaced, buffers), (sample.unsqueeze(0).clone(),))[0]

    jacobian = jacrev(logits_of)
    if vectorised:
        return vmap(jacobian, in_dims=(None, 0))(values, inputs)
    return torch.stack([jacobian(values, sample) for sample in inputs])


def reference_probabilities(logits: Sequence[float], half_precision_constants: bool = True) -> list[float]:
    """Softmax of one sample's logits, smoothed by 0.05 of the uniform distribution."""
    largest = max(logits)
    exponentials = [math.exp(value - largest) for value in logits]
    total = sum(exponentials)
    if half_precision_constants:
        smoothing = np.float16(0.05)
        keep, share = float(np.float16(1) - smoothing), float(smoothing / np.float16(len(logits)))
    else:
        keep, share = 0.95, 0.05 / len(logits)
    return [keep * value / total + share for value in exponentials]


def reference_covariance(probabilities: Sequence[float]) -> np.ndarray:
    """diag(p) - p p^T, entry by entry."""
    classes = range(len(probabilities))
    return np.array(
        [[(i == j) * probabilities[i] - probabilities[i] * probabilities[j] for j in classes] for i in classes]
    )


def reference_factor(probabilities: Sequence[float]) -> np.ndarray:
    """The lower triangular factor of Tanabe & Sagae (1992), entry by entry.

    q_0 = 1, q_j = 1 - (p_1 + ... + p_j), q_C = 0; d_j = sqrt(p_j q_j / q_(j-1)); L_jj = d_j; L_ij = -p_i d_j / q_j for
    i > j. A column with q_j = 0 is zero.
    """
    classes = len(probabilities)
    factor = np.zeros((classes, classes))
    before = 1.0
    for j in range(classes):
        after = 1.0 - sum(probabilities[: j + 1]) if j + 1 < classes else 0.0
        if after <= 0:
            break
        diagonal = math.sqrt(probabilities[j] * after / before)
        for i in range(j, classes):
            factor[i, j] = diagonal if i == j else -probabilities[i] * diagonal / after
        before = after
    return factor


def reference_fisher(jacobian: np.ndarray, probabilities: Sequence[Sequence[float]], variant: str) -> np.ndarray:
    """Fisher matrix (P, P) as a loop over samples.

    Args:
        jacobian: (N, C, P).
        probabilities: N lists of C probabilities.
        variant: ``official`` or ``paper``.
    """
    total = np.zeros((jacobian.shape[2], jacobian.shape[2]))
    for sample, distribution in zip(jacobian, probabilities, strict=True):
        if variant == "official":
            scaled = reference_factor(distribution) @ sample
            total += scaled.T @ scaled
        else:
            total += sample.T @ reference_covariance(distribution) @ sample
    return total / len(jacobian)


def reference_entropy(deciles: Sequence[float]) -> float:
    """-sum w ln w of the deciles normalised to sum one, with the released code's two guards of 1e-10."""
    total = sum(deciles) + 1e-10
    return -sum(value / total * math.log(value / total + 1e-10) for value in deciles)
