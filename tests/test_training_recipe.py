"""Recipes: the published values, and changes of them."""

import dataclasses

import pytest

from nbnas.errors import NbnasError
from nbnas.training import RECIPES, change_recipe, get_recipe
from nbnas.training.trainer import learning_rate

CIFAR = get_recipe("cifar")


def test_published_cifar_recipe():
    assert (CIFAR.epochs, CIFAR.warmup_epochs, CIFAR.batch_size) == (1440, 5, 64)
    assert max(learning_rate(CIFAR, step, 10) for step in range(200)) == pytest.approx(0.025)
    assert (CIFAR.momentum, CIFAR.weight_decay, CIFAR.batch_norm_momentum) == (0.9, 5e-4, 0.01)
    assert (CIFAR.label_smoothing, CIFAR.mixup, CIFAR.random_erasing) == (0.1, 0.2, 0.5)
    assert (CIFAR.auto_augment, CIFAR.lighting, CIFAR.resolution) == ("cifar10", 0, 32)
    assert (CIFAR.initialisation, CIFAR.squeeze_excite, CIFAR.teacher) == ("xavier_normal_zero_residual", False, None)
    assert (CIFAR.precision, CIFAR.ema_decay) == ("float32", None)


def test_published_imagenet_recipe():
    recipe = get_recipe("imagenet")
    assert (recipe.epochs, recipe.warmup_epochs, recipe.weight_decay) == (480, 5, 4e-5)
    # 0.2 at 8 x 64 images.
    assert max(learning_rate(recipe, step, 10, 8) for step in range(200)) == pytest.approx(0.2)
    assert (recipe.resolution, recipe.squeeze_excite, recipe.auto_augment, recipe.lighting) == (
        224,
        True,
        "imagenet",
        0.1,
    )
    assert (recipe.teacher_resolution, recipe.feature_weight, recipe.logit_weight) == (320, 1, 1)
    assert "efficientnet_b3" in recipe.teacher
    assert (recipe.mixup, recipe.random_erasing, recipe.label_smoothing) == (0.2, 0.5, 0.1)


def test_shorter_imagenet_recipe():
    recipe = get_recipe("imagenet_150_epochs")
    assert (recipe.epochs, recipe.label_smoothing) == (150, 0.1)
    assert max(learning_rate(recipe, step, 10, 8) for step in range(200)) == pytest.approx(0.8)
    assert (recipe.mixup, recipe.random_erasing, recipe.lighting) == (0, 0, 0)
    assert recipe.auto_augment is None
    assert recipe.teacher is None


def test_unknown_recipe_names_the_known():
    with pytest.raises(NbnasError, match="unknown recipe 'cifra'; choose from cifar, imagenet, imagenet_150_epochs"):
        get_recipe("cifra")


def test_changes_have_the_type_of_the_value():
    changed = change_recipe(
        RECIPES["imagenet"],
        {"epochs": "30", "warmup_epochs": "0.5", "teacher": "none", "squeeze_excite": "False", "ema_decay": "0.99"},
    )
    assert (changed.epochs, changed.warmup_epochs, changed.ema_decay) == (30, 0.5, 0.99)
    assert changed.teacher is None
    assert changed.squeeze_excite is False
    expected = dataclasses.replace(
        RECIPES["imagenet"], epochs=30, warmup_epochs=0.5, teacher=None, squeeze_excite=False, ema_decay=0.99
    )
    assert changed == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("epoch", "2", "unknown parameter 'epoch' of a recipe; choose from epochs, "),
        ("epochs", "2.5", "epochs of a recipe must be an integer, got '2.5'"),
        ("epochs", "none", "epochs of a recipe must be an integer, got 'none'"),
        ("epochs", "0", "epochs of a recipe must be at least 1, got 0"),
        ("epochs", "5", "warmup_epochs of a recipe must be at least 0 and below 5 epochs, got 5"),
        ("squeeze_excite", "1", "squeeze_excite of a recipe must be true or false, got '1'"),
        ("learning_rate", "fast", "learning_rate of a recipe must be a number, got 'fast'"),
        ("learning_rate", "nan", "learning_rate of a recipe must be a positive number, got nan"),
        ("mixup", "-1", "mixup of a recipe must be a number of at least 0, got -1.0"),
        ("label_smoothing", "1", "label_smoothing of a recipe must be at least 0 and below 1, got 1.0"),
        ("random_erasing", "1.5", "random_erasing of a recipe must be a probability, got 1.5"),
        ("batch_norm_momentum", "0", "batch_norm_momentum of a recipe must be above 0 and at most 1, got 0.0"),
        ("ema_decay", "1", "ema_decay of a recipe must be none or between 0 and 1, got 1.0"),
        ("precision", "half", "precision of a recipe must be one of float32, bfloat16, float16, got 'half'"),
        ("auto_augment", "mnist", "auto_augment of a recipe must be one of none, cifar10, imagenet, svhn, got 'mnist'"),
    ],
)
def test_bad_changes_are_named_in_one_line(name, text, message):
    with pytest.raises(NbnasError) as caught:
        change_recipe(CIFAR, {name: text})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
