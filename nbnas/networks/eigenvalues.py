"""Spectra of small matrices, always computed on the CPU.

A GPU takes longer over a matrix of a hundred rows, one small kernel after the other, than it takes to send it.
"""

import torch
from torch import Tensor


def eigenvalues(matrix: Tensor) -> Tensor:
    """Eigenvalues of a symmetric matrix (P, P): (P,), ascending, on the device of the matrix."""
    return torch.linalg.eigvalsh(matrix.cpu()).to(matrix.device)


def largest_singular_value(matrix: Tensor) -> Tensor:
    """Largest singular value of a matrix, a scalar on its device."""
    return torch.linalg.matrix_norm(matrix.cpu(), ord=2).to(matrix.device)
