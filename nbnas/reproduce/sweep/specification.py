"""What a sweep runs, read strictly from a YAML file.

::

    notebook: score.ipynb              beside this file; saves its table as item "result"
    title: Does the batch size matter? optional, else the notebook's title
    text: One paragraph.               optional
    minutes: 5                         optional: what the whole takes on two idle cores
    parameters: {networks: 40}         optional: the same in every point
    axes:
      batch_size: [4, 16, 64]
      seed: [0, 1]
    plots:                             optional
      - {x: batch_size, y: kendall_tau, low: low, high: high}
    labels: {batch_size: images}       optional: how plots name a column

A plot has the values of the axis ``x`` from left to right and the column ``y`` of the table upwards. It may have lines
by an axis ``hue``, panels by an axis ``panel``, intervals from columns ``low`` to ``high``, a ``title``, and with
``from_zero: true`` an upward axis that begins at zero.
"""

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

from nbnas.errors import NbnasError, first_line
from nbnas.reproduce.notebook import Notebook, Value, check_parameters, read_notebook


@dataclass(frozen=True)
class Plot:
    """One figure of the summary page."""

    x: str
    y: str
    hue: str | None = None
    panel: str | None = None
    low: str | None = None
    high: str | None = None
    title: str | None = None
    from_zero: bool = False

    @property
    def axes(self) -> list[str]:
        """Names that must be axes of the sweep."""
        return [name for name in (self.x, self.hue, self.panel) if name]

    @property
    def columns(self) -> list[str]:
        """Names that must be columns of the notebook's table."""
        return [name for name in (self.y, self.low, self.high) if name]


