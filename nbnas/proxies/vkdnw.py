"""VKDNW: entropy of the spectrum of the Fisher information matrix of an untrained network.

Source: Tybl & Neumann, CVPR 2025 (key ``tybl2025vkdnw``), Eq. 8-12. For logits z_n with Jacobian J_n (C x P) with
respect to P chosen parameters and predicted distribution p_n,

    F = 1/N sum_n A_n^T A_n ,   A_n = L_n^T J_n ,   L_n L_n^T = diag(p_n) - p_n p_n^T ,
    score = - sum_k w_k ln w_k  over the nine inner deciles of the eigenvalues of F, w_k = decile_k / sum of deciles.

The released code multiplies by L_n where the paper has L_n^T. The two matrices differ; both variants are here:
``official`` (A = L J), which the published tables used, and ``paper`` (A = L^T J).
"""

from itertools import chain

import torch
from torch import Tensor

from nbnas.errors import NbnasError
from nbnas.networks.eigenvalues import eigenvalues
from nbnas.networks.entry_jacobian import entry_jacobian
from nbnas.proxies.fisher_information import FisherSetting
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register

VARIANTS = {"vkdnw": FisherSetting(), "vkdnw_paper": FisherSetting(variant="paper")}
"""First part of the names of the scores -> setting."""

SUFFIXES = ("entropy", *(f"decile_{k}" for k in range(1, 10)), "trace")

ABLATIONS = {
    **{f"m{tensors}": FisherSetting(tensors) for tensors in (8, 16, 32, 64, 128, 256)},
    "last128": FisherSetting(which="last"),
    **{f"k{count}": FisherSetting(32, entries_per_tensor=count) for count in (1, 2, 4, 8)},
    **{f"p{position}": FisherSetting(position=position) for position in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)},
    "prandom": FisherSetting(position=None),
}
"""End of a score's name -> setting. ``m128`` and ``p0.0`` are the published choice, ``last128`` an earlier one."""

BASE = {"family": "Fisher", "paper": "Tybl & Neumann, CVPR 2025", "inputs": "noise", "initialisation": "kaiming_normal"}


@register(
    title="Entropy of the Fisher information spectrum",
    formula="-sum_k w_k ln w_k, w = normalised deciles 0.1..0.9 of eig(1/N sum_n J_n^T cov(p_n) J_n)",
    mode="eval",
    requires="no BatchNorm on batch statistics",
    cost="F + min(classes, features) I",
    scores=tuple(f"{prefix}_{suffix}" for prefix in VARIANTS for suffix in SUFFIXES),
    **BASE,
)
def vkdnw(probe: Probe) -> dict[str, Tensor]:
    """Score a network by VKDNW with the published settings, in both variants at the cost of one.

    ``vkdnw_entropy`` (nats), ``vkdnw_decile_1`` to ``_9`` and ``vkdnw_trace`` are of the official variant, those with
    ``vkdnw_paper`` of the paper's. Degenerate if all nine deciles are zero in both; in one alone, its entropy is NaN.
    Spectra are computed in float64; in a float32 network the smallest deciles are rounding noise all the same, because
    the Jacobian carries float32 errors. In eval mode BatchNorm with untouched statistics is the identity.

    The published ranking VKDNW_single orders networks by the number of parameter tensors, then by ``vkdnw_entropy``.
    """
    network, (inputs, _) = probe.shared_network(), probe.shared_batch()
    jacobian, logits = entry_jacobian(network, inputs, FisherSetting().entries(network))
    probe.check_outputs(logits)
    scores, zero = {}, []
    for prefix, setting in VARIANTS.items():
        result = setting.scores(jacobian, logits)
        values = (result["entropy"], *result["quantiles"], result["trace"])
        scores |= {f"{prefix}_{suffix}": value for suffix, value in zip(SUFFIXES, values, strict=True)}
        # An infinite trace makes the quantiles NaN as well, which is not the same as a zero spectrum.
        zero.append(result["entropy"].isnan() & result["trace"].isfinite())
    probe.degenerate_if(zero[0] & zero[1], "all deciles of the Fisher spectrum are zero, in both variants")
    return scores


