"""Training one network by a recipe: resumable, on one machine or many."""

import dataclasses
import math
import re
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm import tqdm

from nbnas.datasets.images import ImageData
from nbnas.errors import NbnasError
from nbnas.networks.layers import BATCH_NORMS, WEIGHT_LAYERS
from nbnas.seeding import derive_seed, generator_for, seeded_global_generators
from nbnas.spaces.super_blocks.network import BlockNetwork
from nbnas.training.batches import Augmentation, EpochBatches, TestImages, TrainingImages, iterate, mix, soft_targets
from nbnas.training.loss import Distillation, Objective, Teacher
from nbnas.training.processes import joined_processes
from nbnas.training.recipe import TRAINING_INITIALISATIONS, Recipe
from nbnas.training.run_folder import RunFolder


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
    checkpoint_steps: int = 1000,
    progress: bool = True,
) -> pd.DataFrame:
    """Train a network by a recipe, or go on where an earlier call with the same arguments was stopped.

    In the processes that ``torchrun`` starts, all train one network together; process number 0 writes ``output``::

        metrics.csv          a row per epoch
        checkpoint.pt        the state of the run, at the end of every epoch and every checkpoint_steps steps within
        weights.pt           state of the network at the end; with a moving average, average_weights.pt beside it
        run.json             settings, versions, device, commit, start time

    A resumed run has the metrics, to the last bit, and the weights of an uninterrupted one: all that is random belongs
    to the seed and to the place in the run. On CUDA, cuDNN is held to its deterministic algorithms for that.

    The model maps images (batch, 3, R, R) to logits (batch, K). Its weights are drawn anew, from the seed; at the end
    it is on ``device``, ``cpu`` or ``cuda``, and trained. ``network`` is one line that names it in the record of the
    run; by default class, number of parameters and a checksum of its layers. ``workers`` processes prepare images for
    each process that trains; 0 prepares them between the steps.

    Returns a row per epoch: ``epoch`` (from 1), ``learning_rate`` of its last step, ``train_loss`` (mean of the loss
    that is minimised), ``test_loss`` (mean cross-entropy), ``test_top1`` in percent; with a moving average also
    ``average_test_loss`` and ``average_test_top1``; ``seconds`` of training, without the tests. What cannot be trained,
    a folder of a run with other settings, and a loss that is not finite raise :class:`NbnasError`.
    """
    for name, argument, kind in (("model", model, nn.Module), ("data", data, ImageData), ("recipe", recipe, Recipe)):
        if not isinstance(argument, kind):
            raise NbnasError(f"{name} must be an object of {kind.__name__}, got {argument!r:.80}")
    for name, value, least in (("workers", workers, 0), ("checkpoint_steps", checkpoint_steps, 1)):
        if value < least:
            raise NbnasError(f"{name} must be at least {least}, got {value}")
    if recipe.teacher is not None and not isinstance(model, BlockNetwork):
        raise NbnasError("a teacher's features need a network of a block space; train without it: -p teacher none")
    with joined_processes(device) as processes, _deterministic_cudnn():
        settings = {"network": network or _describe(model), "data": data.description, "seed": seed}
        settings |= {"processes": processes.count, **dataclasses.asdict(recipe)}
        folder = RunFolder(Path(output), settings, processes)
        with folder.locked():
            run = _Run(model, data, recipe, folder, seed, workers)
            run.resume()
            run.train(checkpoint_steps, progress and processes.rank == 0)
            return pd.DataFrame(run.history)


