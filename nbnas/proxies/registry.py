"""The list of proxies: a frozen record and a function for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pandas as pd
from torch import Tensor

from nbnas.errors import NbnasError
from nbnas.proxies.info import ProxyInfo

if TYPE_CHECKING:
    from nbnas.proxies.probe import Probe


ProxyFunction = Callable[["Probe"], Mapping[str, float | Tensor]]


@dataclass(frozen=True)
class Proxy:
    """A registered proxy."""

    info: ProxyInfo
    function: ProxyFunction


_REGISTRY: dict[str, Proxy] = {}


def register(info: ProxyInfo) -> Callable[[ProxyFunction], ProxyFunction]:
    """Decorate a function ``probe -> {score name: value}`` to make it a proxy.

    The function takes what it needs from a :class:`nbnas.proxies.probe.Probe`: ``probe.network``, a copy of its own in
    the mode ``info.mode``; ``probe.batches``; passes shared with other proxies, such as ``probe.loss_gradients()``. It
    draws any random numbers from ``probe.generator``. It returns exactly the names in ``info.scores``, as numbers or
    scalar tensors. Where the score does not exist it raises :class:`DegenerateScoreError` or calls
    ``probe.degenerate_if``, rather than returning a stand-in number.

    Raises:
        NbnasError: If the name or one of the score names is taken.
    """
    taken = {name for proxy in _REGISTRY.values() for name in proxy.info.scores}
    if info.name in _REGISTRY or taken & set(info.scores):
        raise NbnasError(f"a proxy named {info.name!r}, or one of its scores, is already registered")
    if info.mode not in ("train", "eval"):
        raise NbnasError(f"mode of proxy {info.name!r} must be 'train' or 'eval', got {info.mode!r}")

    def decorate(function: ProxyFunction) -> ProxyFunction:
        _REGISTRY[info.name] = Proxy(info, function)
        return function

    return decorate


def select_proxies(patterns: str | Sequence[str]) -> list[Proxy]:
    """Return the proxies that match any of the glob patterns by name or by a score, each once, in registration order.

    Ablations must be named in full.

    Raises:
        NbnasError: If a pattern matches nothing.
    """
    if isinstance(patterns, str):
        patterns = [patterns]
    if not patterns:
        raise NbnasError(f"name at least one proxy; there are {', '.join(_REGISTRY)}")
    chosen = set()
    for pattern in patterns:
        matches = [
            name
            for name, proxy in _REGISTRY.items()
            if any(fnmatchcase(candidate, pattern) for candidate in (name, *proxy.info.scores))
            and not (proxy.info.ablation and set(pattern) & set("*?["))
        ]
        if not matches:
            raise NbnasError(f"no proxy matches {pattern!r}; there are {', '.join(_REGISTRY)}")
        chosen.update(matches)
    return [proxy for name, proxy in _REGISTRY.items() if name in chosen]


def list_proxies() -> pd.DataFrame:
    """Return the records of all registered proxies but ablations, one row each, indexed by name."""
    listed = [asdict(proxy.info) for proxy in _REGISTRY.values() if not proxy.info.ablation]
    return pd.DataFrame(listed).drop(columns="ablation").set_index("name")
