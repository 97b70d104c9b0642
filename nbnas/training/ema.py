"""Exponential moving average of the weights of a network."""

import copy

import torch
from torch import nn


class MovingAverage:
    """A copy of a network whose floating-point parameters and buffers a follow those of the network w.

    After every step a <- decay a + (1 - decay) w, from a = w at the start; counters are copied.

    Args:
        model: The network at the start.
        decay: Between 0 and 1; the average spans about 1 / (1 - decay) steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Follow the network by one step."""
        for average, current in zip(_tensors(self.model), _tensors(model), strict=True):
            if average.is_floating_point():
                average.lerp_(current, 1 - self._decay)
            else:
                average.copy_(current)


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]
