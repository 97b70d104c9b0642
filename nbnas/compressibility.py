"""What T-CET measures, layer by layer, beside what the sizes of the layers alone would give.

The scores are those of Xiang et al., AutoML 2023 (``xiang2023tcet``); what sizes alone would give is derived in
:mod:`nbnas.size_forecasts`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from nbnas.errors import NbnasError
from nbnas.initialisation import INITIALISATIONS
from nbnas.noise import pair_shares
from nbnas.proxies.agreement import agreement
from nbnas.proxies.registry import Batch
from nbnas.proxies.tcet import layer_vectors
from nbnas.seeding import derive_seed, generator_for
from nbnas.size_forecasts import ideal_log_determinant, ideal_shape, layer_sizes
from nbnas.spaces import get_space


def draw_batch(batch_size: int, dataset: str = "cifar10", seed: int = 0, space: str = "nasbench201") -> Batch:
    """Return normal noise and random labels; a smaller batch of the same seed begins a larger one."""
    shape = get_space(space).datasets[dataset]
    size = (shape.channels, shape.resolution, shape.resolution)
    generator = generator_for(seed, "inputs")
    inputs = torch.stack([torch.randn(size, generator=generator) for _ in range(batch_size)])
    labels = torch.randint(shape.num_classes, (batch_size,), generator=generator_for(seed, "labels"))
    return inputs, labels


def draw_network(
    space: str, arch: str, dataset: str = "cifar10", seed: int = 0, initialisation: str = "torch_default"
) -> nn.Module:
    """Build a network with weights that depend on the seed and the architecture only."""
    network = get_space(space).build_for(arch, dataset)
    INITIALISATIONS[initialisation](network, generator_for(derive_seed(seed, space, arch), "weights"))
    return network


def layer_profile(
    space: str,
    arch: str,
    batch: Batch,
    *,
    saliency: str = "snip",
    dataset: str = "cifar10",
    seed: int = 0,
    initialisation: str = "torch_default",
) -> pd.DataFrame:
    """Measure both halves of T-CET layer by layer and set them against the size of the layer.

    Args:
        space: Name of a search space.
        arch: Architecture.
        batch: Inputs and labels.
        saliency: ``snip`` or ``synflow``.
        dataset: Shape of the network.
        seed: Seed of the weights.
        initialisation: Of the weights.

    Returns:
        As :func:`nbnas.proxies.tcet.layer_vectors`, and ``depth`` (1 for the first layer), ``units``, ``shape``
        (S / sigma / n), ``ideal_signal_to_noise`` (c n), ``ideal_log_determinant`` and ``deficit`` (how much of it is
        missing, in nats per sample; NaN where the kernel is singular).
    """
    network = draw_network(space, arch, dataset, seed, initialisation)
    table = layer_vectors(network, batch, saliency).assign(units=layer_sizes(space, arch, dataset)["units"])
    batch_size = len(batch[0])
    table["depth"] = np.arange(1, len(table) + 1)
    table["shape"] = table["signal_to_noise"] / table["weights"]
    table["ideal_signal_to_noise"] = ideal_shape(saliency, initialisation) * table["weights"]
    table["ideal_log_determinant"] = ideal_log_determinant(table["units"], batch_size)
    regular = table["log_determinant"].where(table["log_determinant"] != 0)
    table["deficit"] = (table["ideal_log_determinant"] - regular) / batch_size
    return table


def scores_of_profile(profile: pd.DataFrame) -> dict[str, float]:
    """Return ``ssnr``, ``ssnr_log``, ``lnwot``, ``tcet`` and ``tcet_log`` from the two vectors; dead layers count 0."""
    ratio, determinant = profile["signal_to_noise"], profile["log_determinant"]
    logs = np.log(ratio.where(ratio != 0, 1))
    scores = {"ssnr": ratio, "ssnr_log": logs, "lnwot": determinant}
    scores |= {"tcet": ratio * determinant, "tcet_log": logs * determinant}
    return {name: float(terms.sum()) for name, terms in scores.items()}


def power_law(sizes: ArrayLike, values: ArrayLike) -> tuple[float, float, float]:
    """Fit values = factor * sizes ** exponent by least squares of the logarithms.

    Args:
        sizes: (n,), positive.
        values: (n,), positive.

    Returns:
        Factor, exponent, and standard deviation of ln(value / fit).

    Raises:
        NbnasError: Where a number is not positive, or sizes are all equal.
    """
    sizes, values = np.asarray(sizes, dtype=float), np.asarray(values, dtype=float)
    if (sizes <= 0).any() or (values <= 0).any() or np.ptp(sizes) == 0:
        raise NbnasError("a power law needs positive numbers and two different sizes")
    exponent, intercept = np.polyfit(np.log(sizes), np.log(values), 1)
    rest = np.log(values) - intercept - exponent * np.log(sizes)
    return float(np.exp(intercept)), float(exponent), float(rest.std())


def sensitivity(
    space: str, archs: Sequence[str], batches: Mapping[str, Batch], sizes: Sequence[int], seed: int = 0
) -> pd.DataFrame:
    """Score the same networks, with the same weights, on more and fewer samples of several batches.

    Args:
        space: Name of a search space.
        archs: Architectures.
        batches: Kind of input -> batch; its first samples make the smaller ones.
        sizes: Batch sizes; those larger than a batch are left out for it.
        seed: Seed of the weights.

    Returns:
        A row per architecture, kind and size: ``arch``, ``inputs``, ``batch_size``, the columns of
        :func:`scores_of_profile` (SNIP), and ``deficit``, the median over layers.
    """
    rows = []
    for arch in archs:
        for kind, (inputs, labels) in batches.items():
            for size in (size for size in sizes if size <= len(inputs)):
                profile = layer_profile(space, arch, (inputs[:size], labels[:size]), seed=seed)
                row = {"arch": arch, "inputs": kind, "batch_size": size, "deficit": profile["deficit"].median()}
                rows.append(row | scores_of_profile(profile))
    return pd.DataFrame(rows)


def classifier_codes(logits: Tensor) -> dict[str, int]:
    """Count what makes the kernel of a classifier singular.

    With signs s = 2 c - 1 the kernel is K = (L 1 1^T + s s^T) / 2, so its rank is at most L + 1, and at most the number
    of distinct codes.

    Args:
        logits: (N, L).

    Returns:
        ``samples`` N, ``classes`` L, ``distinct`` codes and the ``rank`` of K.
    """
    codes = (logits > 0).int()
    kernel = agreement(logits).kernel
    return {
        "samples": len(logits),
        "classes": logits.shape[1],
        "distinct": len(codes.unique(dim=0)),
        "rank": int(torch.linalg.matrix_rank(kernel, hermitian=True)),
    }


def ordered_alike(scores: ArrayLike, sizes: ArrayLike) -> float:
    """Of all pairs of networks that differ in both columns, the share in which the larger has the larger score.

    Unlike tau-b, which stays below 1 where one column has ties and the other has none.
    """
    right, wrong, _ = pair_shares(scores, sizes)
    return right / (right + wrong)


def right_among_equals(scores: ArrayLike, accuracy: ArrayLike, sizes: ArrayLike) -> tuple[float, int]:
    """Of all pairs of networks of equal size that differ in score and accuracy, the share in the right order.

    Args:
        scores: (n,).
        accuracy: (n,).
        sizes: (n,).

    Returns:
        The share, where 1/2 is chance (NaN without such pairs), and the number of pairs.
    """
    table = pd.DataFrame({"score": scores, "accuracy": accuracy, "size": sizes})
    right = wrong = 0
    for _, group in table.groupby("size"):
        score, trained = (group[name].to_numpy() for name in ("score", "accuracy"))
        upper = np.triu_indices(len(group), 1)
        signs = np.sign(np.subtract.outer(score, score) * np.subtract.outer(trained, trained))[upper]
        right, wrong = right + int((signs > 0).sum()), wrong + int((signs < 0).sum())
    return right / (right + wrong) if right + wrong else float("nan"), right + wrong
