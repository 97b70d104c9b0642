"""Real images: batches for scores that want them, and both splits of CIFAR for training.

Read from the folder that ``$NBNAS_DATA`` names, in the layouts in which the data sets are distributed::

    cifar-10-batches-py/data_batch_1 ... 5     CIFAR-10; its test images are in test_batch
    cifar-100-python/train                     CIFAR-100; its test images are in test
    ImageNet16/train_data_batch_1 ... 10       ImageNet at 16 pixels, of which the first 120 classes are used
    tinyimagenet_val_16x16.npz                 stand-in for the former: 10,000 Tiny ImageNet images at 16 pixels
"""

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
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


@dataclass(frozen=True)
class Images:
    """Images of one split of a data set."""

    dataset: str
    description: str
    """One line to print beside every number that rests on these images."""
    pixels: Tensor
    """(n, 3, R, R), unsigned bytes."""
    labels: Tensor
    """(n,), 0 to the number of classes minus 1."""

    def batches(self, batch_size: int, count: int, seed: int) -> list[tuple[Tensor, Tensor]]:
        """Draw batches without replacement, each image randomly flipped and cropped, channels normalised.

        More batches begin with fewer, so that a score does not depend on what is scored with it.

        Crops are of the image padded by an eighth of its width (4 pixels of 32), as in the training of NATS-Bench.

        Args:
            batch_size: Images in a batch.
            count: Number of batches.
            seed: Seed of choice, flips and crops.

        Raises:
            NbnasError: If there are not that many images.
        """
        if batch_size * count > len(self.pixels):
            raise NbnasError(
                f"{count} batches of {batch_size} need more than the {len(self.pixels)} images of {self.description}"
            )
        generator = generator_for(seed, "images")
        chosen = torch.randperm(len(self.pixels), generator=generator)[: batch_size * count]
        resolution = self.pixels.shape[-1]
        margin = resolution // 8
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in NORMALISATION[self.dataset])
        batches = []
        for part in chosen.view(count, batch_size):
            pictures = (self.pixels[part].float() - mean) / deviation
            pictures = functional.pad(pictures, [margin] * 4, value=0.0)
            flips = torch.rand(batch_size, generator=generator) < 0.5
            pictures[flips] = pictures[flips].flip(-1)
            tops, lefts = torch.randint(2 * margin + 1, (2, batch_size), generator=generator).tolist()
            pictures = torch.stack(
                [
                    picture[:, top : top + resolution, left : left + resolution]
                    for picture, top, left in zip(pictures, tops, lefts, strict=True)
                ]
            )
            batches.append((pictures, self.labels[part]))
        return batches


def load_images(dataset: str, split: Literal["train", "test"] = "train", folder: Path | None = None) -> Images:
    """Return the images of a split of a data set.

    Args:
        dataset: ``cifar10``, ``cifar100`` or, for ``train`` alone, ``ImageNet16-120``.
        split: ``train`` or ``test``.
        folder: Folder of data sets; by default the one that ``$NBNAS_DATA`` names.

    Raises:
        NbnasError: If there are none; the message says where they are looked for.
    """
    loaders = {"train": LOADERS, "test": TEST_LOADERS}[split]
    kind = {"train": "", "test": "test "}[split]
    if dataset not in loaders:
        raise NbnasError(f"no real {kind}images are known for {dataset!r}; choose from {', '.join(loaders)}")
    searched = folder or user_data_folder()
    if searched:
        for load in loaders[dataset]:
            images = load(searched.absolute())
            if images is not None:
                return images
    wanted = _WANTED[dataset] + (f"/{TEST_FILES[dataset]}" if split == "test" else "")
    remedy = f"set NBNAS_DATA to a folder with {wanted}" if folder is None else f"{folder} has no {wanted}"
    raise NbnasError(f"no {kind}images of {dataset}: {remedy}")


def describe_images(dataset: str) -> str | None:
    """Return what :func:`load_images` would load, in one line, or None where there are none."""
    try:
        return load_images(dataset).description
    except NbnasError:
        return None


@cache
def _cifar10(folder: Path) -> Images | None:
    files = [folder / "cifar-10-batches-py" / f"data_batch_{number}" for number in range(1, 6)]
    description = "CIFAR-10 training images"
    if files[0].exists() and hashlib.md5(files[0].read_bytes()).hexdigest() != _CIFAR10_MD5:
        description += " in files other than the distributed ones, perhaps re-encoded"
    return _from_batches(files, "cifar10", "labels", description)


@cache
def _cifar100(folder: Path) -> Images | None:
    return _from_batches(
        [folder / "cifar-100-python" / "train"], "cifar100", "fine_labels", "CIFAR-100 training images"
    )


