"""Small search spaces and score functions for tests; in a module, so that other processes can import them."""

import time
import zlib

import numpy as np
from torch import nn

LENGTH, DIGITS = 8, 6


class DigitSpace:
    """Strings of eight digits from 0 to 5; the network of one has a convolution per digit, six wider than it."""

    def sample(self, rng):
        return "".join(map(str, rng.integers(DIGITS, size=LENGTH)))

    def mutate(self, arch, rng):
        place = int(rng.integers(LENGTH))
        digit = (int(arch[place]) + int(rng.integers(1, DIGITS))) % DIGITS
        return f"{arch[:place]}{digit}{arch[place + 1 :]}"

    def build(self, arch, num_classes=10):
        layers, width = [], 3
        for digit in map(int, arch):
            layers += [nn.Conv2d(width, digit + 6, 1), nn.ReLU()]
            width = digit + 6
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))


def total(arch):
    return sum(map(int, arch))


def noise(arch, label=""):
    """A number in [0, 1) that looks random."""
    return zlib.crc32(f"{arch}{label}".encode()) / 2**32


def three_scores(arch):
    return {"total": total(arch), "noise": noise(arch), "last": int(arch[-1]) + 3 * noise(arch, "last")}


def three_scores_slowly(arch):
    time.sleep(0.002 + 0.01 * noise(arch, "delay"))
    return three_scores(arch)


def failing(arch):
    """NaN for a third of the architectures."""
    return {"total": np.nan if total(arch) % 3 == 0 else total(arch), "noise": noise(arch)}
