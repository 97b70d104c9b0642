"""Gradients along many directions at the outputs of one forward pass.

A CPU takes one direction after the other. A GPU, which wants few large kernels, takes as many at once as its memory
allows: torch.func.vmap then runs each step of the backward pass once for all of them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_ELEMENTS_AT_ONCE = 2**21
"""Input elements times directions that a GPU works on together; NAS-Bench-201 takes a few gigabytes for them."""


def directions_at_once(inputs: Tensor) -> int:
    """How many directions to take together for a network that was given these inputs."""
    return max(1, _ELEMENTS_AT_ONCE // inputs.numel()) if inputs.is_cuda else 1


def gradients_along(outputs: Tensor, targets: Sequence[Tensor], directions: Tensor) -> list[Tensor]:
    """Compute the gradients of ``(direction * outputs).sum()`` for directions (D, *shape of outputs).

    The graph of the outputs is kept. Returns (D, *its shape) for every target, zeros where it is unused.
    """

    def along(direction: Tensor) -> tuple[Tensor, ...]:
        options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
        return torch.autograd.grad(outputs, targets, direction, **options)

    if len(directions) == 1:  # No copy.
        return [gradient.unsqueeze(0) for gradient in along(directions[0])]
    try:
        return list(torch.func.vmap(along)(directions))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        pass  # Some step of the network, such as its own autograd function, has no rule for many directions.
    return [torch.stack(gradients) for gradients in zip(*map(along, directions), strict=True)]
