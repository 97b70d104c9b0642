"""Images to train on and to test with: CIFAR in memory, ImageNet as a tree of picture files.

A data set crops its images to the recipe's resolution, each in its own way. What follows is the same for all, see
:mod:`nbnas.training.augmentation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from nbnas.datasets.images import load_images
from nbnas.errors import NbnasError, first_line
from nbnas.machine.paths import user_data_file
from nbnas.seeding import generator_for

CIFAR_PADDING = 4
TEST_CROP_RATIO = 0.875
"""Side of the central crop of a test picture, as a share of its resized shorter side."""
CROP_AREAS = (0.08, 1.0)
"""Range of the area of a random crop, as a share of the picture's; Szegedy et al., CVPR 2015."""
CROP_RATIOS = (3 / 4, 4 / 3)
"""Range of width over height of a random crop."""
PICTURES = (".jpeg", ".jpg", ".png")

IMAGENET_FOLDERS = {"train": "imagenet/train", "test": "imagenet/val"}
"""Split -> folder with a folder of pictures for each class."""


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
class PixelImages:
    """Images in memory, trained on as random crops of the image in a black frame of 4 pixels.

    Args:
        pixels: (n, 3, R, R), unsigned bytes.
        labels: (n,).
    """

    pixels: Tensor
    labels: Tensor

    def training_crop(self, index: int, generator: Generator) -> Tensor:
        image = self.test_crop(index)
        resolution = image.shape[-1]
        top, left = torch.randint(2 * CIFAR_PADDING + 1, (2,), generator=generator).tolist()
        padded = functional.pad(image, [CIFAR_PADDING] * 4)
        return padded[:, top : top + resolution, left : left + resolution]

    def test_crop(self, index: int) -> Tensor:
        return self.pixels[index].float() / 255


@dataclass(frozen=True)
class PictureFiles:
    """Picture files of any size, read when they are wanted, resized by bicubic interpolation.

    Training crops have a random area and aspect ratio; a test crop is the central part of the picture.

    Args:
        paths: n files.
        labels: (n,).
        resolution: R.
    """

    paths: Sequence[Path]
    labels: Tensor
    resolution: int

    def training_crop(self, index: int, generator: Generator) -> Tensor:
        picture = self._read(index)
        return self._resized(picture, random_box(*picture.size, generator))

    def test_crop(self, index: int) -> Tensor:
        picture = self._read(index)
        side = TEST_CROP_RATIO * min(picture.size)
        left, top = ((length - side) / 2 for length in picture.size)
        return self._resized(picture, (left, top, left + side, top + side))

    def _read(self, index: int):
        from PIL import Image

        path = self.paths[index]
        try:
            with Image.open(path) as picture:
                return picture.convert("RGB")
        except Exception as error:
            raise NbnasError(f"{path} is not a picture: {first_line(error)}") from error

    def _resized(self, picture, box: tuple[float, float, float, float]) -> Tensor:
        from PIL import Image

        size = (self.resolution, self.resolution)
        pixels = np.array(picture.resize(size, Image.Resampling.BICUBIC, box=box))
        return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def random_box(width: int, height: int, generator: Generator) -> tuple[float, float, float, float]:
    """Draw (left, top, right, bottom) of a crop: area from 8 % to all of the picture, aspect ratio from 3/4 to 4/3.

    Areas are uniform, aspect ratios uniform in their logarithm. Of ten draws the first that fits is taken; if none
    does, the largest central box with an allowed aspect ratio.
    """
    for _ in range(10):
        area, ratio, across, down = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        area = width * height * (CROP_AREAS[0] + area * (CROP_AREAS[1] - CROP_AREAS[0]))
        ratio = CROP_RATIOS[0] * (CROP_RATIOS[1] / CROP_RATIOS[0]) ** ratio
        crop_width, crop_height = max(1, round((area * ratio) ** 0.5)), max(1, round((area / ratio) ** 0.5))
        if crop_width <= width and crop_height <= height:
            left, top = across * (width - crop_width), down * (height - crop_height)
            return left, top, left + crop_width, top + crop_height
    crop_width = min(width, height * CROP_RATIOS[1])
    crop_height = min(height, width / CROP_RATIOS[0])
    left, top = (width - crop_width) / 2, (height - crop_height) / 2
    return left, top, left + crop_width, top + crop_height


CIFAR_STATISTICS = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
"""Mean and standard deviation of the published CIFAR recipe, for both data sets."""
IMAGENET_STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

