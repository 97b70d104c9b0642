"""What T-CET measures, layer by layer, beside what the sizes of the layers alone would give.

Take a layer with n weights and L outputs per sample, and a batch of N samples.

*Gradient half.* Saliencies s = |w| g of weights w and factors g that are drawn independently of each other have

    S / sigma = c n ,   c = E s / sd s = 1 / sqrt(E w^2 E g^2 / (E|w| E g)^2 - 1) ,

where c depends on the shapes of the two distributions, not on their scales and not on the architecture.

*Activation half.* If every unit is positive for every sample with probability 1/2, independently, the expected kernel
of :mod:`nbnas.proxies.tcet` is K = L/2 (I + 1 1^T), with ln det K = N ln(L / 2) + ln(N + 1).

The formulas are ours; the scores are those of Xiang et al., AutoML 2023 (``xiang2023tcet``).
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from nbnas.errors import NbnasError
from nbnas.networks.layers import weight_layers
from nbnas.proxies.naswot import agreement
from nbnas.proxies.probe import Batch
from nbnas.proxies.tcet import layer_vectors
from nbnas.scoring.setting import Setting
from nbnas.spaces import get_space


def layer_profile(
    space: str, arch: str, batch: Batch, *, saliency: str = "snip", seed: int = 0, initialisation: str = "torch_default"
) -> pd.DataFrame:
    """Measure both halves of T-CET layer by layer and set them against the size of the layer.

    Columns are those of :func:`nbnas.proxies.tcet.layer_vectors`, and ``depth`` (1 for the first layer), ``units``,
    ``shape`` (S / sigma / n), ``ideal_signal_to_noise`` (c n), ``ideal_log_determinant`` and ``deficit`` (how much of
    it is missing, in nats per sample; NaN where the kernel is singular).
    """
    network = Setting(space).network(arch, seed, initialisation)
    table = layer_vectors(network, batch, saliency).assign(units=layer_sizes(space, arch)["units"])
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


def sensitivity(
    space: str, archs: Sequence[str], batches: Mapping[str, Batch], sizes: Sequence[int], seed: int = 0
) -> pd.DataFrame:
    """Score the same networks, with the same weights, on more and fewer samples of several batches.

    The first samples of each batch, named by the kind of its inputs, make the smaller ones; ``sizes`` larger than a
    batch are left out for it. ``seed`` is that of the weights. A row per architecture, kind and size has ``arch``,
    ``inputs``, ``batch_size``, the columns of :func:`scores_of_profile` (SNIP), and the median ``deficit`` of layers.
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
    """Count what makes the kernel of a classifier with logits (N, L) singular.

    With signs s = 2 c - 1 the kernel is K = (L 1 1^T + s s^T) / 2, so its rank is at most L + 1, and at most the number
    of distinct codes. Returns ``samples`` N, ``classes`` L, ``distinct`` codes and the ``rank`` of K.
    """
    samples, classes = logits.shape
    distinct = len((logits > 0).unique(dim=0))
    rank = int(torch.linalg.matrix_rank(agreement(logits), hermitian=True))
    return {"samples": samples, "classes": classes, "distinct": distinct, "rank": rank}


def right_among_equals(scores: ArrayLike, accuracy: ArrayLike, sizes: ArrayLike) -> tuple[float, int]:
    """Of pairs of networks of equal size that differ in score and accuracy: the share in the right order, the number.

    A share of 1/2 is chance; without such pairs it is NaN.
    """
    table = pd.DataFrame({"score": scores, "accuracy": accuracy, "size": sizes})
    right = pairs = 0
    for _, group in table.groupby("size"):
        signs = [np.sign(np.subtract.outer(own, own)) for own in group[["score", "accuracy"]].to_numpy().T]
        agree = (signs[0] * signs[1])[np.triu_indices(len(group), 1)]
        right, pairs = right + np.count_nonzero(agree > 0), pairs + np.count_nonzero(agree)
    return right / pairs if pairs else float("nan"), pairs


_UNIFORM, _NORMAL, _CONSTANT = (1 / 2, 1 / 3), (math.sqrt(2 / math.pi), 1.0), (1.0, 1.0)
"""E|x| and E x^2 of U(-1, 1), of N(0, 1) and of a constant."""
_WEIGHT_MOMENTS = {"torch_default": _UNIFORM, "kaiming_normal": _NORMAL, "standard_normal": _NORMAL}
_FACTOR_MOMENTS = {"snip": _NORMAL, "synflow": _CONSTANT}


def ideal_shape(saliency: str = "snip", initialisation: str = "torch_default") -> float:
    """Return c of the module's head: gradients of SNIP as if normal, those of SynFlow as if all equal.

    >>> round(ideal_shape("snip"), 4), round(ideal_shape("synflow"), 4)
    (0.9559, 1.7321)
    """
    mean_weight, square_weight = _WEIGHT_MOMENTS[initialisation]
    mean_factor, square_factor = _FACTOR_MOMENTS[saliency]
    return 1 / math.sqrt(square_weight * square_factor / (mean_weight * mean_factor) ** 2 - 1)