@register(
    title="VKDNW as in the MobileNetV2 search",
    formula="vkdnw_entropy with quantiles 0, 0.1, ..., 1, random tensors, after one train-mode pass",
    requires="BatchNorm, if any, with running statistics",
    cost="2 F + min(classes, features) I",
    scores=("vkdnw_mobilenetv2_entropy",),
    **BASE,
)
def vkdnw_mobilenetv2(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the variant of VKDNW that the released MobileNetV2 search maximises: 0 to ln 11, in nats.

    It differs from ``vkdnw`` in three ways: one train-mode pass first, after which running statistics are 0.9 times the
    initial ones plus 0.1 times the batch's; 128 tensors drawn at random instead of the first; quantiles with both ends.
    """
    setting = FisherSetting(which="random", quantiles=tuple(k / 10 for k in range(11)))
    network, (inputs, _) = probe.network, probe.batches[0]
    with torch.no_grad():
        network(inputs.clone())
    network.eval()
    jacobian, logits = entry_jacobian(network, inputs, setting.entries(network))
    probe.check_outputs(logits)
    entropy = setting.scores(jacobian, logits)["entropy"]
    probe.degenerate_if(entropy.isnan(), "all quantiles of the Fisher spectrum are zero")
    return {"vkdnw_mobilenetv2_entropy": entropy}


@register(
    title="Fisher information spectrum of the last parameters",
    formula="vkdnw_decile_1..9 of the last 128 parameter tensors",
    mode="eval",
    requires="no BatchNorm on batch statistics",
    cost="F + min(classes, features) I",
    scores=tuple(f"vkdnw_last128_decile_{k}" for k in range(1, 10)),
    ablation=True,
    **BASE,
)
def vkdnw_last128(probe: Probe) -> dict[str, Tensor]:
    """Return the deciles of ``vkdnw`` for the last 128 parameter tensors; their entropy is one of ``vkdnw_ablations``.

    The published model-driven rankings learned from these, the training-free ones rank by the first 128.
    """
    setting, network, (inputs, _) = ABLATIONS["last128"], probe.shared_network(), probe.shared_batch()
    jacobian, logits = entry_jacobian(network, inputs, setting.entries(network))
    probe.check_outputs(logits)
    deciles = setting.scores(jacobian, logits)["quantiles"]
    return {f"vkdnw_last128_decile_{k}": decile for k, decile in enumerate(deciles, 1)}


@register(
    title="VKDNW with other parameters in the Fisher matrix",
    formula="vkdnw_entropy of the first m tensors; of k entries of each of 32; of one entry at relative position p",
    mode="eval",
    requires="no BatchNorm on batch statistics",
    cost="F + min(classes, features) I",
    scores=tuple(f"vkdnw_entropy_{name}" for name in ABLATIONS),
    ablation=True,
    **BASE,
)
def vkdnw_ablations(probe: Probe) -> dict[str, Tensor]:
    """Score a network by ``vkdnw_entropy``, in nats, for 18 choices of parameters; NaN where all deciles are zero.

    Those of the paper's tables on the size of the matrix and on the entries of a tensor. Each takes its columns of one
    Jacobian, which costs as many passes as that of one entry.
    """
    network, (inputs, _) = probe.shared_network(), probe.shared_batch()
    chosen = {name: setting.entries(network, probe.generator) for name, setting in ABLATIONS.items()}
    columns = {entry: column for column, entry in enumerate(dict.fromkeys(chain.from_iterable(chosen.values())))}
    jacobian, logits = entry_jacobian(network, inputs, list(columns))
    probe.check_outputs(logits)
    scores = {}
    for name, setting in ABLATIONS.items():
        own = jacobian[:, :, [columns[entry] for entry in chosen[name]]]
        scores[f"vkdnw_entropy_{name}"] = setting.scores(own, logits)["entropy"]
    return scores


def fisher_eigenvalues(probe: Probe, variant: str = "official") -> Tensor:
    """Return all eigenvalues of the matrix whose deciles ``vkdnw`` takes: (P,), ascending, at least 0, in float64."""
    setting, network, (inputs, _) = FisherSetting(variant=variant), probe.shared_network(), probe.shared_batch()
    jacobian, logits = entry_jacobian(network, inputs, setting.entries(network))
    matrix = setting.matrix(jacobian.double(), setting.probabilities(logits.double()))
    if not matrix.isfinite().all():
        raise NbnasError("the Fisher matrix is not finite, so it has no spectrum")
    return eigenvalues(matrix).clamp(min=0)
