"""Training one network by a recipe: resumable, on one machine or many."""

import dataclasses
import json
import math
import re
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pandas as pd
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from nbnas.datasets.training_images import ImageData
from nbnas.errors import NbnasError
from nbnas.machine import provenance
from nbnas.machine.replace_file import replace_file
from nbnas.networks.layers import BATCH_NORMS
from nbnas.seeding import derive_seed, generator_for, seeded_global_generators
from nbnas.spaces.super_blocks.network import BlockNetwork
from nbnas.training.augmentation import Augmentation, mix, soft_targets
from nbnas.training.batches import EpochBatches, TestImages, TrainingImages, iterate, make_loader
from nbnas.training.checkpoint import load_checkpoint, save_tensors
from nbnas.training.distillation import Distillation, Teacher
from nbnas.training.loss import Objective
from nbnas.training.optimisation import MovingAverage, learning_rate, make_optimiser
from nbnas.training.processes import Processes, joined_processes
from nbnas.training.recipe import Recipe
from nbnas.training.start_weights import TRAINING_INITIALISATIONS

CHECKPOINT, METRICS, RUN = "checkpoint.pt", "metrics.csv", "run.json"
WEIGHTS, AVERAGE, LOCK = "weights.pt", "average_weights.pt", "run.lock"

LOCK_SECONDS = 10
"""For how long a run waits for the folder: processes that prepare images outlive a killed run by some seconds."""

CHECKPOINT_STEPS = 1000
PROGRESS_STEPS = 10
"""Steps between two looks at the loss, each of which waits for the GPU."""


def train(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    output: str | Path,
    *,
    network: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    workers: int = 0,
    checkpoint_steps: int = CHECKPOINT_STEPS,
    progress: bool = True,
) -> pd.DataFrame:
    """Train a network by a recipe, or go on where an earlier call with the same arguments was stopped.

    In the processes that ``torchrun`` starts, all train one network together; process number 0 writes the folder::

        metrics.csv          a row per epoch
        checkpoint.pt        the state of the run, at the end of every epoch and within long ones
        weights.pt           state of the network at the end; with a moving average, average_weights.pt beside it
        run.json             settings, versions, device, commit, start time

    A resumed run has the metrics, to the last bit, and the weights of an uninterrupted one: all that is random belongs
    to the seed and to the place in the run. On CUDA, cuDNN is held to its deterministic algorithms for that.

    Args:
        model: Images (batch, 3, R, R) -> logits (batch, K). Its weights are drawn anew, from the seed; at the end it
            is on ``device`` and trained.
        data: Images and their statistics.
        recipe: How to train.
        output: Folder of the run; created if need be.
        network: One line that names the network in the record of the run; by default class, number of parameters and a
            checksum of its layers.
        seed: Seed of weights, order, augmentation and mixup.
        device: ``cpu`` or ``cuda``.
        workers: Processes that prepare images, for each process that trains; 0 prepares them between the steps.
        checkpoint_steps: Steps within an epoch after which a checkpoint is written.
        progress: Whether to show a progress bar.

    Returns:
        A row per epoch: ``epoch`` (from 1), ``learning_rate`` of its last step, ``train_loss``, the mean of the loss
        that is minimised, ``test_loss``, the mean cross-entropy, ``test_top1`` in percent; with a moving average also
        ``average_test_loss`` and ``average_test_top1``; ``seconds`` of training, without the tests.

    Raises:
        NbnasError: If arguments do not fit each other, an optional package is missing, the folder holds a run with
            other settings, or the loss is not finite.
    """
    for name, argument, kind in (("model", model, nn.Module), ("data", data, ImageData), ("recipe", recipe, Recipe)):
        if not isinstance(argument, kind):
            raise NbnasError(f"{name} must be an object of {kind.__name__}, got {argument!r:.80}")
    output = Path(output)
    for name, value, least in (("workers", workers, 0), ("checkpoint_steps", checkpoint_steps, 1)):
        if value < least:
            raise NbnasError(f"{name} must be at least {least}, got {value}")
    if recipe.teacher is not None and not isinstance(model, BlockNetwork):
        raise NbnasError("a teacher's features need a network of a block space; train without it: -p teacher none")
    with (
        joined_processes(device) as processes,
        _own_folder(output, processes),
        _deterministic_cudnn(processes.device),
    ):
        run = _Run(model, data, recipe, output, network, seed, workers, processes)
        run.resume()
        run.train(checkpoint_steps, progress and processes.rank == 0)
        return pd.DataFrame(run.history)


