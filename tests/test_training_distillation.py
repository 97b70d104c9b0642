"""Distillation, with a made-up teacher that has timm's interface."""

import dataclasses
import math
import sys
import types

import pytest
import torch
from torch import nn
from torch.nn import functional

from nbnas.datasets.images import ImageData
from nbnas.errors import NbnasError
from nbnas.spaces import get_space
from nbnas.training import build_network, get_recipe
from nbnas.training.loss import Distillation, Objective, Teacher, feature_blocks

MOBILE = get_space("mobilenetv2").start
MEAN, DEVIATION = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)
RECIPE = dataclasses.replace(get_recipe("imagenet"), auto_augment=None, teacher="tiny", teacher_resolution=96)


class TinyTeacher(nn.Module):
    """Down-samples to 1/8, 1/16 and 1/32, with the attributes and methods of a timm model that are used."""

    num_classes = 4
    pretrained_cfg = {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(
            [nn.Conv2d(3, 5, 8, 8), nn.Conv2d(5, 6, 2, 2), nn.Sequential(nn.Conv2d(6, 7, 2, 2), nn.BatchNorm2d(7))]
        )
        self.head = nn.Linear(7, self.num_classes)
        self.inputs = []

    def forward_intermediates(self, images):
        self.inputs.append(images)
        maps = []
        for stage in self.stages:
            images = stage(images)
            maps.append(images)
        return images, maps

    def forward_head(self, features):
        return self.head(features.mean((2, 3)))


@pytest.fixture
def teachers(monkeypatch):
    """Install a timm that knows the model ``tiny``; yield the models that it made."""
    made = []

    def create_model(name, pretrained):
        assert pretrained
        if name != "tiny":
            raise RuntimeError(f"Unknown model ({name})\nand more")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made.append(TinyTeacher())
        return made[-1]

    package = types.ModuleType("timm")
    package.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", package)
    return made


def load(name="tiny", classes=4):
    data = ImageData("made up", classes, MEAN, DEVIATION, None, None)
    return Teacher(dataclasses.replace(RECIPE, teacher=name), data, torch.device("cpu"))


def student():
    return build_network("mobilenetv2", MOBILE, 4, RECIPE)


def test_teacher_sees_images_of_its_own_size_and_normalisation(teachers):
    teacher = load()
    logits, features = teacher(torch.zeros(2, 3, 64, 64))
    # A normalised 0 is the mean colour of the data.
    expected = [(MEAN[c] - (0.1, 0.2, 0.3)[c]) / (0.5, 0.6, 0.7)[c] for c in range(3)]
    torch.testing.assert_close(teachers[0].inputs[0], torch.tensor(expected).view(1, 3, 1, 1).expand(2, 3, 96, 96))
    assert {ratio: each.shape for ratio, each in features.items()} == {16: (2, 6, 6, 6), 32: (2, 7, 3, 3)}
    assert teacher.channels() == {16: 6, 32: 7}
    assert logits.shape == (2, 4)
    assert not logits.requires_grad
    assert not teachers[0].training
    assert teachers[0].stages[2][1].num_batches_tracked == 0


def test_features_come_from_the_last_super_block_of_a_ratio():
    network = student()
    places = feature_blocks(network, 64)
    assert places == {16: 3, 32: 4}
    outputs, images = [], torch.zeros(2, 3, 64, 64)
    for block in network.blocks:
        images = block(images)
        outputs.append(images.shape[-1])
    for ratio, place in places.items():
        assert outputs[place] == 64 // ratio
    assert feature_blocks(get_space("zen_resnet").build(get_space("zen_resnet").start), 32) == {}


def test_losses_against_their_formulas(teachers):
    network = student().train()
    teacher = load()
    distillation = Distillation(network, 64, teacher, torch.Generator().manual_seed(0))
    assert {name: module.weight.shape for name, module in distillation.projections.items()} == {
        "16": (6, 96, 1, 1),
        "32": (7, 128, 1, 1),
    }
    images, targets = torch.randn(3, 3, 64, 64), torch.tensor([[0.7, 0.1, 0.1, 0.1]] * 3)
    taught_logits, taught_features = teacher(images)
    recipe = dataclasses.replace(RECIPE, feature_weight=2.0, logit_weight=3.0)
    loss = Objective(network, recipe, distillation)(images, targets)

    found, x = {}, images
    for place, block in enumerate(network.blocks):
        x = found[place] = block(x)
    logits = network.classifier(x.mean((2, 3)))
    labels = -(targets * logits.log_softmax(1)).sum(1).mean()
    soft = -(taught_logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
    features = 0
    for ratio, place in ((16, 3), (32, 4)):
        projected = distillation.projections[str(ratio)](found[place])
        wanted = functional.adaptive_avg_pool2d(taught_features[ratio], projected.shape[-1])
        distance = (projected - wanted).abs()
        features = features + torch.where(distance < 1, distance**2 / 2, distance - 0.5).mean()
    torch.testing.assert_close(loss, labels + 2 * features + 3 * soft, rtol=1e-4, atol=1e-4)
    assert math.isfinite(loss.item())
    loss.backward()
    for parameter in [*network.parameters(), *distillation.parameters()]:
        assert parameter.grad is not None


def test_hooks_are_gone_after_a_step(teachers):
    network = student()
    distillation = Distillation(network, 64, load(), torch.Generator())
    with pytest.raises(ZeroDivisionError), distillation.recorded_features(network):
        raise ZeroDivisionError
    assert not any(block._forward_hooks for block in network.blocks)


def test_wrong_number_of_classes_is_named(teachers):
    with pytest.raises(NbnasError, match="the teacher 'tiny' knows 4 classes, the data have 10; train without it"):
        load(classes=10)


def test_unknown_teacher_is_named(teachers):
    with pytest.raises(NbnasError) as caught:
        load("huge")
    assert str(caught.value) == "timm gives no pretrained model 'huge': Unknown model (huge)"


def test_student_without_common_ratio_is_refused(teachers):
    network = get_space("zen_resnet").build(get_space("zen_resnet").start)
    with pytest.raises(NbnasError, match="no features of the same size"):
        Distillation(network, 32, load(), torch.Generator())


def test_absent_timm_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(NbnasError) as caught:
        load()
    assert str(caught.value).startswith("a teacher needs timm (")
    assert str(caught.value).endswith("): pip install 'nbnas[distillation]', or train without it: -p teacher none")


def test_timm_that_cannot_be_imported_is_named(monkeypatch, tmp_path):
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NbnasError, match=r"needs timm \(operator torchvision::nms does not exist\)"):
        load()
