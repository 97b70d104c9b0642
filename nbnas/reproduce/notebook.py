"""Running one notebook strictly: parameters are checked first, and only a complete run counts."""

import ast
import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat

from nbnas.errors import NbnasError, first_line

FOLDERS = {
    "vkdnw": "VKDNW (CVPR 2025)",
    "tcet": "T-CET (AutoML 2023)",
    "studies": "Studies beyond the papers",
    "lessons": "Lessons",
}
"""Folder of ``notebooks/`` -> its heading, in the order in which they run and appear in the report."""

Value = str | int | float | bool | None
"""What a notebook parameter may be."""


@dataclass(frozen=True)
class Notebook:
    """A notebook source with its declared parameters and profiles."""

    path: Path
    title: str
    parameters: dict[str, Value]
    """Name -> default, from the one cell tagged ``parameters``; empty where there is no code."""
    profiles: dict[str, dict[str, Value]]
    """Profile -> parameters it changes, from the metadata ``nbnas.profiles``."""
    minutes: dict[str, float]
    """Profile -> expected minutes on a core, from the metadata ``nbnas.minutes``."""
    alone: bool
    """Whether nothing else must run at the same time, since it measures time: from the metadata ``nbnas.alone``."""

    def expected_minutes(self, profile: str) -> float:
        """Return how long the notebook says it runs, 1 if it does not say."""
        return self.minutes.get(profile, self.minutes.get("default", 1.0))


def read_notebook(path: Path) -> Notebook:
    """Read a notebook source; :class:`NbnasError` if there is none, or not exactly one parameters cell of literals.

    A notebook without code needs no such cell.
    """
    if not path.exists():
        raise NbnasError(f"no notebook {path}")
    try:
        content = nbformat.read(path, as_version=4)
    except Exception as error:
        raise NbnasError(f"{path} is not a notebook: {first_line(error)}") from error
    kernel = content.metadata.get("kernelspec") or {}
    language = kernel.get("language") or "python"
    if language.lower() not in ("python", "ipython"):
        raise NbnasError(f"{path} is written in {language}; only notebooks in Python can be run")
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    cells = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    if code and len(cells) != 1:
        raise NbnasError(f"{path} must have exactly one cell tagged 'parameters'; it has {len(cells)}")
    metadata = content.metadata.get("nbnas", {})
    return Notebook(
        path,
        title_of(content.cells) or path.stem,
        _literals(cells[0].source, path) if cells else {},
        metadata.get("profiles", {}),
        metadata.get("minutes", {}),
        metadata.get("alone", False),
    )


def title_of(cells: Sequence[Mapping]) -> str:
    """Return the first line of the first Markdown cell, without its ``#``; empty if there is none."""
    text = next(("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"), "")
    return text.partition("\n")[0].lstrip("# ")


def _literals(source: str, path: Path) -> dict[str, Value]:
    values = {}
    try:
        for statement in ast.parse(source).body:
            targets = [statement.target] if isinstance(statement, ast.AnnAssign) else statement.targets
            (target,) = targets
            values[target.id] = ast.literal_eval(statement.value)
    except SyntaxError as error:
        raise NbnasError(f"{path}: the parameters cell is not Python, line {error.lineno}") from error
    except (AttributeError, ValueError) as error:
        message = f"{path}: the parameters cell may hold only 'name = literal', line {statement.lineno}"
        raise NbnasError(message) from error
    return values


def stamp_file(output: Path) -> Path:
    """Where a complete run of a notebook is remembered, beside its output."""
    return output.with_suffix(".stamp.json")


def last_run(output: Path) -> dict[str, object]:
    """Return what is remembered of the last complete run: ``digest``, ``seconds``, ``parameters``; empty if nothing."""
    try:
        return json.loads(stamp_file(output).read_text())
    except (OSError, ValueError):
        return {}


def natural_order(item: str) -> tuple[bool, str, int, str]:
    """Sort key of items such as ``vkdnw/table1``: tables before figures, and table 2 before table 10."""
    kind, number, rest = re.match(r"(\D+)(\d*)(.*)", item).groups()
    return "/fig" in kind, kind, int(number or 0), rest


