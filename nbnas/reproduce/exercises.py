"""Lessons without their solutions, to work in."""

import hashlib
from pathlib import Path

import nbformat

from nbnas.machine.paths import notebooks_folder
from nbnas.machine.replace_file import replace_file

PLACE = "# Your answer.\n"
"""What stands in an exercise where the lesson has the code of a solution."""


def make_exercises(lessons: Path | None = None, exercises: Path | None = None) -> dict[str, str]:
    """Write a copy of every lesson without solutions; a copy that somebody has worked in stays as it is.

    The folders are ``notebooks/lessons`` and ``notebooks/exercises`` unless others are given. Returns name of a
    notebook -> ``written``, or ``kept``: its cells are no longer those that were written there.
    """
    lessons = lessons or notebooks_folder() / "lessons"
    exercises = exercises or notebooks_folder() / "exercises"
    exercises.mkdir(parents=True, exist_ok=True)
    done = {}
    for path in sorted(lessons.glob("[0-9]*.ipynb")):
        target = exercises / path.name
        done[path.name] = "kept" if target.exists() and _worked_in(target) else "written"
        if done[path.name] == "written":
            exercise = without_solutions(nbformat.read(path, as_version=4))
            exercise.metadata.setdefault("nbnas", {})["exercise"] = _digest(exercise)
            replace_file(target, lambda partial, exercise=exercise: nbformat.write(exercise, partial))
    return done


def without_solutions(lesson: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a copy without the cells tagged ``solution``; in place of code there is a cell to write in.

    Cells tagged ``saving`` are left out: what a reader computes is no result for the report.
    """
    exercise = nbformat.from_dict(lesson)
    exercise.cells = []
    for cell in lesson.cells:
        tags = cell.metadata.get("tags", [])
        if not {"solution", "saving"} & set(tags):
            exercise.cells.append(cell)
        elif "solution" in tags and cell.cell_type == "code":
            exercise.cells.append(nbformat.v4.new_code_cell(PLACE, id=cell.id, metadata={"tags": ["answer"]}))
    return exercise


def _digest(notebook: nbformat.NotebookNode) -> str:
    """Of what the cells say; running them changes nothing."""
    sources = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in notebook.cells)
    return hashlib.sha256(sources.encode()).hexdigest()


def _worked_in(path: Path) -> bool:
    try:
        notebook = nbformat.read(path, as_version=4)
        return notebook.metadata.get("nbnas", {}).get("exercise") != _digest(notebook)
    except Exception:  # Whatever it is, we did not write it.
        return True
