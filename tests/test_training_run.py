"""Training as a whole: the loss falls, a stopped run goes on as if it had not stopped, and what is wrong is said."""

import dataclasses
import json
import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from torch import nn

import nbnas
from nbnas.cli import main
from nbnas.datasets.images import ImageData, Images
from nbnas.errors import NbnasError
from nbnas.seeding import generator_for
from nbnas.training import build_network, change_recipe, get_recipe, load_data, run_folder, train, trainer
from nbnas.training.batches import Augmentation, TrainingImages
from nbnas.training.recipe import xavier_normal_zero_residual
from nbnas.training.trainer import learning_rate
from tests.test_training_distillation import RECIPE as TEACHER_RECIPE
from tests.test_training_distillation import TinyTeacher
from tests.training_data import STRUCTURE, coloured_pixels, write_cifar10, write_imagenet

SHORT = change_recipe(
    get_recipe("cifar"),
    {
        "epochs": "3",
        "warmup_epochs": "0.5",
        "batch_size": "16",
        "batch_norm_momentum": "0.3",
        "auto_augment": "none",
        "lighting": "0.1",
        "ema_decay": "0.8",
    },
)
"""Everything of the recipe that needs no other package, in 3 epochs of 10 steps."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    write_cifar10(path)
    return path


@pytest.fixture(scope="module")
def data(folder):
    return load_data("cifar10", 32, folder)


class DroppingOut(nn.Module):
    """A network that draws from the global generators."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5)
        )
        self.classifier = nn.Linear(8, 10)

    def forward(self, images):
        return self.classifier(self.layers(images))


def network(recipe=SHORT):
    return build_network("zen_resnet", STRUCTURE, 10, recipe)


def run(data, output, recipe=SHORT, model=None, **options):
    model = network(recipe) if model is None else model
    return train(model, data, recipe, output, progress=False, **options), model


def stop_at(monkeypatch, step):
    """Let the run be interrupted before this step, once."""
    original, done = trainer._Run._step, []

    def step_or_stop(self, *arguments):
        if len(done) == step:
            monkeypatch.setattr(trainer._Run, "_step", original)
            raise KeyboardInterrupt
        done.append(None)
        return original(self, *arguments)

    monkeypatch.setattr(trainer._Run, "_step", step_or_stop)


def curve(table):
    return table.drop(columns="seconds").to_dict("list")


def assert_same_weights(one, two):
    for (name, tensor), other in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        assert torch.equal(tensor, other), name


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("run")
    metrics, model = run(data, output)
    return output, metrics, model


# -------------------------------------------------------------------------------------------------------------- a run


def test_loss_falls_and_the_network_learns(data, tmp_path):
    recipe = dataclasses.replace(SHORT, epochs=10, random_erasing=0.0, mixup=0.0)
    metrics, _ = run(data, tmp_path, recipe)
    assert metrics["train_loss"].iloc[-1] < metrics["train_loss"].iloc[0] - 0.5
    assert metrics["test_loss"].iloc[-1] < metrics["test_loss"].iloc[0]
    assert metrics["test_top1"].iloc[-1] > 60


def test_folder_of_a_run(uninterrupted, data):
    output, metrics, model = uninterrupted
    written = pd.read_csv(output / "metrics.csv")
    pd.testing.assert_frame_equal(written, metrics)
    assert list(written) == [
        "epoch",
        "learning_rate",
        "train_loss",
        "test_loss",
        "test_top1",
        "average_test_loss",
        "average_test_top1",
        "seconds",
    ]
    assert written["epoch"].tolist() == [1, 2, 3]
    assert written["learning_rate"].tolist() == [learning_rate(SHORT, step, 10) for step in (9, 19, 29)]
    record = json.loads((output / "run.json").read_text())
    assert record["settings"]["epochs"] == 3
    assert record["settings"]["data"] == data.description
    assert record["versions"]["torch"] == torch.__version__

    # The accuracies are those of the weights that are there.
    pixels, labels = data.test.pixels, data.test.labels
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (data.mean, data.deviation))
    for name, column in (("weights.pt", ""), ("average_weights.pt", "average_")):
        trained = network()
        trained.load_state_dict(torch.load(output / name, weights_only=True))
        logits = trained.eval()((pixels / 255 - mean) / deviation)
        loss = nn.functional.cross_entropy(logits, labels).item()
        assert loss == pytest.approx(metrics[f"{column}test_loss"].iloc[-1], rel=1e-4)
        assert 100 * (logits.argmax(1) == labels).float().mean() == pytest.approx(
            metrics[f"{column}test_top1"].iloc[-1]
        )
        if name == "weights.pt":
            assert_same_weights(trained, model)
    assert not list(output.glob("*.part"))


