"""Reading torch's graph of operations."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nbnas.errors import first_line
from nbnas.networks.layers import UnsupportedModelError


def graph_nodes(*tensors: Tensor) -> Iterator[Any]:
    """Yield every node of the graph below some tensors once."""
    seen = {tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None}
    waiting = list(seen)
    while waiting:
        node = waiting.pop()
        yield node
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                waiting.append(below)


@contextmanager
def differentiating_twice(*differentiated: Tensor) -> Iterator[None]:
    """Say in plain words that torch has no second derivative of something.

    Args:
        differentiated: Tensors made of gradients, about to be differentiated.
    """
    # Where a backward pass is declared to be differentiable once, torch leaves out what flows through it.
    if any(node.name() == "torch::autograd::Error" for node in graph_nodes(*differentiated)):
        raise UnsupportedModelError("needs operations that can be differentiated twice: found one that forbids it")
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise UnsupportedModelError(
            f"needs operations that can be differentiated twice: {first_line(error)}"
        ) from error
