"""Real images: batches for scores that need them, and both splits of CIFAR for training.

They are read from the folder that ``$NBNAS_DATA`` names, in the layouts in which the data sets are distributed::

    cifar-10-batches-py/data_batch_1 ... 5     CIFAR-10; its test images are in test_batch
    cifar-100-python/train                     CIFAR-100; its test images are in test
    ImageNet16/train_data_batch_1 ... 10       ImageNet at 16 pixels, of which the first 120 classes are used
    tinyimagenet_val_16x16.npz                 stand-in for ImageNet16: 10,000 Tiny ImageNet images at 16 pixels
"""

import hashlib
import pickle
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from nbnas.datasets.shapes import DATASETS
from nbnas.errors import NbnasError
from nbnas.machine.paths import user_data_folder
from nbnas.seeding import generator_for

NORMALISATION = {
    "cifar10": ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
    "cifar100": ((129.3, 124.1, 112.4), (68.2, 65.4, 70.4)),
    "ImageNet16-120": ((122.68, 116.66, 104.01), (63.22, 61.26, 65.09)),
}
"""Mean and standard deviation of each channel, as NATS-Bench normalises pixels of 0 to 255."""

_CIFAR10_MD5 = "c99cafc152244af753f735de768cd75f"
"""Checksum of the distributed ``data_batch_1``."""
_TINY_IMAGENET = "tinyimagenet_val_16x16.npz"

_ARCHIVES = {
    ("cifar10", "train"): ("cifar-10-batches-py", [f"data_batch_{n}" for n in range(1, 6)], "CIFAR-10 training images"),
    ("cifar10", "test"): ("cifar-10-batches-py", ["test_batch"], "CIFAR-10 test images"),
    ("cifar100", "train"): ("cifar-100-python", ["train"], "CIFAR-100 training images"),
    ("cifar100", "test"): ("cifar-100-python", ["test"], "CIFAR-100 test images"),
    ("ImageNet16-120", "train"): (
        "ImageNet16",
        [f"train_data_batch_{n}" for n in range(1, 11)],
        "ImageNet training images at 16 pixels, first 120 classes",
    ),
}
"""(Data set, split) -> folder, files of pickled batches, description."""


@dataclass(frozen=True)
class Images:
    """Images of one split of a data set, in memory.

    Random crops are of the image in a frame of zeros, an eighth of its width: 4 pixels of 32, as in the training of
    NATS-Bench and in the published CIFAR recipe.
    """

    dataset: str
    description: str
    """One line to show beside every number that rests on these images."""
    pixels: Tensor
    """(n, 3, R, R), unsigned bytes."""
    labels: Tensor
    """(n,), 0 to the number of classes minus 1."""

    def subset(self, rows: Tensor) -> "Images":
        return replace(self, pixels=self.pixels[rows], labels=self.labels[rows])

    def training_crop(self, index: int, generator: Generator) -> Tensor:
        size = self.pixels.shape[-1]
        margin = size // 8
        top, left = torch.randint(2 * margin + 1, (2,), generator=generator).tolist()
        return functional.pad(self.test_crop(index), [margin] * 4)[:, top : top + size, left : left + size]

    def test_crop(self, index: int) -> Tensor:
        return self.pixels[index].float() / 255

    def batches(self, batch_size: int, count: int, seed: int) -> list[tuple[Tensor, Tensor]]:
        """Draw batches without replacement, each image randomly flipped and cropped, channels normalised.

        More batches begin with fewer, so that a score does not depend on what is scored with it. Raises
        :class:`NbnasError` if there are not that many images.
        """
        if batch_size * count > len(self.pixels):
            present = f"the {len(self.pixels)} images of {self.description}"
            raise NbnasError(f"{count} batches of {batch_size} need more than {present}")
        generator = generator_for(seed, "images")
        chosen = torch.randperm(len(self.pixels), generator=generator)[: batch_size * count]
        size = self.pixels.shape[-1]
        margin = size // 8
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in NORMALISATION[self.dataset])
        batches = []
        for part in chosen.view(count, batch_size):
            framed = functional.pad((self.pixels[part].float() - mean) / deviation, [margin] * 4)
            flips = torch.rand(batch_size, generator=generator) < 0.5
            framed[flips] = framed[flips].flip(-1)
            tops, lefts = torch.randint(2 * margin + 1, (2, batch_size), generator=generator)
            crops = framed.unfold(2, size, 1).unfold(3, size, 1)[torch.arange(batch_size), :, tops, lefts]
            batches.append((crops.contiguous(), self.labels[part]))
        return batches


