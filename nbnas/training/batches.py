"""Batches of training images: their order, what happens to each image after its crop, and what mixes a batch.

Ours but for AutoAugment: kornia draws from the global generator, and here every image of an epoch and every batch has a
generator of its own. A resumed run therefore sees what an uninterrupted one does, whatever the number of processes.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional
from torch.utils.data import BatchSampler, DataLoader, Dataset

from nbnas.datasets.images import Images, PictureFiles, random_rectangle
from nbnas.errors import NbnasError
from nbnas.seeding import generator_for, seeded_global_generators
from nbnas.training.recipe import Recipe

COLOUR_VARIANCES = (0.2175, 0.0188, 0.0045)
"""Eigenvalues of the covariance of ImageNet's colours in [0, 1]; Krizhevsky et al., NeurIPS 2012."""
COLOUR_COMPONENTS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
"""Eigenvectors, one per column; the rows are the channels."""


class EpochBatches(BatchSampler):
    """Batches of (epoch, image) of process number ``rank`` of P, of one epoch from its batch number ``first``.

    Each epoch shuffles all images, cuts them into batches of P * batch_size without the last incomplete one, and gives
    each process its part of every batch. Raises :class:`NbnasError` if there are fewer images than one batch takes.
    """

    def __init__(self, images: int, batch_size: int, seed: int, rank: int = 0, processes: int = 1) -> None:
        self._images, self._batch_size, self._seed = images, batch_size, seed
        self._rank, self._processes = rank, processes
        self.epoch = self.first = 0
        if not len(self):
            wanted = f"{batch_size}" if processes == 1 else f"{processes} x {batch_size}"
            raise NbnasError(f"{images} training images are less than one batch of {wanted}")

    def __len__(self) -> int:
        return self._images // (self._batch_size * self._processes)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = torch.randperm(self._images, generator=generator_for(self._seed, "order", self.epoch)).tolist()
        for batch in range(self.first, len(self)):
            start = (batch * self._processes + self._rank) * self._batch_size
            yield [(self.epoch, image) for image in order[start : start + self._batch_size]]


class Augmentation:
    """Flip, AutoAugment, lighting noise, normalisation and random erasing of one cropped image (3, R, R) in [0, 1].

    A policy of AutoAugment (Cubuk et al., CVPR 2019) draws one sub-policy per image, and needs kornia.
    """

    def __init__(self, recipe: Recipe, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        self._recipe, self._auto_augment = recipe, None
        self._mean, self._deviation = (torch.tensor(values).view(3, 1, 1) for values in (mean, deviation))
        if recipe.auto_augment is not None:
            try:
                from kornia.augmentation.auto import AutoAugment
            except ImportError as error:
                remedy = "pip install 'nbnas[train]', or train without it: -p auto_augment none"
                raise NbnasError(f"AutoAugment needs kornia: {remedy}") from error
            self._auto_augment = AutoAugment(recipe.auto_augment)

    def __call__(self, image: Tensor, generator: Generator) -> Tensor:
        """Return the augmented image, normalised; all that is random comes from the CPU generator."""
        if torch.rand((), generator=generator) < 0.5:
            image = image.flip(-1)
        if self._auto_augment is not None:
            seed = int(torch.randint(2**62, (), generator=generator))
            with seeded_global_generators(seed, torch.device("cpu")):
                image = self._auto_augment(image[None])[0]
        if self._recipe.lighting:
            image = image + lighting_noise(self._recipe.lighting, generator)
        image = self.normalise(image)
        if torch.rand((), generator=generator) < self._recipe.random_erasing:
            image = erase_rectangle(image, generator)
        return image

    def normalise(self, image: Tensor) -> Tensor:
        """Subtract the mean of each channel and divide by its deviation; all that is done to a test image."""
        return (image - self._mean) / self._deviation


def lighting_noise(deviation: float, generator: Generator) -> Tensor:
    """Draw a colour (3, 1, 1) to add to pixels in [0, 1]: the sum of N(0, deviation^2) * eigenvalue * eigenvector."""
    strengths = deviation * torch.randn(3, generator=generator) * torch.tensor(COLOUR_VARIANCES)
    return (torch.tensor(COLOUR_COMPONENTS) @ strengths).view(3, 1, 1)


def erase_rectangle(image: Tensor, generator: Generator) -> Tensor:
    """Set a random rectangle of a normalised image (3, R, R) to 0, the mean colour.

    The area is uniform in 2 % to 33 % of the image's, height over width log-uniform in 0.3 to 3.3. If none of ten
    draws fits, the image stays whole. Source: Zhong et al., AAAI 2020.
    """
    height, width = image.shape[1:]
    drawn = random_rectangle(height * width, (height - 1, width - 1), (0.02, 0.33), (0.3, 3.3), generator)
    if drawn is None:
        return image
    rows, columns, across, down = drawn
    top, left = int(down * (height - rows + 1)), int(across * (width - columns + 1))
    image = image.clone()
    image[:, top : top + rows, left : left + columns] = 0
    return image


def soft_targets(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """Return the target probabilities (1 - s) onehot + s / K of labels (n,), as (n, K)."""
    return (1 - smoothing) * functional.one_hot(labels, num_classes).float() + smoothing / num_classes


def mix(images: Tensor, targets: Tensor, alpha: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return l x + (1 - l) x' for images and targets (n, K) alike, x' a permutation of the batch.

    The share l is drawn from Beta(alpha, alpha). Source: Zhang et al., ICLR 2018 (mixup).
    """
    # torch draws from Beta with its global generator alone.
    share = np.random.default_rng(int(torch.randint(2**62, (), generator=generator))).beta(alpha, alpha)
    order = torch.randperm(len(images), generator=generator).to(images.device)
    return torch.lerp(images[order], images, share), torch.lerp(targets[order], targets, share)


class TrainingImages(Dataset):
    """Augmented images and labels by (epoch, image)."""

    def __init__(self, split: Images | PictureFiles, augmentation: Augmentation, seed: int) -> None:
        self._split, self._augmentation, self._seed = split, augmentation, seed

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, image = key
        generator = generator_for(self._seed, "augmentation", epoch, image)
        return self._augmentation(self._split.training_crop(image, generator), generator), self._split.labels[image]


class TestImages(Dataset):
    """Normalised test images and labels; of P processes, number r has images r, r + P, and so on."""

    __test__ = False

    def __init__(self, split: Images | PictureFiles, augmentation: Augmentation, rank: int, processes: int) -> None:
        self._split, self._augmentation = split, augmentation
        self._rows = range(rank, len(split.labels), processes)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        row = self._rows[position]
        return self._augmentation.normalise(self._split.test_crop(row)), self._split.labels[row]


def iterate(loader: DataLoader, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of a loader; what is wrong with an image stays one line, whichever process found it."""
    try:
        for images, labels in loader:
            yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
    except NbnasError as error:
        message = str(error).strip().splitlines()[-1]
        raise NbnasError(message.rpartition("NbnasError: ")[2]) from None
