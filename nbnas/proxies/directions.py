"""Gradients along many directions at the outputs of one forward pass.

A CPU takes one direction after the other. A GPU, which wants few large kernels, takes as many at once as its memory
allows: torch.func.vmap then runs each step of the backward pass once for all of them.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

ELEMENTS_AT_ONCE = 2**21
"""Input elements times directions that a GPU works on together; it needs a few gigabytes then."""


def gradients_along(
    outputs: Tensor, targets: Sequence[Tensor], directions: Tensor, at_once: int
) -> Iterator[tuple[slice, list[Tensor]]]:
    """Yield the gradients of ``(direction * outputs).sum()`` at the targets, some directions at a time.

    Args:
        outputs: Any shape; its graph is kept.
        targets: Tensors that the outputs may depend on.
        directions: (D, *shape of outputs).
        at_once: How many to take together, see :func:`directions_at_once`.

    Yields:
        Which directions these are, and for every target (their number, *its shape); zeros where it is unused.
    """

    def along(direction: Tensor) -> tuple[Tensor, ...]:
        options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
        return torch.autograd.grad(outputs, targets, direction, **options)

    first = 0
    while first < len(directions):
        part = slice(first, min(first + at_once, len(directions)))
        try:
            gradients = list(torch.func.vmap(along)(directions[part])) if at_once > 1 else None
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            at_once = 1  # Some step of the network, such as its own autograd function, has no rule for many directions.
            continue
        yield part, gradients or [gradient.unsqueeze(0) for gradient in along(directions[first])]
        first = part.stop


def directions_at_once(inputs: Tensor) -> int:
    """How many directions to take together for a network that was given these inputs."""
    return max(1, ELEMENTS_AT_ONCE // inputs.numel()) if inputs.is_cuda else 1
