"""Images to train on and to test with: CIFAR in memory, ImageNet as a tree of picture files."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from nbnas.datasets.images import Images, load_images
from nbnas.datasets.shapes import DATASETS
from nbnas.errors import NbnasError, first_line
from nbnas.machine.paths import user_data_folder
from nbnas.seeding import generator_for

Range = tuple[float, float]

TEST_CROP_RATIO = 0.875
"""Side of the central crop of a test picture, as a share of its shorter side."""
CROP_AREAS: Range = (0.08, 1.0)
"""Range of the area of a random crop, as a share of the picture's; Szegedy et al., CVPR 2015."""
CROP_RATIOS: Range = (3 / 4, 4 / 3)
"""Range of width over height of a random crop."""
PICTURES = (".jpeg", ".jpg", ".png")

CIFAR_STATISTICS = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
"""Mean and standard deviation of the published CIFAR recipe, for both data sets."""
IMAGENET_STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
IMAGENET_FOLDERS = {"train": "imagenet/train", "test": "imagenet/val"}
"""Split -> folder with a folder of pictures for each class."""
TRAINING_DATASETS = ("cifar10", "cifar100", "imagenet")


class ImageSplit(Protocol):
    """Labelled images, cropped to one resolution R."""

    labels: Tensor
    """(n,), 0 to the number of classes minus 1."""

    def training_crop(self, index: int, generator: Generator) -> Tensor:
        """Return a random crop, (3, R, R) in [0, 1]; all that is random comes from ``generator``."""

    def test_crop(self, index: int) -> Tensor:
        """Return the crop to test with, (3, R, R) in [0, 1]."""


@dataclass(frozen=True)
class ImageData:
    """A data set to train on."""

    description: str
    """One line for the record of a run."""
    num_classes: int
    mean: tuple[float, float, float]
    """Mean of each channel of pixels in [0, 1]."""
    deviation: tuple[float, float, float]
    train: ImageSplit
    test: ImageSplit


@dataclass(frozen=True)
class PictureFiles:
    """Picture files of any size, read when they are needed, resized by bicubic interpolation.

    Training crops have a random area and aspect ratio; a test crop is the central part of the picture.
    """

    paths: Sequence[Path]
    labels: Tensor
    resolution: int

    def subset(self, rows: Tensor) -> "PictureFiles":
        return dataclasses.replace(self, paths=[self.paths[row] for row in rows.tolist()], labels=self.labels[rows])

    def training_crop(self, index: int, generator: Generator) -> Tensor:
        picture = self._read(index)
        return self._resized(picture, random_box(*picture.size, generator))

    def test_crop(self, index: int) -> Tensor:
        picture = self._read(index)
        side = TEST_CROP_RATIO * min(picture.size)
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


def random_box(width: int, height: int, generator: Generator) -> tuple[float, float, float, float]:
    """Draw (left, top, right, bottom) of a crop: area from 8 % to all of the picture, aspect ratio from 3/4 to 4/3.

    If no drawn rectangle fits, it is the largest central box with an allowed aspect ratio.
    """
    box = random_rectangle(width * height, (width, height), CROP_AREAS, CROP_RATIOS, generator)
    if box is None:
        box = min(width, height * CROP_RATIOS[1]), min(height, width / CROP_RATIOS[0]), 0.5, 0.5
    crop_width, crop_height, across, down = box
    left, top = across * (width - crop_width), down * (height - crop_height)
    return left, top, left + crop_width, top + crop_height


def random_rectangle(
    whole: int, longest: tuple[int, int], areas: Range, ratios: Range, generator: Generator
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
    """Return a data set to train on.

    In the folder of data sets, CIFAR lies as it is distributed, ImageNet as ``imagenet/train/CLASS/*.JPEG`` and
    ``imagenet/val/CLASS/*.JPEG``.

    Args:
        dataset: ``cifar10``, ``cifar100`` or ``imagenet``: any tree of that layout, its classes in alphabetical order.
        resolution: Pixels of a side; 32 for CIFAR.
        folder: By default the one that ``$NBNAS_DATA`` names.
        train_images: Number of images, drawn once and for all; by default all. The same for ``test_images``.

    Raises:
        NbnasError: If there are none, too few, or none of that resolution.
    """
    if dataset not in TRAINING_DATASETS:
        raise NbnasError(f"no data set {dataset!r} to train on; choose from {', '.join(TRAINING_DATASETS)}")
    if dataset == "imagenet":
        files = [_list_pictures(split, folder) for split in IMAGENET_FOLDERS]
        names, tested = ({path.parent.name for path in paths} for paths in files)
        if tested - names:
            unknown = min(tested - names)
            raise NbnasError(f"{IMAGENET_FOLDERS['test']} has a class {unknown!r} that the training images lack")
        _pillow()
        number = {name: label for label, name in enumerate(sorted(names))}
        splits = [
            PictureFiles(paths, torch.tensor([number[path.parent.name] for path in paths]), resolution)
            for paths in files
        ]
        description, classes = f"pictures of {len(names)} classes in {IMAGENET_FOLDERS['train']}", len(names)
        statistics = IMAGENET_STATISTICS
    else:
        splits = [load_images(dataset, split, folder) for split in ("train", "test")]
        if resolution != DATASETS[dataset].resolution:
            raise NbnasError(f"images of {dataset} have 32 pixels, not the {resolution} of the recipe")
        description, classes = splits[0].description, DATASETS[dataset].num_classes
        statistics = CIFAR_STATISTICS
    train, test = _subset(splits[0], train_images, "train"), _subset(splits[1], test_images, "test")
    description += f": {len(train.labels)} to train and {len(test.labels)} to test"
    return ImageData(description, classes, *statistics, train, test)


def _subset(images: Images | PictureFiles, count: int | None, kind: str) -> ImageSplit:
    if count is None:
        return images
    total = len(images.labels)
    if not 1 <= count <= total:
        raise NbnasError(f"{kind} images must be 1 to the {total} that there are, got {count}")
    return images.subset(torch.randperm(total, generator=generator_for(0, "subset", kind))[:count].sort().values)


def _list_pictures(split: str, folder: Path | None) -> list[Path]:
    """Return the picture files, sorted by class and name."""
    name = IMAGENET_FOLDERS[split]
    root = folder or user_data_folder()
    classes = sorted((root / name).glob("*/")) if root else []
    paths = [path for each in classes for path in sorted(each.iterdir()) if path.suffix.lower() in PICTURES]
    if not paths:
        remedy = "set NBNAS_DATA to a folder" if folder is None else f"{folder} is not a folder"
        raise NbnasError(f"no {split} images of imagenet: {remedy} with {name}/CLASS/*.JPEG")
    return paths