def test_first_step_against_a_plain_one(data, tmp_path):
    """One epoch of one batch, without anything random but the weights, against torch alone."""
    few = ImageData("", 10, data.mean, data.deviation, data.train.subset(torch.arange(4)), data.test)
    recipe = dataclasses.replace(
        SHORT, epochs=1, warmup_epochs=0, batch_size=4, lighting=0.0, mixup=0.0, random_erasing=0.0, weight_decay=0.0
    )

    class Blind(nn.Module):
        """Gives every image the same logits, so that neither crops nor flips matter."""

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 10)

        def forward(self, images):
            return self.linear(torch.ones_like(images[:, :, 0, 0]))

    metrics, model = run(few, tmp_path, recipe, Blind())
    plain = Blind()
    xavier_normal_zero_residual(plain, generator_for(0, "weights"))
    rate = 0.1 * 4 / 256
    loss = nn.functional.cross_entropy(plain(torch.zeros(4, 3, 1, 1)), data.train.labels[:4], label_smoothing=0.1)
    loss.backward()
    assert metrics["train_loss"].item() == pytest.approx(loss.item(), rel=1e-5)
    # The first step of Nesterov momentum goes 1 + momentum times as far.
    expected = plain.linear.weight - 1.9 * rate * plain.linear.weight.grad
    torch.testing.assert_close(model.linear.weight, expected)


def test_batch_norms_get_the_momentum_of_the_recipe(uninterrupted):
    norms = [module for module in uninterrupted[2].modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.3}


def test_run_depends_on_its_seed_alone(uninterrupted, data, tmp_path):
    _, metrics, model = uninterrupted
    torch.manual_seed(99)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    built = network()
    torch.set_rng_state(before[0])
    again, other = run(data, tmp_path / "same", model=built)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert curve(again) == curve(metrics)
    assert_same_weights(model, other)
    different, _ = run(data, tmp_path / "other", seed=1)
    assert curve(different) != curve(metrics)


def test_processes_that_prepare_images_change_nothing(uninterrupted, data, tmp_path):
    metrics, _ = run(data, tmp_path, workers=2)
    assert curve(metrics) == curve(uninterrupted[1])


def test_every_step_mixes_in_its_own_way(data, tmp_path, monkeypatch):
    seeds = []

    def mix(images, targets, alpha, generator):
        seeds.append(generator.initial_seed())
        return images, targets

    monkeypatch.setattr(trainer, "mix", mix)
    run(data, tmp_path)
    assert len(set(seeds)) == len(seeds) == 30


def test_every_image_of_every_epoch_is_augmented_in_its_own_way(data):
    augmentation = Augmentation(SHORT, data.mean, data.deviation)
    same = data.train.subset(torch.tensor([0, 0]))
    images = {key: TrainingImages(same, augmentation, seed=1)[key][0] for key in [(0, 0), (0, 1), (1, 0), (1, 1)]}
    assert len({image.numpy().tobytes() for image in images.values()}) == 4
    again, label = TrainingImages(same, augmentation, seed=1)[1, 0]
    assert torch.equal(again, images[1, 0])
    assert label == data.train.labels[0]
    assert not torch.equal(TrainingImages(same, augmentation, seed=2)[1, 0][0], again)


def test_progress_is_shown_on_request(data, tmp_path, capsys):
    recipe = dataclasses.replace(SHORT, epochs=1)
    run(data, tmp_path / "quiet", recipe)
    assert capsys.readouterr().err == ""
    train(network(), data, recipe, tmp_path / "loud", progress=True)
    shown = capsys.readouterr().err
    assert "10/10" in shown
    assert "epoch 1/1, loss " in shown


