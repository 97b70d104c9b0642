"""Optimiser and learning rate of the published recipes."""

import copy
import math

import torch
from torch import nn

from nbnas.networks.layers import WEIGHT_LAYERS
from nbnas.training.recipe import Recipe

IMAGES_OF_LEARNING_RATE = 256


def make_optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """Return SGD with Nesterov momentum that decays the weights of convolutions and linear layers alone.

    Its learning rate is 0 until :func:`learning_rate` sets it.
    """
    decayed = {id(layer.weight) for layer in module.modules() if isinstance(layer, WEIGHT_LAYERS)}
    parameters = list(module.parameters())
    return torch.optim.SGD(
        [
            {
                "params": [parameter for parameter in parameters if id(parameter) in decayed],
                "weight_decay": recipe.weight_decay,
            },
            {"params": [parameter for parameter in parameters if id(parameter) not in decayed], "weight_decay": 0.0},
        ],
        lr=0.0,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
    )


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int, processes: int = 1) -> float:
    """Return the learning rate of a step, counted from 0 over all epochs.

    With T steps in all, W of them warm-up, and the peak p = learning_rate * processes * batch_size / 256::

        p (step + 1) / W                                   step < W
        p (1 + cos(pi (step - W) / (T - W))) / 2           otherwise

    Args:
        recipe: Names the peak per 256 images, and the lengths in epochs.
        step: 0 to T - 1.
        steps_per_epoch: Batches that each process sees in an epoch.
        processes: Number of processes that train together.
    """
    peak = recipe.learning_rate * processes * recipe.batch_size / IMAGES_OF_LEARNING_RATE
    total, warmup = recipe.epochs * steps_per_epoch, recipe.warmup_epochs * steps_per_epoch
    if step < warmup:
        return peak * min(1.0, (step + 1) / warmup)
    return peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


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
