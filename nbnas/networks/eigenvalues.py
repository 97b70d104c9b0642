"""Spectra of small matrices, on the CPU: a GPU takes longer over a hundred rows than it takes to send them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def eigenvalues(matrix: Tensor) -> Tensor:
    """Eigenvalues of a symmetric matrix (P, P): (P,), ascending, on the device of the matrix."""
    return torch.linalg.eigvalsh(matrix.cpu()).to(matrix.device)


def largest_singular_value(matrix: Tensor) -> Tensor:
    """Largest singular value of a matrix, a scalar on its device."""
    return torch.linalg.matrix_norm(matrix.cpu(), ord=2).to(matrix.device)


def in_stacks(function: Callable[[Tensor], Tensor], matrices: Sequence[Tensor]) -> Tensor:
    """Apply ``function``, (S, P, Q) -> (S,), to matrices of any shapes, equal ones together; return (n,) on the CPU."""
    numbers: dict[torch.Size, list[int]] = {}
    for number, matrix in enumerate(matrices):
        numbers.setdefault(matrix.shape, []).append(number)
    results = torch.zeros(len(matrices), dtype=torch.float64)
    for of_shape in numbers.values():
        results[of_shape] = function(torch.stack([matrices[number] for number in of_shape]).cpu()).double()
    return results
