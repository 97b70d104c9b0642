"""What is asked of torch's autograd beyond one gradient: its graph, many directions at once, second derivatives."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nbnas.errors import first_line
from nbnas.networks.layers import UnsupportedModelError

_ELEMENTS_AT_ONCE = 2**21
"""Input elements times directions that a GPU works on together; NAS-Bench-201 takes a few gigabytes for them."""


def graph_nodes(*tensors: Tensor) -> set[Any]:
    """Return the nodes of the graph below some tensors."""
    found: set[Any] = set()
    waiting = [tensor.grad_fn for tensor in tensors]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.add(node)
            waiting += [below for below, _ in node.next_functions]
    return found


@contextmanager
def differentiating_twice(*gradients: Tensor) -> Iterator[None]:
    """Say in plain words that torch has no second derivative of something, while gradients are differentiated."""
    # Where a backward pass is declared to be differentiable once, torch leaves out what flows through it.
    if any(node.name() == "torch::autograd::Error" for node in graph_nodes(*gradients)):
        raise UnsupportedModelError("needs operations that can be differentiated twice: found one that forbids it")
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        message = f"needs operations that can be differentiated twice: {first_line(error)}"
        raise UnsupportedModelError(message) from error


def directions_at_once(inputs: Tensor) -> int:
    """How many directions to take together for a network that was given these inputs.

    One on a CPU. A GPU wants few large kernels, and takes as many as its memory allows.
    """
    return max(1, _ELEMENTS_AT_ONCE // inputs.numel()) if inputs.is_cuda else 1


def gradients_along(outputs: Tensor, targets: Sequence[Tensor], directions: Tensor) -> list[Tensor]:
    """Compute the gradients of ``(direction * outputs).sum()`` for directions (D, *shape of outputs), all together.

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
        # Some step of the network, such as its own autograd function, has no rule for many directions.
        return [torch.stack(gradients) for gradients in zip(*map(along, directions), strict=True)]
