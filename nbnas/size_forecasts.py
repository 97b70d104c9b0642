"""What SSNR, Lnwot and T-CET would be if they depended on nothing but the sizes of layers.

Take a layer with n weights and L outputs per sample, and a batch of N samples.

*Gradient half.* Saliencies s = |w| g of weights w and factors g that are drawn independently of each other have

    S / sigma = c n ,   c = E s / sd s = 1 / sqrt(E w^2 E g^2 / (E|w| E g)^2 - 1) ,

where c depends on the shapes of the two distributions, not on their scales and not on the architecture.

*Activation half.* If every unit is positive for every sample with probability 1/2, independently, the expected kernel
of :mod:`nbnas.proxies.nwot` is K = L/2 (I + 1 1^T), with

    ln det K = N ln(L / 2) + ln(N + 1) .

The formulas are ours; the scores are those of Xiang et al., AutoML 2023 (``xiang2023tcet``).
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import nn

from nbnas.errors import NbnasError
from nbnas.layers import weight_layers
from nbnas.spaces import get_space
from nbnas.spaces.nasbench201 import OPERATIONS, format_cell, parse_cell

_UNIFORM, _NORMAL, _CONSTANT = (1 / 2, 1 / 3), (math.sqrt(2 / math.pi), 1.0), (1.0, 1.0)
"""E|x| and E x^2 of U(-1, 1), of N(0, 1) and of a constant."""

_WEIGHT_MOMENTS = {"torch_default": _UNIFORM, "kaiming_normal": _NORMAL, "standard_normal": _NORMAL}
_FACTOR_MOMENTS = {"snip": _NORMAL, "synflow": _CONSTANT}


def ideal_shape(saliency: str = "snip", initialisation: str = "torch_default") -> float:
    """Return c of the module's head: gradients of SNIP as if normal, those of SynFlow as if all equal.

    >>> round(ideal_shape("snip"), 4), round(ideal_shape("synflow"), 4)
    (0.9559, 1.7321)

    Args:
        saliency: ``snip`` or ``synflow``.
        initialisation: Key of :data:`nbnas.initialisation.INITIALISATIONS`.
    """
    mean_weight, square_weight = _WEIGHT_MOMENTS[initialisation]
    mean_factor, square_factor = _FACTOR_MOMENTS[saliency]
    return 1 / math.sqrt(square_weight * square_factor / (mean_weight * mean_factor) ** 2 - 1)


def ideal_log_determinant(units: ArrayLike, batch_size: int) -> np.ndarray:
    """Return N ln(L / 2) + ln(N + 1), in nats, for layers with L outputs per sample."""
    return batch_size * np.log(np.asarray(units) / 2) + math.log(batch_size + 1)


def layer_sizes(space: str, arch: str, dataset: str = "cifar10") -> pd.DataFrame:
    """Return sizes of the convolutions and linear layers of one network, without any numbers in it.

    Args:
        space: Name of a search space.
        arch: Architecture.
        dataset: Gives classes and resolution.

    Returns:
        A row per layer in registration order: ``weights``, ``units`` (outputs per sample), ``linear`` (boolean).
    """
    found = get_space(space)
    shape = found.datasets[dataset]
    with torch.device("meta"):
        network = found.build_for(arch, dataset).eval()
        inputs = torch.empty(1, shape.channels, shape.resolution, shape.resolution)
    layers, units = weight_layers(network), {}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda module, given, output, name=name: units.update({name: output.numel()}))
    with torch.no_grad():
        network(inputs)
    rows = [(name, layer.weight.numel(), units[name], isinstance(layer, nn.Linear)) for name, layer in layers.items()]
    return pd.DataFrame(rows, columns=["layer", "weights", "units", "linear"]).set_index("layer")


_SLOTS: Mapping[str, tuple[str, Sequence[str], Callable[[str], Sequence[str]], Callable[[tuple[str, ...]], str]]] = {
    "nasbench201": (r"\.edges\.(\d)\.", OPERATIONS, parse_cell, format_cell),
    "nasbench_macro": (r"^operations\.(\d)\.", "012", tuple, "".join),
}
"""Space -> pattern that finds a layer's slot in its name, choices, architecture to choices, choices to architecture."""


