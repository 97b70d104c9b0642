"""The rooms of the package: what may import what, read from the imports themselves."""

import ast
from graphlib import TopologicalSorter

from nbnas.machine.paths import project_root

PACKAGE = project_root() / "nbnas"

FLOORS = (
    {"__main__"},
    {"__init__", "cli"},
    {"reproduce"},
    {"studies"},
    {"search"},
    {"testing", "show"},
    {"rankings"},
    {"scoring"},
    {"plots", "training"},
    {"benchmarks"},
    {"spaces"},
    {"proxies"},
    {"datasets"},
    {"networks"},
    {"machine"},
    {"seeding"},
    {"errors"},
)
"""Folders and root modules from the top floor down; a room imports only from the floors below its own."""


def modules():
    """Dotted name -> syntax tree."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ["nbnas", *path.relative_to(PACKAGE).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)] = ast.parse(
            path.read_text()
        )
    return found


def imported(tree, names):
    """Modules of the package that a module imports anywhere, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            candidates = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        else:
            continue
        found = {name for name in candidates if name in names}
        yield from (name for name in found if not any(other.startswith(name + ".") for other in found))


def room(module):
    return module.split(".")[1]


def test_every_room_has_a_floor_and_few_modules_stand_at_the_root():
    rooms = {room(name) for name in modules()}
    assert rooms == set().union(*FLOORS)
    assert len(list(PACKAGE.glob("*.py"))) <= 8


def test_a_room_imports_only_from_the_floors_below():
    floor = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    trees = modules()
    upwards = [
        f"{name} imports {target}"
        for name, tree in trees.items()
        for target in imported(tree, trees)
        if room(name) != room(target) and floor[room(name)] >= floor[room(target)]
    ]
    assert upwards == []


def test_no_module_imports_itself_by_way_of_others():
    trees = modules()
    TopologicalSorter({name: set(imported(tree, trees)) - {name} for name, tree in trees.items()}).prepare()
