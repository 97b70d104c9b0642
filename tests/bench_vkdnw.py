"""Speed of VKDNW as ratios measured in one run: to its floor in passes, and to the naive reference.

Run by ``make bench``.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import nbnas
from nbnas.initialisation import kaiming_normal
from nbnas.provenance import describe_device
from nbnas.proxies.vkdnw import entry_jacobian, select_entries
from tests.references.vkdnw import reference_jacobian

CELLS = {"all 3x3": 1462, "best on CIFAR-100": 9930, "all skip": 1835}


def floor(network: nn.Module, inputs: Tensor, directions: int) -> None:
    """One forward and ``directions`` input-gradient passes: what no exact method of this kind can do without."""
    leaf = inputs.clone().requires_grad_()
    logits = network(leaf)
    for direction in range(directions):
        torch.autograd.grad(logits[:, direction % logits.shape[1]].sum(), leaf, retain_graph=True)


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Fastest of some runs, the first of which warms up and does not count when there are several."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:] or times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = nbnas.get_space("nasbench201")
    print(f"{describe_device(options.device)}, one thread, batch {options.batch_size}, 32 x 32 pixels, 10 classes")
    print(f"{'cell':<20}{'floor s':>9}{'ours s':>9}{'ours/floor':>12}{'naive s':>9}{'naive/ours':>12}{'max diff':>11}")
    for name, index in CELLS.items():
        network = space.build(space[index]).to(options.device, memory_format=torch.channels_last).eval()
        generator = torch.Generator().manual_seed(0)
        kaiming_normal(network, generator)
        network.requires_grad_(False)
        inputs = torch.randn(options.batch_size, 3, 32, 32, generator=generator).to(options.device)
        entries = select_entries(network)
        lowest = seconds(lambda: floor(network, inputs, 10), repeats=4)  # noqa: B023 (called at once)
        ours = seconds(lambda: entry_jacobian(network, inputs, entries), repeats=4)  # noqa: B023
        naive = seconds(lambda: reference_jacobian(network, inputs, entries), repeats=1)  # noqa: B023
        fast, _ = entry_jacobian(network, inputs, entries)
        slow = reference_jacobian(network, inputs[:2], entries)
        difference = float((fast[:2] - slow).abs().max() / slow.abs().max())
        ratios = f"{ours / lowest:>12.2f}{naive:>9.2f}{naive / ours:>12.1f}{difference:>11.1e}"
        print(f"{name:<20}{lowest:>9.2f}{ours:>9.2f}{ratios}", flush=True)


if __name__ == "__main__":
    main()
