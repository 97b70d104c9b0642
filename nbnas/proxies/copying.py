"""Copying a network, so that scoring leaves the original alone."""

import copy

from torch import Tensor, nn

from nbnas.errors import first_line
from nbnas.layers import UnsupportedModelError


def copy_network(model: nn.Module) -> nn.Module:
    """Return a deep copy. Tensors that the network keeps from an earlier pass lose their graph in the copy.

    Raises:
        UnsupportedModelError: If something in the network cannot be copied.
    """
    # torch refuses to copy a tensor that is part of a graph.
    kept = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    try:
        return copy.deepcopy(model, kept)
    except Exception as error:
        raise UnsupportedModelError(f"needs a network that copy.deepcopy can copy: {first_line(error)}") from error
