"""The notebooks in the repository: clean, strict, and run by papermill as they should be."""

import ast
import json
import sys

import nbformat
import pytest

from nbnas.errors import NbnasError
from nbnas.machine.paths import notebooks_folder
from nbnas.reproduce.notebook import check_parameters, parse_parameter, read_notebook, run_notebook

# Copies in the folder of exercises are their reader's.
NOTEBOOKS = sorted(set(notebooks_folder().rglob("*.ipynb")) - set(notebooks_folder().glob("exercises/**/*.ipynb")))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_without_outputs_for_the_kernel_python3(path):
    content = nbformat.read(path, as_version=4)
    nbformat.validate(content)
    assert content.metadata.kernelspec.name == "python3"
    for cell in content.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def definitions(path):
    """Names of the functions and classes that a notebook defines."""
    cells = nbformat.read(path, as_version=4).cells
    nodes = [node for cell in cells if cell.cell_type == "code" for node in ast.walk(ast.parse(cell.source))]
    return [node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]


@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path.parent.name != "lessons"], ids=lambda path: path.stem
)
def test_code_that_matters_lives_in_the_package(path):
    assert definitions(path) == []


def test_definitions_are_found_wherever_they_are(tmp_path):
    source = "for name in 'ab':\n    def function():\n        class Inner: pass\nasync def last(): pass\nf = max"
    assert sorted(definitions(write_notebook(tmp_path / "defines.ipynb", source).path)) == ["Inner", "function", "last"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_profiles_change_only_declared_parameters(path):
    notebook = read_notebook(path)
    assert set(notebook.profiles) <= {"smoke", "default", "full"}
    assert notebook.minutes["default"] > 0
    for changes in notebook.profiles.values():
        check_parameters(notebook, changes)


def write_notebook(path, *sources, parameters="count = 3\nshare = 0.5\nname = 'a'\nflag = False"):
    cells = [nbformat.v4.new_markdown_cell("# A title"), nbformat.v4.new_code_cell(parameters)]
    cells[1].metadata["tags"] = ["parameters"]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return read_notebook(path)


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path / "example.ipynb")


def test_parameters_and_title_are_read(notebook):
    assert notebook.parameters == {"count": 3, "share": 0.5, "name": "a", "flag": False}
    assert notebook.title == "A title"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cuont": 3}, "no parameter 'cuont'"),
        ({"count": "3"}, "must be int"),
        ({"count": 3.0}, "must be int"),
        ({"count": True}, "must be int"),
        ({"flag": 1}, "must be bool"),
        ({"name": 1}, "must be str"),
        ({"share": float("nan")}, "finite"),
        ({"share": float("inf")}, "finite"),
    ],
)
def test_wrong_parameters_are_refused(notebook, given, message):
    with pytest.raises(NbnasError, match=message):
        check_parameters(notebook, given)


def test_a_notebook_without_code_needs_no_parameters(tmp_path):
    path = tmp_path / "text.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Words")]), path)
    notebook = read_notebook(path)
    assert (notebook.title, notebook.parameters) == ("Words", {})


def test_a_whole_number_may_stand_for_a_float(notebook):
    assert check_parameters(notebook, {"share": 1})["share"] == 1


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("count", "7", 7), ("share", "1e-3", 1e-3), ("name", "7", "7"), ("flag", "true", True), ("flag", "False", False)],
)
def test_command_line_text_is_read_by_the_type_of_the_default(notebook, name, text, value):
    assert parse_parameter(notebook, name, text) == value


@pytest.mark.parametrize(("name", "text"), [("count", "1e3"), ("count", "many"), ("share", "nan"), ("other", "1")])
def test_command_line_text_of_another_type_is_refused(notebook, name, text):
    with pytest.raises(NbnasError):
        parse_parameter(notebook, name, text)


@pytest.mark.parametrize("source", ["count = 1 + 1\nx = open", "count, other = 1, 2", "import os"])
def test_the_parameters_cell_may_hold_only_literals(tmp_path, source):
    with pytest.raises(NbnasError, match="name = literal"):
        write_notebook(tmp_path / "bad.ipynb", parameters=source)


