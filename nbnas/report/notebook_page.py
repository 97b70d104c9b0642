"""One executed notebook as the body of an HTML page, with formulas as MathML."""

import re
from pathlib import Path

from latex2mathml.converter import convert as latex_to_mathml
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath


class _MathMLRenderer(IPythonRenderer):
    """Renders formulas as MathML, which browsers draw themselves; MathJax would be fetched from the network."""

    def block_math(self, body: str) -> str:
        return latex_to_mathml(body, display="block")

    def inline_math(self, body: str) -> str:
        return latex_to_mathml(body)


def _markdown_to_html(source: str) -> str:
    return MarkdownWithMath(renderer=_MathMLRenderer(escape=False)).render(source)


def notebook_body(path: Path) -> str:
    """Return the cells of an executed notebook as HTML, pictures embedded, without a surrounding page."""
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    exporter.register_filter("markdown2html", _markdown_to_html)
    body, _ = exporter.from_filename(str(path))
    # Links between notebooks become links between their pages.
    return re.sub(r'(href="(?!https?:)[^"]+)\.ipynb"', r'\1.html"', body)
