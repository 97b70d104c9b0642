"""The global random generators of torch, numpy and Python."""

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def global_state() -> bytes:
    """State of all three, to compare."""
    return pickle.dumps((torch.get_rng_state().numpy(), np.random.get_state(), random.getstate()))  # noqa: NPY002


@contextmanager
def global_generators(seed: int) -> Iterator[None]:
    """Seed all three, and restore them afterwards."""
    before = pickle.loads(global_state())
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(torch.from_numpy(before[0]))
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])
