"""Training in two processes that torchrun starts: the loss falls, and a killed run goes on with the same curve."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from nbnas.datasets.images import describe_images
from nbnas.machine.paths import project_root
from nbnas.training import build_network, change_recipe, get_recipe, load_data, train, trainer
from tests.training_data import STRUCTURE, write_cifar10

needs_gloo = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch has no gloo")
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads process ids from /proc")

CHANGES = {
    "warmup_epochs": "0.5",
    "batch_norm_momentum": "0.2",
    "auto_augment": "none",
    "mixup": "0.1",
    "random_erasing": "0.2",
    "ema_decay": "0.9",
}


def command(folder, output, changes, *more):
    options = [part for name, value in (CHANGES | changes).items() for part in ("-p", name, value)]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    trained = ["-m", "nbnas", "train", "zen_resnet", STRUCTURE, "--data", str(folder), "-o", str(output)]
    return [*launcher, *trained, "--no-progress", *options, *more]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(project_root())}


def children_of(pid):
    """Ids of the living processes that this one started, and those that they started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] not in "ZX":
            child = int(stat.parent.name)
            found += [child, *children_of(child)]
    return found


def finish(*arguments):
    result = subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    # Two processes train, one of them writes.
    assert result.stdout.count("test accuracy ") == 1
    return pd.read_csv(arguments[1] / "metrics.csv")


def kill_at_a_checkpoint(*arguments):
    """Start a run and kill -9 all of its processes at once after a checkpoint within an epoch, not the first."""
    checkpoint = arguments[1] / "checkpoint.pt"
    process = subprocess.Popen(
        command(*arguments), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    seen, deadline = set(), time.monotonic() + 200
    try:
        while len(seen) < 3:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            if checkpoint.exists():
                seen.add(checkpoint.stat().st_mtime_ns)
            time.sleep(0.005)
    finally:
        # torchrun starts its processes in sessions of their own, so they do not end with it.
        for pid in [*children_of(process.pid), process.pid]:
            os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
    state = torch.load(checkpoint, weights_only=True)
    assert (state["epoch"], state["batch"]) > (0, 0)
    assert not (arguments[1] / "weights.pt").exists(), "the run was over before it was killed"


def curve(table):
    return table.drop(columns="seconds").to_dict("list")


def check_killed_run(folder, tmp_path, changes, *more, test_images=None):
    """Train once to the end and once with a kill; return the metrics after checking that they are equal."""
    data = load_data("cifar10", 32, folder, test_images=test_images)
    if test_images is not None:
        more = (*more, "--test-images", str(test_images))
    metrics = finish(folder, tmp_path / "one", changes, *more)
    kill_at_a_checkpoint(folder, tmp_path / "two", changes, *more)
    resumed = finish(folder, tmp_path / "two", changes, *more)
    assert curve(resumed) == curve(metrics)
    for name in ("weights.pt", "average_weights.pt"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
        # Both processes test with the running statistics that are in the file, not each with its own.
        column = "test_loss" if name == "weights.pt" else "average_test_loss"
        assert metrics[column].iloc[-1] == pytest.approx(loss_of(data, tmp_path / "one" / name), rel=1e-4)
    return metrics


def loss_of(data, weights):
    """Mean cross-entropy over the test images, by torch alone."""
    network = build_network("zen_resnet", STRUCTURE, 10, get_recipe("cifar")).eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (data.mean, data.deviation))
    with torch.no_grad():
        logits = network((data.test.pixels / 255 - mean) / deviation)
    return nn.functional.cross_entropy(logits, data.test.labels).item()


@needs_gloo
@needs_proc
@pytest.mark.slow
def test_killed_run_on_made_up_images(tmp_path):
    write_cifar10(tmp_path / "data", per_file=64, test=41)
    metrics = check_killed_run(
        tmp_path / "data", tmp_path, {"epochs": "8", "batch_size": "8"}, "--checkpoint-steps", "3"
    )
    assert metrics["train_loss"].iloc[-1] < metrics["train_loss"].iloc[0] - 0.3
    assert metrics["test_top1"].iloc[-1] > 50


@needs_gloo
@needs_proc
@pytest.mark.slow
def test_killed_run_on_cifar10(data_folder, tmp_path):
    if describe_images("cifar10") is None:
        pytest.skip("NBNAS_DATA names a folder without cifar-10-batches-py")
    few = ("--train-images", "1280", "--checkpoint-steps", "7")
    metrics = check_killed_run(data_folder, tmp_path, {"epochs": "3", "batch_size": "16"}, *few, test_images=301)
    assert metrics["train_loss"].is_monotonic_decreasing
    assert metrics["test_top1"].iloc[-1] > 15


@needs_gloo
def test_two_processes_take_the_steps_of_one(tmp_path):
    """Without BatchNorm statistics of a part of the batch, P processes with batches of n are one with P n."""
    write_cifar10(tmp_path / "data", per_file=16, test=30)
    changes = {"epochs": "1", "batch_size": "20", "mixup": "0"}
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [*launcher, str(script), str(tmp_path / "data"), str(tmp_path / "two")],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=200,
    )
    two = pd.read_csv(tmp_path / "two" / "metrics.csv")
    recipe = change_recipe(get_recipe("cifar"), CHANGES | changes | {"batch_size": "40"})
    data = load_data("cifar10", 32, tmp_path / "data")
    model = plain_network()
    one = train(model, data, recipe, tmp_path / "one", network="plain", progress=False)
    assert curve(two).keys() == curve(one).keys()
    for name, values in curve(one).items():
        assert curve(two)[name] == pytest.approx(values, rel=1e-4), name
    weights = torch.load(tmp_path / "two" / "weights.pt", weights_only=True)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-4, atol=1e-6)


