"""Spectra of small matrices, on the CPU: a GPU takes longer over a hundred rows than it takes to send them."""

import torch
from torch import Tensor


def eigenvalues(matrix: Tensor) -> Tensor:
    """Eigenvalues of a symmetric matrix (P, P): (P,), ascending, on the device of the matrix."""
    return torch.linalg.eigvalsh(matrix.cpu()).to(matrix.device)


def largest_singular_value(matrix: Tensor) -> Tensor:
    """Largest singular value of a matrix, a scalar on its device."""
    return torch.linalg.matrix_norm(matrix.cpu(), ord=2).to(matrix.device)
