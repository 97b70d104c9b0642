"""Training recipes: what the two papers train their found networks with, from which weights, and any change of it."""

import dataclasses
import math
import typing
from dataclasses import dataclass

from torch import Generator, nn

from nbnas.errors import NbnasError
from nbnas.networks.initialisation import draw_normal, kaiming_normal, torch_default
from nbnas.spaces import get_space
from nbnas.spaces.super_blocks.network import UnitModule
from nbnas.spaces.super_blocks.space import BlockSpace


def xavier_normal_zero_residual(model: nn.Module, generator: Generator) -> None:
    """Draw convolution and linear weights from N(0, g^2 2 / (fan_in + fan_out)), g = 3.26033; silence residual units.

    Biases are 0, normalisation scales 1 and shifts 0, but for the last BatchNorm scale of every residual unit of a
    block network, which is 0: a unit starts as its shortcut. fan_in and fan_out are the products of the kernel size
    with the second and the first dimension of the weight, which for a convolution in groups is that of one group.
    Source: Glorot & Bengio, AISTATS 2010; the initialisation "custom" in the released code of T-CET (AutoML 2023).
    """
    draw_normal(model, generator, lambda weight: 3.26033 * (2 / (weight[0].numel() + weight[:, 0].numel())) ** 0.5)
    _silence_residual_units(model)


def kaiming_normal_zero_residual(model: nn.Module, generator: Generator) -> None:
    """Draw weights as :func:`~nbnas.networks.initialisation.kaiming_normal`, and silence residual units as T-CET does.

    Our reading of the initialisation that the released recipe of AZ-NAS and VKDNW calls "custom_kaiming".
    """
    kaiming_normal(model, generator)
    _silence_residual_units(model)


def _silence_residual_units(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, UnitModule) and module.shortcut is not None:
            nn.init.zeros_(module.layers[-1].weight)


_STARTS = (xavier_normal_zero_residual, kaiming_normal_zero_residual, torch_default)
TRAINING_INITIALISATIONS = {function.__name__: function for function in _STARTS}
"""Name in a recipe -> function (model, generator) that changes the model in place."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with Nesterov momentum, a linear warm-up, then a cosine to 0.

    The defaults are those of T-CET, Table 5. A value out of range raises :class:`NbnasError`.
    """

    epochs: int = 1440
    warmup_epochs: float = 5
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
    """Start weights, a name of :data:`TRAINING_INITIALISATIONS`."""
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
    """AutoAugment policy ``cifar10``, ``imagenet`` or ``svhn``, through kornia."""
    lighting: float = 0.0
    """Standard deviation of the noise along the principal components of ImageNet's colours."""
    teacher: str | None = None
    """timm model to distil from, see :mod:`nbnas.training.loss`."""
    teacher_resolution: int = 32
    """Pixels to which images are resized for the teacher."""
    feature_weight: float = 1.0
    logit_weight: float = 1.0
    """Weights of the smooth-L1 loss on features and of the cross-entropy with the teacher's probabilities."""
    ema_decay: float | None = None
    """Decay of an exponential moving average of the weights, evaluated beside them."""
    precision: str = "float32"
    """``float32``, or ``bfloat16`` or ``float16`` for mixed precision."""

    def __post_init__(self) -> None:
        warmup = {f"at least 0 and below {self.epochs} epochs": (lambda x: 0 <= x < self.epochs, "warmup_epochs")}
        for wanted, (fits, names) in (_RANGES | warmup).items():
            for name in names.split():
                if not fits(getattr(self, name)):
                    raise NbnasError(f"{name} of a recipe must be {wanted}, got {getattr(self, name)!r}")


_RANGES = {
    "at least 1": (lambda x: x >= 1, "epochs batch_size resolution teacher_resolution"),
    "a positive number": (lambda x: 0 < x < math.inf, "learning_rate"),
    "a number of at least 0": (lambda x: 0 <= x < math.inf, "weight_decay mixup lighting feature_weight logit_weight"),
    "at least 0 and below 1": (lambda x: 0 <= x < 1, "momentum label_smoothing"),
    "a probability": (lambda x: 0 <= x <= 1, "random_erasing"),
    "above 0 and at most 1": (lambda x: 0 < x <= 1, "batch_norm_momentum"),
    "none or between 0 and 1": (lambda x: x is None or 0 < x < 1, "ema_decay"),
    "one of float32, bfloat16, float16": (lambda x: x in ("float32", "bfloat16", "float16"), "precision"),
    f"one of {', '.join(TRAINING_INITIALISATIONS)}": (lambda x: x in TRAINING_INITIALISATIONS, "initialisation"),
    "one of none, cifar10, imagenet, svhn": (lambda x: x in (None, "cifar10", "imagenet", "svhn"), "auto_augment"),
}
"""Range in words -> whether a value is in it, and the names of the values that must be."""

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
    """
    hints = typing.get_type_hints(Recipe)
    values = {}
    for name, text in changes.items():
        if name not in hints:
            raise NbnasError(f"unknown parameter {name!r} of a recipe; choose from {', '.join(hints)}")
        kind, *others = typing.get_args(hints[name]) or (hints[name],)
        try:
            if others and text.lower() == "none":
                values[name] = None
            else:
                values[name] = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
        except (ValueError, KeyError) as error:
            wording = {bool: "true or false", int: "an integer", float: "a number"}[kind]
            raise NbnasError(f"{name} of a recipe must be {wording}, got {text!r}") from error
    return dataclasses.replace(recipe, **values)


def build_network(space: str, arch: str, num_classes: int, recipe: Recipe) -> nn.Module:
    """Build an architecture as the recipe trains it; its weights are yet to be drawn."""
    found = get_space(space)
    options = {"squeeze_excite": True} if recipe.squeeze_excite else {}
    if options and not isinstance(found, BlockSpace):
        raise NbnasError(f"networks of {space!r} have no squeeze-excitation; train without it: -p squeeze_excite false")
    return found.build(found.normalise(arch), num_classes, **options)
