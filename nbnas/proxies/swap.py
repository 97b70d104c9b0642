"""SWAP: sample-wise activation patterns.

Each unit has a pattern over the S samples, (1[x_s > 0])_s with x what enters its activation:

    SWAP = number of different patterns, at most min(units, 2^S) ,   regularised: SWAP exp(-(P - mu)^2 / sigma) ,

P the number of parameters in thousands. Source: Peng et al., ICLR 2024 (key ``peng2024swap``), and for GELU and SiLU
IEEE TPAMI 2026 (key ``peng2026swap``). The count per layer is one factor of L-SWAG (Casarin et al., CVPR 2025).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nbnas.errors import NbnasError
from nbnas.networks.layers import UnsupportedModelError
from nbnas.networks.recording import Recording, record
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register

SAMPLES = 16
"""Samples of the published scores. More of them undo the ceiling 2^S, and rank NAS-Bench-201 worse."""


def patterns(activations: Tensor) -> Tensor:
    """Return the distinct patterns of the units of (S, ...), S at most 64, as whole numbers: bit s is sample s."""
    if len(activations) > 64:
        raise NbnasError(f"patterns of at most 64 samples fit into a number, got {len(activations)}")
    codes = torch.zeros(activations[0].numel(), dtype=torch.int64, device=activations.device)
    for sample, values in enumerate(activations.flatten(1)):
        codes |= (values > 0).long() << sample
    return codes.unique()


def count_patterns(activations: Sequence[Tensor]) -> tuple[int, int]:
    """Return the numbers of distinct patterns over all layers (S, ...), and summed over layers."""
    of_layers = list(map(patterns, activations))
    return len(torch.cat(of_layers).unique()), sum(map(len, of_layers))


def regularised(swap: float, parameters: float, mean: float, variance: float) -> float:
    """Return SWAP weighted by size; ``mean`` is in thousands of parameters, ``variance`` in their squares.

    The values for NAS-Bench-201 are not published. Its searches took one number for both.
    """
    return swap * math.exp(-((parameters / 1000 - mean) ** 2) / variance)


def activation_inputs(recording: Recording) -> list[Tensor]:
    """Return what entered the activations whose sign is that of their input; samples first."""
    entering = [*recording.relu_inputs, *recording.smooth_relu_inputs]
    if not entering:
        raise UnsupportedModelError("needs ReLU, GELU or SiLU activations")
    for each in entering:
        recording.require_samples_first(each)
    return entering


@register(
    title="SWAP",
    family="activations",
    paper="Peng et al., ICLR 2024",
    formula="number of distinct sign patterns of units over 16 samples; swap_layerwise: counted per layer",
    initialisation="standard_normal",
    sees_classifier=False,
    requires="ReLU, GELU or SiLU activations",
    cost="F of 16 samples",
    scores=("swap", "swap_layerwise"),
)
def swap(probe: Probe) -> dict[str, float]:
    """Score a network by its activation patterns over the first 16 samples: ``swap`` is 1 to 65,536.

    Activations count as modules and as function calls; ReLU6, LeakyReLU and PReLU do too. A published score is the mean
    over 32 initialisations. ``swap_layerwise`` meets the ceiling of 65,536 layer by layer.
    """
    probe.require_pair()
    probe.require_samples(SAMPLES)
    recording = record(probe.network, probe.batches[0][0][:SAMPLES])
    entering = activation_inputs(recording)
    probe.check_outputs(recording.logits, recording.last_features)
    return dict(zip(("swap", "swap_layerwise"), map(float, count_patterns(entering)), strict=True))
