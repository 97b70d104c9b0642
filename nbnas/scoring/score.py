"""Scoring one network."""

import math
import time
import warnings
from collections.abc import Sequence

import pandas as pd
import torch
from torch import nn

from nbnas.errors import NbnasError, first_line
from nbnas.networks.initialisation import kept_parameters
from nbnas.proxies.probe import Batch, DegenerateScoreError, LogitsSelector, Probe, ScoringSession
from nbnas.proxies.registry import Proxy, ProxyInfo, is_named, select_proxies
from nbnas.scoring.given_inputs import GivenInputs
from nbnas.seeding import derive_seed, seeded_global_generators


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
        model: Maps (N, C, H, W), or whole numbers (N, tokens), to logits (N, K). Copies are scored; the model stays
            exactly as it is. All its parameters count, frozen or not.
        proxies: Names of proxies or scores, or glob patterns, see :func:`nbnas.list_proxies`.
        batches: Pairs (inputs, labels) of tensors or arrays, or a data loader; a proxy reads as many as it needs, from
            the front. ``None`` draws standard normal inputs of ``input_shape`` and uniform labels from ``seed``.
        input_shape: (batch, channels, height, width) of drawn inputs.
        num_classes: Range of drawn labels; ``None`` asks the model.
        init: ``"published"`` draws each method's published initialisation from ``seed``, with a warning where it does
            not reach all parameters; ``None`` keeps the weights.
        seed: Seed of weights, inputs and labels. No global random state is read or changed.
        device: Where to score; ``None`` is the model's own device.
        logits: For a model that returns a tuple or a dict: index, key or name of the logits, or a function that takes
            what the model returns and gives them. A field ``logits`` is found without. A model that returns several
            outputs in one mode alone may return the logits themselves in the other.

    Returns:
        A row per score that is named, by itself or by its proxy, indexed by its name: ``value``; ``status`` (``ok``,
        ``degenerate``, ``non_finite`` or ``error: ...``; without ``ok`` the value is not a number to rank by);
        ``seconds`` that the proxy which returned it takes when scored alone. Proxies share passes: scoring many takes
        less than the sum. One failing proxy does not stop the others. Saliencies or gradients that sum to exactly zero
        are degenerate.

    Raises:
        NbnasError: If an argument is wrong, or the network does not run on drawn inputs. A copy is tried once first.
    """
    chosen, rows = select_proxies(proxies), {}
    given = GivenInputs(batches, input_shape, num_classes, init, seed, device, logits)
    with given.session(model, chosen) as session:
        _warn_of_kept_parameters(session, chosen)
        # Proxies that start from the same weights follow each other: only the passes of one start are in memory.
        for proxy in sorted(chosen, key=lambda proxy: session.initialisation_of(proxy.info) or ""):
            session.keep_only(session.initialisation_of(proxy.info))
            rows[proxy.info.name] = _run(proxy, session)
    rows = [row for proxy in chosen for row in rows[proxy.info.name] if is_named(row[0], proxy.info, proxies)]
    return pd.DataFrame(rows, columns=["score", "value", "status", "seconds"]).set_index("score")


def _warn_of_kept_parameters(session: ScoringSession, chosen: Sequence[Proxy]) -> None:
    if any(session.initialisation_of(proxy.info) for proxy in chosen) and (kept := kept_parameters(session.model)):
        names = ", ".join(kept[:3]) + (", ..." if len(kept) > 3 else "")
        message = f"the published initialisation does not know {len(kept)} parameters, which keep their values: {names}"
        warnings.warn(message, stacklevel=3)


def _run(proxy: Proxy, session: ScoringSession) -> list[tuple[str, float, str, float]]:
    info, values, status = proxy.info, {}, "ok"
    start = time.perf_counter()
    probe = Probe(session, info)
    try:
        session.require(info)
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
    elif status == "ok" and ("degenerate" in found or _no_gradient_passes(info, values)):
        status = "degenerate"
    seconds = time.perf_counter() - start + probe.shared_seconds
    if status != "ok":
        return [(name, math.nan, status, seconds) for name in info.scores]
    statuses = {name: "ok" if math.isfinite(values[name]) else "non_finite" for name in info.scores}
    return [(name, values[name], statuses[name], seconds) for name in info.scores]


def _no_gradient_passes(info: ProxyInfo, values: dict[str, float]) -> bool:
    """Whether a score made of gradients is exactly zero: torch calls a gradient that is cut off zero, and no error."""
    return info.family in ("saliency", "gradients") and not any(values.values())
