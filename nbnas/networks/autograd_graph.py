"""Reading torch's graph of operations."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nbnas.errors import first_line
from nbnas.networks.layers import UnsupportedModelError


def graph_nodes(*tensors: Tensor) -> set[Any]:
    """Return the nodes of the graph below some tensors."""
    found: set[Any] = {None}
    waiting = [tensor.grad_fn for tensor in tensors]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [below for below, _ in node.next_functions if below not in found]
    return found - {None}


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
        raise UnsupportedModelError(
            f"needs operations that can be differentiated twice: {first_line(error)}"
        ) from error
