"""VKDNW taken apart: what of it comes from the factor, from BatchNorm, from smoothing and from precision.

All start where the stored scores start, from one network and one batch, and share one Jacobian J (N, C, P) of the
logits with respect to the published choice of parameters. The score is defined in :mod:`nbnas.proxies.vkdnw`, after
Tybl & Neumann, CVPR 2025 (``tybl2025vkdnw``).
"""

from collections.abc import Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from nbnas.networks.entry_jacobian import entry_jacobian
from nbnas.networks.exact_kernels import exact_kernels
from nbnas.networks.layers import BATCH_NORMS
from nbnas.proxies.fisher_information import QUANTILES, FisherSetting
from nbnas.rankings import bootstrap_interval, kendall_tau, lexicographic_rank, paired_difference


def after_train_pass(network: nn.Module, inputs: Tensor, momentum: float) -> nn.Module:
    """Run a network once in train mode and return it in eval mode.

    Args:
        network: Changed in place: running statistics of BatchNorm are then ``momentum`` times those of the batch plus
            (1 - ``momentum``) times what they were.
        inputs: One batch.
        momentum: 0.1 is torch's default, 1 leaves the statistics of the batch.
    """
    for layer in network.modules():
        if isinstance(layer, BATCH_NORMS):
            layer.momentum = momentum
    with torch.no_grad():
        network.train()(inputs)
    return network.eval()


def jacobian_and_logits(network: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Jacobian (N, C, P) for the published choice of parameters and the logits (N, C).

    The network computes in its own precision; the result is in float64, on the CPU.
    """
    with exact_kernels(inputs.device):
        jacobian, logits = entry_jacobian(network, inputs, FisherSetting().entries(network))
    return jacobian.double().cpu(), logits.double().cpu()


def entropy_of(
    jacobian: Tensor,
    logits: Tensor,
    variant: str = "official",
    smoothing: float = 0.05,
    *,
    half_precision_constants: bool = True,
) -> float:
    """Return the entropy that VKDNW gives a network, in nats; NaN if all deciles are zero.

    Args:
        jacobian: (N, C, P).
        logits: (N, C).
        variant: See :class:`nbnas.proxies.fisher_information.FisherSetting`.
        smoothing: The same.
        half_precision_constants: The same.
    """
    setting = FisherSetting(variant=variant, smoothing=smoothing, half_precision_constants=half_precision_constants)
    return float(setting.scores(jacobian, logits)["entropy"])


def released_deciles(jacobian: Tensor, logits: Tensor, variant: str = "official") -> Tensor:
    """Return the deciles of the spectrum as the released code computes them.

    Everything is in float32, and the eigenvalues are the singular values of the symmetric matrix. So they err by the
    rounding of the largest, about 1e-7 of it. Arguments as for :func:`entropy_of`.

    Returns:
        (9,), in float64.
    """
    setting = FisherSetting(variant=variant)
    matrix = setting.matrix(jacobian.float(), setting.probabilities(logits.float()))
    return torch.quantile(torch.linalg.svdvals(matrix), torch.tensor(QUANTILES)).double()


def package_deciles(jacobian: Tensor, logits: Tensor, variant: str = "official") -> Tensor:
    """Return the deciles as this package computes them: eigenvalues of the matrix in float64, good to about 1e-16.

    Arguments and result as for :func:`released_deciles`.
    """
    return FisherSetting(variant=variant).scores(jacobian, logits)["quantiles"]


def reference_deciles(jacobian: Tensor, logits: Tensor, variant: str = "official") -> Tensor:
    """Return the deciles from the singular values of A, where F = A^T A / N, without ever forming F.

    In float64 they err by about 1e-31 of the largest; in F all singular values below the square root of the rounding
    would be lost. Arguments and result as for :func:`released_deciles`.
    """
    setting = FisherSetting(variant=variant)
    root = setting.root(jacobian, setting.probabilities(logits)) / len(jacobian) ** 0.5
    values = torch.linalg.svdvals(root) ** 2
    beyond_rank = max(root.shape[1] - len(values), 0)
    return torch.quantile(nn.functional.pad(values, (0, beyond_rank)), torch.tensor(QUANTILES).double())


def compare_rankings(
    entropies: Sequence[float],
    published: Sequence[float],
    layers: ArrayLike,
    accuracy: ArrayLike,
    repeats: int = 500,
) -> dict[str, tuple[float, tuple[float, float]]]:
    """Say how entropies rank trained networks, and what they gain on the published ones of the same networks.

    Args:
        entropies: (n,).
        published: (n,), in the setting of the published tables.
        layers: (n,) trainable layers, by which VKDNW_single ranks first.
        accuracy: (n,).
        repeats: Bootstrap resamples.

    Returns:
        Quantity -> value and 95 % interval (NaN where there is none): tau of both entropies; tau with accuracy, and the
        difference from that of the published ones; the same two after the layers.
    """
    after_layers = [lexicographic_rank(layers, own) for own in (entropies, published)]
    measures = {
        "Kendall's τ with accuracy": (kendall_tau, entropies, accuracy),
        "gain": (paired_difference(kendall_tau), entropies, published, accuracy),
        "Kendall's τ with accuracy, VKDNW_single": (kendall_tau, after_layers[0], accuracy),
        "gain, VKDNW_single": (paired_difference(kendall_tau), *after_layers, accuracy),
    }
    none = (float("nan"), float("nan"))
    return {"Kendall's τ with the tables' setting": (kendall_tau(entropies, published), none)} | {
        quantity: (statistic(*columns), bootstrap_interval(statistic, *columns, repeats=repeats))
        for quantity, (statistic, *columns) in measures.items()
    }