def test_a_missing_notebook_and_a_foreign_file_are_errors(tmp_path):
    with pytest.raises(NbnasError, match="no notebook"):
        read_notebook(tmp_path / "absent.ipynb")
    (tmp_path / "foreign.ipynb").write_text("not json")
    with pytest.raises(NbnasError, match="not a notebook"):
        read_notebook(tmp_path / "foreign.ipynb")


def test_parameters_may_have_types_and_no_value(tmp_path):
    parameters = "count: int = 3  # how many\nshare: float = 0.5\nlimit = None"
    notebook = write_notebook(tmp_path / "typed.ipynb", parameters=parameters)
    assert notebook.parameters == {"count": 3, "share": 0.5, "limit": None}
    assert parse_parameter(notebook, "limit", "3") == 3
    assert parse_parameter(notebook, "limit", "fast") == "fast"
    with pytest.raises(NbnasError, match=r"'count' of typed\.ipynb must be int"):
        parse_parameter(notebook, "count", "many")


KERNELS = {
    "none": lambda metadata: metadata.pop("kernelspec"),
    "null": lambda metadata: metadata.update(kernelspec=None),
    "of another machine": lambda metadata: metadata["kernelspec"].update(name="conda-env-mine-py"),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", KERNELS.values(), ids=KERNELS)
def test_a_notebook_of_any_machine_runs_in_this_python(tmp_path, change):
    path = tmp_path / "where.ipynb"
    write_notebook(path, "import sys; print(sys.executable)")
    content = json.loads(path.read_text())
    change(content["metadata"])
    path.write_text(json.dumps(content))
    output = tmp_path / "out.ipynb"
    run_notebook(read_notebook(path), {}, output)
    printed = [text for cell in nbformat.read(output, 4).cells for text in cell.get("outputs", [])]
    assert printed[0]["text"].strip() == sys.executable


def test_a_notebook_in_another_language_is_refused(tmp_path):
    path = tmp_path / "r.ipynb"
    write_notebook(path)
    path.write_text(path.read_text().replace('"language": "python"', '"language": "R"'))
    with pytest.raises(NbnasError, match="is written in R; only notebooks in Python"):
        read_notebook(path)


def test_a_run_injects_the_parameters_and_moves_the_result_into_place(tmp_path):
    notebook = write_notebook(tmp_path / "adds.ipynb", "print(count + 1, name)")
    output = tmp_path / "out" / "adds.ipynb"
    run_notebook(notebook, {"count": 41, "name": "b=c"}, output)
    printed = [text for cell in nbformat.read(output, 4).cells for text in cell.get("outputs", [])]
    assert printed[0]["text"] == "42 b=c\n"
    assert sorted(path.name for path in output.parent.iterdir()) == ["adds.ipynb"]


def test_a_failing_cell_names_notebook_cell_error_log_and_command(tmp_path):
    notebook = write_notebook(tmp_path / "breaks.ipynb", "1 / 0")
    output = tmp_path / "breaks.out.ipynb"
    with pytest.raises(NbnasError) as caught:
        run_notebook(notebook, {"count": 4}, output)
    message = str(caught.value)
    assert message.startswith("breaks.ipynb failed in cell")
    assert "ZeroDivisionError: division by zero" in message
    assert f"rerun: nbnas run {tmp_path / 'breaks.ipynb'} -p count 4" in message
    assert not output.exists()
    log = json.loads((tmp_path / "breaks.out.failed.ipynb").read_text())
    assert "ZeroDivisionError" in json.dumps(log["cells"])


def test_a_run_that_ends_early_does_not_count(tmp_path):
    notebook = write_notebook(tmp_path / "leaves.ipynb", "import sys; sys.exit(0)", "print('never')")
    with pytest.raises(NbnasError, match="failed"):
        run_notebook(notebook, {}, tmp_path / "leaves.out.ipynb")
    assert not (tmp_path / "leaves.out.ipynb").exists()
