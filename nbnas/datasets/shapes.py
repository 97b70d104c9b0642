"""Input shapes of the data sets that the benchmarks were trained on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetShape:
    """What a network must know of a data set: number of classes, resolution in pixels, channels."""

    num_classes: int
    resolution: int
    channels: int = 3


CIFAR10 = DatasetShape(num_classes=10, resolution=32)
CIFAR100 = DatasetShape(num_classes=100, resolution=32)
IMAGENET = DatasetShape(num_classes=1000, resolution=224)

DATASETS = {"cifar10": CIFAR10, "cifar100": CIFAR100, "ImageNet16-120": DatasetShape(num_classes=120, resolution=16)}
"""The data sets of NATS-Bench, by its names."""
