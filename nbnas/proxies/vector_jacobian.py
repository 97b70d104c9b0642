"""Many backward passes through one graph."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def directions_at_once(outputs: Tensor) -> int:
    """How many directions to send through the graph together: a GPU wants few large kernels, a CPU its caches."""
    return 16 if outputs.is_cuda else 1


def vector_jacobian_products(
    outputs: Tensor, targets: Sequence[Tensor], directions: Tensor
) -> Iterator[tuple[slice, tuple[Tensor | None, ...]]]:
    """Yield the gradients of <direction, outputs> at every target, some directions at a time. The graph is kept.

    Args:
        outputs: Any shape.
        targets: Tensors of its graph.
        directions: (K, *outputs.shape).

    Yields:
        Which of the K directions, and for each target its gradients (k, *target.shape), or None if it is not below the
        outputs.
    """
    if not targets:
        return
    options = {"retain_graph": True, "allow_unused": True}
    first = 0
    for block in directions.split(directions_at_once(outputs)):
        chosen = slice(first, first := first + len(block))
        if len(block) == 1:
            gradients = torch.autograd.grad(outputs, targets, block[0], **options)
            yield chosen, tuple(None if gradient is None else gradient.unsqueeze(0) for gradient in gradients)
        else:
            yield chosen, torch.autograd.grad(outputs, targets, block, is_grads_batched=True, **options)
