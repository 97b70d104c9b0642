"""Speed of every proxy as ratios measured in one run: to the passes it needs, to naive code, and of the whole list.

Run by ``make bench``. One thread; times are the fastest of a few repeats.

F is a forward pass without a graph, B and I are backward passes to all parameters and to the inputs alone, all measured
on the same network and batch. The backward pass through a backward pass is taken as 3 B: where a convolution has two
products in B, to its inputs and to its weights, it has six in the pass through them.
"""

import argparse
import copy
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

import nbnas
from nbnas.machine.executors import keep_freed_memory
from nbnas.machine.provenance import describe_device
from nbnas.networks.entry_jacobian import entry_jacobian
from nbnas.networks.exact_kernels import exact_kernels
from nbnas.networks.initialisation import kaiming_normal, torch_default
from nbnas.proxies.fisher_information import FisherSetting
from nbnas.proxies.gradsign import gradients_one_by_one
from nbnas.proxies.registry import Proxy, ProxyInfo, select_proxies
from nbnas.scoring.score import score
from nbnas.scoring.setting import lay_out
from tests.references.vkdnw import reference_jacobian

LAST_FEATURES = 64
"""What enters the classifier of the networks here."""

CELLS = {"best on CIFAR-100": 9930, "#5": 5, "all skip": 1835}


def passes_needed(info: ProxyInfo, passes: dict[str, float], samples: int, classes: int) -> dict[tuple, float]:
    """Return the passes that a proxy cannot do without, with their seconds; proxies share those with the same key.

    Args:
        info: The proxy's record.
        passes: Seconds of F, B and I.
        samples: Batch size.
        classes: Number of logits.
    """
    forward, backward, to_inputs = passes["F"], passes["B"], passes["I"]
    network = (info.initialisation, info.mode)
    first = {(*network, "F"): forward}
    with_loss = first | {(*network, "B"): backward}
    evaluated = {(info.initialisation, "eval", "F"): forward}
    one_sample = {(info.initialisation, "one sample"): (forward + backward) / samples}
    directions = min(classes, LAST_FEATURES) * to_inputs

    def own(taken: float) -> dict[tuple, float]:
        return {(info.name,): taken}

    return {
        "none": {},
        "F of one sample": own(forward / samples),
        "F of three samples": own(3 * forward / samples),
        "F of 16 samples": own(16 * forward / samples),
        "F": first,
        "2 F": own(2 * forward),
        "F + B": with_loss,
        "F + B, samples kept apart": own(forward + backward),
        "F + I": first | own(to_inputs),
        "2 F + B": with_loss | evaluated,
        "2 F + 2 B": with_loss | own(forward + backward),
        # The gradients that are differentiated again are not those of "F + B": they need a graph.
        "F + B + backward through B": first | own(4 * backward),
        "F + min(classes, features) I": first | own(directions),
        "2 F + min(classes, features) I": own(2 * forward + directions),
        "F + N B with BatchNorm, F + B without": first | own(samples * backward),
        "F + B of one sample, in float64": one_sample,
        "F, and F + B of one sample in float64": evaluated | one_sample,
    }[info.cost]


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
    alone, needed = {}, {}
    for proxy in proxies:
        repeats = 1 if proxy.info.name == "te_nas_ntk" else 2
        alone[proxy.info.name] = taken = seconds(lambda: score(network, proxy.info.name, batches=batches), repeats)  # noqa: B023
        needed[proxy.info.name] = passes_needed(proxy.info, passes, size, 10)
        lowest = sum(needed[proxy.info.name].values())
        ratio = f"{taken / lowest:>15.2f}" if lowest else f"{'-':>15}"
        line = f"{proxy.info.name:<24}{taken / forward:>10.2f}{lowest / forward:>11.2f}{ratio}   {proxy.info.cost}"
        print(line, flush=True)
    for title, left_out in {
        "all but te_nas_ntk": ("te_nas_ntk",),
        "all but te_nas_ntk, vkdnw_mobilenetv2, ssnr_grasp": ("te_nas_ntk", "vkdnw_mobilenetv2", "ssnr_grasp"),
    }.items():
        names = [proxy.info.name for proxy in proxies if proxy.info.name not in left_out]
        together = seconds(lambda: score(network, names, batches=batches), 2)  # noqa: B023
        total = sum(alone[proxy] for proxy in names)
        lowest = sum({key: value for proxy in names for key, value in needed[proxy].items()}.values())
        line = f"together {together / forward:.0f} F, needs {lowest / forward:.0f} F with all passes shared"
        line += f", sum of alone {total / forward:.0f} F, together / sum {together / total:.2f}"
        print(f"{title}: {line}", flush=True)


