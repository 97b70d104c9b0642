"""VKDNW taken apart: what of it comes from the factor, from BatchNorm, from smoothing and from precision.

All start where the stored scores start, from one network and one batch, and share one Jacobian J (N, C, P) of the
logits (N, C) with respect to the published choice of parameters. The score and its variants ``official`` and ``paper``
are defined in :mod:`nbnas.proxies.vkdnw`, after Tybl & Neumann, CVPR 2025 (``tybl2025vkdnw``).
"""

from collections.abc import Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from nbnas.networks.entry_jacobian import entry_jacobian
from nbnas.networks.exact_kernels import exact_kernels
from nbnas.networks.layers import BATCH_NORMS
from nbnas.proxies.fisher_information import QUANTILES, FisherSetting
from nbnas.rankings import Estimate, bootstrap_estimate, kendall_tau, lexicographic_rank, paired_difference


def after_train_pass(network: nn.Module, inputs: Tensor, momentum: float) -> nn.Module:
    """Run a network once in train mode and return it, changed in place, in eval mode.

    Running statistics of BatchNorm are then ``momentum`` times those of the batch plus (1 - ``momentum``) times what
    they were: 0.1 is torch's default, 1 leaves the statistics of the batch.
    """
    for layer in network.modules():
        if isinstance(layer, BATCH_NORMS):
            layer.momentum = momentum
    with torch.no_grad():
        network.train()(inputs)
    return network.eval()


def jacobian_and_logits(network: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return J and the logits, computed in the network's precision, in float64 on the CPU."""
    with exact_kernels(inputs.device):
        jacobian, logits = entry_jacobian(network, inputs, FisherSetting().entries(network))
    return jacobian.double().cpu(), logits.double().cpu()


def entropy_of(
    jacobian: Tensor, logits: Tensor, variant: str = "official", smoothing: float = 0.05, **setting: bool
) -> float:
    """Return the entropy that VKDNW gives a network, in nats, by a ``FisherSetting``; NaN if all deciles are zero."""
    return float(FisherSetting(variant=variant, smoothing=smoothing, **setting).scores(jacobian, logits)["entropy"])


def released_deciles(jacobian: Tensor, logits: Tensor, variant: str = "official") -> Tensor:
    """Return the nine deciles as the released code has them: singular values in float32, to 1e-7 of the largest."""
    setting = FisherSetting(variant=variant)
    matrix = setting.matrix(jacobian.float(), setting.probabilities(logits.float()))
    return torch.quantile(torch.linalg.svdvals(matrix), torch.tensor(QUANTILES)).double()


def package_deciles(jacobian: Tensor, logits: Tensor, variant: str = "official") -> Tensor:
    """Return the deciles as this package computes them: eigenvalues of the matrix in float64, good to about 1e-16."""
    return FisherSetting(variant=variant).scores(jacobian, logits)["quantiles"]


def reference_deciles(jacobian: Tensor, logits: Tensor, variant: str = "official") -> Tensor:
    """Return the deciles from the singular values of A, where F = A^T A / N, without ever forming F.

    In float64 they err by about 1e-31 of the largest; in F all singular values below the square root of the rounding
    would be lost.
    """
    setting = FisherSetting(variant=variant)
    root = setting.root(jacobian, setting.probabilities(logits)) / len(jacobian) ** 0.5
    values = torch.linalg.svdvals(root) ** 2
    beyond_rank = max(root.shape[1] - len(values), 0)
    return torch.quantile(nn.functional.pad(values, (0, beyond_rank)), torch.tensor(QUANTILES).double())


def compare_rankings(
    entropies: Sequence[float], published: Sequence[float], layers: ArrayLike, accuracy: ArrayLike, repeats: int = 500
) -> dict[str, Estimate]:
    """Say how entropies rank trained networks, and what they gain on the published ones of the same networks.

    ``published`` are entropies in the setting of the tables; VKDNW_single ranks by trainable ``layers`` first. Returns
    tau of both entropies, tau with accuracy, and its gain on that of the published ones; the last two after the layers.
    """
    after_layers = [lexicographic_rank(layers, own) for own in (entropies, published)]
    gain = paired_difference(kendall_tau)
    measures = {
        "Kendall's τ with accuracy": (kendall_tau, entropies, accuracy),
        "gain": (gain, entropies, published, accuracy),
        "Kendall's τ with accuracy, VKDNW_single": (kendall_tau, after_layers[0], accuracy),
        "gain, VKDNW_single": (gain, *after_layers, accuracy),
    }
    found = {"Kendall's τ with the tables' setting": Estimate(kendall_tau(entropies, published))}
    return found | {name: bootstrap_estimate(*measure, repeats=repeats) for name, measure in measures.items()}
