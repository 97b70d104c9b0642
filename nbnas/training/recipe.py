"""Training recipes: what the two papers train their found networks with, and any change of it."""

import dataclasses
import math
import typing
from dataclasses import dataclass

from torch import nn

from nbnas.errors import NbnasError
from nbnas.spaces import get_space
from nbnas.spaces.super_blocks.space import BlockSpace
from nbnas.training.start_weights import TRAINING_INITIALISATIONS


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with Nesterov momentum, a warm-up, then a cosine to 0.

    The defaults are those of T-CET, Table 5. A value out of range raises :class:`NbnasError`.
    """

    epochs: int = 1440
    warmup_epochs: float = 5
    """Length of the linear warm-up, in epochs."""
    batch_size: int = 64
    """Images in a batch of one process."""
    learning_rate: float = 0.1
    """Peak per 256 images: with P processes the peak is learning_rate * P * batch_size / 256."""
    momentum: float = 0.9
    weight_decay: float = 5e-4
    """Of the weights of convolutions and linear layers; biases and BatchNorms have none."""
    batch_norm_momentum: float = 0.01
    """Share of the batch in the running statistics of every BatchNorm; runs of a few epochs want more than 0.01."""
    initialisation: str = "xavier_normal_zero_residual"
    """A name of :data:`~nbnas.training.start_weights.TRAINING_INITIALISATIONS`."""
    squeeze_excite: bool = False
    """Whether networks of the block spaces get squeeze-excitation for training."""
    resolution: int = 32
    """Pixels of a side of the training images."""
    label_smoothing: float = 0.1
    """Share s of the target that is spread evenly over all K classes: (1 - s) onehot + s / K."""
    mixup: float = 0.2
    """Images are mixed with weights from Beta(mixup, mixup), one draw per batch and process; 0 switches it off."""
    random_erasing: float = 0.5
    """Probability that a rectangle of an image is set to the mean colour."""
    auto_augment: str | None = "cifar10"
    """AutoAugment policy ``cifar10``, ``imagenet`` or ``svhn``, through kornia; None for none."""
    lighting: float = 0.0
    """Standard deviation of the noise along the principal components of ImageNet's colours."""
    teacher: str | None = None
    """timm model to distil from, see :mod:`nbnas.training.distillation`; None for none."""
    teacher_resolution: int = 32
    """Pixels to which images are resized for the teacher."""
    feature_weight: float = 1.0
    """Weight of the smooth-L1 loss on features."""
    logit_weight: float = 1.0
    """Weight of the cross-entropy with the teacher's probabilities."""
    ema_decay: float | None = None
    """Decay of an exponential moving average of the weights, evaluated beside them; None for none."""
    precision: str = "float32"
    """``float32``, or ``bfloat16`` or ``float16`` for mixed precision."""

    def __post_init__(self) -> None:
        for wanted, (fits, names) in _RANGES.items():
            for name in names.split():
                self._require(name, fits(getattr(self, name)), wanted)
        wanted = f"at least 0 and below {self.epochs} epochs"
        self._require("warmup_epochs", 0 <= self.warmup_epochs < self.epochs, wanted)
        for name, allowed in _CHOICES.items():
            listed = ", ".join(value or "none" for value in allowed)
            self._require(name, getattr(self, name) in allowed, f"one of {listed}")

    def _require(self, name: str, condition: bool, wanted: str) -> None:
        if not condition:
            raise NbnasError(f"{name} of a recipe must be {wanted}, got {getattr(self, name)!r}")


_RANGES = {
    "at least 1": (lambda x: x >= 1, "epochs batch_size resolution teacher_resolution"),
    "a positive number": (lambda x: 0 < x < math.inf, "learning_rate"),
    "a number of at least 0": (lambda x: 0 <= x < math.inf, "weight_decay mixup lighting feature_weight logit_weight"),
    "at least 0 and below 1": (lambda x: 0 <= x < 1, "momentum label_smoothing"),
    "a probability": (lambda x: 0 <= x <= 1, "random_erasing"),
    "above 0 and at most 1": (lambda x: 0 < x <= 1, "batch_norm_momentum"),
    "none or between 0 and 1": (lambda x: x is None or 0 < x < 1, "ema_decay"),
}
"""Range in words -> whether a value is in it, and the names of the values that must be."""
_CHOICES = {
    "precision": ("float32", "bfloat16", "float16"),
    "initialisation": tuple(TRAINING_INITIALISATIONS),
    "auto_augment": (None, "cifar10", "imagenet", "svhn"),
}

CIFAR = Recipe()
"""T-CET, Table 5: CIFAR-10 and CIFAR-100, one process."""

IMAGENET = dataclasses.replace(
    CIFAR,
    epochs=480,
    weight_decay=4e-5,
    initialisation="kaiming_normal_zero_residual",
    squeeze_excite=True,
    resolution=224,
    auto_augment="imagenet",
    lighting=0.1,
    teacher="tf_efficientnet_b3.ns_jft_in1k",
    teacher_resolution=320,
)
"""VKDNW, Table 2, with 8 processes: the recipe of AZ-NAS. T-CET's, with one process, has the same values."""

IMAGENET_150_EPOCHS = dataclasses.replace(
    IMAGENET, epochs=150, learning_rate=0.4, mixup=0, random_erasing=0, auto_augment=None, lighting=0, teacher=None
)
"""The shorter variant of AZ-NAS: a larger learning rate, label smoothing, and no other regularisation."""

RECIPES = {"cifar": CIFAR, "imagenet": IMAGENET, "imagenet_150_epochs": IMAGENET_150_EPOCHS}
"""Name -> published recipe; :func:`get_recipe` returns one."""


def get_recipe(name: str) -> Recipe:
    """Return the published recipe called ``name``; raises :class:`NbnasError` for an unknown one."""
    if name not in RECIPES:
        raise NbnasError(f"unknown recipe {name!r}; choose from {', '.join(RECIPES)}")
    return RECIPES[name]


def change_recipe(recipe: Recipe, changes: dict[str, str]) -> Recipe:
    """Return a recipe with values typed as text, ``none`` for None.

    >>> change_recipe(CIFAR, {"epochs": "2", "warmup_epochs": "0.5", "auto_augment": "none"}).epochs
    2

    Raises:
        NbnasError: If a name is unknown or a text is not of the value's type or range.
    """
    hints = typing.get_type_hints(Recipe)
    values = {}
    for name, text in changes.items():
        if name not in hints:
            raise NbnasError(f"unknown parameter {name!r} of a recipe; choose from {', '.join(hints)}")
        values[name] = _parse(name, text, hints[name])
    return dataclasses.replace(recipe, **values)


def _parse(name: str, text: str, wanted: object) -> object:
    kind, *others = typing.get_args(wanted) or (wanted,)
    if others and text.lower() == "none":
        return None
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError) as error:
        wording = {bool: "true or false", int: "an integer", float: "a number"}[kind]
        raise NbnasError(f"{name} of a recipe must be {wording}, got {text!r}") from error


def build_network(space: str, arch: str, num_classes: int, recipe: Recipe) -> nn.Module:
    """Build an architecture as the recipe trains it; its weights are yet to be drawn.

    Raises :class:`NbnasError` if space or architecture are malformed, or squeeze-excitation is not the space's.
    """
    found = get_space(space)
    options = {"squeeze_excite": True} if recipe.squeeze_excite else {}
    if options and not isinstance(found, BlockSpace):
        raise NbnasError(f"networks of {space!r} have no squeeze-excitation; train without it: -p squeeze_excite false")
    return found.build(found.normalise(arch), num_classes, **options)
