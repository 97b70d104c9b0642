"""Speed of every proxy as ratios measured in one run: to the passes it needs, to naive code, and of the whole list.

Run by ``make bench``. One thread; times are the fastest of a few repeats.

F is a forward pass without a graph, B and I are backward passes to all parameters and to the inputs alone, all measured
on the same network and batch. The backward pass through a backward pass is taken as 2 B.
"""

import argparse
import copy
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

import nbnas
from nbnas.initialisation import kaiming_normal, torch_default
from nbnas.provenance import describe_device
from nbnas.proxies.entry_jacobian import entry_jacobian
from nbnas.proxies.gradsign import gradients_one_by_one
from nbnas.proxies.kernels import exact_kernels
from nbnas.proxies.registry import Proxy, select_proxies
from nbnas.proxies.vkdnw import select_entries
from nbnas.score_many import lay_out
from nbnas.scoring import score
from tests.references.vkdnw import reference_jacobian

CELLS = {"best on CIFAR-100": 9930, "#5": 5, "all skip": 1835}

FLOORS: dict[str, Callable[[dict[str, float], int, int], float]] = {
    "none": lambda t, n, c: 0.0,
    "F of one sample": lambda t, n, c: t["F"] / n,
    "F": lambda t, n, c: t["F"],
    "2 F": lambda t, n, c: 2 * t["F"],
    "F + B": lambda t, n, c: t["F"] + t["B"],
    "F + B, samples kept apart": lambda t, n, c: t["F"] + t["B"],
    "F + I": lambda t, n, c: t["F"] + t["I"],
    "2 F + B": lambda t, n, c: 2 * t["F"] + t["B"],
    "2 F + 2 B": lambda t, n, c: 2 * (t["F"] + t["B"]),
    "F + B + backward through B": lambda t, n, c: t["F"] + 3 * t["B"],
    "F + min(classes, features) I": lambda t, n, c: t["F"] + min(c, 64) * t["I"],
    "2 F + min(classes, features) I": lambda t, n, c: 2 * t["F"] + min(c, 64) * t["I"],
    "F + N B with BatchNorm, F + B without": lambda t, n, c: t["F"] + n * t["B"],
    "F + B of one sample, in float64": lambda t, n, c: (t["F"] + t["B"]) / n,
    "F, and F + B of one sample in float64": lambda t, n, c: t["F"] + (t["F"] + t["B"]) / n,
}
"""Cost in a proxy's record -> seconds, from those of the passes, the batch size and the number of classes."""