def test_pictures_in_folders(tmp_path):
    write_imagenet(tmp_path / "data")
    recipe = dataclasses.replace(SHORT, epochs=4, batch_size=12, squeeze_excite=True, random_erasing=0.0, mixup=0.0)
    pictures = load_data("imagenet", 32, tmp_path / "data")
    model = build_network("zen_resnet", STRUCTURE, pictures.num_classes, recipe)
    metrics, _ = run(pictures, tmp_path / "run", recipe, model, workers=1)
    assert model.classifier.out_features == 3
    assert metrics["train_loss"].iloc[-1] < metrics["train_loss"].iloc[0]


def test_broken_picture_stays_one_line(tmp_path):
    write_imagenet(tmp_path / "data")
    pictures = load_data("imagenet", 32, tmp_path / "data")
    pictures.train.paths[5].write_bytes(b"")
    recipe = dataclasses.replace(SHORT, batch_size=12)
    for workers in (0, 1):
        with pytest.raises(NbnasError) as caught:
            run(pictures, tmp_path / "run", recipe, build_network("zen_resnet", STRUCTURE, 3, recipe), workers=workers)
        assert str(caught.value).startswith(f"{pictures.train.paths[5]} is not a picture: ")
        assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------------ resuming


@pytest.mark.parametrize("step", [3, 10, 14, 29])
def test_stopped_run_goes_on_as_if_it_had_not_stopped(uninterrupted, data, tmp_path, monkeypatch, step):
    _, metrics, model = uninterrupted
    stop_at(monkeypatch, step)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path, checkpoint_steps=2)
    assert not (tmp_path / "weights.pt").exists()
    assert (tmp_path / "metrics.csv").exists() == (step >= 10)
    taken = []
    original = trainer._Run._step
    monkeypatch.setattr(trainer._Run, "_step", lambda self, *each: taken.append(1) or original(self, *each))
    torch.manual_seed(step)
    resumed, other = run(data, tmp_path, checkpoint_steps=2)
    # What was done up to the last checkpoint is not done again.
    assert len(taken) == 30 - step // 2 * 2
    assert curve(resumed) == curve(metrics)
    assert_same_weights(model, other)
    for name in ("weights.pt", "average_weights.pt"):
        assert (tmp_path / name).read_bytes() == (uninterrupted[0] / name).read_bytes()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_stopped_run_in_mixed_precision(data, tmp_path, monkeypatch, precision):
    recipe = dataclasses.replace(SHORT, epochs=2, precision=precision, ema_decay=None)
    metrics, model = run(data, tmp_path / "one", recipe)
    assert np.isfinite(metrics["test_loss"]).all()
    assert "average_test_loss" not in metrics
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    exact, _ = run(data, tmp_path / "exact", dataclasses.replace(recipe, precision="float32"))
    assert curve(exact) != curve(metrics)
    assert exact["train_loss"].tolist() == pytest.approx(metrics["train_loss"].tolist(), rel=0.05)
    stop_at(monkeypatch, 13)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "two", recipe, checkpoint_steps=3)
    resumed, _ = run(data, tmp_path / "two", recipe, checkpoint_steps=3)
    assert curve(resumed) == curve(metrics)
    one, two = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["scaler"] for name in ("one", "two"))
    assert one == two
    assert bool(one) == (precision == "float16")


def test_stopped_run_of_a_network_with_dropout(data, tmp_path, monkeypatch):
    metrics, model = run(data, tmp_path / "one", model=DroppingOut())
    stop_at(monkeypatch, 15)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "two", model=DroppingOut(), checkpoint_steps=4)
    torch.rand(7)
    resumed, other = run(data, tmp_path / "two", model=DroppingOut(), checkpoint_steps=4)
    assert curve(resumed) == curve(metrics)
    assert_same_weights(model, other)