def ideal_log_determinant(units: ArrayLike, batch_size: int) -> np.ndarray:
    """Return N ln(L / 2) + ln(N + 1), in nats, for layers with L outputs per sample."""
    return batch_size * np.log(np.asarray(units) / 2) + math.log(batch_size + 1)


def layer_sizes(space: str, arch: str) -> pd.DataFrame:
    """Return ``weights``, ``units`` (outputs per sample) and ``linear`` (boolean) of layers with weights, in order."""
    setting = Setting(space, batch_size=1)
    units = {}
    with torch.device("meta"), torch.no_grad():  # No numbers are needed.
        network = setting.network(arch).eval()
        layers = weight_layers(network)
        for name, layer in layers.items():
            layer.register_forward_hook(lambda module, given, output, name=name: units.update({name: output.numel()}))
        network(torch.empty(setting.input_shape))
    rows = [(name, layer.weight.numel(), units[name], isinstance(layer, nn.Linear)) for name, layer in layers.items()]
    return pd.DataFrame(rows, columns=["layer", "weights", "units", "linear"]).set_index("layer")


_SLOTS = {"nasbench201": r"\.edges\.(\d)\.", "nasbench_macro": r"^operations\.(\d)\."}
"""Space -> pattern that finds the place of a layer's choice in its name."""


@cache
def _layers_by_choice(space: str) -> pd.DataFrame:
    """Sizes of the layers that every network has (slot -1), and of those that each choice brings into each slot.

    In these spaces the widths do not depend on the choices. So the networks that make one choice everywhere show all.
    """
    own = get_space(space)
    alike = {choice: layer_sizes(space, own.format([choice] * own.places)) for choice in own.options}
    layers = pd.concat(table.assign(choice=choice) for choice, table in alike.items())
    layers["slot"] = layers.index.str.extract(_SLOTS[space], expand=False).fillna("-1").astype(int)
    return layers[(layers["slot"] >= 0) | (layers["choice"] == own.options[0])].set_index(["slot", "choice"])


def size_forecasts(space: str, archs: Sequence[str], batch_size: int = 64, saliency: str = "snip") -> pd.DataFrame:
    """Return the scores that networks of NAS-Bench-201 or NAS-Bench-Macro would have if layers differed in size alone.

    See the module's head. The kernel of a linear layer counts 0, as a classifier's does. A row per architecture has
    ``layers``, ``weights`` (sum of n), ``log_weights`` (sum of ln n), ``ssnr``, ``ssnr_log``, ``lnwot``, ``tcet`` and
    ``tcet_log``.
    """
    if space not in _SLOTS:
        raise NbnasError(f"size forecasts are known for {' and '.join(_SLOTS)}, not for {space!r}")
    layers = _layers_by_choice(space)
    weights, ratio = layers["weights"], ideal_shape(saliency) * layers["weights"]
    determinant = ideal_log_determinant(layers["units"], batch_size) * ~layers["linear"]
    terms = {"layers": 1.0, "weights": weights, "log_weights": np.log(weights)}
    terms |= {"ssnr": ratio, "ssnr_log": np.log(ratio)}
    terms |= {"lnwot": determinant, "tcet": ratio * determinant, "tcet_log": np.log(ratio) * determinant}
    sums = pd.DataFrame(terms, layers.index).groupby(level=["slot", "choice"]).sum()
    parts = dict(zip(sums.index, sums.to_numpy(), strict=True))
    common, parse = sums.loc[-1].to_numpy()[0], get_space(space).parse
    rows = [common + sum(parts.get(own, 0) for own in enumerate(parse(arch))) for arch in archs]
    return pd.DataFrame(rows, index=pd.Index(archs, name="arch"), columns=sums.columns)


def choice_effects(space: str, archs: Sequence[str], values: ArrayLike, choices: Sequence[str]) -> np.ndarray:
    """Fit values (n,) by a constant and the counts of choices in networks; return what one more of each choice adds."""
    parse = get_space(space).parse
    counts = np.array([[1, *map(parse(arch).count, choices)] for arch in archs], dtype=float)
    return np.linalg.lstsq(counts, np.asarray(values, dtype=float), rcond=None)[0][1:]


def main_effect_shares(archs: Sequence[str], values: ArrayLike) -> np.ndarray:
    """Return for each position the variance of the mean values of its choices, divided by the sum over positions.

    Over all strings of a length, these are the shares of the positions in what is additive in ``values``.
    """
    table, values = pd.DataFrame([list(arch) for arch in archs]), pd.Series(np.asarray(values, dtype=float))
    variances = np.array([values.groupby(table[place]).transform("mean").var(ddof=0) for place in table])
    return variances / variances.sum()