def run_time(seconds: float) -> str:
    """Say how long something takes, as precisely as a reader needs it.

    >>> run_time(0.4), run_time(48), run_time(150), run_time(7300)
    ('1 s', '48 s', '2.5 min', '2 h')
    """
    if seconds < 59.5:
        return f"{max(seconds, 1):.0f} s"
    minutes = seconds / 60
    return f"{minutes:.2g} min" if minutes < 99.5 else f"{minutes / 60:.2g} h"


def check_parameters(notebook: Notebook, given: Mapping[str, Value]) -> dict[str, Value]:
    """Return all parameters with ``given`` in place of defaults, each of its default's type.

    A whole number is accepted where the default is a float, and anything where it is None. :class:`NbnasError` if a
    name is unknown, a type is wrong, or a number is NaN or infinite.
    """
    for name, value in given.items():
        if name not in notebook.parameters:
            known = ", ".join(notebook.parameters) or "none"
            raise NbnasError(f"{notebook.path.name} has no parameter {name!r}; its parameters are {known}")
        wanted = type(notebook.parameters[name])
        anything = notebook.parameters[name] is None
        if not (anything or type(value) is wanted or (wanted is float and type(value) is int)):
            raise NbnasError(f"parameter {name!r} of {notebook.path.name} must be {wanted.__name__}, got {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise NbnasError(f"parameter {name!r} of {notebook.path.name} must be a finite number, got {value!r}")
    return {**notebook.parameters, **given}


def parse_parameter(notebook: Notebook, name: str, text: str) -> Value:
    """Read a parameter typed on the command line, by the type of its default, and check it; strings need no quotes."""
    value: Value = text
    if not isinstance(notebook.parameters.get(name), str):
        with suppress(ValueError, SyntaxError):  # Else it is the text, which is of the wrong type.
            value = ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    return check_parameters(notebook, {name: value})[name]


def run_notebook(notebook: Notebook, parameters: Mapping[str, Value], output: Path) -> None:
    """Execute a notebook with papermill and put the result at ``output`` only if every cell ran.

    Parameters, those that differ from the defaults, are checked before the kernel starts. A failed run leaves its
    notebook, with the traceback, beside ``output`` as ``*.failed.ipynb``, and raises :class:`NbnasError` with the
    notebook, cell, error, log and the command to run it again.
    """
    import papermill

    checked = check_parameters(notebook, parameters)
    if output.is_dir():
        raise NbnasError(f"{output} is a folder; name a file")
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".part.ipynb")
    failed = output.with_suffix(".failed.ipynb")
    # Messages that the kernel logs, even while it shuts down, would garble the progress output.
    quiet = {"progress_bar": False, "extra_arguments": ["--log-level=50"]}
    # This Python, whatever kernel the machine on which the notebook was written had.
    options = {"kernel_name": "python3", "language": "python", "cwd": notebook.path.parent, **quiet}
    try:
        papermill.execute_notebook(notebook.path, partial, parameters=checked, **options)
        # A cell that calls sys.exit(0) ends a papermill run successfully, with the later cells not run.
        for number, cell in enumerate(nbformat.read(partial, as_version=4).cells):
            if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None:
                raise NbnasError(f"in cell {number}: it was not executed because an earlier cell ended the run")
    except Exception as error:
        if partial.exists():
            partial.replace(failed)
        reason = first_line(error) if str(error) else type(error).__name__
        if hasattr(error, "ename"):
            reason = f"in cell {error.cell_index}: {error.ename}: {first_line(error.evalue)}"
        message = f"{notebook.path.name} failed {reason}; log: {failed}; rerun: "
        raise NbnasError(message + rerun_command(notebook, parameters)) from error
    partial.replace(output)
    failed.unlink(missing_ok=True)


def rerun_command(notebook: Notebook, parameters: Mapping[str, Value]) -> str:
    """Return the shell command that runs a notebook with these parameters."""
    options = [part for name, value in parameters.items() for part in ("-p", name, str(value))]
    return shlex.join(["nbnas", "run", str(notebook.path), *options])
