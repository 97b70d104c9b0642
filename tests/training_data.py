"""Made-up data sets that a network learns in a few steps: each class has a colour of its own, under noise."""

import pickle

import numpy as np
from PIL import Image

STRUCTURE = "SuperConvK3BNRELU(3,8,1,1)SuperResK3K3(8,16,2,8,1)SuperResK3K3(16,16,2,16,1)SuperConvK1BNRELU(16,32,1,1)"
"""A network of the ResNet-like space that takes milliseconds."""


def coloured_pixels(labels, resolution, rng):
    """Noise around a colour per class, (n, 3, R, R)."""
    codes = (7 * np.arange(max(labels) + 1) + 1) % 27
    colours = 50 + 75 * np.stack([codes // 9, codes // 3 % 3, codes % 3], 1)
    noise = rng.normal(0, 25, (len(labels), 3, resolution, resolution))
    return np.clip(colours[labels][:, :, None, None] + noise, 0, 255).astype(np.uint8)


def write_cifar10(folder, per_file=32, test=50):
    """Write all files of CIFAR-10, with few images; return test rows and labels."""
    rng = np.random.default_rng(0)
    (folder / "cifar-10-batches-py").mkdir(parents=True)
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        labels = rng.integers(0, 10, test if name == "test_batch" else per_file)
        rows = coloured_pixels(labels, 32, rng).reshape(len(labels), -1)
        batch = {"data": rows, "labels": labels.tolist()}
        (folder / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(batch))
    return rows, labels


def write_imagenet(folder, classes=("n01", "n02", "n03"), per_class=12):
    """Write pictures of several sizes, formats and modes in the tree of ImageNet."""
    rng = np.random.default_rng(0)
    for split, count in (("train", per_class), ("val", per_class // 2)):
        for label, name in enumerate(classes):
            place = folder / "imagenet" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                height, width = rng.integers(40, 90, 2)
                side = max(height, width)
                pixels = coloured_pixels(np.array([label]), side, rng)[0].transpose(1, 2, 0)[:height, :width]
                ending = ("JPEG", "jpg", "png")[number % 3]
                Image.fromarray(pixels).save(place / f"picture_{number}.{ending}")
