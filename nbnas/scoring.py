"""Scoring one network."""

import copy
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch
from torch import nn

from nbnas.errors import NbnasError
from nbnas.initialisation import INITIALISATIONS
from nbnas.proxies.registry import Batch, DegenerateScoreError, Proxy, select_proxies
from nbnas.seeding import derive_seed, generator_for


def score(
    model: nn.Module,
    proxies: str | Sequence[str] = "*",
    *,
    batches: Sequence[Batch] | None = None,
    input_shape: tuple[int, int, int, int] | None = None,
    num_classes: int | None = None,
    init: str | None = "published",
    seed: int = 0,
    device: str | torch.device | None = None,
) -> pd.DataFrame:
    """Score a network with training-free proxies.

    >>> import nbnas
    >>> space = nbnas.get_space("nasbench201")
    >>> table = nbnas.score(space.build(space[0]), ["params", "trainable_layers"], input_shape=(1, 3, 32, 32))
    >>> table.value.astype(int).to_dict()
    {'params': 129306, 'trainable_layers': 111}

    Args:
        model: Maps (N, C, H, W) to logits (N, K). A copy is scored; the model stays exactly as it is.
        proxies: Names or glob patterns, see :func:`nbnas.list_proxies`.
        batches: Pairs (inputs, labels); a proxy reads as many as it needs, from the front. ``None`` draws standard
            normal inputs of ``input_shape`` and uniform labels from ``seed``.
        input_shape: (batch, channels, height, width) of drawn inputs.
        num_classes: Range of drawn labels; ``None`` asks the model.
        init: ``"published"`` draws each method's published initialisation from ``seed``, ``None`` keeps the weights.
        seed: Seed of weights, inputs and labels. No global random state is read or changed.
        device: Where to score; ``None`` is the model's own device.

    Returns:
        A row per score, indexed by its name: ``value``; ``status`` (``ok``, ``degenerate``, ``non_finite`` or
        ``error: ...``; without ``ok`` the value is not a number to rank by); ``seconds`` of the proxy that
        returned it. One failing proxy does not stop the others.

    Raises:
        NbnasError: If the arguments are unusable: an unknown proxy, init or device, neither batches nor a shape.
    """
    chosen = select_proxies(proxies)
    if init not in ("published", None):
        raise NbnasError(f"init must be 'published' or None, got {init!r}")
    if batches is None:
        batches = _draw_batches(model, chosen, input_shape, num_classes, seed)
    reference = next(model.parameters(), torch.empty(0))
    device = usable_device(device if device is not None else reference.device)
    batches = [(inputs.to(device, reference.dtype), labels.to(device)) for inputs, labels in batches]
    rows = [row for proxy in chosen for row in _run(proxy, model, batches, init, seed, device)]
    return pd.DataFrame(rows, columns=["score", "value", "status", "seconds"]).set_index("score")


def usable_device(device: str | torch.device) -> torch.device:
    """Return a torch device on which a tensor can be made; raises :class:`NbnasError` for any other."""
    try:
        found = torch.empty(0, device=device).device
        if found.type == "meta":
            raise ValueError("it holds no numbers")
        return found
    except Exception as error:
        raise NbnasError(f"device {str(device)!r} cannot be used: {str(error).splitlines()[0]}") from error


@contextmanager
def _seeded_global_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators that dropout draws from, of the CPU and of ``device`` alone, and restore them."""
    on_cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """Switch off TF32, which CUDA uses in convolutions by default: scores would not agree with a CPU's."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


def _draw_batches(
    model: nn.Module, proxies: list[Proxy], input_shape: tuple[int, ...] | None, num_classes: int | None, seed: int
) -> list[Batch]:
    if not any(proxy.info.batches for proxy in proxies):
        return []
    if input_shape is None or len(input_shape) != 4:
        raise NbnasError(
            f"give batches, or input_shape=(batch, channels, height, width); got input_shape={input_shape}"
        )
    needs_labels = any(proxy.info.needs_labels for proxy in proxies)
    batches = []
    for number in range(max(proxy.info.batches for proxy in proxies)):
        inputs = torch.randn(input_shape, generator=generator_for(seed, "inputs", number))
        if needs_labels and num_classes is None:
            num_classes = _count_classes(model, inputs[:1])
        labels = torch.randint(num_classes or 1, input_shape[:1], generator=generator_for(seed, "labels", number))
        batches.append((inputs, labels))
    return batches


def _count_classes(model: nn.Module, inputs: torch.Tensor) -> int:
    network = copy.deepcopy(model).eval()
    reference = next(network.parameters(), inputs)
    with torch.no_grad():
        return network(inputs.to(reference)).shape[1]


def _run(
    proxy: Proxy, model: nn.Module, batches: list[Batch], init: str | None, seed: int, device: torch.device
) -> list[tuple[str, float, str, float]]:
    info = proxy.info
    values, status = {}, "ok"
    start = time.perf_counter()
    try:
        if len(batches) < info.batches:
            raise NbnasError(f"needs {info.batches} batches, got {len(batches)}")
        network = copy.deepcopy(model).to(device).train(info.mode == "train")
        if init == "published" and info.initialisation is not None:
            INITIALISATIONS[info.initialisation](network, generator_for(seed, "weights"))
        # A network may work in place on its input.
        own_batches = [(inputs.clone(), labels.clone()) for inputs, labels in batches]
        with _seeded_global_generators(derive_seed(seed, info.name, "global"), device), _full_precision(device):
            returned = proxy.function(network, own_batches, generator_for(seed, info.name))
        values = {name: float(value) for name, value in dict(returned).items()}
        if set(values) != set(info.scores):
            raise NbnasError(f"returned {sorted(values)}, its record says {sorted(info.scores)}")
    except DegenerateScoreError:
        status = "degenerate"
    except Exception as error:
        # One proxy that cannot handle a network must not hide what the others say about it.
        reason = str(error).strip().splitlines()
        status = f"error: {type(error).__name__}: {reason[0] if reason else 'no message'}"
        values = {}
    seconds = time.perf_counter() - start
    rows = []
    for name in info.scores:
        value = values.get(name, math.nan)
        finite = "ok" if math.isfinite(value) else "non_finite"
        rows.append((name, value, status if status != "ok" else finite, seconds))
    return rows
