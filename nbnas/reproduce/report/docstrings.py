"""Google-style docstrings as HTML."""

import html
import inspect
import re
from collections.abc import Callable

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

SECTIONS = ("Args", "Returns", "Yields", "Raises")

_HEADING = re.compile(rf"^({'|'.join(SECTIONS)}):$", re.MULTILINE)
_ROLE = re.compile(r":[a-z]+:`~?([\w.]+)`")
_ENTRY = re.compile(r"^(\*{0,2}\w[\w.*, ]*): ", re.MULTILINE)
_DOCTEST = re.compile(r"(?:^>>> .*\n(?:^(?!>>> ).+\n)*)+", re.MULTILINE)


def docstring_to_html(text: str, link: Callable[[str], str | None]) -> str:
    """Return a docstring as HTML: text, then a list for each of :data:`SECTIONS`.

    Args:
        text: As in the source.
        link: Full or partial name, as in a role such as ``:func:`name```, -> where it is explained; None if nowhere.
    """
    opening, *rest = _HEADING.split(inspect.cleandoc(text))
    parts = [_text_to_html(opening, link)]
    for heading, content in zip(rest[::2], rest[1::2], strict=True):
        section, after = _indented(content)
        entries = _ENTRY.split(section)
        if heading in ("Args", "Raises") and len(entries) > 1:
            names = zip(entries[1::2], entries[2::2], strict=True)
            terms = "".join(
                f"<dt><code>{html.escape(n)}</code></dt><dd>{_text_to_html(t, link)}</dd>" for n, t in names
            )
            parts.append(f"<h5>{heading}</h5>\n<dl>{terms}</dl>")
        else:
            parts.append(f"<h5>{heading}</h5>\n{_text_to_html(section, link)}")
        if after:
            parts.append(_text_to_html(after, link))
    return "\n".join(parts)


def _indented(content: str) -> tuple[str, str]:
    """Split what follows a heading into the section, without its indentation, and the text after it."""
    lines = content.strip("\n").splitlines()
    end = next((number for number, line in enumerate(lines) if line and not line.startswith(" ")), len(lines))
    return inspect.cleandoc("\n" + "\n".join(lines[:end])), "\n".join(lines[end:])


def _text_to_html(text: str, link: Callable[[str], str | None]) -> str:
    def role(match: re.Match) -> str:
        target = link(match[1])
        return f"[`{match[1]}`]({target})" if target else f"`{match[1]}`"

    text = _ROLE.sub(role, text.strip() + "\n")
    text = _DOCTEST.sub(lambda match: f"```python\n{match[0]}```\n", text)
    return MarkdownWithMath(renderer=IPythonRenderer(escape=True, exclude_anchor_links=True)).render(text).strip()
