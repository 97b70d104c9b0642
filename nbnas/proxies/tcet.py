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
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from nbnas.errors import NbnasError
from nbnas.networks.exact_kernels import exact_kernels
from nbnas.networks.layers import total
from nbnas.proxies.grasp import grasp_saliency
from nbnas.proxies.info import Batch
from nbnas.proxies.nwot import layer_log_determinants
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import find, register
from nbnas.proxies.session import ScoringSession
from nbnas.proxies.snip import snip_saliency
from nbnas.proxies.synflow import synflow_saliency

SALIENCIES = {"snip": snip_saliency, "synflow": synflow_saliency, "grasp": grasp_saliency}
"""Name -> function that gives the saliency of every weight by layer name."""


def signal_to_noise(saliency: Tensor, variant: str = "official") -> Tensor:
    """S / sigma of one layer, in float64, of one value per weight.

    A layer whose saliencies are all equal counts with its sum S, as in the released code, and a single weight likewise.
    Equality is meant up to rounding: a standard deviation below 1e-12 of the mean is none.
    """
    if variant not in ("official", "paper"):
        raise NbnasError(f"variant must be 'official' or 'paper', got {variant!r}")
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
    """Return the two vectors whose dot product is T-CET, for a network with its own weights, which is left as it is.

    Returns:
        A row per layer in registration order: ``weights`` (number), ``signal_to_noise``, ``log_determinant`` (NaN for a
        layer that is never called as a module).
    """
    device = next(network.parameters()).device
    probe = Probe(ScoringSession(network, [batch], None, 0, device), find("tcet_snip").info)
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


def ssnr(probe: Probe, kind: str) -> dict[str, Tensor]:
    """Score a network by the signal-to-noise ratio of saliencies over the weights of each layer, dimensionless.

    A layer's sum of GraSP saliencies can be negative; the logged form is then not a number, with status ``non_finite``.
    The paper names SSNR with GraSP and gives no number. Degenerate if every layer is dead.
    """
    ratios = list(layer_ratios(SALIENCIES[kind](probe)).values())
    probe.degenerate_if(total(ratios) == 0, "every layer is dead")
    return {f"ssnr_{kind}": total(ratios), f"ssnr_{kind}_log": total([logarithm(ratio) for ratio in ratios])}


def tcet(probe: Probe, kind: str) -> dict[str, Tensor]:
    """Score a network by T-CET, both halves on the same batch, in nats.

    Saliencies are in train mode (SynFlow aside), activation codes in eval mode. Degenerate if every layer is dead.
    """
    determinants = layer_log_determinants(probe)
    # A layer that is never called as a module has no activations of its own and counts 0, like a singular one.
    ratios = {name: ratio for name, ratio in layer_ratios(SALIENCIES[kind](probe)).items() if name in determinants}
    plain = total([ratio * determinants[name] for name, ratio in ratios.items()])
    probe.degenerate_if(plain == 0, "no layer has both saliency and a regular agreement kernel")
    return {
        f"tcet_{kind}": plain,
        f"tcet_{kind}_log": total([logarithm(ratio) * determinants[name] for name, ratio in ratios.items()]),
    }


def _register(function: Callable[[Probe, str], dict[str, Tensor]], kind: str, title: str, cost: str) -> None:
    name, product = f"{function.__name__}_{kind}", function is tcet
    register(
        name=name,
        title=title,
        family="saliency",
        paper="Xiang et al., AutoML 2023",
        formula="sum_l S_l / sigma_l" + (" ln|det K_l|" if product else "") + "; log: ln(S_l / sigma_l) for the ratio",
        mode="eval" if kind == "synflow" else "train",
        needs_labels=kind != "synflow",
        inputs="images" if product or kind != "synflow" else "none",
        requires="convolutions or linear layers" + (", called as modules" if product else ""),
        cost=cost,
        scores=(name, f"{name}_log"),
    )(partial(function, kind=kind))


_register(ssnr, "snip", "SSNR with SNIP", "F + B")
_register(ssnr, "synflow", "SSNR with SynFlow", "F + B of one sample, in float64")
_register(ssnr, "grasp", "SSNR with GraSP", "F + B + backward through B")
_register(tcet, "snip", "T-CET with SNIP", "2 F + B")
_register(tcet, "synflow", "T-CET with SynFlow", "F, and F + B of one sample in float64")
