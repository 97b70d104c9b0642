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
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator
from pydantic import ValidationInfo as Info

from nbnas.errors import NbnasError, first_line
from nbnas.reproduce.notebook import Notebook, Value, check_parameters, read_notebook

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Plot(_Strict):
    """One figure of the summary page."""

    x: Text
    y: Text
    hue: Text | None = None
    panel: Text | None = None
    low: Text | None = None
    high: Text | None = None
    title: Text | None = None
    from_zero: bool = False

    @property
    def axes(self) -> list[str]:
        """Names that must be axes of the sweep."""
        return [name for name in (self.x, self.hue, self.panel) if name]

    @property
    def columns(self) -> list[str]:
        """Names that must be columns of the notebook's table."""
        return [name for name in (self.y, self.low, self.high) if name]


class Sweep(_Strict):
    """A grid of parameters for one notebook, and how to show what comes out."""

    notebook: Notebook
    title: Text = Field(default_factory=lambda given: given["notebook"].title)
    text: Text = ""
    minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    parameters: dict[str, Any] = {}
    axes: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(min_length=1)
    plots: list[Plot] = []
    labels: dict[str, Text] = {}
    _name: str

    @field_validator("notebook", mode="plain")
    @classmethod
    def _read_notebook(cls, value: object, info: Info) -> Notebook:
        if not isinstance(value, str):
            raise ValueError(f"must be the name of a file, got {value!r}")
        return read_notebook(info.context.parent / value)

    def model_post_init(self, context: Path) -> None:
        """Take the name from the file."""
        self._name = context.stem

    @model_validator(mode="after")
    def _check(self) -> "Sweep":
        for name, values in self.axes.items():
            if len(set(map(repr, values))) < len(values):
                raise ValueError(f"axis {name!r} has a value twice: {values!r}")
            if name in self.parameters:
                raise ValueError(f"{name!r} is both in 'axes' and in 'parameters'")
        for plot in self.plots:
            if len(set(plot.axes)) < len(plot.axes):
                raise ValueError(f"a plot uses one axis twice: {', '.join(plot.axes)}")
            if (plot.low is None) != (plot.high is None):
                raise ValueError("a plot needs 'low' and 'high' together")
            for name in plot.axes:
                if name not in self.axes:
                    known = ", ".join(self.axes)
                    raise ValueError(f"a plot has {name!r} as x, hue or panel, but the axes are {known}")
            for name in plot.columns:
                if name in self.axes:
                    raise ValueError(f"a plot has the axis {name!r} as y, low or high, which are columns of the table")
        for point in self.points:
            check_parameters(self.notebook, {**self.parameters, **point})
        return self

    @property
    def name(self) -> str:
        """Name of its file without ``.yml``."""
        return self._name

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
        for name in (name for plot in self.plots for name in plot.columns):
            if name not in columns:
                raise NbnasError(
                    f"a plot of sweep {self.name!r} shows {name!r}, but the table of {self.notebook.path.name} has "
                    f"only {', '.join(columns)}"
                )


def read_sweep(specification: Path) -> Sweep:
    """Read a specification and check all that can be known before a kernel starts.

    Raises:
        NbnasError: If it is malformed, a plot names something that is no axis, or a point has a parameter that the
            notebook does not take. The message names the file and the key.
    """
    if not specification.is_file():
        raise NbnasError(f"no sweep specification {specification}")
    try:
        content = yaml.load(specification.read_text(), _StrictLoader)
        return Sweep.model_validate(content, context=specification)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = f", line {error.problem_mark.line + 1}" if getattr(error, "problem_mark", None) else ""
        reason = getattr(error, "problem", None) or first_line(error)
        raise NbnasError(f"{specification} is not YAML{where}: {reason}") from error
    except ValidationError as error:
        raise NbnasError(f"{specification}: {_first_problem(error)}") from error


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


def _first_problem(error: ValidationError) -> str:
    """Say in one line where the content is wrong and why."""
    problem = error.errors()[0]
    where = problem["loc"]
    if problem["type"] == "value_error":
        reason = str(problem["ctx"]["error"])
    elif problem["type"] == "missing":
        reason = "is missing"
    elif problem["type"] == "extra_forbidden":
        keys = Plot.model_fields if where[0] == "plots" else Sweep.model_fields
        reason = f"no such key; choose from {', '.join(keys)}"
    else:
        expected = "must be a mapping of names" if problem["type"] == "model_type" else problem["msg"]
        reason = f"{expected.replace('Input should be', 'must be')}, got {problem['input']!r:.60}"
    return ": ".join(filter(None, (".".join(map(str, where)), reason)))
