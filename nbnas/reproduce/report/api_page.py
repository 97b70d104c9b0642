"""What the API page shows: every public name with its signature, docstring and source, read without running it."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import griffe

from nbnas.machine.paths import project_root
from nbnas.proxies import list_proxies
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
    "nbnas.plots",
)
"""What the page covers, in its order. A name that several of them export is explained in the first."""


@dataclass(frozen=True)
class Entry:
    """One public name, or one method of a class; all texts are HTML."""

    name: str
    anchor: str
    kind: str
    """``function``, ``class``, ``method``, ``data``, ``module`` or ``alias``: explained elsewhere on the page."""
    text: str
    signature: str = ""
    source: str = ""
    location: str = ""
    """File and line."""
    attributes: list[tuple[str, str]] = field(default_factory=list)
    """Names and texts of documented attributes."""
    methods: list["Entry"] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """One module."""

    name: str
    text: str
    entries: list[Entry]
    proxies: list[dict[str, object]]
    """Records of the registered proxies, in the section of ``nbnas.proxies`` only."""


def api_sections() -> list[Section]:
    """Describe the public names of :data:`MODULES`."""
    package = griffe.load("nbnas", search_paths=[project_root()], try_relative_path=False, allow_inspection=False)
    modules = [package.modules_collection[name] for name in MODULES]
    anchors = _anchors(modules)
    sections = []
    for module in modules:
        proxies = list_proxies().reset_index().fillna("").to_dict("records") if module.path == "nbnas.proxies" else []
        entries = [_entry(module, name, anchors) for name in public_names(module)]
        sections.append(Section(module.path, _text(module, anchors), entries, proxies))
    return sections


def public_names(module: griffe.Module) -> list[str]:
    """Names in ``__all__``; without it, the functions and classes that the module defines, in their order there."""
    if module.exports is not None:
        return list(module.exports)
    own = {name: value for name, value in module.members.items() if value.is_public and not value.is_alias}
    return sorted((name for name in own if own[name].is_function or own[name].is_class), key=lambda n: own[n].lineno)


def _anchors(modules: list[griffe.Module]) -> dict[str, str]:
    """Map the full name of whatever the page explains, where it is defined, to where the page explains it."""
    anchors = {module.path: module.path for module in modules}
    for module in modules:
        for name in public_names(module):
            anchors.setdefault(module[name].canonical_path, f"{module.path}.{name}")
    for module in modules:
        for value in (module[name] for name in public_names(module)):
            for method in _methods(value):
                anchors[f"{value.canonical_path}.{method}"] = f"{anchors[value.canonical_path]}.{method}"
    return anchors


def _methods(value: griffe.Object) -> dict[str, griffe.Object]:
    """Public methods and properties that a class defines and documents itself."""
    members = value.members if value.is_class else {}
    return {
        name: member
        for name, member in members.items()
        if (member.is_function or "property" in member.labels) and member.docstring and not name.startswith("_")
    }


def _entry(module: griffe.Module, name: str, anchors: dict[str, str]) -> Entry:
    value, full = module[name], f"{module.path}.{name}"
    anchor = anchors[value.canonical_path]
    if anchor != full or full in MODULES:
        return Entry(name, full, "alias", f'<p>See <a href="#{anchor}"><code>{anchor}</code></a>.</p>')
    text = _text(value, anchors)
    if value.is_module:
        return Entry(name, full, "module", text)
    if value.is_attribute:
        content = getattr(importlib.import_module(module.path), name)
        names = ", ".join(content) if isinstance(content, Mapping) else ""
        return Entry(name, full, "data", text, f"{name}: {names}" if names else name)
    location = f"{value.relative_package_filepath.as_posix()}, line {value.lineno}"
    kind = "class" if value.is_class else "function"
    attributes, methods = [], []
    if value.is_class:
        documented = {k: v for k, v in value.attributes.items() if v.docstring and "property" not in v.labels}
        attributes = [(key, _text(v, anchors)) for key, v in documented.items()]
        methods = [
            Entry(key, f"{full}.{key}", "method", _text(method, anchors), _signature(method))
            for key, method in _methods(value).items()
        ]
    return Entry(name, full, kind, text, _signature(value), value.source, location, attributes, methods)


def _text(value: griffe.Object, anchors: dict[str, str]) -> str:
    return docstring_to_html(value.docstring.value if value.docstring else "", partial(_link, value, anchors))


def _link(scope: griffe.Object, anchors: dict[str, str], name: str) -> str | None:
    """Where a name that a docstring mentions is explained: on this page, or None."""
    first, _, rest = name.partition(".")
    try:
        full = ".".join(filter(None, (scope.resolve(first), rest)))
    except griffe.NameResolutionError:
        full = name
    try:
        full = scope.modules_collection[full].canonical_path
    except KeyError:
        return None
    return f"#{anchors[full]}" if full in anchors else None


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
