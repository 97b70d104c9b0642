"""Checks for a proxy of your own: the rules that the package's own keep."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import chain
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from nbnas.networks.initialisation import INITIALISATIONS
from nbnas.proxies.probe import Batch, Probe
from nbnas.proxies.registry import Proxy, ProxyFunction, ProxyInfo, find, only
from nbnas.scoring.score import score
from nbnas.seeding import seeded_global_generators


def check_proxy(proxy: str | ProxyFunction, tolerance: float = 1e-3) -> None:
    """Check that a registered proxy, given as its name or function, keeps the contract of :func:`nbnas.score`.

    This is also the guide for writing one. Register a function that takes a :class:`~nbnas.proxies.Probe` and returns a
    number per score, and describe the proxy in the fields of :class:`~nbnas.proxies.ProxyInfo`:

    >>> import nbnas, torch
    >>> from nbnas.proxies import forget, register
    >>> @register(
    ...     title="Spread of the logits",
    ...     family="features",  # what it looks at
    ...     paper="this example",
    ...     formula="ln of the standard deviation of all logits",
    ...     mode="eval",  # in which mode the network is scored
    ...     inputs="noise",  # or "images": what it was published with; "none" if it reads none
    ...     initialisation="kaiming_normal",  # or None: keep the weights
    ...     cost="F",  # one forward pass
    ... )
    ... def logit_spread(probe):
    ...     spread = probe.forward().logits.detach().double().std()  # a pass shared with other proxies: read only
    ...     probe.degenerate_if(spread == 0, "all logits are equal")  # rather than returning minus infinity
    ...     return {"logit_spread": spread.log()}
    >>> check_proxy("logit_spread")
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 10))
    >>> table = nbnas.score(network, "logit_spread", input_shape=(16, 3, 8, 8))
    >>> table.status["logit_spread"], round(table.value["logit_spread"])
    ('ok', 0)
    >>> forget("logit_spread")  # else the name stays taken, also when this runs again

    The proxy is scored on seven networks of a few hundred weights, in seconds, on the CPU. An AssertionError says which
    rule it breaks first, and on which network:

    * The record is complete, and exactly the scores that it names are returned.
    * On at least one of the networks a score is a number (status ``ok``). Otherwise its status is ``degenerate``,
      ``non_finite``, or an error that is an :class:`~nbnas.proxies.UnsupportedModelError`.
    * The model is left as found: weights, statistics, gradients, modes, hooks, which parameters are frozen.
    * The batches are left as found. No more of them matter than the record says, nor labels that it does not need.
    * The same seed gives the same scores, bit for bit. Random numbers come from ``probe.generator``, or from the global
      generators of torch, NumPy and Python, which :func:`nbnas.score` seeds and restores.
    * Scores do not depend on other proxies, and shared passes are not written into.
    * In float64 the scores are those of float32 up to ``tolerance``, a share of the larger modulus, plus 1e-9.

    Not checked: whether the score measures what its formula says, whether a degenerate network is recognised, speed,
    memory, other devices than the CPU, and larger networks.
    """
    checked = find(proxy)
    _check_record(checked.info)
    statuses = []
    for kind, network in _networks().items():
        try:
            statuses += _check_on(checked, network, tolerance).status.tolist()
        except AssertionError as error:
            raise AssertionError(f"{error}, on the network {kind!r}") from None
    sentence = f"gives no number on any network; on the first, its status is {statuses[0]!r}"
    _require("ok" in statuses, checked.info, sentence)


def _require(condition: bool, info: ProxyInfo, sentence: str) -> None:
    if not condition:
        raise AssertionError(f"proxy {info.name!r} {sentence}")


def _check_record(info: ProxyInfo) -> None:
    for field in ("name", "title", "family", "paper", "formula", "requires", "cost"):
        value = getattr(info, field)
        _require(isinstance(value, str) and value.strip() != "", info, f"has nothing in the field {field!r}")
    _require(isinstance(info.needs_labels, bool), info, "has neither True nor False in the field 'needs_labels'")
    inputs, starts = ("noise", "images", "none"), (*INITIALISATIONS, None)
    for field, values in {"mode": ("train", "eval"), "inputs": inputs, "initialisation": starts}.items():
        listed = ", ".join(map(repr, values))
        _require(getattr(info, field) in values, info, f"has none of {listed} in the field {field!r}")
    _require(isinstance(info.batches, int) and info.batches >= 0, info, "has no whole number in the field 'batches'")
    _require(info.batches > 0 or not info.needs_labels, info, "needs labels but reads no batch")
    named = isinstance(info.scores, tuple) and all(isinstance(name, str) and name for name in info.scores)
    _require(named and len(info.scores) > 0, info, "has no names in the field 'scores'")


def _check_on(proxy: Proxy, network: nn.Module, tolerance: float) -> pd.DataFrame:
    """Check all that can be seen on one network; return its scores."""
    info, spare = proxy.info, [_batch(number) for number in range(proxy.info.batches + 2)]
    batches, given, found = spare[: info.batches], deepcopy(spare), _snapshot(network)

    scores = _scores(proxy, network, spare)
    for name, status in scores.status.items():
        honest = not status.startswith("error:") or status.startswith("error: UnsupportedModelError:")
        _require(honest, info, f"fails for {name!r} with {status}")
    for what, left in _snapshot(network).items():
        _require(found[what] == left, info, f"changes the {what} of the model")
    _require(all(map(torch.equal, chain(*given), chain(*spare))), info, "writes into the given batches")

    def same(other: pd.DataFrame, sentence: str) -> None:
        for first, second in zip(_shown(scores), _shown(other), strict=True):
            _require(first == second, info, f"{sentence}: {first[0]!r} is {first[1]} and {second[1]}")

    same(_scores(proxy, network, spare), "gives other scores with the same seed")
    same(_scores(proxy, network, batches), f"reads more batches than its record says, {info.batches}")
    if not info.needs_labels:
        relabelled = [(inputs, (labels + 1) % 5) for inputs, labels in batches]
        same(_scores(proxy, network, relabelled), "reads labels, which its record says it does not need")
    before, after = _neighbour(proxy, "before", disturb=True), _neighbour(proxy, "after")
    seen = [_shown(_scores(after, network, batches, *others)) for others in ((), (proxy,))]
    _require(seen[0] == seen[1], info, "writes into a pass or a network that it shares")
    same(_scores(proxy, network, batches, before), "depends on the proxies that are scored with it")

    double = [(inputs.double(), labels) for inputs, labels in batches]
    precise = _scores(proxy, deepcopy(network).double(), double)
    for name in info.scores:
        single, exact = float(scores.value[name]), float(precise.value[name])
        close = abs(single - exact) <= tolerance * max(abs(single), abs(exact)) + 1e-9
        numbers = (scores.status[name], precise.status[name]) == ("ok", "ok")
        _require(close or not numbers, info, f"gives {single} in float32 and {exact} in float64 for {name!r}")
    return scores


def _snapshot(network: nn.Module) -> dict[str, Any]:
    """All that scoring could change about a model, to compare."""

    def frozen(tensor: Tensor | None) -> Any:
        return None if tensor is None else (tensor.shape, tensor.detach().numpy().tobytes())

    def hooks(module: nn.Module) -> list[tuple[int, ...]]:
        return [tuple(found) for name, found in vars(module).items() if name.endswith("_hooks")]

    modules, parameters = list(network.modules()), list(network.parameters())
    return {
        "modules": modules,
        "weights or statistics": {name: frozen(tensor) for name, tensor in network.state_dict().items()},
        "tensors": [id(tensor) for tensor in (*parameters, *network.buffers())],
        "gradients": [frozen(parameter.grad) for parameter in parameters],
        "frozen parameters": [parameter.requires_grad for parameter in parameters],
        "modes": [module.training for module in modules],
        "hooks": list(map(hooks, modules)),
    }


def _shown(scores: pd.DataFrame) -> list[tuple[str, str]]:
    """Name of each score, and its value where it has one, else its status."""
    return [(row.Index, repr(float(row.value)) if row.status == "ok" else row.status) for row in scores.itertuples()]


def _scores(proxy: Proxy, network: nn.Module, batches: Sequence[Batch], *before: Proxy) -> pd.DataFrame:
    """Score a network with a proxy after others, nothing else registered; return value and status of that proxy."""
    with only(*before, proxy):
        # By name, because an ablation matches no wildcard.
        table = score(network, [each.info.name for each in (*before, proxy)], batches=batches)
    return table.loc[list(proxy.info.scores), ["value", "status"]]


def _neighbour(proxy: Proxy, name: str, disturb: bool = False) -> Proxy:
    """Return a proxy that makes the same passes as another, reads all that is shared, and may disturb what is its own.

    In this way what the other shares is computed in this one's name, and differs if it depends on who computes it.
    """

    def function(probe: Probe) -> dict[str, float]:
        shared = list(probe.shared_network().parameters())
        if proxy.info.batches:
            recording = probe.forward()
            shared += [recording.inputs, recording.logits, *recording.relu_inputs, *recording.features]
            for call in recording.calls:
                shared += [call.inputs, call.output]
            shared += [*probe.loss_gradients().values(), probe.input_gradients(), *probe.shared_batch()]
        value = sum(map(_sum, shared))
        if disturb:
            proxy.function(probe)
            torch.rand(3, generator=probe.generator)
            torch.rand(3)
            with torch.no_grad():
                for tensor in chain(probe.network.parameters(), *probe.batches):
                    tensor.zero_()
        return {name: value}

    return Proxy(replace(proxy.info, name=name, scores=(name,)), function)


def _sum(tensor: Tensor) -> float:
    """A number that changes when an entry does."""
    values = tensor.detach().double().flatten()
    return float((values * torch.linspace(1, 2, len(values), dtype=torch.float64)).nan_to_num().sum())


def _networks() -> dict[str, nn.Module]:
    """Networks for inputs (N, 3, 8, 8) and five classes, with random weights and a state that could be disturbed."""
    with seeded_global_generators(0, torch.device("cpu")):
        networks = {
            "convolutions": _convolutional(nn.BatchNorm2d),
            "no BatchNorm": _convolutional(nn.Identity),
            "MLP": nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 5)),
            "in place": nn.Sequential(nn.LeakyReLU(0.1, inplace=True), *_convolutional(nn.BatchNorm2d, inplace=True)),
            "dropout": _convolutional(nn.BatchNorm2d, nn.Dropout(0.3)),
            "frozen parameter": _convolutional(nn.BatchNorm2d),
            "ignores its input": _convolutional(nn.BatchNorm2d, nn.Hardshrink(float("inf"))),
        }
    for network in networks.values():
        network.eval()[1].train()
        parameter = next(network.parameters())
        parameter.grad = torch.ones_like(parameter)
        network[-1].register_forward_hook(lambda *_: None)
    networks["frozen parameter"][0].requires_grad_(False)
    return networks


def _convolutional(norm: type[nn.Module], *head: nn.Module, inplace: bool = False) -> nn.Sequential:
    first = [nn.Conv2d(3, 6, 3, padding=1), norm(6), nn.ReLU(inplace=inplace)]
    second = [nn.Conv2d(6, 8, 3, stride=2, padding=1), norm(8), nn.ReLU(inplace=inplace)]
    return nn.Sequential(*first, *second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head, nn.Linear(8, 5))


def _batch(number: int) -> Batch:
    generator = torch.Generator().manual_seed(number)
    return torch.randn(6, 3, 8, 8, generator=generator), torch.randint(5, (6,), generator=generator)
