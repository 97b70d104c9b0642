"""Pictures of what you have at hand: ``nbnas.show.cell``, ``.spectrum``, ``.ranking``, ``.layers``.

Each function returns a matplotlib figure: the last line of a notebook cell displays it, ``figure.savefig`` keeps it,
and ``figure.get_label()`` is its alternative text. matplotlib is imported by the first call, not with the package.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from torch import nn

from nbnas.errors import NbnasError, first_line
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import select_proxies
from nbnas.proxies.tcet import probe_layer_vectors
from nbnas.proxies.vkdnw import fisher_eigenvalues
from nbnas.rankings import bootstrap_estimate, kendall_tau
from nbnas.scoring.given_inputs import GivenInputs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["cell", "layers", "ranking", "spectrum"]


def cell(arch: str | Mapping[str, str], space: str = "nasbench201", *, columns: int = 2) -> "Figure":
    """Draw a cell as a graph: what is dashed is on no path from input to output, what is dotted holds no operation.

    ``arch`` is an architecture string; or title -> architecture string, for several side by side, ``columns`` to a row.
    Spaces of cells are ``nasbench201``, ``nasbench101``, ``nasbench1shot1_*``, ``nasbench301`` (the normal and the
    reduction cell) and ``transnasbench101_micro``; others raise :class:`nbnas.NbnasError`.

    >>> import nbnas
    >>> cell = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
    >>> figure = nbnas.show.cell(cell)
    """
    from nbnas.plots.cells import cell_graphs

    cells = arch if isinstance(arch, Mapping) else {space: arch}
    if not cells or columns < 1:
        raise NbnasError(f"give at least one cell and one column, got {len(cells)} and {columns}")
    return cell_graphs(cells, space, columns)[0]


def spectrum(
    networks: nn.Module | ArrayLike | Mapping[str, nn.Module | ArrayLike],
    *,
    quantiles: Sequence[float] | None = None,
    variant: str = "official",
    title: str = "Spectrum of the Fisher information matrix",
    **inputs: Any,
) -> "Figure":
    """Draw the eigenvalues whose deciles VKDNW takes, sorted, on a logarithmic scale; zeros are left out.

    ``networks`` is a network, with arguments of :func:`nbnas.score` such as ``input_shape`` or ``batches`` as further
    options; or finite eigenvalues; or name -> one of these, for a line each. Of given eigenvalues, ``quantiles`` says
    which quantiles of a spectrum they are, ascending like them, such as
    :data:`nbnas.proxies.fisher_information.QUANTILES` for the deciles of a score; ``None`` is a whole spectrum.
    ``variant`` is ``official`` or ``paper``, see :class:`nbnas.proxies.fisher_information.FisherSetting`.

    >>> import nbnas
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
    >>> figure = nbnas.show.spectrum(network, input_shape=(8, 3, 4, 4))
    """
    from nbnas.plots.networks import spectrum as draw

    def of_network(probe: Probe) -> np.ndarray:
        return fisher_eigenvalues(probe, variant).cpu().numpy()

    drawn = _values(networks, "vkdnw", of_network, lambda given: _numbers(given, "eigenvalues"), inputs)
    for values in drawn.values():
        if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
            raise NbnasError("eigenvalues must be finite and at least 0, and one of them larger")
        if quantiles is not None and len(quantiles) != len(values):
            raise NbnasError(f"{len(quantiles)} quantiles for {len(values)} eigenvalues")
    return draw(drawn, title, quantiles)[0]


def ranking(scores: ArrayLike, accuracies: ArrayLike, *, title: str | None = None) -> "Figure":
    """Scatter scores against accuracies, with Kendall's τ and its 95 % bootstrap interval unless one side is constant.

    Both are (n,), accuracies in percent; the name of a series labels its axis. Two series are matched by their index,
    and networks that are in one alone do not count. Networks without both numbers are left out; the title says how
    many, after its first line ``title``. At least two must have both.

    >>> import nbnas
    >>> figure = nbnas.show.ranking([1.0, 2.5, 2.0], [88.1, 93.2, 91.0])
    """
    from nbnas.plots.rankings import scores_against_accuracy

    pairs = _matched(scores, accuracies)
    whole = pairs[np.isfinite(pairs).all(axis=1)]
    if len(whole) < 2:
        raise NbnasError(f"a ranking needs two networks with a score and an accuracy, got {len(whole)}")
    title = title or f"{len(whole):,} networks"
    if len(whole) < len(pairs):
        title += f" ({len(pairs) - len(whole):,} without a number left out)"
    score = whole["scores"].rename(getattr(scores, "name", None) or "score")
    accuracy = whole["accuracies"].rename(getattr(accuracies, "name", None) or "accuracy (%)")
    if (whole.nunique() > 1).all():
        tau, low, high = bootstrap_estimate(kendall_tau, score, accuracy)
        title += f"\nKendall's τ = {tau:.2f}, 95 % interval {low:.2f} to {high:.2f}"
    return scores_against_accuracy(score, accuracy, title)[0]


def layers(
    networks: nn.Module | pd.DataFrame | Mapping[str, nn.Module | pd.DataFrame],
    *,
    saliency: str = "snip",
    title: str = "Layers as T-CET sees them",
    **inputs: Any,
) -> "Figure":
    """Draw the two vectors whose dot product is T-CET, layer by layer.

    Above the sum of a layer's saliencies over their standard deviation, below the log-determinant of the
    agreement of its activation codes, 0 where that kernel is singular. ``networks`` is a network, with options as for
    :func:`spectrum`; or its layers as a table, see :func:`nbnas.proxies.tcet.layer_vectors`; or name -> one of these,
    for a line each. The saliency of networks is ``snip`` or ``synflow``.

    >>> import nbnas
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10))
    >>> figure = nbnas.show.layers(network, input_shape=(8, 3, 4, 4))
    """
    from nbnas.plots.networks import layer_vectors

    if saliency not in ("snip", "synflow"):
        raise NbnasError(f"saliency must be 'snip' or 'synflow', got {saliency!r}")

    def table(given: Any) -> pd.DataFrame:
        if isinstance(given, pd.DataFrame) and {"signal_to_noise", "log_determinant"} <= set(given):
            return given
        raise NbnasError("layers are a network, or a table with the columns signal_to_noise and log_determinant")

    seen = _values(networks, f"tcet_{saliency}", lambda probe: probe_layer_vectors(probe, saliency), table, inputs)
    return layer_vectors(seen, title)[0]


def _values(networks: Any, proxy: str, compute: Callable, read: Callable, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return name -> what ``compute`` gives for the probe that a proxy has of a network, else what ``read`` gives."""
    by_name = networks if isinstance(networks, Mapping) else {"network": networks}
    if not by_name:
        raise NbnasError("there is nothing to show")
    (found,) = select_proxies(proxy)
    values = {}
    for name, given in by_name.items():
        if not isinstance(given, nn.Module):
            values[name] = read(given)
            continue
        try:
            with GivenInputs(**inputs).session(given, [found]) as session:
                session.require(found.info)
                values[name] = compute(Probe(session, found.info))
        except Exception as error:
            raise NbnasError(f"the network cannot be shown: {first_line(error)}") from error
    return values


def _matched(scores: ArrayLike, accuracies: ArrayLike) -> pd.DataFrame:
    """Return both columns side by side, a row per network."""
    by_index = isinstance(scores, pd.Series) and isinstance(accuracies, pd.Series)
    columns = {}
    for name, given in (("scores", scores), ("accuracies", accuracies)):
        columns[name] = pd.Series(_numbers(given, "numbers"), given.index if by_index else None)
        if columns[name].index.has_duplicates:
            raise NbnasError(f"a network is twice in the index of {name}")
    first, second = map(len, columns.values())
    if not by_index and first != second:
        raise NbnasError(f"{first} scores and {second} accuracies are not of the same networks")
    pairs = pd.concat(columns, axis=1, join="inner")
    if pairs.empty:
        raise NbnasError("scores and accuracies have no network in common: their indices differ")
    return pairs


def _numbers(values: ArrayLike, what: str) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise NbnasError(f"not {what}: {first_line(error)}") from error
    if array.ndim != 1 or not len(array):
        raise NbnasError(f"{what} must be in one row, got shape {array.shape}")
    return array
