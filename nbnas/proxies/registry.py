"""The list of proxies: a frozen record and a function for each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd
from torch import Tensor

from nbnas.errors import NbnasError
from nbnas.proxies.info import ProxyInfo
from nbnas.proxies.probe import Probe

ProxyFunction = Callable[[Probe], Mapping[str, float | Tensor]]


@dataclass(frozen=True)
class Proxy:
    """A registered proxy."""

    info: ProxyInfo
    function: ProxyFunction


_REGISTRY: dict[str, Proxy] = {}


def register(**record: Any) -> Callable[[ProxyFunction], ProxyFunction]:
    """Decorate a function ``probe -> {score name: value}`` to make it a proxy.

    The function takes what it needs from a :class:`~nbnas.proxies.Probe`: ``probe.network``, a copy of its own in the
    mode of the record; ``probe.batches``; passes shared with other proxies, such as ``probe.loss_gradients()``. It
    draws any random numbers from ``probe.generator``. It returns exactly the scores of the record, as numbers or scalar
    tensors. Where the score does not exist it raises :class:`~nbnas.proxies.DegenerateScoreError` or calls
    ``probe.degenerate_if``, rather than returning a stand-in number.

    Args:
        record: The fields of :class:`~nbnas.proxies.ProxyInfo`. The name is that of the function unless given, and the
            one score has the name of the proxy unless ``scores`` are given. None of these names may be taken.
    """

    def decorate(function: ProxyFunction) -> ProxyFunction:
        name = record.get("name") or function.__name__
        info = ProxyInfo(**{"name": name, "scores": (name,)} | record)
        taken = {score for proxy in registered() for score in proxy.info.scores}
        if name in _REGISTRY or taken & set(info.scores):
            raise NbnasError(f"a proxy named {name!r}, or one of its scores, is already registered")
        if info.mode not in ("train", "eval"):
            raise NbnasError(f"mode of proxy {name!r} must be 'train' or 'eval', got {info.mode!r}")
        _REGISTRY[name] = Proxy(info, function)
        return function

    return decorate


def registered() -> list[Proxy]:
    """Return all proxies, ablations too, in the order in which they were registered."""
    return list(_REGISTRY.values())


def find(proxy: str | ProxyFunction) -> Proxy:
    """Return the proxy of this name, or the one that was made of this function; NbnasError if there is none."""
    for candidate in registered():
        if proxy in (candidate.info.name, candidate.function):
            return candidate
    raise NbnasError(f"no proxy is registered as {proxy!r}")


def forget(name: str) -> None:
    """Take a proxy off the list, so that its name and those of its scores are free again."""
    del _REGISTRY[find(name).info.name]


@contextmanager
def only(*proxies: Proxy) -> Iterator[None]:
    """Let the list consist of these proxies for a while; what is registered or forgotten meanwhile is undone after."""
    before = dict(_REGISTRY)
    _REGISTRY.clear()
    _REGISTRY.update({proxy.info.name: proxy for proxy in proxies})
    try:
        yield
    finally:
        _REGISTRY.clear()
        _REGISTRY.update(before)


def select_proxies(patterns: str | Sequence[str]) -> list[Proxy]:
    """Return the proxies that match any of the glob patterns by name or by a score, each once, in registration order.

    Ablations must be named in full. A pattern that matches nothing is an :class:`~nbnas.NbnasError`.
    """
    if isinstance(patterns, str):
        patterns = [patterns]
    if not patterns:
        raise NbnasError(f"name at least one proxy; there are {', '.join(_REGISTRY)}")
    chosen = set()
    for pattern in patterns:
        matches = {
            name
            for name, proxy in _REGISTRY.items()
            if any(fnmatchcase(candidate, pattern) for candidate in (name, *proxy.info.scores))
            and not (proxy.info.ablation and set(pattern) & set("*?["))
        }
        if not matches:
            raise NbnasError(f"no proxy matches {pattern!r}; there are {', '.join(_REGISTRY)}")
        chosen |= matches
    return [proxy for name, proxy in _REGISTRY.items() if name in chosen]


def list_proxies() -> pd.DataFrame:
    """Return the records of all registered proxies but ablations, one row each, indexed by name."""
    listed = [asdict(proxy.info) for proxy in registered() if not proxy.info.ablation]
    return pd.DataFrame(listed).drop(columns="ablation").set_index("name")
