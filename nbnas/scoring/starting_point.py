"""What a score starts from: a network with drawn weights, and its inputs."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nbnas.networks.initialisation import INITIALISATIONS
from nbnas.proxies.info import Batch
from nbnas.seeding import derive_seed, generator_for
from nbnas.spaces import get_space


def lay_out(network: nn.Module, device: str) -> nn.Module:
    """Return a network in the memory format in which a device scores it fastest."""
    # Channels-last runs narrow convolutions 1.3 to 2.2 times faster on a CPU; on a GPU it costs conversions.
    return network.to(memory_format=torch.channels_last) if torch.device(device).type == "cpu" else network


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread per process: the processes already fill the cores, and one thread is reproducible."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def draw_batch(batch_size: int, dataset: str = "cifar10", seed: int = 0, space: str = "nasbench201") -> Batch:
    """Return normal noise and random labels; a smaller batch of the same seed begins a larger one."""
    shape = get_space(space).datasets[dataset]
    size = (shape.channels, shape.resolution, shape.resolution)
    generator = generator_for(seed, "inputs")
    inputs = torch.stack([torch.randn(size, generator=generator) for _ in range(batch_size)])
    labels = torch.randint(shape.num_classes, (batch_size,), generator=generator_for(seed, "labels"))
    return inputs, labels


def draw_network(
    space: str, arch: str, dataset: str = "cifar10", seed: int = 0, initialisation: str = "torch_default"
) -> nn.Module:
    """Build a network with weights that depend on the seed and the architecture only."""
    network = get_space(space).build_for(arch, dataset)
    INITIALISATIONS[initialisation](network, generator_for(derive_seed(seed, space, arch), "weights"))
    return network


def published_start(
    arch: str,
    batch_size: int = 64,
    *,
    space: str = "nasbench201",
    dataset: str = "cifar10",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> tuple[nn.Module, Tensor]:
    """Return the network in eval mode and the inputs from which a stored score of VKDNW was computed.

    Args:
        arch: Architecture.
        batch_size: Of the inputs; 64 in most stored tables.
        space: Name of a search space.
        dataset: Shape of the network and the inputs.
        seed: Seed of the score.
        dtype: Numbers are drawn in float32 and then converted, so that all precisions start from the same.
        device: Torch device.
    """
    shape = get_space(space).datasets[dataset]
    network = lay_out(draw_network(space, arch, dataset, seed, "kaiming_normal"), device)
    size = (batch_size, shape.channels, shape.resolution, shape.resolution)
    inputs = draw_inputs(size, derive_seed(seed, space, arch))
    return network.eval().to(device, dtype), inputs.to(device, dtype)


def draw_inputs(shape: tuple[int, ...], seed: int, number: int = 0) -> Tensor:
    """Return the standard normal inputs of one batch that :func:`score` draws from a seed, on the CPU in float32."""
    return torch.randn(shape, generator=generator_for(seed, "inputs", number), dtype=torch.float32)
