"""Training recipes: what the two papers train their found networks with, and any change of it."""

import dataclasses
import math
import types
import typing
from dataclasses import dataclass

from torch import nn

from nbnas.errors import NbnasError
from nbnas.spaces import get_space
from nbnas.spaces.super_blocks.space import BlockSpace
from nbnas.training.start_weights import TRAINING_INITIALISATIONS

PRECISIONS = ("float32", "bfloat16", "float16")
AUTO_AUGMENT_POLICIES = ("cifar10", "imagenet", "svhn")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with Nesterov momentum, a warm-up, then a cosine to 0.

    Raises:
        NbnasError: If a value is out of range; the message names it.
    """

    epochs: int
    warmup_epochs: float
    """Length of the linear warm-up, in epochs."""
    batch_size: int
    """Images in a batch of one process."""
    learning_rate: float
    """Peak per 256 images: with P processes the peak is learning_rate * P * batch_size / 256."""
    momentum: float
    weight_decay: float
    """Of the weights of convolutions and linear layers; biases and BatchNorms have none."""
    batch_norm_momentum: float
    """Share of the batch in the running statistics of every BatchNorm; runs of a few epochs want more than 0.01."""
    initialisation: str
    """A name of :data:`~nbnas.training.start_weights.TRAINING_INITIALISATIONS`."""
    squeeze_excite: bool
    """Whether networks of the block spaces get squeeze-excitation for training."""
    resolution: int
    """Pixels of a side of the training images."""
    label_smoothing: float
    """Share s of the target that is spread evenly over all K classes: (1 - s) onehot + s / K."""
    mixup: float
    """Images are mixed with weights from Beta(mixup, mixup), one draw per batch and process; 0 switches it off."""
    random_erasing: float
    """Probability that a rectangle of an image is set to the mean colour."""
    auto_augment: str | None
    """AutoAugment policy ``cifar10``, ``imagenet`` or ``svhn``, through kornia; None for none."""
    lighting: float
    """Standard deviation of the noise along the principal components of ImageNet's colours."""
    teacher: str | None
    """timm model to distil from, see :mod:`nbnas.training.distillation`; None for none."""
    teacher_resolution: int
    """Pixels to which images are resized for the teacher."""
    feature_weight: float
    """Weight of the smooth-L1 loss on features."""
    logit_weight: float
    """Weight of the cross-entropy with the teacher's probabilities."""
    ema_decay: float | None = None
    """Decay of an exponential moving average of the weights, evaluated beside them; None for none."""
    precision: str = "float32"
    """``float32``, or ``bfloat16`` or ``float16`` for mixed precision."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "resolution", "teacher_resolution"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("learning_rate",):
            self._require(name, 0 < getattr(self, name) < math.inf, "a positive number")
        for name in ("weight_decay", "mixup", "lighting", "feature_weight", "logit_weight"):
            self._require(name, 0 <= getattr(self, name) < math.inf, "a number of at least 0")
        for name in ("momentum", "label_smoothing"):
            self._require(name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        self._require("random_erasing", 0 <= self.random_erasing <= 1, "a probability")
        self._require("batch_norm_momentum", 0 < self.batch_norm_momentum <= 1, "above 0 and at most 1")
        self._require(
            "warmup_epochs", 0 <= self.warmup_epochs < self.epochs, f"at least 0 and below {self.epochs} epochs"
        )
        self._require("ema_decay", self.ema_decay is None or 0 < self.ema_decay < 1, "none or between 0 and 1")
        for name, allowed in (
            ("precision", PRECISIONS),
            ("initialisation", tuple(TRAINING_INITIALISATIONS)),
            ("auto_augment", (None, *AUTO_AUGMENT_POLICIES)),
        ):
            listed = ", ".join("none" if value is None else value for value in allowed)
            self._require(name, getattr(self, name) in allowed, f"one of {listed}")

    def _require(self, name: str, condition: bool, wanted: str) -> None:
        if not condition:
            raise NbnasError(f"{name} of a recipe must be {wanted}, got {getattr(self, name)!r}")


CIFAR = Recipe(
    epochs=1440,
    warmup_epochs=5,
    batch_size=64,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=5e-4,
    batch_norm_momentum=0.01,
    initialisation="xavier_normal_zero_residual",
    squeeze_excite=False,
    resolution=32,
    label_smoothing=0.1,
    mixup=0.2,
    random_erasing=0.5,
    auto_augment="cifar10",
    lighting=0.0,
    teacher=None,
    teacher_resolution=32,
    feature_weight=1.0,
    logit_weight=1.0,
)
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
    IMAGENET,
    epochs=150,
    learning_rate=0.4,
    mixup=0.0,
    random_erasing=0.0,
    auto_augment=None,
    lighting=0.0,
    teacher=None,
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
    choices = typing.get_args(wanted) if isinstance(wanted, types.UnionType) else (wanted,)
    if types.NoneType in choices and text.lower() == "none":
        return None
    kind = choices[0]
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError) as error:
        wording = {bool: "true or false", int: "an integer", float: "a number"}[kind]
        raise NbnasError(f"{name} of a recipe must be {wording}, got {text!r}") from error


def build_network(space: str, arch: str, num_classes: int, recipe: Recipe) -> nn.Module:
    """Build an architecture as the recipe trains it; its weights are yet to be drawn.

    Args:
        space: Name of the search space.
        arch: Architecture; a structure string in the block spaces.
        num_classes: Number of logits.
        recipe: Says whether the network has squeeze-excitation.

    Raises:
        NbnasError: If space or architecture are malformed, or squeeze-excitation is not the space's.
    """
    found = get_space(space)
    if not recipe.squeeze_excite:
        return found.build(found.normalise(arch), num_classes)
    if not isinstance(found, BlockSpace):
        raise NbnasError(f"networks of {space!r} have no squeeze-excitation; train without it: -p squeeze_excite false")
    return found.build(found.normalise(arch), num_classes, squeeze_excite=True)
