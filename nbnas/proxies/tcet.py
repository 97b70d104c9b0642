"""SSNR and T-CET: compressibility in gradient space, and its product with compressibility in activation space.

For layer l with saliencies s_i of its n weights (SNIP, SynFlow or GraSP),

    S_l = sum_i s_i ,   sigma_l = standard deviation of s_i ,   SSNR = sum_l S_l / sigma_l
    T-CET = sum_l (S_l / sigma_l) ln|det K_l|

with K_l of :mod:`nbnas.proxies.nwot`. The logged forms (``..._log``) take ln(S_l / sigma_l) instead of the ratio; the
paper chooses per search space, whichever scored better. Source: Xiang et al., AutoML 2023 (``xiang2023tcet``), Eq. 3-7.

Released code divides by n - 1 in the standard deviation (``official``, the default here), Eq. 3 by n (``paper``); ranks
agree but for tiny layers.
"""

from collections.abc import Callable, Mapping

import pandas as pd
import torch
from torch import Tensor, nn

from nbnas.networks.exact_kernels import exact_kernels
from nbnas.networks.layers import total
from nbnas.proxies.grasp import grasp_saliency
from nbnas.proxies.info import Batch, ProxyInfo
from nbnas.proxies.nwot import layer_log_determinants
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register
from nbnas.proxies.session import ScoringSession
from nbnas.proxies.snip import snip_saliency
from nbnas.proxies.synflow import synflow_saliency

SALIENCIES: dict[str, Callable[[Probe], dict[str, Tensor]]] = {
    "snip": snip_saliency,
    "synflow": synflow_saliency,
    "grasp": grasp_saliency,
}
"""Name -> function that gives the saliency of every weight by layer name."""


def signal_to_noise(saliency: Tensor, variant: str = "official") -> Tensor:
    """S / sigma of one layer, in float64.

    A layer whose saliencies are all equal counts with its sum S, as in the released code; so does one of a single
    weight. Equality is meant up to rounding: a standard deviation below 1e-12 of the mean is none.

    Args:
        saliency: One value per weight, any shape.
        variant: ``official`` divides by n - 1 in the variance, ``paper`` by n.

    Raises:
        ValueError: If ``variant`` is neither.
    """
    if variant not in ("official", "paper"):
        raise ValueError(f"variant must be 'official' or 'paper', got {variant!r}")
    values = saliency.double()
    signal = values.sum()
    noise = values.std(correction=1 if variant == "official" and values.numel() > 1 else 0)
    spread = noise > 1e-12 * values.abs().mean()
    return torch.where(spread, signal / torch.where(spread, noise, 1), signal)


def logarithm(ratio: Tensor) -> Tensor:
    """ln of a ratio; a dead layer, with ratio 0, counts 0. NaN for a negative ratio, which GraSP can have."""
    return torch.where(ratio == 0, 0.0, torch.where(ratio == 0, 1.0, ratio).log())


def layer_ratios(saliencies: Mapping[str, Tensor], variant: str = "official") -> dict[str, Tensor]:
    """Return S_l / sigma_l by layer name."""
    return {name: signal_to_noise(saliency, variant) for name, saliency in saliencies.items()}


def layer_vectors(network: nn.Module, batch: Batch, saliency: str = "snip", variant: str = "official") -> pd.DataFrame:
    """Return the two vectors whose dot product is T-CET, for a network as it is.

    Args:
        network: Any network that the scores apply to; it is left as it is.
        batch: Inputs and labels.
        saliency: ``snip``, ``synflow`` or ``grasp``.
        variant: See :func:`signal_to_noise`.

    Returns:
        A row per layer in registration order: ``weights`` (number), ``signal_to_noise``, ``log_determinant`` (NaN for a
        layer that is never called as a module).
    """
    device = next(network.parameters()).device
    probe = Probe(ScoringSession(network, [batch], None, 0, device), _info("tcet_snip", "", ""))
    with exact_kernels(device):
        return probe_layer_vectors(probe, saliency, variant)


def probe_layer_vectors(probe: Probe, saliency: str = "snip", variant: str = "official") -> pd.DataFrame:
    """As :func:`layer_vectors`, of the network that a probe shows."""
    saliencies = SALIENCIES[saliency](probe)
    determinants = layer_log_determinants(probe)
    rows = [
        (name, saliencies[name].numel(), float(ratio), float(determinants.get(name, float("nan"))))
        for name, ratio in layer_ratios(saliencies, variant).items()
    ]
    return pd.DataFrame(rows, columns=["layer", "weights", "signal_to_noise", "log_determinant"]).set_index("layer")