def test_stopped_distillation(tmp_path, monkeypatch):
    def create_model(name, pretrained):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return TinyTeacher()

    package = types.ModuleType("timm")
    package.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", package)
    rng = np.random.default_rng(0)
    splits = []
    for count in (8, 4):
        labels = rng.integers(0, 4, count)
        pixels = torch.from_numpy(coloured_pixels(labels, 64, rng))
        splits.append(Images("made up", "made up", pixels, torch.from_numpy(labels)))
    data = ImageData("made up", 4, (0.5,) * 3, (0.3,) * 3, *splits)
    recipe = dataclasses.replace(TEACHER_RECIPE, epochs=2, warmup_epochs=0, batch_size=4, resolution=64)

    def build():
        return build_network("mobilenetv2", nbnas.get_space("mobilenetv2").start, 4, recipe)

    metrics, model = run(data, tmp_path / "one", recipe, build())
    alone, _ = run(data, tmp_path / "alone", dataclasses.replace(recipe, teacher=None), build())
    assert (metrics["train_loss"] > alone["train_loss"] + 0.5).all()
    stop_at(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "two", recipe, build(), checkpoint_steps=1)
    resumed, other = run(data, tmp_path / "two", recipe, build(), checkpoint_steps=1)
    assert curve(resumed) == curve(metrics)
    assert_same_weights(model, other)
    # The student's weights are the network's alone.
    assert set(torch.load(tmp_path / "two" / "weights.pt", weights_only=True)) == set(build().state_dict())


def test_finished_run_is_not_trained_again(uninterrupted, data, monkeypatch):
    output, metrics, model = uninterrupted
    (output / "metrics.csv").unlink()
    monkeypatch.setattr(trainer._Run, "_step", lambda *_: pytest.fail("trained again"))
    again, other = run(data, output)
    pd.testing.assert_frame_equal(again, metrics)
    assert_same_weights(model, other)
    # As after a kill between checkpoint and table.
    pd.testing.assert_frame_equal(pd.read_csv(output / "metrics.csv"), metrics)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"epochs": 4}, {}, "epochs 3 and not 4"),
        ({}, {"seed": 1}, "seed 0 and not 1"),
        ({}, {"network": "another"}, "network BlockNetwork of .* and not another"),
        ({"ema_decay": None}, {}, "ema_decay 0.8 and not None"),
    ],
)
def test_run_with_other_settings_is_refused(uninterrupted, data, changes, options, message):
    output, *_ = uninterrupted
    before = (output / "checkpoint.pt").read_bytes()
    with pytest.raises(NbnasError, match=f"holds a run with other settings, {message}; choose another folder"):
        run(data, output, dataclasses.replace(SHORT, **changes), **options)
    assert (output / "checkpoint.pt").read_bytes() == before


def test_damaged_checkpoint_is_named(data, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"half a file")
    with pytest.raises(NbnasError, match=r"checkpoint.pt is not a checkpoint: "):
        run(data, tmp_path)


def test_folder_in_use_is_refused(data, tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "LOCK_SECONDS", 0.1)
    with (
        FileLock(tmp_path / "run.lock"),
        pytest.raises(NbnasError, match=r"another process trains in .*; wait for it, end it or choose another folder"),
    ):
        run(data, tmp_path)


def test_loss_that_is_not_finite_ends_the_run(data, tmp_path):
    recipe = dataclasses.replace(SHORT, learning_rate=1e30, warmup_epochs=0)
    with pytest.raises(NbnasError, match="the loss is not finite in epoch 1: lower learning_rate"):
        run(data, tmp_path, recipe)
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": -1}, "workers must be at least 0, got -1"),
        ({"checkpoint_steps": 0}, "checkpoint_steps must be at least 1, got 0"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"device": "meta"}, "training runs on cpu or cuda, not on 'meta'"),
        ({"device": "cuda:99"}, "no GPU number 99: torch sees"),
    ],
)
def test_bad_arguments_are_named(data, tmp_path, options, message):
    with pytest.raises(NbnasError) as caught:
        run(data, tmp_path / "run", **options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


class Returning(nn.Module):
    """Returns what a function makes of its logits."""

    def __init__(self, change, classes=10):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))
        self.change = change

    def forward(self, images):
        return self.change(self.layers(images))

    def extra_repr(self):
        return repr(self.change)


@pytest.mark.parametrize(
    ("model", "got"),
    [
        (Returning(lambda logits: (logits, logits)), "a tuple"),
        (Returning(lambda logits: {"logits": logits}), "a dict"),
        (Returning(lambda logits: logits, classes=20), r"the shape \(16, 20\)"),
    ],
)
def test_network_must_return_logits(data, tmp_path, model, got):
    with pytest.raises(NbnasError, match=rf"^the network must return logits of shape \(16, 10\), got {got}$"):
        run(data, tmp_path, model=model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": DroppingOut}, "model must be an object of Module, got <class"),
        ({"data": "cifar10"}, "data must be an object of ImageData, got 'cifar10'"),
        ({"recipe": "cifar"}, "recipe must be an object of Recipe, got 'cifar'"),
    ],
)
def test_arguments_of_another_kind_are_named(data, tmp_path, changes, message):
    arguments = {"model": DroppingOut(), "data": data, "recipe": SHORT, "output": str(tmp_path / "run"), **changes}
    with pytest.raises(NbnasError) as caught:
        train(**arguments)
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "run").exists()