def seconds(function: Callable[[], object], repeats: int = 3) -> float:
    """Fastest of some runs, the first of which warms up and does not count when there are several."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:] or times)


def measure_passes(network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """Seconds of F, B and I."""
    network = copy.deepcopy(network).train()
    with torch.no_grad():
        forward = seconds(lambda: network(inputs), 4)
    leaf = inputs.clone().requires_grad_()
    logits = network(leaf)
    loss = functional.cross_entropy(logits, labels)
    parameters = list(network.parameters())
    backward = seconds(lambda: torch.autograd.grad(loss, parameters, retain_graph=True), 4)
    to_inputs = seconds(lambda: torch.autograd.grad(logits.sum(), leaf, retain_graph=True), 4)
    return {"F": forward, "B": backward, "I": to_inputs}


def make_network(index: int, classes: int, device: str) -> nn.Module:
    space = nbnas.get_space("nasbench201")
    network = lay_out(space.build(space[index], classes), device)
    torch_default(network, torch.Generator().manual_seed(0))
    return network.to(device)


def make_batches(size: int, resolution: int, classes: int, device: str) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (
            torch.randn(size, 3, resolution, resolution, generator=generator).to(device),
            torch.randint(classes, (size,), generator=generator).to(device),
        )
        for _ in range(2)
    ]


def bench_proxies(name: str, index: int, size: int, device: str, proxies: Sequence[Proxy]) -> None:
    """Print what every proxy takes alone, and what the list takes together."""
    network, batches = make_network(index, 10, device), make_batches(size, 32, 10, device)
    passes = measure_passes(network, *batches[0])
    forward = passes["F"]
    print(f"\n{name}: F = {forward:.4f} s, B = {passes['B'] / forward:.2f} F, I = {passes['I'] / forward:.2f} F")
    print(f"{'proxy':<24}{'alone / F':>10}{'needs / F':>11}{'alone / needs':>15}   passes needed")
    alone = {}
    for proxy in proxies:
        repeats = 1 if proxy.info.name == "te_nas_ntk" else 2
        alone[proxy.info.name] = taken = seconds(lambda: score(network, proxy.info.name, batches=batches), repeats)  # noqa: B023
        needed = FLOORS[proxy.info.cost](passes, size, 10)
        ratio = f"{taken / needed:>15.2f}" if needed else f"{'-':>15}"
        line = f"{proxy.info.name:<24}{taken / forward:>10.2f}{needed / forward:>11.2f}{ratio}   {proxy.info.cost}"
        print(line, flush=True)
    for title, left_out in {
        "all but te_nas_ntk": ("te_nas_ntk",),
        "all but te_nas_ntk, vkdnw_mobilenetv2, ssnr_grasp": ("te_nas_ntk", "vkdnw_mobilenetv2", "ssnr_grasp"),
    }.items():
        names = [proxy.info.name for proxy in proxies if proxy.info.name not in left_out]
        together = seconds(lambda: score(network, names, batches=batches), 2)  # noqa: B023
        total = sum(alone[proxy] for proxy in names)
        line = f"together {together / forward:.0f} F, sum of alone {total / forward:.0f} F"
        print(f"{title}: {line}, together / sum {together / total:.2f}", flush=True)


def bench_vkdnw(size: int, device: str) -> None:
    """Print VKDNW's Jacobian against its floor and against naive code, on three shapes.

    Both kinds of naive code take one sample after the other: ``jacrev`` of torch.func all logits of a sample at once,
    ``loop`` one logit after the other. No exact method of this kind can be faster than they are by more than
    naive / floor.
    """
    print(f"\nJacobian of VKDNW, batch {size}; naive code, sample after sample, is timed on a few samples")
    header = f"{'cell':<20}{'classes':>8}{'floor s':>9}{'ours s':>9}{'ours/floor':>12}"
    print(f"{header}{'jacrev/ours':>13}{'jacrev/floor':>14}{'loop/ours':>11}{'loop/floor':>12}{'max diff':>10}")
    for name, index in CELLS.items():
        for classes, resolution in ((10, 32), (100, 32), (120, 16)):
            network = make_network(index, classes, device).eval()
            kaiming_normal(network, torch.Generator().manual_seed(0))
            network.requires_grad_(False)
            inputs, _ = make_batches(size, resolution, classes, device)[0]
            entries, directions = select_entries(network), min(classes, network.classifier.in_features)
            lowest = seconds(lambda: vkdnw_floor(network, inputs, directions), 2 if classes > 10 else 3)  # noqa: B023
            ours = seconds(lambda: entry_jacobian(network, inputs, entries), 2 if classes > 10 else 3)  # noqa: B023
            few = 4 if classes == 10 else 1
            naive = seconds(lambda: reference_jacobian(network, inputs[:few], entries), 1) * size / few  # noqa: B023
            fast, _ = entry_jacobian(network, inputs[:2], entries)
            slow = reference_jacobian(network, inputs[:2], entries)
            difference = float((fast - slow).abs().max() / slow.abs().max())
            twin = copy.deepcopy(network).requires_grad_(True)
            loop = seconds(lambda: one_logit_after_the_other(twin, inputs[:1], entries), 2) * size  # noqa: B023
            ratios = f"{ours / lowest:>12.2f}{naive / ours:>13.1f}{naive / lowest:>14.1f}"
            ratios += f"{loop / ours:>11.1f}{loop / lowest:>12.1f}{difference:>10.1e}"
            print(f"{name:<20}{classes:>8}{lowest:>9.3f}{ours:>9.3f}{ratios}", flush=True)


def vkdnw_floor(network: nn.Module, inputs: Tensor, directions: int) -> None:
    """One forward and ``directions`` input-gradient passes: what no exact method of this kind can do without."""
    leaf = inputs.clone().requires_grad_()
    logits = network(leaf)
    for direction in range(directions):
        torch.autograd.grad(logits[:, direction % logits.shape[1]].sum(), leaf, retain_graph=True)


def one_logit_after_the_other(network: nn.Module, inputs: Tensor, entries: Sequence[tuple[str, int]]) -> None:
    """Gradients of every logit by the tensors that hold the entries; the network's parameters must be trainable."""
    parameters = dict(network.named_parameters())
    tensors = [parameters[name] for name in dict.fromkeys(name for name, _ in entries)]
    for logit in network(inputs).flatten():
        torch.autograd.grad(logit, tensors, retain_graph=True, allow_unused=True)


def bench_per_sample(size: int, device: str) -> None:
    """Print GradSign and the tangent kernel against one backward pass per sample."""
    print(f"\nper-sample gradients against one backward pass per sample, batch {size}, best on CIFAR-100")
    print("loop / needs: the most that an exact method can gain; BatchNorm couples the rows of the tangent kernel")
    batches = make_batches(size, 32, 10, device)
    inputs, labels = batches[0]
    with_norm = make_network(CELLS["best on CIFAR-100"], 10, device)
    without = copy.deepcopy(with_norm)
    for module in list(without.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    for title, network in {"with BatchNorm": with_norm, "without BatchNorm": without}.items():
        train = copy.deepcopy(network).train()
        passes = measure_passes(network, inputs, labels)
        loops = {
            "gradsign": lambda: gradients_one_by_one(train, inputs, labels),  # noqa: B023
            "te_nas_ntk": lambda: tangent_rows(train, inputs),  # noqa: B023
        }
        for proxy, loop in loops.items():
            ours = seconds(lambda: score(network, proxy, batches=batches, init=None), 1)  # noqa: B023
            naive = seconds(loop, 1)
            coupled = proxy == "te_nas_ntk" and network is with_norm
            needed = passes["F"] + (size if coupled else 1) * passes["B"]
            ratios = f"loop / ours {naive / ours:5.1f}   loop / needs {naive / needed:5.1f}"
            print(f"{proxy:<12}{title:<20}ours {ours:7.2f} s   {ratios}", flush=True)


def tangent_rows(network: nn.Module, inputs: Tensor) -> None:
    """Gradient of the sum of each sample's logits, sample by sample, as released code has it."""
    sums = network(inputs).sum(1)
    weights = [parameter for name, parameter in network.named_parameters() if "weight" in name]
    rows = []
    for value in sums:
        gradients = torch.autograd.grad(value, weights, retain_graph=True)
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    matrix = torch.stack(rows)
    torch.linalg.eigvalsh(matrix @ matrix.T)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{describe_device(options.device)}, one thread, batch {options.batch_size}, 32 x 32 pixels, 10 classes")
    with exact_kernels(torch.device(options.device)):  # So that the passes themselves are timed on the same kernels.
        for name, index in CELLS.items():
            bench_proxies(name, index, options.batch_size, options.device, select_proxies("*"))
        bench_per_sample(options.batch_size, options.device)
        bench_vkdnw(options.batch_size, options.device)


if __name__ == "__main__":
    main()
