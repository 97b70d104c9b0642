"""Google-style docstrings as HTML."""

import html
import inspect
import re
import textwrap
from collections.abc import Callable

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

_SECTION = re.compile(r"^(Args|Returns|Yields|Raises):\n((?: .*(?:\n|\Z)|\n)+)", re.MULTILINE)
_ROLE = re.compile(r":[a-z]+:`~?([\w.]+)`")
_ENTRY = re.compile(r"^(\*{0,2}\w[\w.*, ]*): ", re.MULTILINE)
_DOCTEST = re.compile(r"(?:^>>> .*\n(?:^(?!>>> ).+\n)*)+", re.MULTILINE)


def docstring_to_html(text: str, link: Callable[[str], str | None]) -> str:
    """Return a docstring as HTML: text, and a list for each of the sections Args, Returns, Yields and Raises.

    Args:
        text: As in the source.
        link: Full or partial name, as in a role such as ``:func:`name```, -> where it is explained; None if nowhere.
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
