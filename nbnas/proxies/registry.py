"""The list of proxies: a record, which says what a reader asks of a proxy before using it, and a function for each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd
from torch import Tensor

from nbnas.errors import NbnasError


@dataclass(frozen=True, kw_only=True)
class ProxyInfo:
    """A proxy in words. A larger score is meant to be better."""

    name: str
    title: str
    family: str
    """What it looks at: size, saliency, gradients, activations, kernel, features or Fisher (information)."""
    paper: str
    formula: str
    mode: str = "train"
    """``train`` or ``eval``: the mode in which the network is scored."""
    batches: int = 1
    """Number of batches the function reads."""
    needs_labels: bool = False
    inputs: str = "images"
    """What the published runs fed: ``noise`` (standard normal), ``images``, or ``none`` where values do not matter."""
    initialisation: str | None = "torch_default"
    """A name in :data:`nbnas.networks.initialisation.INITIALISATIONS`; None where weights do not matter."""
    sees_classifier: bool = True
    """Whether the score depends on the last layer, and so on the number of classes."""
    requires: str = "nothing"
    """What the network must have, in words."""
    cost: str
    """In passes of a whole batch: F forward, B backward to weights and inputs, I backward to inputs alone."""
    scores: tuple[str, ...]
    """Names of the values it returns."""
    ablation: bool = False
    """Another setting of a listed method: answers to its full name, but to no wildcard, and is not listed."""


ProxyFunction = Callable[..., Mapping[str, float | Tensor]]  # Of a probe; that module imports this one.


@dataclass(frozen=True)
class Proxy:
    """A registered proxy."""

    info: ProxyInfo
    function: ProxyFunction


_registry: dict[str, Proxy] = {}


def register(**record: Any) -> Callable[[ProxyFunction], ProxyFunction]:
    """Decorate a function ``probe -> {score name: value}`` to make it a proxy.

    The function takes what it needs from a :class:`~nbnas.proxies.Probe`: ``probe.network``, a copy of its own in the
    mode of the record; ``probe.batches``; passes shared with other proxies, such as ``probe.loss_gradients()``; random
    numbers from ``probe.generator``. It returns exactly the scores of the record, as numbers or scalar tensors. Where
    the score does not exist it raises :class:`~nbnas.proxies.DegenerateScoreError` or calls ``probe.degenerate_if``.

    ``record`` holds the fields of :class:`~nbnas.proxies.ProxyInfo`. The name is that of the function unless given, and
    the one score has the name of the proxy unless ``scores`` are given. None of these names may be taken.
    """

    def decorate(function: ProxyFunction) -> ProxyFunction:
        name = record.get("name") or function.__name__
        info = ProxyInfo(**{"name": name, "scores": (name,)} | record)
        taken = {score for proxy in registered() for score in proxy.info.scores}
        if name in _registry or taken & set(info.scores):
            raise NbnasError(f"a proxy named {name!r}, or one of its scores, is already registered")
        if info.mode not in ("train", "eval"):
            raise NbnasError(f"mode of proxy {name!r} must be 'train' or 'eval', got {info.mode!r}")
        _registry[name] = Proxy(info, function)
        return function

    return decorate


def registered() -> list[Proxy]:
    """Return all proxies, ablations too, in the order in which they were registered."""
    return list(_registry.values())


def find(proxy: str | ProxyFunction) -> Proxy:
    """Return the proxy of this name, or the one that was made of this function; NbnasError if there is none."""
    for candidate in registered():
        if proxy in (candidate.info.name, candidate.function):
            return candidate
    raise NbnasError(f"no proxy is registered as {proxy!r}")


def forget(name: str) -> None:
    """Take a proxy off the list, so that its name and those of its scores are free again."""
    del _registry[find(name).info.name]


@contextmanager
def only(*proxies: Proxy) -> Iterator[None]:
    """Let the list consist of these proxies for a while; what is registered or forgotten meanwhile is undone after."""
    global _registry
    before, _registry = _registry, {proxy.info.name: proxy for proxy in proxies}
    try:
        yield
    finally:
        _registry = before


def select_proxies(patterns: str | Sequence[str]) -> list[Proxy]:
    """Return the proxies that match any of the glob patterns by name or by a score, each once, in registration order.

    Ablations must be named in full. A pattern that matches nothing is an :class:`~nbnas.NbnasError`.
    """
    chosen = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        listed = [proxy.info for proxy in registered() if not (proxy.info.ablation and set(pattern) & set("*?["))]
        matches = {info.name for info in listed if any(fnmatchcase(n, pattern) for n in (info.name, *info.scores))}
        if not matches:
            raise NbnasError(f"no proxy matches {pattern!r}; there are {', '.join(_registry)}")
        chosen |= matches
    if not chosen:
        raise NbnasError(f"name at least one proxy; there are {', '.join(_registry)}")
    return [proxy for name, proxy in _registry.items() if name in chosen]


def is_named(score: str, info: ProxyInfo, patterns: str | Sequence[str]) -> bool:
    """Whether one of the patterns matches a score, or the proxy that returns it."""
    patterns = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(name, pattern) for name in (score, info.name) for pattern in patterns)


def list_proxies() -> pd.DataFrame:
    """Return the records of all registered proxies but ablations, one row each, indexed by name."""
    listed = [asdict(proxy.info) for proxy in registered() if not proxy.info.ablation]
    return pd.DataFrame(listed).drop(columns="ablation").set_index("name")