@cache
def _parts(space: str, dataset: str) -> tuple[np.ndarray, dict[tuple[int, str], np.ndarray]]:
    """Sizes of the layers that every network has, and of those that each choice brings into each slot.

    In these spaces the widths do not depend on the choices. So the networks that make one choice everywhere show all.
    """
    pattern, choices, parse, form = _SLOTS[space]
    slots = len(parse(get_space(space)[0]))
    own = {}
    for choice in choices:
        table = layer_sizes(space, form((choice,) * slots), dataset)
        numbers = [re.search(pattern, name) for name in table.index]
        slot = np.array([int(number[1]) if number else -1 for number in numbers])
        values = table.to_numpy(dtype=float)
        own |= {(number, choice): values[slot == number] for number in range(slots)}
        common = values[slot == -1]
    return common, own


def size_forecasts(
    space: str,
    archs: Sequence[str],
    dataset: str = "cifar10",
    batch_size: int = 64,
    saliency: str = "snip",
    initialisation: str = "torch_default",
) -> pd.DataFrame:
    """Return the scores that networks would have if layers differed in size alone, see the module's head.

    The kernel of a linear layer counts 0, as a classifier's does.

    Args:
        space: ``nasbench201`` or ``nasbench_macro``.
        archs: Architectures.
        dataset: Gives classes and resolution.
        batch_size: N.
        saliency: ``snip`` or ``synflow``.
        initialisation: Of the weights.

    Returns:
        A row per architecture: ``layers``, ``weights`` (sum of n), ``log_weights`` (sum of ln n), ``ssnr``,
        ``ssnr_log``, ``lnwot``, ``tcet`` and ``tcet_log``.

    Raises:
        NbnasError: For other spaces.
    """
    if space not in _SLOTS:
        raise NbnasError(f"size forecasts are known for {' and '.join(_SLOTS)}, not for {space!r}")
    shape, parse = ideal_shape(saliency, initialisation), _SLOTS[space][2]

    def sums(layers: np.ndarray) -> np.ndarray:
        weights, units, linear = layers.T
        ratio = shape * weights
        determinant = np.where(linear, 0.0, ideal_log_determinant(units, batch_size))
        terms = (weights, np.log(weights), ratio, np.log(ratio), determinant, ratio * determinant)
        return np.array([len(layers), *(term.sum() for term in terms), (np.log(ratio) * determinant).sum()])

    common, own = _parts(space, dataset)
    start, added = sums(common), {key: sums(layers) for key, layers in own.items()}
    rows = [start + sum(added[slot, choice] for slot, choice in enumerate(parse(arch))) for arch in archs]
    columns = ["layers", "weights", "log_weights", "ssnr", "ssnr_log", "lnwot", "tcet", "tcet_log"]
    return pd.DataFrame(rows, index=pd.Index(archs, name="arch"), columns=columns)


def choice_effects(space: str, archs: Sequence[str], values: ArrayLike, choices: Sequence[str]) -> np.ndarray:
    """Return by how much one more of each choice in a network moves a quantity: least squares on the counts.

    Args:
        space: ``nasbench201`` or ``nasbench_macro``.
        archs: (n,) architectures.
        values: (n,).
        choices: Whose counts explain the values, besides a constant.

    Returns:
        An effect per choice, in units of ``values``.
    """
    parse = _SLOTS[space][2]
    counts = np.array([[1, *(list(parse(arch)).count(choice) for choice in choices)] for arch in archs], dtype=float)
    return np.linalg.lstsq(counts, np.asarray(values, dtype=float), rcond=None)[0][1:]


def main_effect_shares(archs: Sequence[str], values: ArrayLike) -> np.ndarray:
    """Return for each position the variance of the mean values of its choices, divided by the sum over positions.

    Over all strings of a length these are the shares of the positions in what is additive in ``values``.

    Args:
        archs: (n,) strings of equal length, a choice per character.
        values: (n,).
    """
    table = pd.DataFrame([list(arch) for arch in archs])
    values = pd.Series(np.asarray(values, dtype=float))
    variances = np.array([values.groupby(table[place]).transform("mean").var(ddof=0) for place in table])
    return variances / variances.sum()
