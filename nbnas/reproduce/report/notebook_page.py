"""One executed notebook as the body of an HTML page, with formulas as MathML."""

import html
import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, join, normpath

from jinja2 import PackageLoader
from latex2mathml.converter import convert as latex_to_mathml
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath


@dataclass(frozen=True)
class Heading:
    """An entry of a table of contents."""

    level: int
    anchor: str
    text: str
    """HTML."""


class _MathMLRenderer(IPythonRenderer):
    """Renders formulas as MathML, which browsers draw themselves; MathJax would be fetched from the network."""

    def block_math(self, body: str) -> str:
        return _to_mathml(body, "block")

    def inline_math(self, body: str) -> str:
        return _to_mathml(body, "inline")

    def heading(self, text: str, level: int, **_: object) -> str:
        # The identifier that JupyterLab gives it, so that links from other notebooks work in both.
        plain = html.unescape(re.sub(r"<[^>]+>", "", text))
        return f'<h{level} id="{html.escape(plain.replace(" ", "-"))}">{text}</h{level}>\n'


def _to_mathml(body: str, display: str) -> str:
    # Without a space, the logarithm of p reads as one word.
    names = r"(<mi>[a-z]{2,}</mi>)(?=<mi>|<mn>|<msub>|<msup>)"
    return re.sub(names, r'\1<mspace width="0.17em"/>', latex_to_mathml(body, display=display))


def _markdown_to_html(source: str) -> str:
    return MarkdownWithMath(renderer=_MathMLRenderer(escape=False)).render(source)


def notebook_body(path: Path) -> str:
    """Return the cells of an executed notebook as HTML, pictures embedded, without a surrounding page.

    Solutions of exercises are folded.
    """
    exporter = HTMLExporter(
        template_name="basic",
        extra_loaders=[PackageLoader("nbnas.reproduce.report")],
        template_file="notebook.html.jinja",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    exporter.register_filter("markdown2html", _markdown_to_html)
    body, _ = exporter.from_filename(str(path))
    # Links between notebooks become links between their pages.
    return re.sub(r'(href="(?!https?:)[^"]+)\.ipynb"', r'\1.html"', body)


def without_first_heading(body: str) -> str:
    """Drop the title from a body: the page shows it in another place."""
    return re.sub(r"<h1 .*?</h1>", "", body, count=1, flags=re.DOTALL)


def headings(body: str) -> list[Heading]:
    """List the sections of a body, for its table of contents."""
    found = re.findall(r'<h([23]) id="([^"]*)">(.*?)</h', body, re.DOTALL)
    return [Heading(int(level), html.unescape(anchor), text) for level, anchor, text in found]


def unlink(body: str, item: str, pages: Container[str]) -> str:
    """Turn links to what the report does not hold, such as a notebook that was not run, into plain text.

    Args:
        body: HTML of a page.
        item: Which page, e.g. ``vkdnw/table1``; its links are relative to it.
        pages: Items that have a page.
    """

    def replace(link: re.Match) -> str:
        target = normpath(join(dirname(item), link[1].partition("#")[0]))
        return link[0] if target.removesuffix(".html") in pages else link[2]

    return re.sub(r'<a href="(?!https?:|#|mailto:)([^"]*)"[^>]*>(.*?)</a>', replace, body, flags=re.DOTALL)
