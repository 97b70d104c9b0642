"""What the API page shows: every public name with its signature, docstring and source."""

import importlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import nbnas
from nbnas.proxies import list_proxies
from nbnas.reproduce.report.definitions import class_signature, documented, parsed, signature, text_of_data
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
"""What the page covers, in its order; a name that several of them export is explained in the first."""


@dataclass(frozen=True)
class Entry:
    """One public name, or one method of a class."""

    name: str
    anchor: str
    kind: str
    """``function``, ``class``, ``method``, ``data``, ``module`` or ``alias``: explained elsewhere on the page."""
    signature: str = ""
    text: str = ""
    """HTML."""
    source: str = ""
    location: str = ""
    """File and line."""
    attributes: list[tuple[str, str]] = field(default_factory=list)
    """Names and texts (HTML) of documented attributes."""
    methods: list["Entry"] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """One module."""

    name: str
    text: str
    """HTML."""
    entries: list[Entry]
    proxies: list[dict[str, object]] = field(default_factory=list)
    """Records of the registered proxies, in the section of :mod:`nbnas.proxies` only."""


def api_sections() -> list[Section]:
    """Describe the public names of :data:`MODULES`."""
    modules = [importlib.import_module(name) for name in MODULES]
    anchors = _anchors(modules)
    sections = []
    for module in modules:
        entries = [_entry(module, name, anchors) for name in public_names(module)]
        text = docstring_to_html(module.__doc__, _Links(module.__name__, anchors))
        proxies = list_proxies().reset_index().to_dict("records") if module is nbnas.proxies else []
        sections.append(Section(module.__name__, text, entries, proxies))
    return sections


def _anchors(modules: Iterable[ModuleType]) -> dict[str, str]:
    """Full name of whatever the page explains, under every module that has it, -> where it is explained."""
    anchors: dict[str, str] = {}
    homes: dict[int, str] = {}
    for module in modules:
        for name in public_names(module):
            value, anchor = inspect.unwrap(getattr(module, name)), f"{module.__name__}.{name}"
            if not inspect.ismodule(value):
                anchor = homes.setdefault(id(value), anchor)
            anchors[f"{module.__name__}.{name}"] = anchor
            if inspect.isclass(value) or inspect.isfunction(value):
                anchors.setdefault(f"{value.__module__}.{name}", anchor)
                for method in _methods(value):
                    anchors[f"{anchor}.{method}"] = f"{anchor}.{method}"
                    anchors[f"{value.__module__}.{name}.{method}"] = f"{anchor}.{method}"
        anchors[module.__name__] = module.__name__
    return anchors


def public_names(module: ModuleType) -> list[str]:
    """Names in ``__all__``; without it, the functions and classes that the module defines, in their order there."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    own = inspect.getmembers(module, lambda value: getattr(value, "__module__", None) == module.__name__)
    defined = [name for name, value in own if not name.startswith("_") and callable(value)]
    return sorted(defined, key=lambda name: inspect.getsourcelines(inspect.unwrap(getattr(module, name)))[1])


class _Links:
    """Where a name that a docstring mentions is explained: on this page, or None."""

    def __init__(self, scope: str, anchors: dict[str, str]):
        self.scope, self.anchors = scope, anchors

    def __call__(self, name: str) -> str | None:
        scopes = self.scope.split(".")
        # Names are relative to the class or module they are mentioned in, or full.
        for depth in range(len(scopes), -1, -1):
            anchor = self.anchors.get(".".join([*scopes[:depth], name]))
            if anchor:
                return f"#{anchor}"
        return None


def _entry(module: ModuleType, name: str, anchors: dict[str, str]) -> Entry:
    value, full = inspect.unwrap(getattr(module, name)), f"{module.__name__}.{name}"
    anchor = anchors[full]
    if anchor != full or full in MODULES:
        return Entry(name, full, "alias", text=f'<p>See <a href="#{anchor}"><code>{anchor}</code></a>.</p>')
    if inspect.ismodule(value):
        text = docstring_to_html(value.__doc__, _Links(value.__name__, anchors))
        return Entry(name, full, "module", text=text)
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        text = docstring_to_html(text_of_data(module, name), _Links(module.__name__, anchors))
        names = ", ".join(value) if isinstance(value, Mapping) else ""
        return Entry(name, full, "data", f"{name}: {names}" if names else name, text)
    node, source = parsed(value)
    links = _Links(f"{value.__module__}.{name}", anchors)
    common = {
        "text": docstring_to_html(value.__doc__ or "", links),
        "source": source,
        "location": _location(value),
    }
    if inspect.isfunction(value):
        return Entry(name, full, "function", signature(node, name), **common)
    methods = [
        Entry(
            method,
            f"{full}.{method}",
            "method",
            signature(parsed(function)[0], method, is_method=True),
            docstring_to_html(function.__doc__, links),
        )
        for method, function in _methods(value).items()
    ]
    attributes = [(what, docstring_to_html(text, links)) for what, text in documented(node)]
    return Entry(name, full, "class", class_signature(node), attributes=attributes, methods=methods, **common)


def _methods(value: type | object) -> dict[str, object]:
    """Public methods that a class defines and documents itself; name -> function."""
    if not inspect.isclass(value):
        return {}
    functions = {name: getattr(member, "fget", member) for name, member in vars(value).items()}
    functions = {name: getattr(function, "__func__", function) for name, function in functions.items()}
    return {
        name: inspect.unwrap(function)
        for name, function in functions.items()
        if not name.startswith("_") and inspect.isfunction(function) and function.__doc__
    }


def _location(value: object) -> str:
    package = Path(nbnas.__file__).parent
    file = Path(inspect.getsourcefile(value)).relative_to(package.parent).as_posix()
    return f"{file}, line {inspect.getsourcelines(value)[1]}"