def _info(name: str, title: str, cost: str) -> ProxyInfo:
    kind = name.partition("_")[2]
    product = name.startswith("tcet")
    return ProxyInfo(
        name=name,
        title=title,
        family="saliency",
        paper="Xiang et al., AutoML 2023",
        formula="sum_l S_l / sigma_l" + (" ln|det K_l|" if product else "") + "; log: ln(S_l / sigma_l) for the ratio",
        higher_is_better=True,
        mode="eval" if kind == "synflow" else "train",
        batches=1,
        needs_labels=kind != "synflow",
        inputs="images" if product or kind != "synflow" else "none",
        initialisation="torch_default",
        requires="convolutions or linear layers" + (", called as modules" if product else ""),
        cost=cost,
        scores=(name, f"{name}_log"),
    )


def _ssnr(probe: Probe, kind: str) -> dict[str, Tensor]:
    ratios = list(layer_ratios(SALIENCIES[kind](probe)).values())
    probe.degenerate_if(total(ratios) == 0, "every layer is dead")
    return {f"ssnr_{kind}": total(ratios), f"ssnr_{kind}_log": total([logarithm(ratio) for ratio in ratios])}


def _tcet(probe: Probe, kind: str) -> dict[str, Tensor]:
    determinants = layer_log_determinants(probe)
    # A layer that is never called as a module has no activations of its own and counts 0, like a singular one.
    ratios = {name: ratio for name, ratio in layer_ratios(SALIENCIES[kind](probe)).items() if name in determinants}
    plain = total([ratio * determinants[name] for name, ratio in ratios.items()])
    probe.degenerate_if(plain == 0, "no layer has both saliency and a regular agreement kernel")
    return {
        f"tcet_{kind}": plain,
        f"tcet_{kind}_log": total([logarithm(ratio) * determinants[name] for name, ratio in ratios.items()]),
    }


@register(_info("ssnr_snip", "SSNR with SNIP", "F + B"))
def ssnr_snip(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the signal-to-noise ratio of SNIP saliencies over the weights of each layer.

    Args:
        probe: Network in train mode and one labelled batch.

    Returns:
        ``ssnr_snip`` and ``ssnr_snip_log``, dimensionless.
    """
    return _ssnr(probe, "snip")


@register(_info("ssnr_synflow", "SSNR with SynFlow", "F + B of one sample, in float64"))
def ssnr_synflow(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the signal-to-noise ratio of SynFlow saliencies over the weights of each layer.

    Args:
        probe: Network; of the batch only the shape is used.

    Returns:
        ``ssnr_synflow`` and ``ssnr_synflow_log``, dimensionless; degenerate if every layer is dead.
    """
    return _ssnr(probe, "synflow")


@register(_info("ssnr_grasp", "SSNR with GraSP", "F + B + backward through B"))
def ssnr_grasp(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the signal-to-noise ratio of GraSP saliencies; the paper names it and prints no number.

    A layer's sum can be negative; the logged form is then not a number, with status ``non_finite``.

    Args:
        probe: Network in train mode and one labelled batch.

    Returns:
        ``ssnr_grasp`` and ``ssnr_grasp_log``, dimensionless.
    """
    return _ssnr(probe, "grasp")


@register(_info("tcet_snip", "T-CET with SNIP", "2 F + B"))
def tcet_snip(probe: Probe) -> dict[str, Tensor]:
    """Score a network by T-CET with SNIP saliencies, both halves on the same batch.

    Args:
        probe: One labelled batch; saliencies in train mode, activation codes in eval mode.

    Returns:
        ``tcet_snip`` and ``tcet_snip_log``, in nats.
    """
    return _tcet(probe, "snip")


@register(_info("tcet_synflow", "T-CET with SynFlow", "F, and F + B of one sample in float64"))
def tcet_synflow(probe: Probe) -> dict[str, Tensor]:
    """Score a network by T-CET with SynFlow saliencies.

    Args:
        probe: One batch; labels are not used.

    Returns:
        ``tcet_synflow`` and ``tcet_synflow_log``, in nats; degenerate if every layer is dead.
    """
    return _tcet(probe, "synflow")
