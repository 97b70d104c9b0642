"""Dextr: condition of the feature maps, and curvature of the outputs along a circle of inputs.

With sigma the singular values of the output of module l for one sample, (channels, positions), and the curve
z(t) = network(u1 cos t + u2 sin t) of logits, u1 and u2 orthonormal, v = dz/dt and a = d2z/dt2 at t = 0,

    S = ln(1 + sum_l sigma_min / sigma_max) ,   K = ln(1 + kappa) ,   Dextr = S K / (S + K) ,
    kappa = (v.v)^(-3/2) sqrt((v.v)(a.a) - (v.a)^2) .

Released code sums over all modules, containers too, and draws ten of the logits, with replacement; here all count once.
Source: Asthana et al., TMLR 2025 (key ``asthana2025dextr``).
"""

import torch
from torch import Tensor, nn

from nbnas.networks.autograd import differentiating_twice
from nbnas.networks.eigenvalues import in_stacks
from nbnas.networks.recording import require_logits
from nbnas.proxies.meco import first_sample_maps
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register

_BASE = {"family": "features", "paper": "Asthana et al., TMLR 2025"}


def inverse_condition(matrices: Tensor) -> Tensor:
    """Least over largest singular value of matrices (S, P, Q): (S,), in float64; 0 where all entries are zero."""
    singular_values = torch.linalg.svdvals(matrices.double())
    return (singular_values[:, -1] / singular_values[:, 0]).nan_to_num(0)


def curvature(network: nn.Module, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Velocity and acceleration (K,) of the logits at ``first`` on the circle to ``second``, both (1, C, H, W).

    The acceleration is that between the kinks of the network.
    """
    angle = torch.zeros((), dtype=first.dtype, device=first.device, requires_grad=True)
    logits = require_logits(network(first * angle.cos() + second * angle.sin()), 1)[0]
    # One logit at a time: torch's normalisations have right second derivatives, but not the third that a pass for all
    # logits together would need.
    velocity = [_derivative(logit, angle, create_graph=True) for logit in logits]
    with differentiating_twice(*velocity):
        acceleration = [_derivative(each, angle, retain_graph=True) for each in velocity]
    return torch.stack(velocity).detach(), torch.stack(acceleration)


def _derivative(value: Tensor, angle: Tensor, **options: bool) -> Tensor:
    if not value.requires_grad:
        return torch.zeros_like(value)
    return torch.autograd.grad(value, angle, materialize_grads=True, **options)[0]


def bend(velocity: Tensor, acceleration: Tensor) -> Tensor:
    """Extrinsic curvature kappa of a curve, in float64; NaN where the velocity is zero."""
    velocity, acceleration = velocity.double(), acceleration.double()
    speed = velocity @ velocity
    area = speed * (acceleration @ acceleration) - (velocity @ acceleration) ** 2
    return area.clamp(min=0).sqrt() / speed**1.5


def _condition_score(probe: Probe) -> Tensor:
    return in_stacks(inverse_condition, [each for _, each in first_sample_maps(probe)]).sum().log1p()


@register(
    title="Dextr without curvature",
    formula="S = ln(1 + sum_l sigma_min / sigma_max of output l), one sample",
    requires="nothing",
    cost="F of three samples",
    **_BASE,
)
def dextr_s(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the conditions of its feature maps on the first sample: 0 to ln(1 + modules).

    An output of one position has the ratio 1, so an MLP is scored by its number of modules.
    """
    return {"dextr_s": _condition_score(probe)}


@register(
    title="Dextr",
    formula="S K / (S + K), S = dextr_s, K = ln(1 + curvature of the logits along a circle of inputs)",
    requires="operations that can be differentiated twice",
    cost="F of three samples, and of one differentiated twice per class",
    scores=("dextr", "dextr_curvature"),
    ablation=True,
    **_BASE,
)
def dextr(probe: Probe) -> dict[str, Tensor]:
    """Score a network by Dextr, and by its curvature alone; the circle is drawn, its radius is 1.

    One random point decides the curvature: between two draws it differs by factors of 2 to 10.
    """
    condition, (inputs, _) = _condition_score(probe), probe.batches[0]
    plane = torch.randn(inputs[0].numel(), 2, generator=probe.generator, dtype=torch.float64, device="cpu")
    first, second = torch.linalg.qr(plane).Q.to(inputs).T.reshape(2, 1, *inputs.shape[1:])
    kappa = bend(*curvature(probe.network, first, second)).cpu()
    probe.degenerate_if(kappa.isnan(), "the logits do not move along the circle of inputs")
    return {"dextr": condition * kappa.log1p() / (condition + kappa.log1p()), "dextr_curvature": kappa}