@cache
def _cifar10_test(folder: Path) -> Images | None:
    return _from_batches(
        [folder / "cifar-10-batches-py" / TEST_FILES["cifar10"]], "cifar10", "labels", "CIFAR-10 test images"
    )


@cache
def _cifar100_test(folder: Path) -> Images | None:
    return _from_batches(
        [folder / "cifar-100-python" / TEST_FILES["cifar100"]], "cifar100", "fine_labels", "CIFAR-100 test images"
    )


@cache
def _imagenet16(folder: Path) -> Images | None:
    files = [folder / "ImageNet16" / f"train_data_batch_{number}" for number in range(1, 11)]
    description = "ImageNet training images at 16 pixels, first 120 classes"
    return _from_batches(files, "ImageNet16-120", "labels", description, first_label=1)


@cache
def _tiny_imagenet(folder: Path) -> Images | None:
    path = folder / "tinyimagenet_val_16x16.npz"
    if not path.exists():
        return None
    try:
        with np.load(path) as archive:
            pixels, labels = archive["images"].transpose(0, 3, 1, 2), archive["labels"]
    except Exception as error:
        raise NbnasError(f"{path} cannot be read: {error}") from error
    description = "Tiny ImageNet validation images at 16 pixels, a stand-in for ImageNet16-120 with other classes"
    return _checked("ImageNet16-120", description, pixels, labels, path)


LOADERS: dict[str, tuple[Callable[[Path], Images | None], ...]] = {
    "cifar10": (_cifar10,),
    "cifar100": (_cifar100,),
    "ImageNet16-120": (_imagenet16, _tiny_imagenet),
}
"""Data set -> loaders in order of preference; a loader returns None where its files are absent."""

TEST_FILES = {"cifar10": "test_batch", "cifar100": "test"}
"""Data set -> file of its test images, in the folder of the training images."""

TEST_LOADERS: dict[str, tuple[Callable[[Path], Images | None], ...]] = {
    "cifar10": (_cifar10_test,),
    "cifar100": (_cifar100_test,),
}

_WANTED = {
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "ImageNet16-120": "ImageNet16 or tinyimagenet_val_16x16.npz",
}


_CIFAR10_MD5 = "c99cafc152244af753f735de768cd75f"
"""Of the distributed ``data_batch_1``."""


class _ArraysOnly(pickle.Unpickler):
    """Knows dictionaries, numbers, bytes and numpy arrays, and refuses all else."""

    _ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "_frombuffer", "scalar"})
    # Not any module of numpy: importing numpy.f2py.__main__, say, runs a program.
    _MODULES = frozenset(
        {"numpy", *(f"numpy.{core}.{name}" for core in ("core", "_core") for name in ("multiarray", "numeric"))}
    )

    def find_class(self, module: str, name: str) -> type:
        if name == "encode" and module == "_codecs":
            return super().find_class(module, name)
        if module not in self._MODULES or name not in self._ALLOWED:
            raise pickle.UnpicklingError(f"refuses to load {module}.{name}")
        return super().find_class(module, name)


def _from_batches(
    files: list[Path], dataset: str, label_key: str, description: str, first_label: int = 0
) -> Images | None:
    """Read pickled batches: dictionaries with rows of 3 R R pixels, and labels."""
    if not files[0].exists():
        return None
    pixels, labels = [], []
    for path in files:
        try:
            with path.open("rb") as file:
                # Written by Python 2, read as bytes; copies written by Python 3 have either kind of key.
                batch = _ArraysOnly(file, encoding="bytes").load()
            batch = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
            pixels.append(np.asarray(batch["data"], dtype=np.uint8))
            labels.append(np.asarray(batch[label_key]) - first_label)
        except Exception as error:
            raise NbnasError(f"{path} is not a batch of {dataset}: {type(error).__name__}: {error}") from error
    resolution = DATASETS[dataset].resolution
    try:
        stacked = np.concatenate(pixels).reshape(-1, 3, resolution, resolution)
    except ValueError as error:
        raise NbnasError(f"{files[0].parent} does not hold images of {resolution} pixels: {error}") from error
    return _checked(dataset, description, stacked, np.concatenate(labels), files[0].parent)


def _checked(dataset: str, description: str, pixels: np.ndarray, labels: np.ndarray, path: Path) -> Images:
    """Keep the images of the data set's classes."""
    shape = DATASETS[dataset]
    if pixels.shape[1:] != (3, shape.resolution, shape.resolution) or labels.shape != (len(pixels),):
        raise NbnasError(f"{path} holds images {pixels.shape} with labels {labels.shape}")
    kept = (labels >= 0) & (labels < shape.num_classes)
    return Images(dataset, description, torch.from_numpy(pixels[kept]), torch.from_numpy(labels[kept].astype(np.int64)))
