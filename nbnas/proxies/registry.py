"""The list of proxies: a frozen record and a function for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase

import pandas as pd
from torch import Generator, Tensor, nn

from nbnas.errors import NbnasError

Batch = tuple[Tensor, Tensor]
"""Inputs (N, channels, height, width) and integer labels (N,)."""

ProxyFunction = Callable[[nn.Module, Sequence[Batch], Generator], Mapping[str, float]]


class DegenerateScoreError(ValueError):
    """The quantity a proxy measures does not exist for this network; the message says why."""


@dataclass(frozen=True)
class ProxyInfo:
    """What a reader asks of a proxy before using it."""

    name: str
    title: str
    paper: str
    formula: str
    higher_is_better: bool
    mode: str
    """``train`` or ``eval``: the mode the network is in when the function receives it."""
    batches: int
    """Number of batches the function reads."""
    needs_labels: bool
    initialisation: str | None
    """A name in :data:`nbnas.initialisation.INITIALISATIONS`; None where weights do not matter."""
    cost: str
    scores: tuple[str, ...]
    """Names of the values it returns."""


@dataclass(frozen=True)
class Proxy:
    """A registered proxy."""

    info: ProxyInfo
    function: ProxyFunction


_REGISTRY: dict[str, Proxy] = {}


def register(info: ProxyInfo) -> Callable[[ProxyFunction], ProxyFunction]:
    """Decorate a function ``(network, batches, generator) -> {score name: value}`` to make it a proxy.

    The function receives a copy of the network that it may change, in the mode ``info.mode``, and draws any random
    numbers from ``generator``. It returns exactly the names in ``info.scores``; it raises
    :class:`DegenerateScoreError` where the score does not exist, rather than returning a stand-in number.

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
    """Return the proxies whose names match any of the glob patterns, each once, in registration order.

    Raises:
        NbnasError: If a pattern matches nothing.
    """
    if isinstance(patterns, str):
        patterns = [patterns]
    if not patterns:
        raise NbnasError(f"name at least one proxy; there are {', '.join(_REGISTRY)}")
    chosen = set()
    for pattern in patterns:
        matches = [name for name in _REGISTRY if fnmatchcase(name, pattern)]
        if not matches:
            raise NbnasError(f"no proxy matches {pattern!r}; there are {', '.join(_REGISTRY)}")
        chosen.update(matches)
    return [proxy for name, proxy in _REGISTRY.items() if name in chosen]


def list_proxies() -> pd.DataFrame:
    """Return the records of all registered proxies, one row each, indexed by name."""
    return pd.DataFrame([asdict(proxy.info) for proxy in _REGISTRY.values()]).set_index("name")
