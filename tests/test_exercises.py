"""Exercises: lessons without solutions, which never overwrite what a reader wrote."""

import nbformat
import pytest

from nbnas.cli import main
from nbnas.reproduce import exercises


def lesson(*solutions):
    cells = [nbformat.v4.new_markdown_cell("# A lesson"), nbformat.v4.new_code_cell("x = 1")]
    cells += [nbformat.v4.new_code_cell(text, metadata={"tags": ["solution"]}) for text in solutions]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "lessons").mkdir()
    nbformat.write(lesson("secret = 42"), tmp_path / "lessons" / "01_a.ipynb")
    return tmp_path / "lessons", tmp_path / "exercises"


def read(path):
    return nbformat.read(path, as_version=4)


def test_solutions_are_taken_out_and_all_else_stays(folders):
    assert exercises.make_exercises(*folders) == {"01_a.ipynb": "written"}
    made, source = read(folders[1] / "01_a.ipynb"), read(folders[0] / "01_a.ipynb")
    nbformat.validate(made)
    assert [cell.source for cell in made.cells] == ["# A lesson", "x = 1", exercises.PLACE]
    assert source.cells[2].source == "secret = 42"
    assert "secret" not in (folders[1] / "01_a.ipynb").read_text()
    assert made.cells[2].id == source.cells[2].id


def test_a_markdown_solution_vanishes():
    notebook = lesson()
    notebook.cells.append(nbformat.v4.new_markdown_cell("Because.", metadata={"tags": ["solution"]}))
    assert len(exercises.without_solutions(notebook).cells) == 2


def test_the_cell_that_saves_is_left_out(folders):
    notebook = lesson("secret = 42")
    notebook.cells.append(nbformat.v4.new_code_cell("results.save()", metadata={"tags": ["saving"]}))
    assert [cell.source for cell in exercises.without_solutions(notebook).cells][2:] == [exercises.PLACE]


def test_only_lessons_have_exercises(folders):
    nbformat.write(lesson(), folders[0] / "glossary.ipynb")
    assert exercises.make_exercises(*folders) == {"01_a.ipynb": "written"}


def test_a_copy_that_was_only_run_follows_its_lesson(folders):
    exercises.make_exercises(*folders)
    copy = read(folders[1] / "01_a.ipynb")
    copy.cells[1].outputs = [nbformat.v4.new_output("stream", text="1\n")]
    nbformat.write(copy, folders[1] / "01_a.ipynb")
    nbformat.write(lesson("one = 1", "two = 2"), folders[0] / "01_a.ipynb")
    assert exercises.make_exercises(*folders) == {"01_a.ipynb": "written"}
    assert len(read(folders[1] / "01_a.ipynb").cells) == 4


def test_a_copy_that_somebody_worked_in_is_kept(folders):
    exercises.make_exercises(*folders)
    copy = read(folders[1] / "01_a.ipynb")
    copy.cells[2].source = "mine = 7"
    nbformat.write(copy, folders[1] / "01_a.ipynb")
    assert exercises.make_exercises(*folders) == {"01_a.ipynb": "kept"}
    assert read(folders[1] / "01_a.ipynb").cells[2].source == "mine = 7"


@pytest.mark.parametrize("content", ["not a notebook", '{"cells": []}'])
def test_a_foreign_file_is_kept(folders, content):
    folders[1].mkdir()
    (folders[1] / "01_a.ipynb").write_text(content)
    assert exercises.make_exercises(*folders) == {"01_a.ipynb": "kept"}
    assert (folders[1] / "01_a.ipynb").read_text() == content


def test_the_command_makes_an_exercise_of_every_lesson(monkeypatch, tmp_path, capsys):
    real = exercises.notebooks_folder()
    (tmp_path / "lessons").symlink_to(real / "lessons")
    monkeypatch.setattr(exercises, "notebooks_folder", lambda: tmp_path)
    assert main(["exercises"]) == 0
    made = sorted((tmp_path / "exercises").glob("*.ipynb"))
    assert [path.name for path in made] == sorted(path.name for path in (real / "lessons").glob("[0-9]*.ipynb"))
    assert capsys.readouterr().out.count("written") == len(made)
    for path in made:
        tags = [tag for cell in read(path).cells for tag in cell.metadata.get("tags", [])]
        assert not {"solution", "saving"} & set(tags)
        assert tags.count("answer") >= 2, path.name
