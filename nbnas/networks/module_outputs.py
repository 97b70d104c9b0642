"""What the modules of a network return in one pass without gradients."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from nbnas.networks.recording import require_logits

Seen = TypeVar("Seen")


def look_at_outputs(
    network: nn.Module, inputs: Tensor, look: Callable[[nn.Module, Tensor], Seen | None]
) -> tuple[Tensor, list[Seen]]:
    """Run a network once; return its logits (N, K) and what ``look`` makes of each module's output, in that order.

    ``look(module, output)`` is called when a module, container or not, has returned a tensor, or a tuple that starts
    with one; None is left out. Later in-place operations may overwrite the output. Raises
    :class:`UnsupportedModelError` if the network does not return logits.
    """
    seen = []

    def hook(module: nn.Module, arguments: tuple, output: object) -> None:
        first = output[0] if isinstance(output, tuple) and output else output
        if isinstance(first, Tensor):
            seen.append(look(module, first))

    handles = [module.register_forward_hook(hook) for module in network.modules()]
    try:
        with torch.no_grad():
            logits = network(inputs.clone())  # A copy, on which the first layer may work in place.
    finally:
        for handle in handles:
            handle.remove()
    return require_logits(logits, len(inputs)), [found for found in seen if found is not None]
