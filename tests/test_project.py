"""The project's own files agree with each other."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

import nbnas
from nbnas.cli import main
from nbnas.machine.paths import project_root

ROOT = project_root()
CONDA_NAMES = {"torch": "pytorch"}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(lines):
    return dict(re.match(r"([\w-]+)>=(.+)", line).groups() for line in lines)


def test_environment_yml_has_the_same_floors_as_pyproject():
    content = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    from_pip = next(entry["pip"] for entry in content if isinstance(entry, dict))
    conda = requirements(line for line in content if isinstance(line, str) and ">=" in line)
    assert conda.pop("python") == project()["requires-python"].removeprefix(">=")
    extras = project()["optional-dependencies"]
    expected = requirements(project()["dependencies"] + extras["lab"] + extras["dask"])
    assert conda == {CONDA_NAMES.get(name, name): floor for name, floor in expected.items()}
    assert requirements(line for line in from_pip if ">=" in line) == requirements(extras["data"])
    assert "-e ." in from_pip


def test_every_dependency_is_pinned_at_or_above_its_floor():
    pins = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    extras = project()["optional-dependencies"]
    installed = [line for extra in ("lab", "data", "dask", "dev") for line in extras[extra]]
    for name, floor in requirements(project()["dependencies"] + installed).items():
        pinned = pins[name.lower().replace("_", "-")]
        assert [int(part) for part in pinned.split(".")[:2]] >= [int(part) for part in floor.split(".")[:2]], name


def test_commands_named_in_the_readme_exist():
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:^|`)make ([a-z]+)", readme, re.MULTILINE))
    assert {"reproduce", "test", "help", "lab", "sweep"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (ROOT / path).exists(), path
    pictures = re.findall(r'<img src="([^"]+)"', readme)
    assert pictures
    for path in pictures:
        assert (ROOT / path).stat().st_size < 250_000, path


def test_readme_and_report_cite_alike():
    papers = (ROOT / "nbnas" / "reproduce" / "report" / "templates" / "papers.bib").read_text()
    assert f"```bibtex\n{papers}```" in (ROOT / "README.md").read_text()


def test_search_in_the_readme_runs(capsys):
    readme = (ROOT / "README.md").read_text()
    (code,) = re.findall(r"```python\n(from torch import nn\nfrom nbnas\.search .*?)```", readme, re.DOTALL)
    names = {}
    exec(code.replace("steps=100", "steps=20"), names)
    history = names["result"].history
    assert len(history) == 20
    assert history["params"].max() <= 30_000
    assert set(history["status"]) == {"ok"}
    assert names["result"].best in capsys.readouterr().out


def test_ranking_in_the_readme_runs(capsys):
    readme = (ROOT / "README.md").read_text()
    (code, printed) = re.findall(
        r"```python\n(import nbnas\n[^`]*nbnas\.rank.*?)```\n\n```\n(.*?)```", readme, re.DOTALL
    )[0]
    exec(code, {})
    header, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    expected_header, *expected = [line.split() for line in printed.splitlines()]
    assert header == expected_header
    assert [row[0] for row in rows] == [row[0] for row in expected]
    assert [row[-1] for row in rows[1:]] == ["ok"] * 3


def test_public_names_are_those_listed_and_all_there():
    code = (
        "import nbnas; names = dir(nbnas); assert names == sorted(nbnas.__all__), names; "
        "print(nbnas.search.evolve.__name__, nbnas.testing.check_proxy.__name__, nbnas.training.train.__name__); "
        "[getattr(nbnas, name) for name in names]"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.split() == ["evolve", "check_proxy", "train"]


def test_version_is_that_of_the_project(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"nbnas {nbnas.__version__}\n"
    assert f"version: {nbnas.__version__}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize("package", ["torchvision", "nats_bench", "papermill", "matplotlib", "sklearn", "distributed"])
def test_importing_the_package_and_its_command_does_not_import(package):
    code = f"import sys, nbnas, nbnas.cli; sys.exit({package!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("room", ["search", "testing", "training"])
def test_a_room_that_loads_when_used_is_not_loaded_before(room):
    code = f"import sys, nbnas; sys.exit('nbnas.{room}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_notebook_or_module_names_a_machine_path():
    files = [*(ROOT / "nbnas").rglob("*.py"), *(ROOT / "notebooks").rglob("*.ipynb"), ROOT / "README.md"]
    for file in files:
        assert not re.search(r"/(home|root|work|tmp)/", file.read_text()), file


def test_the_benchmark_knows_the_cost_of_every_proxy():
    from nbnas.proxies.registry import select_proxies
    from tests.bench_proxies import passes_needed

    units = {"F": 1.0, "B": 2.0, "I": 1.0}
    needed = {proxy.info.name: passes_needed(proxy.info, units, 64, 10) for proxy in select_proxies("*")}
    assert {name: sum(needed[name].values()) for name in ("params", "naswot", "snip", "vkdnw", "te_nas_ntk")} == {
        "params": 0, "naswot": 1, "snip": 3, "vkdnw": 11, "te_nas_ntk": 129,
    }  # fmt: skip
    # The same pass, and the same forward pass under another backward pass.
    assert sum((needed["snip"] | needed["grad_norm"]).values()) == 3
    assert sum((needed["snip"] | needed["jacov"]).values()) == 4
