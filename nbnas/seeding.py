"""Independent random streams derived from one seed and a list of labels."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(seed: int, *labels: str | int) -> int:
    """Map ``seed`` and ``labels`` to a 63-bit seed, the same on every machine.

    Each network, and each purpose within a network (weights, inputs, labels), draws from a stream of
    its own. A score therefore depends neither on the networks scored before it nor on their order.

    Args:
        seed: The user's seed.
        labels: What the stream is for, e.g. ``("nasbench201", 11)`` or ``("inputs",)``.

    Returns:
        The first 63 bits of SHA-256 over the seed and the labels.
    """
    text = "\x1f".join(str(part) for part in (seed, *labels))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, *labels: str | int) -> torch.Generator:
    """Return a CPU generator seeded by :func:`derive_seed`.

    Numbers are always drawn on the CPU and then moved, so that CPU and CUDA see the same values.
    """
    return torch.Generator().manual_seed(derive_seed(seed, *labels))


@contextmanager
def seeded_global_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators that networks draw from, and restore them.

    They are torch's of the CPU and of ``device`` alone, for dropout, and those of Python and NumPy, by which supernets
    pick a path.
    """
    on_cuda = device.type == "cuda"
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
