"""Real images: batches for scores that need them, and data sets to train on.

They are read from the folder that ``$NBNAS_DATA`` names, in the layouts in which the data sets are distributed::

    cifar-10-batches-py/data_batch_1 ... 5     CIFAR-10; its test images are in test_batch
    cifar-100-python/train                     CIFAR-100; its test images are in test. Stand-in: those of CIFAR-10
    ImageNet16/train_data_batch_1 ... 10       ImageNet at 16 pixels, of which the first 120 classes are used
    tinyimagenet_val_16x16.npz                 stand-in for ImageNet16: 10,000 Tiny ImageNet images at 16 pixels
    imagenet/train/CLASS/*.JPEG                pictures to train on; the test images are in imagenet/val
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from nbnas.datasets.shapes import DATASETS
from nbnas.errors import NbnasError, first_line
from nbnas.machine.paths import user_data_folder
from nbnas.machine.plain_pickle import load_plain
from nbnas.seeding import generator_for

NORMALISATION = {
    "cifar10": ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
    "cifar100": ((129.3, 124.1, 112.4), (68.2, 65.4, 70.4)),
    "ImageNet16-120": ((122.68, 116.66, 104.01), (63.22, 61.26, 65.09)),
}
"""Mean and standard deviation of each channel, as NATS-Bench normalises pixels of 0 to 255."""
CIFAR_STATISTICS = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
"""Mean and standard deviation of the published CIFAR recipe, for both data sets."""
IMAGENET_STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CIFAR10_MD5 = "c99cafc152244af753f735de768cd75f"
"""Checksum of the distributed ``data_batch_1``."""
_TINY_IMAGENET = "tinyimagenet_val_16x16.npz"
_STAND_IN_FILES = {"ImageNet16-120": _TINY_IMAGENET, "cifar100": "cifar-10-batches-py"}
_CIFAR10_STAND_IN = "{} with random labels, a stand-in for CIFAR-100"
_STAND_IN = "Tiny ImageNet validation images at 16 pixels, a stand-in for ImageNet16-120 with other classes"
_IMAGENET = "ImageNet training images at 16 pixels, first 120 classes"
_ARCHIVES = {
    ("cifar10", "train"): ("cifar-10-batches-py", [f"data_batch_{n}" for n in range(1, 6)], "CIFAR-10 training images"),
    ("cifar10", "test"): ("cifar-10-batches-py", ["test_batch"], "CIFAR-10 test images"),
    ("cifar100", "train"): ("cifar-100-python", ["train"], "CIFAR-100 training images"),
    ("cifar100", "test"): ("cifar-100-python", ["test"], "CIFAR-100 test images"),
    ("ImageNet16-120", "train"): ("ImageNet16", [f"train_data_batch_{n}" for n in range(1, 11)], _IMAGENET),
}
"""(Data set, split) -> folder, files of pickled batches, description."""


@dataclass(frozen=True)
class Images:
    """Images of one split of a data set, in memory.

    ``pixels`` are (n, 3, R, R), unsigned bytes; ``labels`` (n,) count from 0; ``description`` is one line to show
    beside every number that rests on these images. Random crops are of the image in a frame of zeros, an eighth of its
    width: 4 pixels of 32, as in the training of NATS-Bench and in the published CIFAR recipe.
    """

    dataset: str
    description: str
    pixels: Tensor
    labels: Tensor

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

        More batches begin with fewer, so that a score does not depend on what is scored with it.
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

    The folder of data sets is by default the one that ``$NBNAS_DATA`` names.
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
        wanted += f" or {_STAND_IN_FILES[dataset]}" if dataset in _STAND_IN_FILES and not kind else ""
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
    """Read the images of a split, or else of its stand-in; None where the files of both are absent."""
    name, files, description = _ARCHIVES[dataset, split]
    path, first, stand_in = folder / name, folder / name / files[0], folder / _TINY_IMAGENET
    size, classes = DATASETS[dataset].resolution, DATASETS[dataset].num_classes
    if first.exists():
        if (dataset, split) == ("cifar10", "train") and hashlib.md5(first.read_bytes()).hexdigest() != _CIFAR10_MD5:
            description += " in files other than the distributed ones, perhaps re-encoded"
        rows, labels = zip(*(_read_batch(path / file, dataset) for file in files), strict=True)
        # The classes of ImageNet16 count from 1.
        labels = np.concatenate(labels) - (dataset == "ImageNet16-120")
        try:
            pixels = np.concatenate(rows).reshape(-1, 3, size, size)
        except ValueError as error:
            raise NbnasError(f"{path} does not hold images of {size} pixels: {error}") from error
    elif dataset == "ImageNet16-120" and stand_in.exists():
        path, description = stand_in, _STAND_IN
        try:
            with np.load(path) as archive:
                pixels, labels = archive["images"].transpose(0, 3, 1, 2), archive["labels"].astype(np.int64)
        except Exception as error:
            raise NbnasError(f"{path} cannot be read: {error}") from error
    elif (dataset, split) == ("cifar100", "train") and not path.exists():
        if (like := _read("cifar10", split, folder)) is None:
            return None
        # Before training, the output of a network has nothing to do with the class of an image.
        labels = torch.randint(classes, (len(like.labels),), generator=generator_for(0, "labels of the stand-in"))
        return Images(dataset, _CIFAR10_STAND_IN.format(like.description), like.pixels, labels)
    else:
        return None
    if pixels.shape[1:] != (3, size, size) or labels.shape != (len(pixels),):
        raise NbnasError(f"{path} holds images {pixels.shape} with labels {labels.shape}")
    kept = (labels >= 0) & (labels < classes)
    return Images(dataset, description, torch.from_numpy(pixels[kept]), torch.from_numpy(labels[kept]))


def _read_batch(path: Path, dataset: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        with path.open("rb") as file:
            # Written by Python 2, read as bytes; copies written by Python 3 have either kind of key.
            batch = load_plain(file, encoding="bytes")
        batch = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
        labels = batch["fine_labels" if dataset == "cifar100" else "labels"]
        return np.asarray(batch["data"], dtype=np.uint8), np.asarray(labels, dtype=np.int64)
    except Exception as error:
        raise NbnasError(f"{path} is not a batch of {dataset}: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class PictureFiles:
    """Picture files of any size, read when they are needed, resized by bicubic interpolation.

    Training crops are those of :func:`random_box`; a test crop is the central square of 0.875 of the shorter side.
    """

    paths: Sequence[Path]
    labels: Tensor
    resolution: int

    def subset(self, rows: Tensor) -> "PictureFiles":
        return replace(self, paths=[self.paths[row] for row in rows.tolist()], labels=self.labels[rows])

    def training_crop(self, index: int, generator: Generator) -> Tensor:
        picture = self._read(index)
        return self._resized(picture, random_box(*picture.size, generator))

    def test_crop(self, index: int) -> Tensor:
        picture = self._read(index)
        side = 0.875 * min(picture.size)
        left, top = ((length - side) / 2 for length in picture.size)
        return self._resized(picture, (left, top, left + side, top + side))

    def _read(self, index: int):
        path = self.paths[index]
        try:
            with _pillow().open(path) as picture:
                return picture.convert("RGB")
        except Exception as error:
            raise NbnasError(f"{path} is not a picture: {first_line(error)}") from error

    def _resized(self, picture, box: tuple[float, float, float, float]) -> Tensor:
        pixels = np.array(picture.resize((self.resolution,) * 2, _pillow().Resampling.BICUBIC, box=box))
        return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def _pillow():
    try:
        from PIL import Image
    except ImportError as error:
        raise NbnasError("picture files need pillow: pip install 'nbnas[train]'") from error
    return Image


@dataclass(frozen=True)
class ImageData:
    """A data set to train on.

    ``mean`` and ``deviation`` are those of each channel of pixels in [0, 1]; ``description`` is one line for the record
    of a run. A split may be any object with ``labels`` (n,) from 0, ``test_crop(index)`` and ``training_crop(index,
    generator)``. Both crops return an image (3, R, R) in [0, 1]; all that is random comes from the generator.
    """

    description: str
    num_classes: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    train: Images | PictureFiles
    test: Images | PictureFiles


def random_box(width: int, height: int, generator: Generator) -> tuple[float, float, float, float]:
    """Draw (left, top, right, bottom) of a crop: area from 8 % to all of the picture, aspect ratio from 3/4 to 4/3.

    If no drawn rectangle fits, it is the largest central box of an allowed ratio. Source: Szegedy et al., CVPR 2015.
    """
    ratios = (3 / 4, 4 / 3)
    box = random_rectangle(width * height, (width, height), (0.08, 1.0), ratios, generator)
    if box is None:
        box = min(width, height * ratios[1]), min(height, width / ratios[0]), 0.5, 0.5
    crop_width, crop_height, across, down = box
    left, top = across * (width - crop_width), down * (height - crop_height)
    return left, top, left + crop_width, top + crop_height


def random_rectangle(
    whole: int, longest: tuple[int, int], areas: tuple[float, float], ratios: tuple[float, float], generator: Generator
) -> tuple[int, int, float, float] | None:
    """Draw two sides in pixels, and two numbers in [0, 1) for the place; None if none of ten draws fits.

    Areas, as shares of ``whole``, are uniform; ratios of first to second side are uniform in their logarithm. A
    rectangle fits if neither side is longer than ``longest``.
    """
    for _ in range(10):
        area, ratio, across, down = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        area = whole * (areas[0] + area * (areas[1] - areas[0]))
        ratio = ratios[0] * (ratios[1] / ratios[0]) ** ratio
        first, second = max(1, round((area * ratio) ** 0.5)), max(1, round((area / ratio) ** 0.5))
        if first <= longest[0] and second <= longest[1]:
            return first, second, across, down
    return None


def load_data(
    dataset: str,
    resolution: int,
    folder: Path | None = None,
    train_images: int | None = None,
    test_images: int | None = None,
) -> ImageData:
    """Return ``cifar10``, ``cifar100`` or ``imagenet`` at a resolution, which for CIFAR is 32.

    The folder of data sets is by default the one that ``$NBNAS_DATA`` names. For ImageNet, any tree of pictures in the
    same layout will do; its classes are numbered in alphabetical order. Where a number of images is given, they are
    drawn once and for all.
    """
    if dataset not in ("cifar10", "cifar100", "imagenet"):
        raise NbnasError(f"no data set {dataset!r} to train on; choose from cifar10, cifar100, imagenet")
    if dataset == "imagenet":
        train, test = _list_pictures("train", "imagenet/train", folder), _list_pictures("test", "imagenet/val", folder)
        number = {name: label for label, name in enumerate(sorted({path.parent.name for path in train}))}
        if unknown := {path.parent.name for path in test} - set(number):
            raise NbnasError(f"imagenet/val has a class {min(unknown)!r} that the training images lack")
        _pillow()
        train, test = (
            PictureFiles(paths, torch.tensor([number[path.parent.name] for path in paths]), resolution)
            for paths in (train, test)
        )
        statistics, classes = IMAGENET_STATISTICS, len(number)
        description = f"pictures of {classes} classes in imagenet/train"
    else:
        train, test = (load_images(dataset, split, folder) for split in ("train", "test"))
        if resolution != DATASETS[dataset].resolution:
            raise NbnasError(f"images of {dataset} have 32 pixels, not the {resolution} of the recipe")
        description, statistics, classes = train.description, CIFAR_STATISTICS, DATASETS[dataset].num_classes
    train, test = _subset(train, train_images, "train"), _subset(test, test_images, "test")
    description += f": {len(train.labels)} to train and {len(test.labels)} to test"
    return ImageData(description, classes, *statistics, train, test)


def _subset(images: Images | PictureFiles, count: int | None, kind: str) -> Images | PictureFiles:
    if count is None:
        return images
    total = len(images.labels)
    if not 1 <= count <= total:
        raise NbnasError(f"{kind} images must be 1 to the {total} that there are, got {count}")
    return images.subset(torch.randperm(total, generator=generator_for(0, "subset", kind))[:count].sort().values)


def _list_pictures(split: str, name: str, folder: Path | None) -> list[Path]:
    """Return the picture files of a tree, sorted by class and name."""
    root = folder or user_data_folder()
    files = [path for each in sorted((root / name).glob("*/")) for path in sorted(each.iterdir())] if root else []
    # What starts with a dot is no picture: macOS puts such a shadow beside each file that it copies.
    visible = [path for path in files if not path.name.startswith(".")]
    paths = [path for path in visible if path.suffix.lower() in (".jpeg", ".jpg", ".png")]
    if not paths:
        remedy = "set NBNAS_DATA to a folder" if folder is None else f"{folder} is not a folder"
        raise NbnasError(f"no {split} images of imagenet: {remedy} with {name}/CLASS/*.JPEG")
    return paths
