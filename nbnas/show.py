"""Pictures of what you have at hand: ``nbnas.show.cell``, ``.spectrum``, ``.ranking``, ``.layers``.

Four names rather than one call that guesses: a network has a spectrum and layers, and the Tab key lists the names.

Each function returns a matplotlib figure: the last line of a notebook cell displays it, ``figure.savefig`` keeps it,
and ``figure.get_label()`` is its alternative text. matplotlib is imported by the first call, not with the package.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from torch import nn

from nbnas.errors import NbnasError, first_line
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import select_proxies
from nbnas.proxies.tcet import probe_layer_vectors
from nbnas.proxies.vkdnw import fisher_eigenvalues
from nbnas.rankings import bootstrap_interval, kendall_tau
from nbnas.scoring.score import open_session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["cell", "layers", "ranking", "spectrum"]

T = TypeVar("T")


def cell(arch: str | Mapping[str, str], space: str = "nasbench201", *, columns: int = 2) -> "Figure":
    """Draw a cell as a graph: what is dashed is on no path from input to output, what is dotted holds no operation.

    >>> import nbnas
    >>> cell = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
    >>> figure = nbnas.show.cell(cell)

    Args:
        arch: Architecture string; or title -> architecture string, for several side by side.
        space: Name of their space. Cells are drawn of ``nasbench201``, ``nasbench101``, ``nasbench1shot1_*``,
            ``nasbench301`` (the normal and the reduction cell) and ``transnasbench101_micro``.
        columns: Number of drawings in a row.

    Raises:
        NbnasError: If the space has no cells, or a string is malformed.
    """
    _need_matplotlib()
    from nbnas.plots.cells import cell_graphs

    cells = arch if isinstance(arch, Mapping) else {space: arch}
    if not cells or columns < 1:
        raise NbnasError(f"give at least one cell and one column, got {len(cells)} and {columns}")
    return _labelled(*cell_graphs(cells, space, columns))


def spectrum(
    networks: nn.Module | ArrayLike | Mapping[str, nn.Module | ArrayLike],
    *,
    quantiles: Sequence[float] | None = None,
    variant: str = "official",
    title: str = "Spectrum of the Fisher information matrix",
    **inputs: Any,
) -> "Figure":
    """Draw the eigenvalues whose deciles VKDNW takes, sorted, on a logarithmic scale; zeros are left out.

    >>> import nbnas
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
    >>> figure = nbnas.show.spectrum(network, input_shape=(8, 3, 4, 4))

    Args:
        networks: A network, which is treated as by :func:`nbnas.score`; or eigenvalues; or name -> one of these, for a
            line each.
        quantiles: Where eigenvalues are given: which quantiles of a spectrum they are, ascending like them, such as
            :data:`nbnas.proxies.fisher_information.QUANTILES` for the deciles of a score. ``None`` is a whole spectrum.
        variant: ``official`` or ``paper``, see :class:`nbnas.proxies.fisher_information.FisherSetting`.
        title: Title of the figure.
        inputs: For networks, ``input_shape`` or ``batches`` and other arguments of :func:`nbnas.score`.

    Raises:
        NbnasError: If a network does not have a spectrum, or eigenvalues are not finite numbers.
    """
    _need_matplotlib()
    from nbnas.plots import spectra

    def eigenvalues(probe: Probe) -> np.ndarray:
        return fisher_eigenvalues(probe, variant).cpu().numpy()

    drawn = {}
    for name, given in _by_name(networks).items():
        if isinstance(given, nn.Module):
            drawn[name] = _seen_by("vkdnw", given, eigenvalues, inputs)
        else:
            drawn[name] = _numbers(given, "eigenvalues")
        if (drawn[name] < 0).any() or not drawn[name].any():
            raise NbnasError("eigenvalues must be at least 0, and one of them larger")
        if quantiles is not None and len(quantiles) != len(drawn[name]):
            raise NbnasError(f"{len(quantiles)} quantiles for {len(drawn[name])} eigenvalues")
    return _labelled(*spectra.spectrum(drawn, title, quantiles))


def ranking(scores: ArrayLike, accuracies: ArrayLike, *, title: str | None = None) -> "Figure":
    """Scatter scores against accuracies; the title says how well the one ranks the other.

    >>> import nbnas
    >>> figure = nbnas.show.ranking([1.0, 2.5, 2.0], [88.1, 93.2, 91.0])

    Args:
        scores: (n,), for example a column of scores; the name of a series labels its axis.
        accuracies: (n,), in percent unless their name says otherwise. Where both are pandas series they are matched by
            their index, and networks that are in one alone do not count.
        title: First line of the title; ``None`` is the number of networks.

    Returns:
        The figure. Networks without both numbers are left out, and the title says how many; so does it give Kendall's
        τ with a 95 % bootstrap interval, unless one side is constant.

    Raises:
        NbnasError: If the lengths differ, series have no network in common or one twice, or fewer than two networks
            have both numbers.
    """
    _need_matplotlib()
    from nbnas.plots.rankings import scores_against_accuracy

    pairs = _matched(scores, accuracies)
    whole = pairs[np.isfinite(pairs).all(axis=1)]
    if len(whole) < 2:
        raise NbnasError(f"a ranking needs two networks with a score and an accuracy, got {len(whole)}")
    lines = [title or f"{len(whole):,} networks"]
    if len(whole) < len(pairs):
        lines[0] += f" ({len(pairs) - len(whole):,} without a number left out)"
    if (whole.nunique() > 1).all():
        low, high = bootstrap_interval(kendall_tau, whole["score"], whole["accuracy"])
        tau = kendall_tau(whole["score"], whole["accuracy"])
        lines.append(f"Kendall's τ = {tau:.2f}, 95 % interval {low:.2f} to {high:.2f}")
    named = (
        whole["score"].rename(getattr(scores, "name", None) or "score"),
        whole["accuracy"].rename(getattr(accuracies, "name", None) or "accuracy (%)"),
    )
    return _labelled(*scores_against_accuracy(*named, "\n".join(lines)))


def layers(
    networks: nn.Module | pd.DataFrame | Mapping[str, nn.Module | pd.DataFrame],
    *,
    saliency: str = "snip",
    title: str | None = None,
    **inputs: Any,
) -> "Figure":
    """Draw the two vectors whose dot product is T-CET, layer by layer.

    On the left the sum of a layer's saliencies over their standard deviation, on the right the log-determinant of the
    agreement of its activation codes, 0 where that kernel is singular.

    >>> import nbnas
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10))
    >>> figure = nbnas.show.layers(network, input_shape=(8, 3, 4, 4))

    Args:
        networks: A network, which is treated as by :func:`nbnas.score`; or its layers as a table, see
            :func:`nbnas.proxies.tcet.layer_vectors`; or name -> one of these, for a line each.
        saliency: ``snip`` or ``synflow``, for networks.
        title: Title of the figure.
        inputs: For networks, ``input_shape`` or ``batches`` and other arguments of :func:`nbnas.score`.

    Raises:
        NbnasError: If a network does not have the vectors, or a table lacks a column.
    """
    _need_matplotlib()
    from nbnas.plots.layers import layer_vectors

    if saliency not in ("snip", "synflow"):
        raise NbnasError(f"saliency must be 'snip' or 'synflow', got {saliency!r}")
    drawn = {}
    for name, given in _by_name(networks).items():
        if isinstance(given, nn.Module):
            drawn[name] = _seen_by(
                f"tcet_{saliency}", given, lambda probe: probe_layer_vectors(probe, saliency), inputs
            )
        elif isinstance(given, pd.DataFrame) and {"signal_to_noise", "log_determinant"} <= set(given):
            drawn[name] = given
        else:
            raise NbnasError("layers are a network, or a table with the columns signal_to_noise and log_determinant")
    return _labelled(*layer_vectors(drawn, title or "Layers as T-CET sees them"))


def _seen_by(proxy: str, network: nn.Module, compute: Callable[[Probe], T], inputs: Mapping[str, Any]) -> T:
    """Return what ``compute`` gives for the probe that :func:`nbnas.score` would show to a proxy."""
    (found,) = select_proxies(proxy)
    with open_session(network, [found], **inputs) as session:
        try:
            return compute(Probe(session, found.info))
        except Exception as error:
            raise NbnasError(f"the network cannot be shown: {first_line(error)}") from error


def _by_name(networks: Any) -> Mapping[str, Any]:
    if not isinstance(networks, Mapping):
        return {"network": networks}
    if not networks:
        raise NbnasError("there is nothing to show")
    return networks


def _matched(scores: ArrayLike, accuracies: ArrayLike) -> pd.DataFrame:
    """Return both columns side by side, a row per network."""
    if isinstance(scores, pd.Series) and isinstance(accuracies, pd.Series):
        for name, column in (("scores", scores), ("accuracies", accuracies)):
            if column.index.has_duplicates:
                raise NbnasError(f"a network is twice in the index of {name}")
        columns = [
            pd.Series(_numbers(column, "numbers", finite=False), column.index) for column in (scores, accuracies)
        ]
        pairs = pd.concat(columns, axis=1, join="inner", keys=["score", "accuracy"])
        if pairs.empty:
            raise NbnasError("scores and accuracies have no network in common: their indices differ")
        return pairs
    columns = [_numbers(column, "numbers", finite=False) for column in (scores, accuracies)]
    if len(columns[0]) != len(columns[1]):
        raise NbnasError(f"{len(columns[0])} scores and {len(columns[1])} accuracies are not of the same networks")
    return pd.DataFrame({"score": columns[0], "accuracy": columns[1]})


def _numbers(values: ArrayLike, what: str, *, finite: bool = True) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise NbnasError(f"not {what}: {first_line(error)}") from error
    if array.ndim != 1 or not len(array) or (finite and not np.isfinite(array).all()):
        raise NbnasError(f"{what} must be {'finite and ' if finite else ''}in one row, got shape {array.shape}")
    return array


def _need_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
        import seaborn  # noqa: F401
    except ImportError as error:
        raise NbnasError("figures need matplotlib and seaborn: run pip install 'nbnas[lab]'") from error


def _labelled(figure: "Figure", alt: str) -> "Figure":
    figure.set_label(alt)
    return figure
