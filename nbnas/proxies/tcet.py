"""Lnwot, SSNR and T-CET: compressibility in activation space, in gradient space, and the product of both.

For layer l with saliencies s_i of its n weights (SNIP, SynFlow or GraSP), and K_l the kernel of
:mod:`nbnas.proxies.naswot` on its outputs,

    S_l = sum_i s_i ,   sigma_l = standard deviation of s_i ,   SSNR = sum_l S_l / sigma_l
    Lnwot = sum_l ln|det K_l| ,   T-CET = sum_l (S_l / sigma_l) ln|det K_l|

The logged forms (``..._log``) take ln(S_l / sigma_l) instead of the ratio; the paper chooses per search space,
whichever scored better. Source: Xiang et al., AutoML 2023 (key ``xiang2023tcet``), section 3, Eq. 3-7.

In the standard deviation released code divides by n - 1 (``official``, the default here), Eq. 3 by n (``paper``); ranks
agree except for tiny layers. A layer whose K_l is singular counts 0, as in the released code; with no more classes than
samples that is nearly always the case for the classifier.
"""

from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from nbnas.errors import NbnasError
from nbnas.networks.exact_kernels import exact_kernels
from nbnas.networks.layers import WEIGHT_LAYERS, UnsupportedModelError, total
from nbnas.proxies.grasp import grasp_saliency
from nbnas.proxies.naswot import agreement, log_determinant
from nbnas.proxies.probe import Batch, Probe, ScoringSession
from nbnas.proxies.registry import find, register
from nbnas.proxies.snip import snip_saliency
from nbnas.proxies.synflow import synflow_saliency

SALIENCIES = {"snip": snip_saliency, "synflow": synflow_saliency, "grasp": grasp_saliency}
"""Name -> function that gives the saliency of every weight by layer name."""


def layer_agreements(probe: Probe) -> tuple[dict[str, Tensor], Tensor]:
    """Return ln |det K_l| of every convolution and linear layer called in eval mode, and the sum of all K_l.

    0 where K_l is singular, as it is where no unit is ever positive. The units of a layer that is called several times
    are those of all its calls.
    """

    def compute() -> tuple[dict[str, Tensor], Tensor]:
        probe.require_pair()
        calls: dict[str, list[Tensor]] = {}
        # Only signs are needed, and no other proxy uses the pass, so its graph is freed.
        recording = probe.record(mode="eval")
        for call in recording.calls:
            if isinstance(call.layer, WEIGHT_LAYERS):
                recording.require_samples_first(call.output)
                calls.setdefault(call.name, []).append(agreement(call.output))
        if not calls:
            raise UnsupportedModelError("needs convolutions or linear layers, called as modules")
        kernels = torch.stack([torch.stack(own).sum(0) for own in calls.values()])
        values = log_determinant(kernels)
        return dict(zip(calls, torch.where(values.isneginf(), 0.0, values), strict=True)), kernels.sum(0)

    return probe.share("layer agreements", compute)


@register(
    title="Lnwot and NASWOT on layer outputs",
    family="activations",
    paper="Xiang et al., AutoML 2023",
    formula="lnwot: sum_l ln|det K_l|; nwot: ln|det sum_l K_l|; K_l = agreement of codes at the output of layer l",
    mode="eval",
    requires="convolutions or linear layers, called as modules",
    cost="F",
    scores=("lnwot", "nwot"),
)
def nwot(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the log-determinants of the activation codes of its layers, in nats.

    Degenerate if the sum of the kernels is singular; ``lnwot`` alone is NaN if each of them is.
    """
    determinants, kernel = layer_agreements(probe)
    layers, whole = torch.stack(list(determinants.values())), log_determinant(kernel)
    probe.degenerate_if(whole.isneginf(), "the agreement kernel of all layers is singular")
    return {"lnwot": torch.where((layers == 0).all(), float("nan"), layers.sum()), "nwot": whole}


def signal_to_noise(saliency: Tensor, variant: str = "official") -> Tensor:
    """S / sigma of one layer, in float64, of one value per weight.

    A layer whose saliencies are all equal (up to a sigma of 1e-12 of the mean modulus), or a single weight, counts with
    its sum S, as in the released code.
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


def layer_vectors(network: nn.Module, batch: Batch, saliency: str = "snip", variant: str = "official") -> pd.DataFrame:
    """Return the two vectors whose dot product is T-CET, for a network with its own weights, which is left as it is.

    A row per layer in registration order: ``weights`` (number), ``signal_to_noise``, ``log_determinant`` (NaN for a
    layer that is never called as a module).
    """
    device = next(network.parameters()).device
    probe = Probe(ScoringSession(network, [batch], None, 0, device), find("tcet_snip").info)
    with exact_kernels(device):
        return probe_layer_vectors(probe, saliency, variant)


def probe_layer_vectors(probe: Probe, saliency: str = "snip", variant: str = "official") -> pd.DataFrame:
    """As :func:`layer_vectors`, of the network that a probe shows."""
    saliencies, (determinants, _) = SALIENCIES[saliency](probe), layer_agreements(probe)
    rows = [
        (name, own.numel(), float(signal_to_noise(own, variant)), float(determinants.get(name, float("nan"))))
        for name, own in saliencies.items()
    ]
    return pd.DataFrame(rows, columns=["layer", "weights", "signal_to_noise", "log_determinant"]).set_index("layer")


def ssnr(probe: Probe, kind: str) -> dict[str, Tensor]:
    """Score a network by the signal-to-noise ratio of saliencies over the weights of each layer, dimensionless.

    A layer's sum of GraSP saliencies can be negative; the logged form is then not a number, with status ``non_finite``.
    The paper names SSNR with GraSP and gives no number. Degenerate if every layer is dead.
    """
    ratios = list(map(signal_to_noise, SALIENCIES[kind](probe).values()))
    probe.degenerate_if(total(ratios) == 0, "every layer is dead")
    return {f"ssnr_{kind}": total(ratios), f"ssnr_{kind}_log": total([logarithm(ratio) for ratio in ratios])}


def tcet(probe: Probe, kind: str) -> dict[str, Tensor]:
    """Score a network by T-CET, both halves on the same batch, in nats.

    Saliencies are in train mode (SynFlow aside), activation codes in eval mode. Degenerate if every layer is dead.
    """
    determinants, _ = layer_agreements(probe)
    # A layer that is never called as a module has no activations of its own and counts 0, like a singular one.
    saliencies = {name: own for name, own in SALIENCIES[kind](probe).items() if name in determinants}
    pairs = [(signal_to_noise(own), determinants[name]) for name, own in saliencies.items()]
    plain = total([ratio * determinant for ratio, determinant in pairs])
    probe.degenerate_if(plain == 0, "no layer has both saliency and a regular agreement kernel")
    logged = total([logarithm(ratio) * determinant for ratio, determinant in pairs])
    return {f"tcet_{kind}": plain, f"tcet_{kind}_log": logged}


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
