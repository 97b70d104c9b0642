"""What a score costs: seconds per network, compared with one forward pass."""

import statistics
import time
from collections.abc import Sequence

import pandas as pd
import torch
from torch import nn

from nbnas.scoring.score import score
from nbnas.scoring.setting import Setting


def measure_cost(
    setting: Setting, archs: Sequence[str], proxies: str | Sequence[str], seed: int = 0, device: str = "cpu"
) -> pd.DataFrame:
    """Time the scoring of networks one by one, all proxies together.

    The first network is scored once before the clock starts, so that what happens only once does not count.

    Returns:
        A row per network: ``arch``; ``seconds`` from a built network to its scores, everything included; ``forward``,
        the seconds of a pass in eval mode without gradients; ``status``, ``ok`` if all scores are.
    """
    shape, rows = {"input_shape": setting.input_shape, "num_classes": setting.shape.num_classes}, []
    for arch in [*archs[:1], *archs]:
        network = setting.network(arch).to(device)
        start = _now(device)
        table = score(network, proxies, **shape, seed=setting.own_seed(arch, seed))
        seconds = _now(device) - start
        forward = measure_latency(network, setting.input_shape, device, repeats=1)
        status = next((status for status in table["status"] if status != "ok"), "ok")
        rows.append((arch, seconds, forward, status))
    return pd.DataFrame(rows[1:], columns=["arch", "seconds", "forward", "status"])


def measure_latency(
    network: nn.Module, input_shape: tuple[int, int, int, int], device: str = "cpu", repeats: int = 10
) -> float:
    """Return the median seconds of ``repeats`` forward passes without gradients, after two to warm up.

    The network, on ``device``, is put into eval mode. ``input_shape`` is (batch, channels, height, width).
    """
    inputs = torch.zeros(input_shape, device=device)
    network.eval()
    seconds = []
    with torch.no_grad():
        for _ in range(repeats + 2):
            start = _now(device)
            network(inputs)
            seconds.append(_now(device) - start)
    return statistics.median(seconds[2:])


def share_of_cores(seconds: float = 1.0) -> float:
    """Return the share of torch's threads that this process gets to run, from 0 to 1: low on a busy machine.

    It is the CPU time that matrix products get in some ``seconds``, divided by what an idle machine would give them.
    """
    matrix = torch.ones(512, 512)
    start, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        matrix @ matrix
    return min(1.0, (time.process_time() - cpu) / (time.perf_counter() - start) / torch.get_num_threads())


def _now(device: str) -> float:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
