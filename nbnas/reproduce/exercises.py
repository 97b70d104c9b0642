"""Lessons without their solutions, to work in."""

import hashlib
from pathlib import Path

import nbformat

from nbnas.machine.paths import notebooks_folder

SOLUTION = "solution"
"""Tag of the cells that are taken out."""
PLACE = "# Your answer.\n"
"""What stands in an exercise where the lesson has the code of a solution."""


def make_exercises(lessons: Path | None = None, exercises: Path | None = None) -> dict[str, str]:
    """Write a copy of every lesson without solutions; a copy that somebody has worked in stays as it is.

    A code cell tagged ``solution`` becomes an empty one to write in. Markdown cells with that tag vanish.

    Args:
        lessons: Folder of lessons; ``None`` is ``notebooks/lessons``.
        exercises: Folder of the copies; ``None`` is ``notebooks/exercises``.

    Returns:
        Name of a notebook -> ``written``, or ``kept``: its cells are no longer those that were written there.
    """
    lessons = lessons or notebooks_folder() / "lessons"
    exercises = exercises or notebooks_folder() / "exercises"
    exercises.mkdir(parents=True, exist_ok=True)
    done = {}
    for path in sorted(lessons.glob("*.ipynb")):
        target = exercises / path.name
        if target.exists() and _worked_in(target):
            done[path.name] = "kept"
            continue
        exercise = without_solutions(nbformat.read(path, as_version=4))
        exercise.metadata.setdefault("nbnas", {})["exercise"] = _digest(exercise)
        partial = target.with_suffix(".part")
        nbformat.write(exercise, partial)
        partial.replace(target)
        done[path.name] = "written"
    return done


def without_solutions(lesson: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a copy of a notebook with its solutions taken out."""
    exercise = nbformat.from_dict(lesson)
    cells = []
    for cell in exercise.cells:
        if SOLUTION not in cell.metadata.get("tags", []):
            cells.append(cell)
        elif cell.cell_type == "code":
            place = nbformat.v4.new_code_cell(PLACE, metadata={"tags": ["answer"]})
            cells.append(nbformat.from_dict({**place, "id": cell.id}))
    exercise.cells = cells
    return exercise


def _digest(notebook: nbformat.NotebookNode) -> str:
    """Of what the cells say; running them changes nothing."""
    sources = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in notebook.cells)
    return hashlib.sha256(sources.encode()).hexdigest()


def _worked_in(path: Path) -> bool:
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception:  # Whatever it is, we did not write it.
        return True
    return notebook.metadata.get("nbnas", {}).get("exercise") != _digest(notebook)
