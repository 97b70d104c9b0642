"""AZ-NAS: expressivity, progressivity and trainability of the feature maps between blocks.

Features f_0 (stem), f_1, ..., f_B (blocks). With p the eigenvalues of the channel covariance of a feature (over samples
and positions) divided by their sum, H = - sum_i p_i ln(p_i + 1e-8) is their entropy. Eigenvalues below zero count as
zero; in float32 released code takes their logarithm and returns minus infinity for some networks with few convolutions.

For trainability, s is the largest singular value of G_in^T G_out / rows, G_out random signs at the output of the block
and G_in their vector-Jacobian product at its input (rows = samples and positions, columns = channels). s = 1 keeps the
size of gradients. A fourth part of AZ-NAS is FLOPs. Source: Lee & Ham, CVPR 2024 (key ``lee2024aznas``).
"""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from nbnas.networks.eigenvalues import eigenvalues, largest_singular_value
from nbnas.networks.feature_maps import require_feature_maps
from nbnas.networks.layers import UnsupportedModelError
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register

_BASE = {
    "family": "features",
    "paper": "Lee & Ham, CVPR 2024",
    "inputs": "noise",
    "initialisation": "kaiming_normal",
    "sees_classifier": False,
    "requires": "two or more blocks that return feature maps (N, C, H, W)",
}


def channel_rows(feature: Tensor) -> Tensor:
    """(N, C, H, W) -> (N H W, C)."""
    return feature.permute(0, 2, 3, 1).reshape(-1, feature.shape[1])


def feature_entropy(feature: Tensor) -> Tensor:
    """H of a feature (N, C, H, W): 0 to ln C nats; NaN for a constant feature."""
    rows = channel_rows(feature.detach())
    centred = rows - rows.mean(0, keepdim=True)
    spectrum = eigenvalues((centred.T @ centred / len(rows)).double()).clamp(min=0)
    share = spectrum / spectrum.sum()
    # By rounding, the covariance of a constant is not always zero.
    return torch.where(_all_equal(rows, rows[0]), float("nan"), -(share * (share + 1e-8).log()).sum())


def _all_equal(left: Tensor, right: Tensor) -> Tensor:
    """Whether all numbers are finite and equal; on a CPU about twice as fast as ``(left == right).all()``."""
    return (left - right).abs().max() == 0


def block_trainability(gradient_in: Tensor, gradient_out: Tensor) -> Tensor:
    """2 - s - 1 / (s + 1e-6) of one block; minus infinity where the block passes the gradient on unchanged.

    G_in is (N, C, H, W) and G_out (N, C', H / r, W / r) with a whole number r, else UnsupportedModelError.
    """
    factor, rest = divmod(gradient_in.shape[2], gradient_out.shape[2])
    if rest or gradient_in.shape[3] != factor * gradient_out.shape[3]:
        shapes = f"{tuple(gradient_in.shape[2:])} and {tuple(gradient_out.shape[2:])}"
        raise UnsupportedModelError(f"needs blocks whose resolutions divide, got {shapes}")
    if factor > 1:
        gradient_in = functional.pixel_unshuffle(gradient_in, factor)
    entering, leaving = channel_rows(gradient_in), channel_rows(gradient_out)
    value = _value(largest_singular_value((entering.T @ leaving / len(leaving)).double()))
    if factor > 1 or entering.shape != leaving.shape:
        return value
    return torch.where(_all_equal(entering, leaving), -torch.inf, value)


def _value(largest: Tensor) -> Tensor:
    return 2 - largest - 1 / (largest + 1e-6)


def trainability(features: Sequence[Tensor], signs: Sequence[Tensor]) -> Tensor:
    """Return the value of every block, (B,), from f_0, ..., f_B of one graph and G_out of f_1, ..., f_B."""
    values = []
    for number, (before, after, sign) in enumerate(zip(features[:-1], features[1:], signs, strict=True), start=1):
        gradient = None
        if before.requires_grad and after.requires_grad:
            (gradient,) = torch.autograd.grad(after, before, sign, retain_graph=True, allow_unused=True)
        if gradient is None:
            raise UnsupportedModelError(f"the output of block {number} does not depend on that of the block before")
        values.append(block_trainability(gradient, sign))
    return torch.stack(values)


def random_signs(feature: Tensor, generator: Generator) -> Tensor:
    """Return 1 or -1 with equal probability for every element of a feature map (N, C, H, W), in its memory format.

    They are the same on every device and in every memory format: a random number of the CPU generator gives 64 signs,
    which lie channel by channel at each position.
    """
    count = feature.numel()
    numbers = torch.empty(math.ceil(count / 64), dtype=torch.int64, device="cpu")
    numbers.random_(-(2**63), None, generator=generator)
    # Unpacked where the feature is: a GPU gets one bit per sign.
    packed = numbers.view(torch.uint8).to(feature.device)
    bits = (packed.unsqueeze(1) >> torch.arange(8, dtype=torch.uint8, device=feature.device)) & 1
    samples, channels, *size = feature.shape
    signs = bits.flatten()[:count].view(samples, *size, channels).permute(0, 3, 1, 2)
    return torch.empty_like(feature.detach()).copy_(signs).mul_(2).sub_(1)


def _entropies(probe: Probe) -> Tensor:
    features = require_feature_maps(probe.forward().features)
    entropies = probe.share("feature entropies", lambda: torch.stack(list(map(feature_entropy, features))), probe.mode)
    probe.degenerate_if(entropies.isnan().any(), "a feature map is constant")
    return entropies


@register(title="AZ-NAS expressivity", formula="sum_f H(eig(cov_channels(f)))", cost="F", **_BASE)
def az_expressivity(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the summed entropies of its feature maps: 0 to the sum of ln C, in nats."""
    return {"az_expressivity": _entropies(probe).sum()}


@register(title="AZ-NAS progressivity", formula="min_b H(f_b) - H(f_(b-1))", cost="F", **_BASE)
def az_progressivity(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the smallest increase of entropy from one feature map to the next, in nats, of either sign."""
    return {"az_progressivity": _entropies(probe).diff().min()}


@register(
    title="AZ-NAS trainability", formula="mean_b 2 - s_b - 1/(s_b + 1e-6), s = ||G_in^T G_out||", cost="F + I", **_BASE
)
def az_trainability(probe: Probe) -> dict[str, Tensor]:
    """Score a network by how well its blocks preserve the size of gradients: at most 1e-6."""
    features = require_feature_maps(probe.forward().features)
    values = trainability(features, [random_signs(feature, probe.generator) for feature in features[1:]])
    probe.degenerate_if(values.isinf().any(), "a block passes gradients on unchanged")
    probe.degenerate_if((values == _value(torch.zeros_like(values))).any(), "a block passes no gradient on")
    return {"az_trainability": values.mean()}