def plain_network():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 10),
    )


SCRIPT = """
import sys
from pathlib import Path
from nbnas.training import change_recipe, get_recipe, load_data, train, trainer
from tests.test_training_processes import CHANGES, plain_network

recipe = change_recipe(get_recipe("cifar"), CHANGES | {"epochs": "1", "batch_size": "20", "mixup": "0"})
data = load_data("cifar10", 32, Path(sys.argv[1]))
train(plain_network(), data, recipe, Path(sys.argv[2]), network="plain", progress=False)
"""


@needs_gloo
@pytest.mark.slow
def test_refusal_is_one_clear_line_of_every_process(tmp_path):
    write_cifar10(tmp_path / "data", per_file=16, test=30)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"half a file")
    result = subprocess.run(
        command(tmp_path / "data", tmp_path / "run", {"epochs": "1", "batch_size": "8"}),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode != 0
    said = [line for line in result.stderr.splitlines() if line.startswith("nbnas: ")]
    assert said
    assert all("checkpoint.pt is not a checkpoint" in line for line in said)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_stopped_run_on_a_gpu(tmp_path, monkeypatch, precision):
    write_cifar10(tmp_path / "data", per_file=64, test=41)
    data = load_data("cifar10", 32, tmp_path / "data")
    recipe = change_recipe(get_recipe("cifar"), CHANGES | {"epochs": "6", "batch_size": "16", "precision": precision})

    def run(output):
        model = build_network("zen_resnet", STRUCTURE, 10, recipe)
        return train(model, data, recipe, output, device="cuda", workers=2, checkpoint_steps=3, progress=False)

    metrics = run(tmp_path / "one")
    assert metrics["train_loss"].iloc[-1] < metrics["train_loss"].iloc[0] - 0.3
    original, steps = trainer._Run._step, []

    def step_or_stop(self, *arguments):
        if len(steps) == 50:
            raise KeyboardInterrupt
        steps.append(None)
        return original(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(trainer._Run, "_step", step_or_stop)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "two")
    assert curve(run(tmp_path / "two")) == curve(metrics)
    recipe = dataclasses.replace(recipe, precision="float32")
    on_cpu = train(build_network("zen_resnet", STRUCTURE, 10, recipe), data, recipe, tmp_path / "cpu", progress=False)
    # CPU and GPU see the same weights and images, so they begin alike.
    assert on_cpu["train_loss"].iloc[0] == pytest.approx(metrics["train_loss"].iloc[0], rel=0.05)
