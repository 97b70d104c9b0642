"""What a score costs: seconds per network, beside those of one forward pass."""

import statistics
import time
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from nbnas.scoring.score import score
from nbnas.seeding import derive_seed, generator_for
from nbnas.spaces import get_space


def measure_cost(
    space: str,
    dataset: str,
    archs: Sequence[str],
    proxies: str | Sequence[str],
    *,
    batch_size: int = 64,
    device: str = "cpu",
    seed: int = 0,
) -> pd.DataFrame:
    """Time the scoring of networks one by one.

    The first network is scored once before the clock starts, so that what happens only once does not count.

    Args:
        space: Name of the search space.
        dataset: One of its data sets, which gives the shape; inputs are Gaussian noise.
        archs: Networks to time.
        proxies: Names or glob patterns, scored together.
        batch_size: Inputs per batch.
        device: Torch device.
        seed: Seed of weights and inputs.

    Returns:
        A row per network: ``arch``; ``seconds`` from a built network to its scores, everything included; ``forward``,
        the seconds of a pass in eval mode without gradients (the faster of two); ``status``, ``ok`` if all scores are.
    """
    found = get_space(space)
    shape = found.datasets[dataset]
    size = (batch_size, shape.channels, shape.resolution, shape.resolution)
    inputs = torch.randn(size, generator=generator_for(seed, "cost")).to(device)
    rows = []
    for number, arch in enumerate([*archs[:1], *archs]):
        network = found.build_for(arch, dataset).to(device)
        start = _now(device)
        table = score(
            network,
            proxies,
            input_shape=size,
            num_classes=shape.num_classes,
            seed=derive_seed(seed, space, arch),
        )
        seconds = _now(device) - start
        failed = table["status"][table["status"] != "ok"]
        if number:
            forward = min(_time_forward(network, inputs, device) for _ in range(2))
            status = "ok" if failed.empty else failed.iloc[0]
            rows.append({"arch": arch, "seconds": seconds, "forward": forward, "status": status})
    return pd.DataFrame(rows, columns=["arch", "seconds", "forward", "status"])


def _time_forward(network: nn.Module, inputs: Tensor, device: str) -> float:
    network.eval()
    with torch.no_grad():
        start = _now(device)
        network(inputs)
        return _now(device) - start


def _now(device: str) -> float:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def measure_latency(
    network: nn.Module, input_shape: tuple[int, int, int, int], device: str = "cpu", repeats: int = 10
) -> float:
    """Return the median seconds of a forward pass in eval mode, without gradients; two more warm up.

    Args:
        network: Any network; it is put into eval mode.
        input_shape: (batch, channels, height, width).
        device: Where the network is.
        repeats: Number of passes.
    """
    inputs = torch.zeros(input_shape, device=device)
    network.eval()
    seconds = []
    with torch.no_grad():
        for _ in range(repeats + 2):
            start = time.perf_counter()
            network(inputs)
            if torch.device(device).type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[2:])
