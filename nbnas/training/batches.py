"""Batches of augmented images in an order that follows from the seed alone."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset

from nbnas.datasets.training_images import ImageSplit
from nbnas.errors import NbnasError
from nbnas.seeding import generator_for
from nbnas.training.augmentation import Augmentation


class EpochBatches(BatchSampler):
    """Batches of (epoch, image) of process number ``rank`` of P.

    Each epoch shuffles all images, cuts them into batches of P * batch_size without the last incomplete one, and gives
    each process its part of every batch. Raises :class:`NbnasError` if there are fewer images than one batch takes.
    """

    def __init__(self, images: int, batch_size: int, seed: int, rank: int = 0, processes: int = 1) -> None:
        self._images, self._batch_size, self._seed = images, batch_size, seed
        self._rank, self._processes = rank, processes
        self._epoch = self._first = 0
        if not len(self):
            wanted = f"{batch_size}" if processes == 1 else f"{processes} x {batch_size}"
            raise NbnasError(f"{images} training images are less than one batch of {wanted}")

    def __len__(self) -> int:
        return self._images // (self._batch_size * self._processes)

    def start_at(self, epoch: int, batch: int) -> None:
        """Begin the next iteration with this batch of this epoch."""
        self._epoch, self._first = epoch, batch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = torch.randperm(self._images, generator=generator_for(self._seed, "order", self._epoch)).tolist()
        for batch in range(self._first, len(self)):
            start = (batch * self._processes + self._rank) * self._batch_size
            yield [(self._epoch, image) for image in order[start : start + self._batch_size]]


class TrainingImages(Dataset):
    """Augmented images and labels by (epoch, image)."""

    def __init__(self, split: ImageSplit, augmentation: Augmentation, seed: int) -> None:
        self._split, self._augmentation, self._seed = split, augmentation, seed

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, image = key
        generator = generator_for(self._seed, "augmentation", epoch, image)
        return self._augmentation(self._split.training_crop(image, generator), generator), self._split.labels[image]


class TestImages(Dataset):
    """Normalised test images and labels; of P processes, number r has images r, r + P, and so on."""

    __test__ = False

    def __init__(self, split: ImageSplit, augmentation: Augmentation, rank: int = 0, processes: int = 1) -> None:
        self._split, self._augmentation = split, augmentation
        self._rows = range(rank, len(split.labels), processes)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        row = self._rows[position]
        return self._augmentation.normalise(self._split.test_crop(row)), self._split.labels[row]


def iterate(loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of a loader; what is wrong with an image stays one line, whichever process found it."""
    try:
        yield from loader
    except NbnasError as error:
        message = str(error).strip().splitlines()[-1]
        raise NbnasError(message.rpartition("NbnasError: ")[2]) from None