@dataclass(frozen=True)
class Sweep:
    """A grid of parameters for one notebook, and how to show what comes out."""

    name: str
    notebook: Notebook
    axes: dict[str, list[Value]]
    title: str
    text: str = ""
    minutes: float | None = None
    parameters: dict[str, Value] = field(default_factory=dict)
    plots: tuple[Plot, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def points(self) -> list[dict[str, Value]]:
        """The cartesian product of the axes, the last one changing fastest."""
        return [dict(zip(self.axes, values, strict=True)) for values in itertools.product(*self.axes.values())]

    @property
    def fixed(self) -> dict[str, Value]:
        """Every parameter of the notebook that is no axis."""
        everything = {**self.notebook.parameters, **self.parameters}
        return {name: value for name, value in everything.items() if name not in self.axes}

    def require_columns(self, columns: Collection[str]) -> None:
        """Check that a table has what the plots show.

        Raises:
            NbnasError: If it has not.
        """
        for plot in self.plots:
            for name in plot.columns:
                if name not in columns:
                    raise NbnasError(
                        f"a plot of sweep {self.name!r} shows {name!r}, but the table of {self.notebook.path.name} has "
                        f"only {', '.join(columns)}"
                    )


KEYS = ("notebook", "title", "text", "minutes", "parameters", "axes", "plots", "labels")


def read_sweep(specification: Path) -> Sweep:
    """Read a specification and check all that can be known before a kernel starts.

    Args:
        specification: Path of the YAML file, see :mod:`nbnas.reproduce.sweep.specification`.

    Raises:
        NbnasError: If it is malformed, a plot names something that is no axis, or a point has a parameter that the
            notebook does not take.
    """
    if not specification.is_file():
        raise NbnasError(f"no sweep specification {specification}")
    try:
        content = yaml.load(specification.read_text(), _StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = f", line {error.problem_mark.line + 1}" if getattr(error, "problem_mark", None) else ""
        reason = getattr(error, "problem", None) or first_line(error)
        raise NbnasError(f"{specification} is not YAML{where}: {reason}") from error
    try:
        sweep = _parse(specification, content)
        for point in sweep.points:
            check_parameters(sweep.notebook, {**sweep.parameters, **point})
    except _MalformedError as error:
        raise NbnasError(f"{specification}: {error}") from error
    return sweep


class _StrictLoader(yaml.SafeLoader):
    """Refuses a name that stands twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = []
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(problem=f"{name!r} stands twice", problem_mark=key.start_mark)
            seen.append(name)
        return super().construct_mapping(node, deep)


class _MalformedError(Exception):
    """What is wrong with a specification, without its name."""


def _parse(specification: Path, content: object) -> Sweep:
    content = _mapping(content, "a sweep", KEYS)
    for key in ("notebook", "axes"):
        if key not in content:
            raise _MalformedError(f"a sweep needs {key!r}")
    texts = {key: _text(content, key) for key in ("notebook", "title", "text") if key in content}
    axes = {name: _values(name, values) for name, values in _mapping(content["axes"], "'axes'").items()}
    if not axes:
        raise _MalformedError("a sweep needs at least one axis")
    parameters = _mapping(content.get("parameters", {}), "'parameters'")
    twice = sorted(axes.keys() & parameters.keys())
    if twice:
        raise _MalformedError(f"{twice[0]!r} stands both in 'axes' and in 'parameters'")
    minutes = content.get("minutes")
    if minutes is not None and not (type(minutes) in (int, float) and minutes > 0):
        raise _MalformedError(f"'minutes' must be a number above 0, got {minutes!r}")
    plots = content.get("plots", [])
    if not isinstance(plots, list):
        raise _MalformedError(f"'plots' must be a list, got {plots!r}")
    labels = _mapping(content.get("labels", {}), "'labels'")
    notebook = read_notebook(specification.parent / texts["notebook"])
    return Sweep(
        name=specification.stem,
        notebook=notebook,
        axes=axes,
        title=texts.get("title", notebook.title),
        text=texts.get("text", ""),
        minutes=minutes,
        parameters=parameters,
        plots=tuple(_plot(plot, axes) for plot in plots),
        labels={name: _text(labels, name) for name in labels},
    )


def _mapping(found: object, what: str, keys: Collection[str] | None = None) -> dict:
    """Check that something is a mapping by names, out of ``keys`` where these are given."""
    if not isinstance(found, Mapping):
        raise _MalformedError(f"{what} must be a mapping of names, got {found!r:.60}")
    for name in found:
        if not isinstance(name, str) or (keys is not None and name not in keys):
            known = f"; choose from {', '.join(keys)}" if keys is not None else ""
            raise _MalformedError(f"{what} has no key {name!r}{known}")
    return dict(found)


def _text(content: Mapping, key: str) -> str:
    if not isinstance(content[key], str) or not content[key].strip():
        raise _MalformedError(f"{key!r} must be text, got {content[key]!r}")
    return content[key].strip()


def _values(name: str, values: object) -> list[Value]:
    if not isinstance(values, list) or not values:
        raise _MalformedError(f"axis {name!r} must be a list of values, got {values!r}")
    if len({repr(value) for value in values}) < len(values):
        raise _MalformedError(f"axis {name!r} has a value twice: {values!r}")
    return values


def _plot(found: object, axes: Mapping[str, list]) -> Plot:
    found = _mapping(found, "a plot", [field.name for field in fields(Plot)])
    for key in ("x", "y"):
        if key not in found:
            raise _MalformedError(f"a plot needs {key!r}, got {found!r}")
    from_zero = found.pop("from_zero", False)
    if not isinstance(from_zero, bool):
        raise _MalformedError(f"'from_zero' of a plot must be true or false, got {from_zero!r}")
    plot = Plot(**{key: _text(found, key) for key in found}, from_zero=from_zero)
    for name in plot.axes:
        if name not in axes:
            raise _MalformedError(f"a plot has {name!r} as x, hue or panel, which is no axis: {', '.join(axes)}")
    if len(set(plot.axes)) < len(plot.axes):
        raise _MalformedError(f"a plot uses one axis twice: {', '.join(plot.axes)}")
    for name in plot.columns:
        if name in axes:
            raise _MalformedError(f"a plot has the axis {name!r} as y, low or high, which are columns of the table")
    if (plot.low is None) != (plot.high is None):
        raise _MalformedError("a plot needs 'low' and 'high' together")
    return plot
