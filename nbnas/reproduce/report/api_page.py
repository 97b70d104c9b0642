"""What the API page shows: every public name with its signature, docstring and source, read without running it."""

import importlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import griffe

from nbnas.machine.paths import project_root
from nbnas.reproduce.report.docstrings import docstring_to_html

MODULES = (
    "nbnas",
    "nbnas.show",
    "nbnas.networks.initialisation",
    "nbnas.proxies",
    "nbnas.spaces",
    "nbnas.benchmarks",
    "nbnas.rankings",
    "nbnas.search",
    "nbnas.rankings.learned",
    "nbnas.training",
    "nbnas.testing",
    "nbnas.plots.rankings",
    "nbnas.plots.lines",
    "nbnas.plots.networks",
)
"""What the page covers, in its order. A name that several of them export is explained in the first."""


@dataclass(frozen=True)
class Entry:
    """One public name, or one documented member of a class."""

    name: str
    anchor: str
    kind: str
    """``function``, ``class``, ``attribute``, ``data``, ``module`` or ``alias``: explained elsewhere on the page."""
    text: str
    """HTML."""
    signature: str = ""
    source: str = ""
    location: str = ""
    """File and line."""
    members: list["Entry"] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """One module."""

    name: str
    text: str
    """HTML."""
    entries: list[Entry]


def api_sections() -> list[Section]:
    """Describe the public names of :data:`MODULES`."""
    package = griffe.load("nbnas", search_paths=[project_root()], try_relative_path=False, allow_inspection=False)
    modules = [package.modules_collection[name] for name in MODULES]
    anchors = _anchors(modules)
    return [
        Section(module.path, _text(module, anchors), [_entry(module, name, anchors) for name in public_names(module)])
        for module in modules
    ]


def public_names(module: griffe.Module) -> list[str]:
    """Names in ``__all__``; without it, the functions and classes that the module defines, in their order there."""
    if module.exports is not None:
        return list(module.exports)
    own = [value for value in module.members.values() if not value.is_alias and value.is_public]
    return [value.name for value in sorted(own, key=lambda value: value.lineno) if value.is_function or value.is_class]


def _anchors(modules: list[griffe.Module]) -> dict[str, str]:
    """Map the full name of whatever the page explains, where it is defined, to where the page explains it."""
    anchors = {module.path: module.path for module in modules}
    for module in modules:
        for name in public_names(module):
            value = module[name]
            anchor = anchors.setdefault(value.canonical_path, f"{module.path}.{name}")
            anchors |= {f"{value.canonical_path}.{member}": f"{anchor}.{member}" for member in _members(value)}
    return anchors


def _members(value: griffe.Object) -> dict[str, griffe.Object]:
    """Public methods and attributes that a class documents itself."""
    members = value.members.items() if value.is_class else ()
    return {name: member for name, member in members if member.docstring and not name.startswith("_")}


def _entry(module: griffe.Module, name: str, anchors: dict[str, str]) -> Entry:
    value, full = module[name], f"{module.path}.{name}"
    anchor = anchors[value.canonical_path]
    if anchor != full or full in MODULES:
        return Entry(name, full, "alias", f'<p>See <a href="#{anchor}"><code>{anchor}</code></a>.</p>')
    text, kind = _text(value, anchors), value.kind.value
    if value.is_module:
        return Entry(name, full, kind, text)
    if value.is_attribute:
        content = getattr(importlib.import_module(module.path), name)
        signature = f"{name}: {', '.join(content)}" if isinstance(content, Mapping) else name
        return Entry(name, full, "data", text, signature)
    members = [
        Entry(key, f"{full}.{key}", member.kind.value, _text(member, anchors), _signature(member))
        for key, member in _members(value).items()
    ]
    location = f"{value.relative_package_filepath.as_posix()}, line {value.lineno}"
    return Entry(name, full, kind, text, _signature(value), value.source, location, members)


def _text(value: griffe.Object, anchors: dict[str, str]) -> str:
    return docstring_to_html(value.docstring.value if value.docstring else "", partial(_link, value, anchors))


def _link(scope: griffe.Object, anchors: dict[str, str], name: str) -> str | None:
    """Where a name that a docstring mentions is explained: on this page, or None."""
    first, _, rest = name.partition(".")
    with suppress(griffe.NameResolutionError):
        name = ".".join(filter(None, (scope.resolve(first), rest)))
    with suppress(KeyError, griffe.GriffeError):
        name = scope.modules_collection[name].canonical_path
    return f"#{anchors[name]}" if name in anchors else None


def _signature(value: griffe.Object, width: int = 88) -> str:
    """How a function or class is called, one argument a line if it is long; of a property, its type."""
    if value.is_attribute:
        return f"{value.name}: {value.annotation}" if value.annotation else value.name
    if value.is_class and not value.signature():
        bases = ", ".join(map(str, value.bases))
        return f"class {value.name}({bases})" if bases else f"class {value.name}"
    line = value.signature() if value.is_class else value.signature(return_type=True)
    if len(line) <= width:
        return line
    name, _, rest = line.partition("(")
    inside, _, returns = rest.rpartition(")")
    arguments, depth = [""], 0
    for character in inside:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and not depth:
            arguments.append("")
        else:
            arguments[-1] += character
    return "\n".join([f"{name}(", *(f"    {argument.strip()}," for argument in arguments), f"){returns}"])