def bench_vkdnw(size: int, device: str) -> None:
    """Print VKDNW's Jacobian against its floor and against three kinds of naive code, on three shapes.

    Naive code passes each sample as a batch of one: ``loop`` takes one logit of one sample after the other, ``jacrev``
    of torch.func all logits of a sample at once, and ``released`` vectorises that over samples, as released code does.
    No exact method of this kind can gain more over naive code than the ratio to ours, times ours/floor.
    """
    print(f"\nJacobian of VKDNW, batch {size}; naive code is timed on as few samples as stand in brackets")
    header = f"{'cell':<20}{'classes':>8}{'floor s':>9}{'ours s':>9}{'ours/floor':>12}"
    print(f"{header}{'loop/ours':>15}{'jacrev/ours':>15}{'released/ours':>17}{'max diff':>10}")
    for name, index in CELLS.items():
        for classes, resolution, few, several in ((10, 32, 4, size), (100, 32, 1, 8), (120, 16, 1, 16)):
            network = make_network(index, classes, device).eval()
            kaiming_normal(network, torch.Generator().manual_seed(0))
            network.requires_grad_(False)
            inputs, _ = make_batches(size, resolution, classes, device)[0]
            entries, directions = FisherSetting().entries(network), min(classes, network.classifier.in_features)
            repeats = 2 if classes > 10 else 3
            lowest = seconds(lambda: vkdnw_floor(network, inputs, directions), repeats)  # noqa: B023
            ours = seconds(lambda: entry_jacobian(network, inputs, entries), repeats)  # noqa: B023
            fast, _ = entry_jacobian(network, inputs[:2], entries)
            slow = reference_jacobian(network, inputs[:2], entries)
            difference = float((fast - slow).abs().max() / slow.abs().max())
            twin = copy.deepcopy(network).requires_grad_(True)
            ratios = ""
            for samples, width, function in (
                (1, 15, lambda some: one_logit_after_the_other(twin, some, entries)),  # noqa: B023
                (few, 15, lambda some: reference_jacobian(network, some, entries)),  # noqa: B023
                (several, 17, lambda some: reference_jacobian(network, some, entries, vectorised=True)),  # noqa: B023
            ):
                naive = seconds(lambda: function(inputs[:samples]), 2 if samples < 8 else 1) * size / samples  # noqa: B023
                ratios += f"{f'{naive / ours:.1f} ({samples})':>{width}}"
            line = f"{name:<20}{classes:>8}{lowest:>9.3f}{ours:>9.3f}{ours / lowest:>12.2f}"
            print(f"{line}{ratios}{difference:>10.1e}", flush=True)


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
    print(f"\nper-sample gradients against one backward pass per sample, batch {size}")
    print("loop / needs: the most that an exact method can gain; BatchNorm couples the rows of the tangent kernel")
    batches = make_batches(size, 32, 10, device)
    inputs, labels = batches[0]
    for cell, index in CELLS.items():
        with_norm = make_network(index, 10, device)
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
                coupled = proxy == "te_nas_ntk" and network is with_norm
                repeats = 1 if coupled else 2
                ours = seconds(lambda: score(network, proxy, batches=batches, init=None), repeats)  # noqa: B023
                naive = seconds(loop, repeats)
                needed = passes["F"] + (size if coupled else 1) * passes["B"]
                ratios = f"loop / ours {naive / ours:5.1f}   loop / needs {naive / needed:5.1f}"
                print(f"{cell:<20}{proxy:<12}{title:<20}ours {ours:7.2f} s   {ratios}", flush=True)


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
    keep_freed_memory()  # As the processes do that score many networks.
    print(f"{describe_device(options.device)}, one thread, batch {options.batch_size}, 32 x 32 pixels, 10 classes")
    with exact_kernels(torch.device(options.device)):  # So that the passes themselves are timed on the same kernels.
        for name, index in CELLS.items():
            bench_proxies(name, index, options.batch_size, options.device, select_proxies("*"))
        bench_per_sample(options.batch_size, options.device)
        bench_vkdnw(options.batch_size, options.device)


if __name__ == "__main__":
    main()