CIFAR_CLASSES = {"cifar10": 10, "cifar100": 100}
TRAINING_DATASETS = (*CIFAR_CLASSES, "imagenet")


def load_data(
    dataset: str,
    resolution: int,
    folder: Path | None = None,
    train_images: int | None = None,
    test_images: int | None = None,
) -> ImageData:
    """Return a data set to train on.

    The layouts, in the folder of data sets::

        cifar-10-batches-py, cifar-100-python             as distributed
        imagenet/train/CLASS/*.JPEG, imagenet/val/CLASS/*.JPEG

    Args:
        dataset: ``cifar10``, ``cifar100`` or ``imagenet``; the latter is any tree of that layout, its classes in
            alphabetical order.
        resolution: Pixels of a side; 32 for CIFAR.
        folder: Folder of data sets; by default the one that ``$NBNAS_DATA`` names.
        train_images: Train on this many images, drawn once and for all; by default on all of them.
        test_images: The same for the test images.

    Raises:
        NbnasError: If there are none, too few, or none of that resolution.
    """
    if dataset not in TRAINING_DATASETS:
        raise NbnasError(f"no data set {dataset!r} to train on; choose from {', '.join(TRAINING_DATASETS)}")
    if dataset in CIFAR_CLASSES:
        splits = [load_images(dataset, split, folder) for split in ("train", "test")]
        if resolution != splits[0].pixels.shape[-1]:
            raise NbnasError(f"images of {dataset} have 32 pixels, not the {resolution} of the recipe")
        description = splits[0].description
        classes, statistics = CIFAR_CLASSES[dataset], CIFAR_STATISTICS
    else:
        pictures = {split: _list_pictures(split, folder) for split in IMAGENET_FOLDERS}
        names = sorted(pictures["train"])
        unknown = sorted(set(pictures["test"]) - set(names))
        if unknown:
            raise NbnasError(f"{IMAGENET_FOLDERS['test']} has a class {unknown[0]!r} that the training images lack")
        _require_pillow()
        splits = [_picture_files(pictures[split], names, resolution) for split in IMAGENET_FOLDERS]
        description = f"pictures of {len(names)} classes in {IMAGENET_FOLDERS['train']}"
        classes, statistics = len(names), IMAGENET_STATISTICS
    chosen = [
        _subset(split, count, kind)
        for split, count, kind in zip(splits, (train_images, test_images), ("train", "test"), strict=True)
    ]
    counts = " and ".join(
        f"{len(split.labels)} to {kind}" for split, kind in zip(chosen, ("train", "test"), strict=True)
    )
    return ImageData(f"{description}: {counts}", classes, *statistics, *chosen)


def _subset(images, count: int | None, kind: str) -> ImageSplit:
    total = len(images.labels)
    if count is not None and not 1 <= count <= total:
        raise NbnasError(f"{kind} images must be 1 to the {total} that there are, got {count}")
    rows = torch.arange(total)
    if count is not None:
        rows = torch.randperm(total, generator=generator_for(0, "subset", kind))[:count].sort().values
    if isinstance(images, PictureFiles):
        return PictureFiles([images.paths[row] for row in rows.tolist()], images.labels[rows], images.resolution)
    return PixelImages(images.pixels[rows], images.labels[rows])


def _list_pictures(split: str, folder: Path | None) -> dict[str, list[Path]]:
    """Return class -> sorted files, for the classes that have any."""
    name = IMAGENET_FOLDERS[split]
    root = user_data_file(name) if folder is None else folder / name
    classes = sorted(entry for entry in root.iterdir() if entry.is_dir()) if root is not None and root.is_dir() else []
    files = {
        entry.name: sorted(path for path in entry.iterdir() if path.suffix.lower() in PICTURES) for entry in classes
    }
    files = {name: paths for name, paths in files.items() if paths}
    if not files:
        remedy = "set NBNAS_DATA to a folder" if folder is None else f"{folder} is not a folder"
        raise NbnasError(f"no {split} images of imagenet: {remedy} with {name}/CLASS/*.JPEG")
    return files


def _picture_files(pictures: dict[str, list[Path]], names: list[str], resolution: int) -> PictureFiles:
    paths = [path for files in pictures.values() for path in files]
    number = {name: label for label, name in enumerate(names)}
    labels = [number[name] for name, files in pictures.items() for _ in files]
    return PictureFiles(paths, torch.tensor(labels), resolution)


def _require_pillow() -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise NbnasError("picture files need pillow: pip install 'nbnas[train]'") from error
