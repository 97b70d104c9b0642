"""Scores made of matrices samples x samples, the slow way.

Jacov, EPE-NAS, NASWOT (ReLU inputs), nwot and lnwot (layer outputs), TE-NAS (tangent kernel, linear regions).
"""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from references.common import calls, fresh, layers

K = 1e-5
Code = list[bool]


def input_gradients(network: nn.Module, inputs: Tensor) -> np.ndarray:
    """Rows (N, D): gradients of the sum of all logits, from the dense Jacobian in train mode."""
    dense = jacobian(fresh(network, "train"), inputs)
    samples, classes = dense.shape[:2]
    rows = sum(dense[n, c] for n in range(samples) for c in range(classes))
    return rows.reshape(samples, -1).numpy()


def jacov(rows: np.ndarray) -> float | None:
    """-sum of ln(v + k) + 1 / (v + k) over the eigenvalues of the correlation matrix; None if a row is constant."""
    if any(len(set(row)) == 1 for row in rows.tolist()):
        return None
    return -sum(math.log(v + K) + 1 / (v + K) for v in np.linalg.eigvalsh(np.corrcoef(rows)))


def epe_nas(rows: np.ndarray, labels: Sequence[int], classes: int) -> float:
    """Jacov's rows, grouped by label."""
    sums = []
    for label in sorted(set(labels)):
        members = [row for row, own in zip(rows, labels, strict=True) if own == label]
        # Of one row NumPy gives the number 1.
        entries = np.atleast_2d(np.corrcoef(np.stack(members)))
        value = sum(math.log(abs(entry) + K) for entry in entries.flatten())
        sums.append(value / len(members) if classes > 100 else value)
    if classes <= 100:
        return sum(abs(value) for value in sums)
    return sum(abs(a - b) for a in sums for b in sums) / len(sums)


def count_agreements(codes: Sequence[Code]) -> list[list[int]]:
    """K_nm = number of units in which samples n and m agree."""
    return [[sum(p == q for p, q in zip(a, b, strict=True)) for b in codes] for a in codes]


def determinant(matrix: Sequence[Sequence[int]]) -> Fraction:
    """Exact determinant by Gaussian elimination."""
    rows = [[Fraction(entry) for entry in row] for row in matrix]
    result = Fraction(1)
    for column in range(len(rows)):
        pivot = next((row for row in range(column, len(rows)) if rows[row][column] != 0), None)
        if pivot is None:
            return Fraction(0)
        if pivot != column:
            rows[column], rows[pivot] = rows[pivot], rows[column]
            result = -result
        result *= rows[column][column]
        for row in range(column + 1, len(rows)):
            factor = rows[row][column] / rows[column][column]
            rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return result


def codes_of(tensor: Tensor) -> list[Code]:
    """One list per sample: is the unit positive?"""
    return [[value > 0 for value in sample.flatten().tolist()] for sample in tensor]


def relu_codes(network: nn.Module, inputs: Tensor, only_maps: bool = False) -> list[Code]:
    """What enters all ReLU modules in train mode, joined to one code per sample."""
    _, found = calls(fresh(network, "train"), inputs, (nn.ReLU,))
    joined: list[Code] = [[] for _ in inputs]
    for _, _, entered, _ in found:
        if entered.dim() == 4 or not only_maps:
            joined = [code + more for code, more in zip(joined, codes_of(entered), strict=True)]
    return joined


def naswot(network: nn.Module, inputs: Tensor) -> float | None:
    """ln |det K| of the ReLU inputs; None if K is singular."""
    exact = determinant(count_agreements(relu_codes(network, inputs)))
    return math.log(abs(exact)) if exact else None


def linear_regions(network: nn.Module, inputs: Tensor) -> int:
    """Number of distinct patterns at ReLUs on feature maps."""
    return len({tuple(code) for code in relu_codes(network, inputs, only_maps=True)})


def layer_codes(network: nn.Module, inputs: Tensor) -> dict[str, list[Code]]:
    """Layer name -> codes of its output in eval mode; several calls are joined."""
    network = fresh(network, "eval")
    _, found = calls(network, inputs, tuple({type(layer) for _, layer in layers(network)}))
    codes: dict[str, list[Code]] = {}
    for name, _, _, output in found:
        before = codes.get(name, [[] for _ in inputs])
        codes[name] = [code + more for code, more in zip(before, codes_of(output), strict=True)]
    return codes


def layer_log_determinants(network: nn.Module, inputs: Tensor) -> dict[str, float]:
    """Layer name -> ln |det K_l|, 0 for a singular kernel and for a layer without a positive unit."""
    values = {}
    for name, codes in layer_codes(network, inputs).items():
        exact = determinant(count_agreements(codes))
        values[name] = math.log(abs(exact)) if exact and any(any(code) for code in codes) else 0.0
    return values


def lnwot(network: nn.Module, inputs: Tensor) -> float | None:
    """Sum over layers of ln |det K_l|; None if every kernel is singular."""
    values = layer_log_determinants(network, inputs).values()
    return sum(values) if any(values) else None


def nwot(network: nn.Module, inputs: Tensor) -> float | None:
    """ln |det sum_l K_l|; None if that is singular."""
    joined: list[Code] = [[] for _ in inputs]
    for codes in layer_codes(network, inputs).values():
        joined = [code + more for code, more in zip(joined, codes, strict=True)]
    exact = determinant(count_agreements(joined))
    return math.log(abs(exact)) if exact else None


def tangent_kernel(network: nn.Module, inputs: Tensor) -> np.ndarray:
    """Theta (N, N): one pass of the whole batch in train mode and one backward pass for each sample."""
    rows = []
    for sample in range(len(inputs)):
        copied = fresh(network, "train")
        copied(inputs)[sample].sum().backward()
        row: list[float] = []
        for name, parameter in copied.named_parameters():
            if "weight" in name:
                gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                row += gradient.flatten().tolist()
        rows.append(row)
    return np.array([[math.fsum(a * b for a, b in zip(one, two, strict=True)) for two in rows] for one in rows])


def condition_number(kernel: np.ndarray) -> float:
    """lambda_max / lambda_min of a positive definite matrix."""
    eigenvalues = np.linalg.eigvalsh(kernel)
    return eigenvalues[-1] / eigenvalues[0]
