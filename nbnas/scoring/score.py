"""Scoring one network."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from nbnas.errors import NbnasError, first_line
from nbnas.networks.copying import copy_network
from nbnas.networks.exact_kernels import exact_kernels
from nbnas.proxies.probe import Batch, DegenerateScoreError, LogitsSelector, Probe, ScoringSession
from nbnas.proxies.registry import Proxy, select_proxies
from nbnas.seeding import derive_seed, generator_for, seeded_global_generators


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
    logits: int | str | LogitsSelector | None = None,
) -> pd.DataFrame:
    """Score a network with training-free proxies.

    >>> import nbnas
    >>> space = nbnas.get_space("nasbench201")
    >>> table = nbnas.score(space.build(space[0]), ["params", "trainable_layers"], input_shape=(1, 3, 32, 32))
    >>> table.value.astype(int).to_dict()
    {'params': 129306, 'trainable_layers': 111}

    Args:
        model: Maps (N, C, H, W) to logits (N, K). Copies are scored; the model stays exactly as it is. All its
            parameters count, frozen or not.
        proxies: Names of proxies or scores, or glob patterns, see :func:`nbnas.list_proxies`.
        batches: Pairs (inputs, labels); a proxy reads as many as it needs, from the front. ``None`` draws standard
            normal inputs of ``input_shape`` and uniform labels from ``seed``.
        input_shape: (batch, channels, height, width) of drawn inputs.
        num_classes: Range of drawn labels; ``None`` asks the model.
        init: ``"published"`` draws each method's published initialisation from ``seed``, ``None`` keeps the weights.
        seed: Seed of weights, inputs and labels. No global random state is read or changed.
        device: Where to score; ``None`` is the model's own device.
        logits: For a model that returns a tuple or a dict: index or key of the logits, or a function that takes what
            the model returns and gives them.

    Returns:
        A row per score, indexed by its name: ``value``; ``status`` (``ok``, ``degenerate``, ``non_finite`` or
        ``error: ...``; without ``ok`` the value is not a number to rank by); ``seconds`` that the proxy which
        returned it takes when scored alone. Proxies share passes: scoring many takes less than the sum. One failing
        proxy does not stop the others.
    """
    chosen, rows = select_proxies(proxies), {}
    given = GivenInputs(batches, input_shape, num_classes, init, seed, device, logits)
    with given.session(model, chosen) as session:
        # Proxies that start from the same weights follow each other: only the passes of one start are in memory.
        for proxy in sorted(chosen, key=lambda proxy: session.initialisation_of(proxy.info) or ""):
            session.keep_only(session.initialisation_of(proxy.info))
            rows[proxy.info.name] = _run(proxy, session)
    rows = [row for proxy in chosen for row in rows[proxy.info.name]]
    return pd.DataFrame(rows, columns=["score", "value", "status", "seconds"]).set_index("score")


@dataclass(frozen=True)
class GivenInputs:
    """What a network is scored on: the arguments of :func:`score`."""

    batches: Sequence[Batch] | None = None
    input_shape: tuple[int, ...] | None = None
    num_classes: int | None = None
    init: str | None = "published"
    seed: int = 0
    device: str | torch.device | None = None
    logits: int | str | LogitsSelector | None = None

    @contextmanager
    def session(self, model: nn.Module, proxies: Sequence[Proxy]) -> Iterator[ScoringSession]:
        """Give proxies what :func:`score` shows them of a network, under the kernels that it computes with."""
        if self.init not in ("published", None):
            raise NbnasError(f"init must be 'published' or None, got {self.init!r}")
        key = self.logits
        select = key if key is None or callable(key) else lambda output: output[key]
        reference = next(model.parameters(), torch.empty(0))
        device = usable_device(reference.device if self.device is None else self.device)
        with exact_kernels(device):
            batches = []
            for inputs, labels in self._draw(model, proxies, select) if self.batches is None else self.batches:
                moved = inputs.to(device, reference.dtype)
                moved = moved.contiguous() if device.type == "cuda" else moved  # As the network, see move_network.
                # Tensors made in inference mode cannot be differentiated, their copies can.
                batches.append((moved.clone() if moved.is_inference() else moved, labels.to(device)))
            yield ScoringSession(model, batches, self.init, self.seed, device, select)

    def _draw(self, model: nn.Module, proxies: Sequence[Proxy], select: LogitsSelector | None) -> list[Batch]:
        count, shape, classes = max(proxy.info.batches for proxy in proxies), self.input_shape, self.num_classes
        if count and (shape is None or len(shape) != 4):
            raise NbnasError(f"give batches, or input_shape=(batch, channels, height, width); got input_shape={shape}")
        if count and classes is None and any(proxy.info.needs_labels for proxy in proxies):
            inputs, _ = draw_batch((min(2, shape[0]), *shape[1:]), 1, self.seed)
            classes = _count_classes(model, inputs, select)
        return [draw_batch(shape, classes or 1, self.seed, number) for number in range(count)]


def draw_batch(input_shape: tuple[int, ...], num_classes: int, seed: int, number: int = 0) -> Batch:
    """Return the standard normal inputs and uniform labels that :func:`score` draws from a seed, on the CPU."""
    inputs = torch.randn(input_shape, generator=generator_for(seed, "inputs", number), dtype=torch.float32)
    return inputs, torch.randint(num_classes, input_shape[:1], generator=generator_for(seed, "labels", number))


def usable_device(device: str | torch.device) -> torch.device:
    """Return a device on which a tensor can be made; raises :class:`NbnasError` for any other."""
    try:
        found = torch.empty(0, device=device).device
        if found.type == "meta":
            raise ValueError("it holds no numbers")
        return found
    except Exception as error:
        raise NbnasError(f"device {str(device)!r} cannot be used: {first_line(error)}") from error


def _count_classes(model: nn.Module, inputs: Tensor, select: LogitsSelector | None) -> int:
    network = copy_network(model).eval()
    reference = next(network.parameters(), inputs)
    # Seeded, because dropout may be active in eval mode too; a copy, because the first layer may work in place.
    try:
        with torch.no_grad(), seeded_global_generators(0, reference.device):
            output = network(inputs.to(reference, copy=True))
    except Exception as error:
        raise NbnasError(f"the network does not run on inputs {tuple(inputs.shape)}: {first_line(error)}") from error
    try:
        return int((output if select is None else select(output)).shape[1])
    except Exception as error:
        message = "the network must return logits (batch, classes); with a tuple or a dict, say which entry by logits="
        raise NbnasError(message) from error


def _run(proxy: Proxy, session: ScoringSession) -> list[tuple[str, float, str, float]]:
    info, values, status = proxy.info, {}, "ok"
    start = time.perf_counter()
    probe = Probe(session, info)
    try:
        if len(session.batches) < info.batches:
            raise NbnasError(f"needs {info.batches} batches, got {len(session.batches)}")
        with seeded_global_generators(derive_seed(session.seed, info.name, "global"), session.device):
            returned = proxy.function(probe)
        # To floats only now, after all work is queued: each conversion waits for the device.
        values = {name: float(value) for name, value in dict(returned).items()}
        if set(values) != set(info.scores):
            raise NbnasError(f"returned the scores {sorted(values)}, but its record names {sorted(info.scores)}")
    except DegenerateScoreError:
        status = "degenerate"
    except Exception as error:
        # One proxy that cannot handle a network must not hide what the others say about it.
        status = f"error: {type(error).__name__}: {first_line(error)}"
    found = {kind for condition, kind, _ in probe.flags if condition}
    # Numbers that are not finite make linear algebra fail: the error is then their consequence.
    if "non_finite" in found and (status == "ok" or "LinAlgError" in status):
        status = "non_finite"
    elif "degenerate" in found and status == "ok":
        status = "degenerate"
    seconds = time.perf_counter() - start + probe.shared_seconds
    if status != "ok":
        return [(name, math.nan, status, seconds) for name in info.scores]
    statuses = {name: "ok" if math.isfinite(values[name]) else "non_finite" for name in info.scores}
    return [(name, values[name], statuses[name], seconds) for name in info.scores]
