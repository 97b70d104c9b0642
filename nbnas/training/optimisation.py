"""Optimiser, learning rate and moving average of the published recipes."""

import math

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nbnas.networks.layers import WEIGHT_LAYERS
from nbnas.training.recipe import Recipe


def make_optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """Return SGD with Nesterov momentum that decays the weights of convolutions and linear layers alone.

    Its learning rate is 0 until it is set to :func:`learning_rate`.
    """
    weights = {layer.weight for layer in module.modules() if isinstance(layer, WEIGHT_LAYERS)}
    decayed = [parameter for parameter in module.parameters() if parameter in weights]
    others = [parameter for parameter in module.parameters() if parameter not in weights]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=0.0, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int, processes: int = 1) -> float:
    """Return the learning rate of a step, counted from 0, in closed form: a resumed run has it to the last bit.

    With T steps in all, W of them warm-up, and the peak p = learning_rate * processes * batch_size / 256::

        p (step + 1) / W                                   step < W
        p (1 + cos(pi (step - W) / (T - W))) / 2           otherwise

    torch's schedulers compute it from the rate before, and cannot end a warm-up within a step.
    """
    peak = recipe.learning_rate * processes * recipe.batch_size / 256
    total, warmup = recipe.epochs * steps_per_epoch, recipe.warmup_epochs * steps_per_epoch
    if step < warmup:
        return peak * min(1.0, (step + 1) / warmup)
    return peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Return a copy, in ``module``, whose floating-point parameters and buffers a follow those of the network w.

    ``update_parameters`` sets a <- decay a + (1 - decay) w, from a = w at the start, and copies counters.
    """

    def follow(averages: list[Tensor], currents: list[Tensor], updates: Tensor) -> None:
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, currents, 1 - decay)
        else:
            torch._foreach_copy_(averages, currents)

    average = AveragedModel(model, multi_avg_fn=follow, use_buffers=True).requires_grad_(False).eval()
    # The first update would otherwise copy w.
    average.n_averaged += 1
    return average
