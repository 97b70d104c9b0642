"""The loss that training minimises, as one module: what a process must know to compute its share of the gradient."""

from contextlib import nullcontext

from torch import Tensor, nn
from torch.nn import functional

from nbnas.errors import NbnasError
from nbnas.training.distillation import Distillation
from nbnas.training.recipe import Recipe


class Objective(nn.Module):
    """Cross-entropy of the logits with soft targets (batch, K), and with a teacher the losses of distillation.

    Raises :class:`NbnasError` when called, if the network returns anything but logits (batch, K).
    """

    def __init__(self, model: nn.Module, recipe: Recipe, distillation: Distillation | None = None) -> None:
        super().__init__()
        self.model, self.distillation, self._recipe = model, distillation, recipe

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        distillation, recipe = self.distillation, self._recipe
        with nullcontext() if distillation is None else distillation.recorded_features(self.model) as features:
            logits = self.model(images)
        if not isinstance(logits, Tensor) or logits.shape != targets.shape:
            got = f"the shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
            raise NbnasError(f"the network must return logits of shape {tuple(targets.shape)}, got {got}")
        loss = functional.cross_entropy(logits.float(), targets)
        if distillation is None:
            return loss
        on_features, on_logits = distillation(images, logits, features)
        return loss + recipe.feature_weight * on_features + recipe.logit_weight * on_logits
