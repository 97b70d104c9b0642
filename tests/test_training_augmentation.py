"""What happens to images between their crop and the network."""

import dataclasses
import sys
import types

import numpy as np
import pytest
import torch
from scipy import stats

from nbnas.errors import NbnasError
from nbnas.training import get_recipe
from nbnas.training.batches import (
    COLOUR_COMPONENTS,
    COLOUR_VARIANCES,
    Augmentation,
    erase_rectangle,
    lighting_noise,
    mix,
    soft_targets,
)

PLAIN = dataclasses.replace(get_recipe("cifar"), auto_augment=None, random_erasing=0.0)
MEAN, DEVIATION = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def image(resolution=32):
    return torch.rand(3, resolution, resolution, generator=generator(5))


def test_plain_augmentation_flips_half_of_the_images_and_normalises():
    augment, picture = Augmentation(PLAIN, MEAN, DEVIATION), image()
    normalised = torch.stack([(picture[c] - MEAN[c]) / DEVIATION[c] for c in range(3)])
    torch.testing.assert_close(augment.normalise(picture), normalised)
    flips = 0
    for seed in range(200):
        result = augment(picture, generator(seed))
        flipped = torch.equal(result, augment.normalise(picture.flip(-1)))
        assert flipped or torch.equal(result, augment.normalise(picture))
        flips += flipped
    assert 70 < flips < 130


def test_erased_rectangles_have_the_published_areas_and_ratios():
    areas, ratios, corners = [], [], set()
    for seed in range(1000):
        picture = image() + 1
        erased = erase_rectangle(picture, generator(seed))
        assert picture.all(), "the argument stays as it was"
        gone = erased == 0
        assert torch.equal(erased[~gone], picture[~gone])
        rows, columns = gone[0].any(1).nonzero().flatten(), gone[0].any(0).nonzero().flatten()
        rectangle = torch.zeros_like(gone)
        rectangle[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        assert torch.equal(gone, rectangle)
        areas.append(len(rows) * len(columns) / 32**2)
        ratios.append(len(rows) / len(columns))
        corners |= {(rows[0] == 0).item() * 1, (rows[-1] == 31).item() * 2, (columns[-1] == 31).item() * 4}
    assert 0.015 < min(areas) < 0.03
    assert 0.3 < max(areas) < 0.36
    assert np.histogram(areas, bins=4, range=(0.02, 0.33))[0].min() > 180
    assert 0.2 < min(ratios) < 0.4
    assert 2.7 < max(ratios) < 4
    assert 0.45 < np.mean(np.array(ratios) > 1) < 0.55
    # Rectangles reach every edge.
    assert {1, 2, 4} <= corners


def test_erasing_happens_with_its_probability_and_sets_the_mean_colour():
    augment = Augmentation(dataclasses.replace(PLAIN, random_erasing=0.5), MEAN, DEVIATION)
    erased = [(augment(image() + 2, generator(seed)) == 0).any().item() for seed in range(300)]
    assert 0.4 < np.mean(erased) < 0.6


def test_lighting_noise_has_the_covariance_of_colours():
    drawn = torch.stack([lighting_noise(0.1, generator(seed)).flatten() for seed in range(4000)]).double()
    vectors, variances = torch.tensor(COLOUR_COMPONENTS).double(), torch.tensor(COLOUR_VARIANCES).double()
    # The published eigenvectors are orthonormal to their four digits.
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(3).double(), atol=1e-3, rtol=0)
    expected = vectors @ torch.diag((0.1 * variances) ** 2) @ vectors.T
    torch.testing.assert_close(drawn.T.cov(), expected, rtol=0.1, atol=1e-6)
    assert drawn.mean(0).abs().max() < 0.001


def test_lighting_is_the_same_for_all_pixels():
    augment = Augmentation(dataclasses.replace(PLAIN, lighting=0.1), (0.0,) * 3, (1.0,) * 3)
    difference = augment(torch.zeros(3, 8, 8), generator(1))
    assert (difference == difference[:, :1, :1]).all()
    assert difference.any()


def test_soft_targets():
    expected = [[0.025, 0.925, 0.025, 0.025], [0.925, 0.025, 0.025, 0.025]]
    torch.testing.assert_close(soft_targets(torch.tensor([1, 0]), 4, 0.1), torch.tensor(expected))
    assert torch.equal(soft_targets(torch.tensor([2]), 3, 0), torch.tensor([[0.0, 0.0, 1.0]]))


def test_mix_has_one_share_for_images_and_targets():
    images, targets = torch.randn(6, 3, 4, 4, generator=generator()), torch.eye(6)
    for seed in range(20):
        mixed, mixed_targets = mix(images, targets, 0.2, generator(seed))
        torch.testing.assert_close(mixed_targets.sum(1), torch.ones(6))
        # With one-hot targets of their own, the targets say which images were mixed, and how.
        torch.testing.assert_close(mixed, torch.einsum("nm,mchw->nchw", mixed_targets, images))
        shares = {round(value, 5) for value in mixed_targets.diagonal().tolist()}
        assert len(shares - {1.0}) <= 1


def test_share_of_mix_is_beta_distributed():
    images, targets = torch.zeros(2, 3, 1, 1), torch.eye(2)
    shares = []
    for seed in range(1500):
        _, mixed = mix(images, targets, 0.2, generator(seed))
        if mixed[0, 1]:
            shares.append(mixed[0, 0].item())
    assert stats.kstest(shares, "beta", args=(0.2, 0.2)).pvalue > 0.001


# --------------------------------------------------------------------------------------------------------- AutoAugment


def fake_kornia(monkeypatch):
    """A kornia whose AutoAugment adds a number from the global generator."""

    class AutoAugment:
        def __init__(self, policy):
            self.policy = policy

        def __call__(self, images):
            assert images.shape[:2] == (1, 3)
            return images + torch.rand(1)

    package = types.ModuleType("kornia.augmentation.auto")
    package.AutoAugment = AutoAugment
    for name in ("kornia", "kornia.augmentation"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, package.__name__, package)


@pytest.fixture(params=["made up", "installed"])
def kornia(request, monkeypatch):
    if request.param == "installed":
        pytest.importorskip("kornia", reason="kornia is not installed")
    else:
        fake_kornia(monkeypatch)


@pytest.mark.usefixtures("kornia")
@pytest.mark.parametrize("policy", ["cifar10", "imagenet"])
def test_auto_augment_draws_from_the_generator_of_the_image(policy):
    recipe = dataclasses.replace(PLAIN, auto_augment=policy)
    augment, plain = (Augmentation(each, (0.0,) * 3, (1.0,) * 3) for each in (recipe, PLAIN))
    picture = image()
    before = torch.get_rng_state()
    first = [augment(picture, generator(seed)) for seed in range(8)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    for seed, result in enumerate(first):
        assert result.shape == picture.shape
        assert torch.equal(augment(picture, generator(seed)), result)
    changed = [
        not torch.allclose(result, plain(picture, generator(seed)), atol=1e-4) for seed, result in enumerate(first)
    ]
    assert sum(changed) >= 4
    assert len({round(result.sum().item(), 3) for result in first}) > 4


def test_absent_kornia_is_named(monkeypatch):
    for name in ("kornia", "kornia.augmentation.auto"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NbnasError) as caught:
        Augmentation(get_recipe("cifar"), MEAN, DEVIATION)
    assert str(caught.value) == (
        "AutoAugment needs kornia: pip install 'nbnas[train]', or train without it: -p auto_augment none"
    )