def load_images(dataset: str, split: str = "train", folder: Path | None = None) -> Images:
    """Return the images of ``cifar10``, ``cifar100`` or, for the split ``train`` alone, ``ImageNet16-120``.

    The folder of data sets is by default the one that ``$NBNAS_DATA`` names. Raises :class:`NbnasError` if there are no
    such images; the message says where they are looked for.
    """
    kind = "test " if split == "test" else ""
    if (dataset, split) not in _ARCHIVES:
        known = ", ".join(name for name, which in _ARCHIVES if which == split)
        raise NbnasError(f"no real {kind}images are known for {dataset!r}; choose from {known}")
    searched = folder or user_data_folder()
    images = _read(dataset, split, searched.absolute()) if searched else None
    if images is None:
        wanted, files, _ = _ARCHIVES[dataset, split]
        wanted += f"/{files[0]}" if kind else ""
        wanted += f" or {_TINY_IMAGENET}" if dataset == "ImageNet16-120" else ""
        remedy = f"set NBNAS_DATA to a folder with {wanted}" if folder is None else f"{folder} has no {wanted}"
        raise NbnasError(f"no {kind}images of {dataset}: {remedy}")
    return images


def describe_images(dataset: str) -> str | None:
    """Return what :func:`load_images` would load, in one line, or None where there are none."""
    try:
        return load_images(dataset).description
    except NbnasError:
        return None


@cache
def _read(dataset: str, split: str, folder: Path) -> Images | None:
    """Read a split, or else its stand-in; None where the files of both are absent."""
    name, files, description = _ARCHIVES[dataset, split]
    place, first = folder / name, folder / name / files[0]
    if not first.exists():
        stand_in = folder / _TINY_IMAGENET
        return _tiny_imagenet(stand_in) if dataset == "ImageNet16-120" and stand_in.exists() else None
    if (dataset, split) == ("cifar10", "train") and hashlib.md5(first.read_bytes()).hexdigest() != _CIFAR10_MD5:
        description += " in files other than the distributed ones, perhaps re-encoded"
    rows, labels = [], []
    for path in (place / file for file in files):
        try:
            with path.open("rb") as opened:
                # Written by Python 2, read as bytes; copies written by Python 3 have either kind of key.
                batch = _ArraysOnly(opened, encoding="bytes").load()
            batch = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
            rows.append(np.asarray(batch["data"], dtype=np.uint8))
            labels.append(np.asarray(batch["fine_labels" if dataset == "cifar100" else "labels"], dtype=np.int64))
        except Exception as error:
            raise NbnasError(f"{path} is not a batch of {dataset}: {type(error).__name__}: {error}") from error
    resolution = DATASETS[dataset].resolution
    try:
        pixels = np.concatenate(rows).reshape(-1, 3, resolution, resolution)
    except ValueError as error:
        raise NbnasError(f"{place} does not hold images of {resolution} pixels: {error}") from error
    # The classes of ImageNet16 count from 1.
    return _checked(dataset, description, pixels, np.concatenate(labels) - (dataset == "ImageNet16-120"), place)


def _tiny_imagenet(path: Path) -> Images:
    try:
        with np.load(path) as archive:
            pixels, labels = archive["images"].transpose(0, 3, 1, 2), archive["labels"]
    except Exception as error:
        raise NbnasError(f"{path} cannot be read: {error}") from error
    description = "Tiny ImageNet validation images at 16 pixels, a stand-in for ImageNet16-120 with other classes"
    return _checked("ImageNet16-120", description, pixels, labels, path)


def _checked(dataset: str, description: str, pixels: np.ndarray, labels: np.ndarray, path: Path) -> Images:
    """Keep the images of the data set's classes."""
    shape = DATASETS[dataset]
    if pixels.shape[1:] != (3, shape.resolution, shape.resolution) or labels.shape != (len(pixels),):
        raise NbnasError(f"{path} holds images {pixels.shape} with labels {labels.shape}")
    kept = (labels >= 0) & (labels < shape.num_classes)
    return Images(dataset, description, torch.from_numpy(pixels[kept]), torch.from_numpy(labels[kept].astype(np.int64)))


class _ArraysOnly(pickle.Unpickler):
    """Keeps the promise that a data file runs no code: knows dictionaries, numbers, bytes and numpy arrays alone."""

    _NAMES = frozenset({"_reconstruct", "ndarray", "dtype", "_frombuffer", "scalar"})
    # Not any module of numpy: importing numpy.f2py.__main__, say, runs a program.
    _MODULES = frozenset(
        {"numpy", *(f"numpy.{core}.{name}" for core in ("core", "_core") for name in ("multiarray", "numeric"))}
    )

    def find_class(self, module: str, name: str) -> type:
        allowed = module in self._MODULES and name in self._NAMES
        if not allowed and (module, name) != ("_codecs", "encode"):
            raise pickle.UnpicklingError(f"refuses to load {module}.{name}")
        return super().find_class(module, name)
