"""One executed notebook as the body of an HTML page, with formulas as MathML."""

import html
import re
from collections.abc import Container
from pathlib import Path
from posixpath import dirname, join, normpath

from latex2mathml.converter import convert as latex_to_mathml
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from nbnas.reproduce.report.rendering import open_templates


class _MathMLRenderer(IPythonRenderer):
    """Renders formulas as MathML, which browsers draw themselves; MathJax would be fetched from the network."""

    def block_math(self, body: str) -> str:
        return _to_mathml(body, "block")

    def inline_math(self, body: str) -> str:
        return _to_mathml(body, "inline")

    def heading(self, text: str, level: int, **_: object) -> str:
        # The identifier that JupyterLab gives it, for links from other notebooks to work in both.
        plain = html.unescape(re.sub(r"<[^>]+>", "", text))
        return f'<h{level} id="{html.escape(plain.replace(" ", "-"))}">{text}</h{level}>\n'


def _to_mathml(body: str, display: str) -> str:
    # Without a space, the logarithm of p reads as one word.
    names = r"(<mi>[a-z]{2,}</mi>)(?=<mi>|<mn>|<msub>|<msup>)"
    return re.sub(names, r'\1<mspace width="0.17em"/>', latex_to_mathml(body, display=display))


def markdown_to_html(source: str) -> str:
    """Return a Markdown cell as HTML."""
    return MarkdownWithMath(renderer=_MathMLRenderer(escape=False)).render(source)


def notebook_body(path: Path) -> str:
    """Return an executed notebook as HTML without a surrounding page and without its title.

    Pictures are embedded, solutions of exercises are folded, and links between notebooks lead to their pages.
    """
    exporter = HTMLExporter(
        template_name="basic",
        extra_loaders=[open_templates().loader],
        template_file="notebook.html.jinja",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    exporter.register_filter("markdown2html", markdown_to_html)
    body, _ = exporter.from_filename(str(path))
    body = re.sub(r"<h1 .*?</h1>", "", body, count=1, flags=re.DOTALL)
    return re.sub(r'(href="(?!https?:)[^"]+)\.ipynb"', r'\1.html"', body)


def headings(body: str) -> list[tuple[str, str, str]]:
    """List level, anchor and text, as in the HTML, of the sections of a body, for its table of contents."""
    return re.findall(r'<h([23]) id="([^"]*)">(.*?)</h', body, re.DOTALL)


def unlink(body: str, item: str, pages: Container[str]) -> str:
    """Turn links of an item's page to what the report does not hold, such as a notebook that was not run, into text."""

    def replace(link: re.Match) -> str:
        target = normpath(join(dirname(item), link[1].partition("#")[0]))
        return link[0] if target.removesuffix(".html") in pages else link[2]

    return re.sub(r'<a href="(?!https?:|#|mailto:)([^"]*)"[^>]*>(.*?)</a>', replace, body, flags=re.DOTALL)