def test_another_network_of_as_many_parameters_does_not_go_on_in_the_folder(data, tmp_path):
    recipe = dataclasses.replace(SHORT, epochs=1)
    # Each function has an address of its own, which the networks print.
    model, same, other = (Returning(lambda logits: logits) for _ in range(3))
    run(data, str(tmp_path), recipe, model)
    content = (tmp_path / "weights.pt").read_bytes()
    run(data, str(tmp_path), recipe, same)
    other.layers[1] = nn.AdaptiveMaxPool2d(1)
    with pytest.raises(NbnasError, match=r"other settings, network Returning of .* and not Returning of "):
        run(data, str(tmp_path), recipe, other)
    assert (tmp_path / "weights.pt").read_bytes() == content


def test_teacher_needs_a_network_of_super_blocks(data, tmp_path):
    with pytest.raises(NbnasError, match="a teacher's features need a network of a block space"):
        run(data, tmp_path, dataclasses.replace(SHORT, teacher="tiny"), DroppingOut())


# ------------------------------------------------------------------------------------------------------------- command


def arguments(folder, output, *more, arch=STRUCTURE, space="zen_resnet"):
    changes = {"epochs": "2", "warmup_epochs": "0", "batch_size": "32", "auto_augment": "none"}
    options = [part for name, value in changes.items() for part in ("-p", name, value)]
    return ["train", space, arch, "--data", str(folder), "-o", str(output), "--no-progress", *options, *more]


def test_command_trains_and_goes_on(folder, tmp_path, capsys):
    command = arguments(folder, tmp_path / "run", "--train-images", "64", "--test-images", "20", "-p", "mixup", "0")
    assert main(command) == 0
    first = capsys.readouterr().out
    assert first.startswith("test accuracy ")
    assert " % after 2 epochs (best " in first
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["settings"]["network"] == f"zen_resnet {STRUCTURE}"
    assert record["settings"]["mixup"] == 0
    assert "64 to train and 20 to test" in record["settings"]["data"]
    assert main(command) == 0
    assert capsys.readouterr().out == first


def test_command_trains_a_cell_of_nasbench201(folder, tmp_path, capsys):
    cell = "|skip_connect~0|+|none~0|nor_conv_1x1~1|+|none~0|skip_connect~1|skip_connect~2|"
    command = arguments(folder, tmp_path, "--train-images", "64", "-p", "epochs", "1", arch=cell, space="nasbench201")
    assert main(command) == 0
    assert "after 1 epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "keywords", "message"),
    [
        ([], {"arch": "SuperConv"}, "nbnas: "),
        ([], {"space": "zen"}, "nbnas: unknown search space 'zen'; choose from "),
        (["--recipe", "cifra"], {}, "nbnas: unknown recipe 'cifra'; choose from cifar, "),
        (["--dataset", "mnist"], {}, "nbnas: no data set 'mnist' to train on"),
        (["--dataset", "cifar100"], {}, "nbnas: no test images of cifar100: "),
        (["-p", "epoch", "3"], {}, "nbnas: unknown parameter 'epoch' of a recipe"),
        (["-p", "batch_size", "161"], {}, "nbnas: 160 training images are less than one batch of 161"),
        (
            ["-p", "squeeze_excite", "true"],
            {"space": "nasbench201"},
            "nbnas: networks of 'nasbench201' have no squeeze",
        ),
        (["--device", "cuda:99"], {}, "nbnas: no GPU number 99"),
    ],
)
def test_bad_input_is_one_line(folder, tmp_path, capsys, more, keywords, message):
    assert main(arguments(folder, tmp_path / "run", *more, **keywords)) == 1
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1


def test_importing_training_imports_no_optional_package():
    packages = {"kornia", "timm", "torchvision", "PIL"}
    code = f"import sys, nbnas.training; sys.exit(bool({packages} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
