"""Order of images, learning rate, weight decay and moving average against slow references."""

import copy
import dataclasses
import math

import pytest
import torch
from torch import nn

from nbnas.errors import NbnasError
from nbnas.training import get_recipe
from nbnas.training.batches import EpochBatches, TestImages
from nbnas.training.trainer import learning_rate, make_optimiser, moving_average

RECIPE = dataclasses.replace(get_recipe("cifar"), epochs=10, warmup_epochs=2, batch_size=128, learning_rate=0.1)


def batches(*arguments, epoch=0, first=0):
    sampler = EpochBatches(*arguments)
    sampler.epoch, sampler.first = epoch, first
    return list(sampler)


# --------------------------------------------------------------------------------------------------------------- order


def test_an_epoch_has_every_image_once_but_for_the_last_incomplete_batch():
    drawn = batches(50, 8, 3)
    assert [len(batch) for batch in drawn] == [8] * 6
    keys = [key for batch in drawn for key in batch]
    assert {epoch for epoch, _ in keys} == {0}
    images = [image for _, image in keys]
    assert len(set(images)) == 48
    assert set(images) < set(range(50))


def test_processes_share_what_one_alone_would_draw():
    alone = batches(50, 12, 3, epoch=4)
    shared = [batches(50, 4, 3, rank, 3, epoch=4) for rank in range(3)]
    assert [[*first, *second, *third] for first, second, third in zip(*shared, strict=True)] == alone


def test_every_epoch_and_seed_has_an_order_of_its_own():
    orders = {
        tuple(image for batch in batches(40, 8, seed, epoch=epoch) for _, image in batch)
        for seed, epoch in [(0, 0), (0, 1), (1, 0), (1, 1)]
    }
    assert len(orders) == 4


def test_an_epoch_can_begin_in_its_middle():
    assert batches(50, 8, 3, epoch=1, first=4) == batches(50, 8, 3, epoch=1)[4:]


def test_order_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    batches(50, 8, 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("processes", "wanted"), [(1, "51"), (3, "3 x 51")])
def test_less_than_a_batch_is_refused(processes, wanted):
    with pytest.raises(NbnasError, match=f"50 training images are less than one batch of {wanted}$"):
        EpochBatches(50, 51, 0, 0, processes)


def test_processes_share_the_test_images():
    class Split:
        labels = torch.arange(11)

        def test_crop(self, index):
            return torch.full((1,), index)

    class Augmentation:
        def normalise(self, image):
            return image

    parts = [TestImages(Split(), Augmentation(), rank, 3) for rank in range(3)]
    seen = [part[position][0].item() for part in parts for position in range(len(part))]
    assert sorted(seen) == list(range(11))
    assert all(part[1][0] == part[1][1] for part in parts)


# ------------------------------------------------------------------------------------------------------- learning rate


def test_learning_rate_rises_linearly_then_falls_as_a_cosine():
    rates = [learning_rate(RECIPE, step, 5, 2) for step in range(50)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) / 10 for step in range(10)])
    assert rates[10] == pytest.approx(0.1)
    for step in range(10, 50):
        assert rates[step] == pytest.approx(0.05 * (1 + math.cos(math.pi * (step - 10) / 40)))
    assert rates[30] == pytest.approx(0.05)
    assert 0 < rates[-1] < 0.001


def test_learning_rate_without_warmup_starts_at_its_peak():
    recipe = dataclasses.replace(RECIPE, warmup_epochs=0)
    assert learning_rate(recipe, 0, 5) == pytest.approx(0.05)
    assert learning_rate(dataclasses.replace(recipe, batch_size=256), 0, 5) == pytest.approx(0.1)


def test_warmup_may_end_within_a_step():
    recipe = dataclasses.replace(RECIPE, warmup_epochs=0.5)
    rates = [learning_rate(recipe, step, 3, 2) for step in range(30)]
    assert rates[0] == pytest.approx(0.1 / 1.5)
    assert max(rates) == pytest.approx(0.1)


# ----------------------------------------------------------------------------------------------------------- optimiser


def test_only_weights_of_convolutions_and_linear_layers_decay():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimiser = make_optimiser(model, dataclasses.replace(RECIPE, weight_decay=0.5, momentum=0.0))
    before = copy.deepcopy(model.state_dict())
    for group in optimiser.param_groups:
        group["lr"] = 0.1
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, tensor in model.state_dict().items():
        decays = name in ("0.weight", "3.weight")
        torch.testing.assert_close(tensor, before[name] * (0.95 if decays else 1))


def test_momentum_is_nesterovs():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimiser = make_optimiser(model, dataclasses.replace(RECIPE, weight_decay=0))
    optimiser.param_groups[0]["lr"] = 1.0
    weight = velocity = 0.0
    for gradient in (1.0, -2.0, 0.5):
        model.weight.grad = torch.tensor([[gradient]])
        optimiser.step()
        velocity = 0.9 * velocity + gradient
        weight -= gradient + 0.9 * velocity
        assert model.weight.item() == pytest.approx(weight)


# ------------------------------------------------------------------------------------------------------ moving average


def test_moving_average_follows_parameters_and_statistics():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    average = moving_average(model, 0.75)
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for step in range(3):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step)))
            model(torch.randn(2, 3, 4, 4))
        average.update_parameters(model)
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                expected[name] = 0.75 * expected[name] + 0.25 * tensor
            else:
                expected[name] = tensor.clone()
    for name, tensor in average.module.state_dict().items():
        torch.testing.assert_close(tensor, expected[name])
    assert not average.module.training
    assert not any(parameter.requires_grad for parameter in average.module.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