class _Run:
    """A training run: its parts, and how far it is."""

    def __init__(
        self,
        model: nn.Module,
        data: ImageData,
        recipe: Recipe,
        output: Path,
        network: str | None,
        seed: int,
        workers: int,
        processes: Processes,
    ) -> None:
        device = processes.device
        self._recipe, self._output, self._seed, self._processes = recipe, output, seed, processes
        self._num_classes = data.num_classes
        self._settings = {
            "network": network or _describe(model),
            "data": data.description,
            "seed": seed,
            "processes": processes.count,
            **dataclasses.asdict(recipe),
        }

        augmentation = Augmentation(recipe, data.mean, data.deviation)
        self._batches = EpochBatches(len(data.train.labels), recipe.batch_size, seed, processes.rank, processes.count)
        pinned = device.type == "cuda"
        self._train_loader = make_loader(
            TrainingImages(data.train, augmentation, seed), workers, pinned, batch_sampler=self._batches
        )
        self._test_loader = make_loader(
            TestImages(data.test, augmentation, processes.rank, processes.count),
            workers,
            pinned,
            batch_size=recipe.batch_size,
        )

        TRAINING_INITIALISATIONS[recipe.initialisation](model, generator_for(seed, "weights"))
        for module in model.modules():
            if isinstance(module, BATCH_NORMS):
                module.momentum = recipe.batch_norm_momentum
        self._teacher = distillation = None
        if recipe.teacher is not None:
            self._teacher = Teacher(
                recipe.teacher, recipe.teacher_resolution, data.num_classes, data.mean, data.deviation, device
            )
            distillation = Distillation(
                model, recipe.resolution, self._teacher.channels(), generator_for(seed, "projections")
            )
        self._objective = Objective(model, recipe, distillation).to(device)
        self._model = model
        self._average = None if recipe.ema_decay is None else MovingAverage(model, recipe.ema_decay)
        self._optimiser = make_optimiser(self._objective, recipe)
        self._scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "float16")

        self.history: list[dict[str, float]] = []
        self._epoch = self._batch = 0
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        """Of this epoch: sum of the loss over images, number of images."""
        self._seconds = 0.0

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one; record the start of a new run."""
        first = self._processes.rank == 0
        state = error = None
        try:
            state = load_checkpoint(self._output / CHECKPOINT, self._settings) if first else None
        except NbnasError as caught:
            error = str(caught)
        # The others would wait for a process that has stopped.
        state, error = self._processes.share((state, error))
        if error is not None:
            raise NbnasError(error)
        if state is None:
            if first:
                record = {"settings": self._settings, **provenance.collect(str(self._processes.device))}
                replace_file(self._output / RUN, lambda path: path.write_text(json.dumps(record, indent=2) + "\n"))
            return
        self._objective.load_state_dict(state["objective"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.model.load_state_dict(state["average"])
        self.history = state["history"]
        self._epoch, self._batch, self._seconds = state["epoch"], state["batch"], state["seconds"]
        self._sums.copy_(state["sums"][self._processes.rank])
        if first:
            # The run may have been killed between its checkpoint and its table.
            self._save_metrics()

    def train(self, checkpoint_steps: int, progress: bool) -> None:
        """Train to the end of the recipe."""
        steps_per_epoch = len(self._batches)
        module = self._processes.synchronise_gradients(self._objective)
        done = self._epoch * steps_per_epoch + self._batch
        total = self._recipe.epochs * steps_per_epoch
        with tqdm(total=total, initial=done, unit="step", disable=not progress) as bar:
            while self._epoch < self._recipe.epochs:
                self._train_epoch(module, checkpoint_steps, bar)
                self._finish_epoch()
        if self._processes.rank == 0:
            self._save_weights()

    def _train_epoch(self, module: nn.Module, checkpoint_steps: int, bar: tqdm) -> None:
        module.train()
        self._batches.start_at(self._epoch, self._batch)
        before, started = self._seconds, time.monotonic()
        for images, labels in iterate(self._train_loader):
            loss = self._step(module, images, labels)
            self._sums += torch.stack([loss.double() * len(images), torch.full_like(loss, len(images)).double()])
            self._batch += 1
            self._seconds = before + time.monotonic() - started
            if self._batch % checkpoint_steps == 0 and self._batch < len(self._batches):
                self._save(self._gathered_sums())
            if not bar.disable:
                bar.update()
                if self._batch % PROGRESS_STEPS == 0:
                    self._show(bar)

    def _step(self, module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        recipe, processes = self._recipe, self._processes
        step = self._epoch * len(self._batches) + self._batch
        images, labels = (tensor.to(processes.device, non_blocking=True) for tensor in (images, labels))
        targets = soft_targets(labels, self._num_classes, recipe.label_smoothing)
        if recipe.mixup:
            images, targets = mix(
                images, targets, recipe.mixup, generator_for(self._seed, "mixup", step, processes.rank)
            )
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step, len(self._batches), processes.count)
        # Dropout draws from the global generators, which a resumed run must find as they were.
        seed = derive_seed(self._seed, "step", step, processes.rank)
        with seeded_global_generators(seed, processes.device):
            with self._autocast():
                teacher = None if self._teacher is None else self._teacher(images)
                loss = module(images, targets, teacher)
            self._scaler.scale(loss).backward()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad()
        if self._average is not None:
            self._average.update(self._model)
        return loss.detach()

    def _finish_epoch(self) -> None:
        """Test, write the row of the epoch, and go on to the next."""
        sums = self._gathered_sums()
        loss, images = sums.sum(0).tolist()
        row = {
            "epoch": self._epoch + 1,
            "learning_rate": self._optimiser.param_groups[0]["lr"],
            "train_loss": loss / images,
        }
        row["test_loss"], row["test_top1"] = self._test(self._model)
        if self._average is not None:
            row["average_test_loss"], row["average_test_top1"] = self._test(self._average.model)
        row["seconds"] = self._seconds
        self.history.append(row)
        self._epoch, self._batch, self._seconds = self._epoch + 1, 0, 0.0
        self._sums.zero_()
        self._save(torch.zeros_like(sums))

    @torch.no_grad()
    def _test(self, model: nn.Module) -> tuple[float, float]:
        """Return mean cross-entropy and top-1 accuracy in percent over the test images of all processes."""
        model.eval()
        # Each process has running statistics of its own; those of the first are in the checkpoint.
        self._processes.share_buffers(model)
        device = self._processes.device
        sums = torch.zeros(3, dtype=torch.float64, device=device)
        for images, labels in iterate(self._test_loader):
            images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
            with self._autocast():
                logits = model(images)
            losses = functional.cross_entropy(logits.float(), labels, reduction="sum")
            correct = (logits.argmax(1) == labels).sum()
            sums += torch.stack([losses.double(), correct.double(), torch.full_like(losses, len(labels)).double()])
        loss, correct, images = self._processes.gather(sums).sum(0).tolist()
        return loss / images, 100 * correct / images

    def _gathered_sums(self) -> Tensor:
        """Return the sums of this epoch of all processes; all stop if one of them is not finite."""
        sums = self._processes.gather(self._sums)
        if not math.isfinite(sums.sum().item()):
            raise NbnasError(
                f"the loss is not finite in epoch {self._epoch + 1}: lower learning_rate or train in float32, "
                "in another folder"
            )
        return sums

    def _save(self, sums: Tensor) -> None:
        if self._processes.rank != 0:
            return
        state = {
            "settings": self._settings,
            "objective": self._objective.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "history": self.history,
            "epoch": self._epoch,
            "batch": self._batch,
            "seconds": self._seconds,
            "sums": sums.cpu(),
        }
        if self._average is not None:
            state["average"] = self._average.model.state_dict()
        save_tensors(self._output / CHECKPOINT, state)
        self._save_metrics()

    def _save_metrics(self) -> None:
        if self.history:
            table = pd.DataFrame(self.history)
            replace_file(self._output / METRICS, lambda path: table.to_csv(path, index=False))

    def _save_weights(self) -> None:
        pairs = [(WEIGHTS, self._model)]
        if self._average is not None:
            pairs.append((AVERAGE, self._average.model))
        for name, model in pairs:
            save_tensors(self._output / name, model.state_dict())

    def _show(self, bar: tqdm) -> None:
        loss, images = self._sums.tolist()
        last = f", test {self.history[-1]['test_top1']:.2f} %" if self.history else ""
        bar.set_postfix_str(f"epoch {self._epoch + 1}/{self._recipe.epochs}, loss {loss / images:.3f}{last}")

    def _autocast(self):
        dtype = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[self._recipe.precision]
        return torch.autocast(self._processes.device.type, dtype, enabled=dtype is not None)


def _describe(model: nn.Module) -> str:
    """Name a network so that another one of as many parameters does not go on in its folder."""
    # Functions and objects among the layers' attributes print their addresses, which change from run to run.
    layers = zlib.crc32(re.sub(" at 0x[0-9a-f]+", "", repr(model)).encode())
    return f"{type(model).__name__} of {sum(p.numel() for p in model.parameters())} parameters, layers {layers:08x}"


@contextmanager
def _own_folder(output: Path, processes: Processes) -> Iterator[None]:
    """Keep other runs out of the folder; processes may live on when the torchrun that started them is killed."""
    lock = None
    if processes.rank == 0:
        output.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout):
            lock = FileLock(output / LOCK).acquire(timeout=LOCK_SECONDS)
    if not processes.share(processes.rank != 0 or lock is not None):
        raise NbnasError(f"another process trains in {output}; wait for it, end it or choose another folder")
    with lock or nullcontext():
        yield


@contextmanager
def _deterministic_cudnn(device: torch.device) -> Iterator[None]:
    """Let cuDNN choose algorithms that give the same numbers every time."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    if device.type == "cuda":
        cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
