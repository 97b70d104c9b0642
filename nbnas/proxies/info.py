"""The record of a proxy, and what it is given and may raise."""

from dataclasses import dataclass

from torch import Tensor

Batch = tuple[Tensor, Tensor]
"""Inputs (N, channels, height, width) and integer labels (N,)."""


class DegenerateScoreError(ValueError):
    """The quantity a proxy measures does not exist for this network; the message says why."""


@dataclass(frozen=True, kw_only=True)
class ProxyInfo:
    """What a reader asks of a proxy before using it. A larger score is meant to be better."""

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
    requires: str = "nothing"
    """What the network must have, in words."""
    cost: str
    """In passes of a whole batch: F forward, B backward to weights and inputs, I backward to inputs alone."""
    scores: tuple[str, ...]
    """Names of the values it returns."""
    ablation: bool = False
    """Another setting of a listed method: answers to its full name, but to no wildcard, and is not listed."""
