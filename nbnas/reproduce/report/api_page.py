"""What the API page shows: every public name with its signature, docstring and source, read without running it."""

import html
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import griffe
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from nbnas.machine.paths import project_root

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
    "nbnas.rankings.robot",
    "nbnas.training",
    "nbnas.testing",
    "nbnas.plots.rankings",
    "nbnas.plots.lines",
    "nbnas.plots.networks",
)
"""What the page covers, in its order. A name that several of them export is explained in the first."""

_SECTION = re.compile(r"^(Args|Returns|Yields|Raises):\n((?: .*(?:\n|\Z)|\n)+)", re.MULTILINE)
_ROLE = re.compile(r":[a-z]+:`~?([\w.]+)`")
_ENTRY = re.compile(r"^(\*{0,2}\w[\w.*, ]*): ", re.MULTILINE)
_DOCTEST = re.compile(r"(?:^>>> .*\n(?:^(?!>>> ).+\n)*)+", re.MULTILINE)


class Entry(NamedTuple):
    """A module, a public name of it, or a documented member of a class."""

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
    members: Sequence["Entry"] = ()


def api_sections() -> list[Entry]:
    """Describe the public names of :data:`MODULES`."""
    package = griffe.load("nbnas", search_paths=[project_root()], try_relative_path=False, allow_inspection=False)
    modules = [package.modules_collection[name] for name in MODULES]
    anchors = _anchors(modules)
    sections = []
    for module in modules:
        entries = [_entry(module, name, anchors) for name in public_names(module)]
        sections.append(Entry(module.path, module.path, "module", _text(module, anchors), members=entries))
    return sections


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


def docstring_to_html(text: str, link: Callable[[str], str | None]) -> str:
    """Return a Google-style docstring as HTML: text, and a list for each of the sections Args, Returns, Yields, Raises.

    ``link`` gives where a name in a role such as ``:func:`name``` is explained, or None.
    """
    opening, *rest = _SECTION.split(inspect.cleandoc(text))
    parts = [_text_to_html(opening, link)]
    for heading, section, after in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        section = textwrap.dedent(section)
        entries = _ENTRY.split(section)
        parts.append(f"<h5>{heading}</h5>")
        if heading in ("Args", "Raises") and len(entries) > 1:
            terms = [
                f"<dt><code>{html.escape(name)}</code></dt><dd>{_text_to_html(inspect.cleandoc(what), link)}</dd>"
                for name, what in zip(entries[1::2], entries[2::2], strict=True)
            ]
            parts.append(f"<dl>{''.join(terms)}</dl>")
        else:
            parts.append(_text_to_html(section, link))
        parts.append(_text_to_html(after, link))
    return "\n".join(filter(None, parts))


def _text_to_html(text: str, link: Callable[[str], str | None]) -> str:
    def role(match: re.Match) -> str:
        target = link(match[1])
        return f"[`{match[1]}`]({target})" if target else f"`{match[1]}`"

    text = _ROLE.sub(role, text.strip() + "\n")
    text = _DOCTEST.sub(lambda match: f"```python\n{match[0]}```\n", text)
    return MarkdownWithMath(renderer=IPythonRenderer(escape=True, exclude_anchor_links=True)).render(text).strip()