class _Run:
    """A training run: its parts, and how far it is."""

    def __init__(
        self, model: nn.Module, data: ImageData, recipe: Recipe, folder: RunFolder, seed: int, workers: int
    ) -> None:
        self._model, self._recipe, self._folder, self._seed = model, recipe, folder, seed
        self._processes, self._num_classes = folder.processes, data.num_classes
        self._rank, count, self._device = folder.processes

        augmentation = Augmentation(recipe, data.mean, data.deviation)
        self._batches = EpochBatches(len(data.train.labels), recipe.batch_size, seed, self._rank, count)
        # With a generator of their own, loaders leave the global ones alone.
        options = {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": self._device.type == "cuda"}
        load = partial(DataLoader, **options, generator=torch.Generator())
        self._train_loader = load(TrainingImages(data.train, augmentation, seed), batch_sampler=self._batches)
        self._test_loader = load(TestImages(data.test, augmentation, self._rank, count), batch_size=recipe.batch_size)

        TRAINING_INITIALISATIONS[recipe.initialisation](model, generator_for(seed, "weights"))
        for module in model.modules():
            if isinstance(module, BATCH_NORMS):
                module.momentum = recipe.batch_norm_momentum
        distillation = None
        if recipe.teacher is not None:
            teacher, generator = Teacher(recipe, data, self._device), generator_for(seed, "projections")
            distillation = Distillation(model, recipe.resolution, teacher, generator)
        self._objective = Objective(model, recipe, distillation).to(self._device)
        self._optimiser = make_optimiser(self._objective, recipe)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=recipe.precision == "float16")
        dtype = getattr(torch, recipe.precision)
        self._autocast = partial(torch.autocast, self._device.type, dtype, enabled=dtype != torch.float32)
        # What goes into a checkpoint with its state, and prefix of what is written of a network -> the network.
        self._parts = {"objective": self._objective, "optimiser": self._optimiser, "scaler": self._scaler}
        self._networks = {"": model}
        self._average = None
        if recipe.ema_decay is not None:
            self._average = moving_average(model, recipe.ema_decay)
            self._parts["average"] = self._networks["average_"] = self._average.module

        self.history: list[dict[str, float]] = []
        self._epoch, self._batch, self._seconds = 0, 0, 0.0
        self._sums = torch.zeros(2, dtype=torch.float64, device=self._device)
        """Of this epoch: sum of the loss over images, number of images."""

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one."""
        state = self._folder.load()
        if state is None:
            return
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.history = state["history"]
        self._epoch, self._batch, self._seconds = state["epoch"], state["batch"], state["seconds"]
        self._sums.copy_(state["sums"][self._rank])
        # The run may have been killed between its checkpoint and its table.
        self._folder.save_metrics(self.history)

    def _save(self) -> None:
        state = {"settings": self._folder.settings, **{name: part.state_dict() for name, part in self._parts.items()}}
        state |= {"epoch": self._epoch, "batch": self._batch, "seconds": self._seconds, "history": self.history}
        self._folder.save("checkpoint.pt", {**state, "sums": self._gathered_sums().cpu()})
        self._folder.save_metrics(self.history)

    def train(self, checkpoint_steps: int, progress: bool) -> None:
        """Train to the end of the recipe."""
        module = self._processes.synchronise_gradients(self._objective)
        done, total = self._epoch * len(self._batches) + self._batch, self._recipe.epochs * len(self._batches)
        with tqdm(total=total, initial=done, unit="step", disable=not progress) as bar:
            while self._epoch < self._recipe.epochs:
                self._train_epoch(module, checkpoint_steps, bar)
                self._finish_epoch()
        for prefix, network in self._networks.items():
            self._folder.save(f"{prefix}weights.pt", network.state_dict())

    def _train_epoch(self, module: nn.Module, checkpoint_steps: int, bar: tqdm) -> None:
        module.train()
        self._batches.epoch, self._batches.first = self._epoch, self._batch
        started = time.monotonic() - self._seconds
        for images, labels in iterate(self._train_loader, self._device):
            loss = self._step(module, images, labels)
            self._sums += torch.stack([loss.double() * len(images), torch.full_like(loss, len(images)).double()])
            self._batch += 1
            self._seconds = time.monotonic() - started
            if self._batch % checkpoint_steps == 0 and self._batch < len(self._batches):
                self._save()
            bar.update()
            # Each look at the loss waits for the GPU.
            if self._batch % 10 == 0 and not bar.disable:
                loss, images = self._sums.tolist()
                last = f", test {self.history[-1]['test_top1']:.2f} %" if self.history else ""
                bar.set_postfix_str(f"epoch {self._epoch + 1}/{self._recipe.epochs}, loss {loss / images:.3f}{last}")

    def _step(self, module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        recipe, step = self._recipe, self._epoch * len(self._batches) + self._batch
        targets = soft_targets(labels, self._num_classes, recipe.label_smoothing)
        if recipe.mixup:
            images, targets = mix(images, targets, recipe.mixup, generator_for(self._seed, "mixup", step, self._rank))
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step, len(self._batches), self._processes.count)
        # Dropout draws from the global generators, which a resumed run must find as they were.
        with seeded_global_generators(derive_seed(self._seed, "step", step, self._rank), self._device):
            with self._autocast():
                loss = module(images, targets)
            self._scaler.scale(loss).backward()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad()
        if self._average is not None:
            self._average.update_parameters(self._model)
        return loss.detach()

    def _finish_epoch(self) -> None:
        """Test, write the row of the epoch, and go on to the next."""
        loss, images = self._gathered_sums().sum(0).tolist()
        rate = self._optimiser.param_groups[0]["lr"]
        row = {"epoch": self._epoch + 1, "learning_rate": rate, "train_loss": loss / images}
        for prefix, network in self._networks.items():
            row[f"{prefix}test_loss"], row[f"{prefix}test_top1"] = self._test(network)
        self.history.append({**row, "seconds": self._seconds})
        self._epoch, self._batch, self._seconds = self._epoch + 1, 0, 0.0
        self._sums.zero_()
        self._save()

    @torch.no_grad()
    def _test(self, network: nn.Module) -> tuple[float, float]:
        """Return mean cross-entropy and top-1 accuracy in percent over the test images of all processes."""
        network.eval()
        # Each process has running statistics of its own; those of the first are in the checkpoint.
        self._processes.share_buffers(network)
        sums = torch.zeros(3, dtype=torch.float64, device=self._device)
        for images, labels in iterate(self._test_loader, self._device):
            with self._autocast():
                logits = network(images)
            losses = functional.cross_entropy(logits.float(), labels, reduction="sum")
            correct = (logits.argmax(1) == labels).sum()
            sums += torch.stack([losses.double(), correct.double(), torch.full_like(losses, len(labels)).double()])
        loss, correct, images = self._processes.gather(sums).sum(0).tolist()
        return loss / images, 100 * correct / images

    def _gathered_sums(self) -> Tensor:
        """Return the sums of this epoch of all processes; all stop if one of them is not finite."""
        sums = self._processes.gather(self._sums)
        if not math.isfinite(sums.sum().item()):
            remedy = "lower learning_rate or train in float32, in another folder"
            raise NbnasError(f"the loss is not finite in epoch {self._epoch + 1}: {remedy}")
        return sums


def make_optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """Return SGD with Nesterov momentum that decays the weights of convolutions and linear layers alone.

    Its learning rate is 0 until it is set to :func:`learning_rate`.
    """
    weights = {layer.weight for layer in module.modules() if isinstance(layer, WEIGHT_LAYERS)}
    decayed = [parameter for parameter in module.parameters() if parameter in weights]
    others = [parameter for parameter in module.parameters() if parameter not in weights]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=0.0, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int, processes: int = 1) -> float:
    """Return the learning rate of a step, counted from 0, in closed form: a resumed run has it to the last bit.

    With T steps in all, W of them warm-up, and the peak p = learning_rate * processes * batch_size / 256::

        p (step + 1) / W                                   step < W
        p (1 + cos(pi (step - W) / (T - W))) / 2           otherwise

    torch's schedulers compute it from the rate before, and cannot end a warm-up within a step.
    """
    peak = recipe.learning_rate * processes * recipe.batch_size / 256
    total, warmup = recipe.epochs * steps_per_epoch, recipe.warmup_epochs * steps_per_epoch
    if step < warmup:
        return peak * min(1.0, (step + 1) / warmup)
    return peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Return a copy, in ``module``, whose floating-point parameters and buffers a follow those of the network w.

    ``update_parameters`` sets a <- decay a + (1 - decay) w, from a = w at the start, and copies counters.
    """

    def follow(averages: list[Tensor], currents: list[Tensor], updates: Tensor) -> None:
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, currents, 1 - decay)
        else:
            torch._foreach_copy_(averages, currents)

    average = AveragedModel(model, multi_avg_fn=follow, use_buffers=True).requires_grad_(False).eval()
    # The first update would otherwise copy w.
    average.n_averaged += 1
    return average


def _describe(model: nn.Module) -> str:
    """Name a network so that another one of as many parameters does not go on in its folder."""
    # Functions and objects among the layers' attributes print their addresses, which change from run to run.
    layers = zlib.crc32(re.sub(" at 0x[0-9a-f]+", "", repr(model)).encode())
    return f"{type(model).__name__} of {sum(p.numel() for p in model.parameters())} parameters, layers {layers:08x}"


@contextmanager
def _deterministic_cudnn() -> Iterator[None]:
    """Let cuDNN choose algorithms that give the same numbers every time; its own ``flags`` would reset TF32 too."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
