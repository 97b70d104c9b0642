"""What pages are made of: templates and style, an executed notebook as HTML, and how numbers were made."""

import base64
import html
import re
from collections.abc import Container
from functools import cache, partialmethod
from importlib.resources import files
from pathlib import Path
from posixpath import dirname, join, normpath

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from latex2mathml.converter import convert as latex_to_mathml
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from nbnas.machine.replace_file import replace_file
from nbnas.plots.names import readable
from nbnas.reproduce.notebook import run_time
from nbnas.reproduce.paper_table import SIGNS


@cache
def open_templates() -> Environment:
    """Return the templates, with the style of every page as a global."""
    environment = Environment(
        loader=PackageLoader("nbnas.reproduce.report"),
        autoescape=select_autoescape(["html.jinja"]),
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"number": _number, "signed": _signed, "run_time": run_time, "readable": readable}
    environment.filters["short"] = "{:.3f}".format
    signs = (f'.verdict.{name.replace(" ", "-")}::before {{ content: "{sign} "; }}\n' for name, sign in SIGNS.items())
    environment.globals |= {
        "style": environment.loader.get_source(environment, "style.css")[0] + "".join(signs),
        "code_style": HtmlFormatter(style="xcode").get_style_defs(".highlight"),
        "dark_code_style": HtmlFormatter(style="github-dark").get_style_defs(".highlight"),
    }
    return environment


def write_page(template: str, path: Path, root: str = "", report: bool = True, **values: object) -> Path:
    """Render a template into a file, which is there whole or not at all; returns its path.

    ``root`` leads from the page to the folder of the report, and ``report`` says whether a report is there.
    """
    text = open_templates().get_template(template).render(root=root, report=report, **values)
    path.parent.mkdir(exist_ok=True)
    replace_file(path, lambda partial: partial.write_text(text))
    return path


def facts(record: dict) -> dict[str, str]:
    """What a reader must know to trust the numbers of a result: protocol, then where and when it was run."""
    provenance = record["provenance"]
    return {
        **record["protocol"],
        "run": f"{provenance['time']}, commit {provenance['commit']}",
        "machine": f"{provenance['device']}, Python {provenance['python']}",
        "versions": ", ".join(f"{name} {version}" for name, version in provenance["versions"].items()),
    }


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) >= 10 else f"{value:.4f}"


def _signed(value: float) -> str:
    return _number(value) if value < 0 else f"+{_number(value)}"


class _MathMLRenderer(IPythonRenderer):
    """Renders formulas as MathML, which browsers draw themselves; MathJax would be fetched from the network."""

    def block_math(self, body: str, display: str = "block") -> str:
        # Without a space, the logarithm of p reads as one word.
        names = r"(<mi>[a-z]{2,}</mi>)(?=<mi>|<mn>|<msub>|<msup>)"
        return re.sub(names, r'\1<mspace width="0.17em"/>', latex_to_mathml(body, display=display))

    inline_math = partialmethod(block_math, display="inline")

    def heading(self, text: str, level: int, **_: object) -> str:
        # The identifier that JupyterLab gives it, for links from other notebooks to work in both.
        plain = html.unescape(re.sub(r"<[^>]+>", "", text))
        return f'<h{level} id="{html.escape(plain.replace(" ", "-"))}">{text}</h{level}>\n'


def markdown_to_html(source: str) -> str:
    """Return a Markdown cell as HTML."""
    return MarkdownWithMath(renderer=_MathMLRenderer(escape=False)).render(source)


def write_table_script(folder: Path) -> None:
    """Write what makes the tables of a report sortable, searchable and downloadable: DataTables, from itables.

    Browsers load no module from a file beside the page, so the script carries it as text.
    """
    bundle = files("itables") / "html"
    code = base64.b64encode((bundle / "dt_bundle.js").read_bytes()).decode()
    text = open_templates().get_template("tables.js.jinja").render(code=code)
    replace_file(folder / "tables.js", lambda partial: partial.write_text(text))
    style = (bundle / "dt_bundle.css").read_text()
    replace_file(folder / "tables.css", lambda partial: partial.write_text(style))


def notebook_body(path: Path, fold_code: bool = False) -> str:
    """Return an executed notebook as HTML without a surrounding page and without its title.

    Pictures are embedded, solutions of exercises and cells that save are folded, and so is all code if ``fold_code``;
    tables then have readable names. Links between notebooks lead to their pages.
    """
    exporter = HTMLExporter(
        template_name="basic",
        extra_loaders=[open_templates().loader],
        template_file="notebook.html.jinja",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    exporter.register_filter("markdown2html", markdown_to_html)
    body, _ = exporter.from_filename(str(path), resources={"fold_code": fold_code})
    body = re.sub(r"<h1 .*?</h1>", "", body, count=1, flags=re.DOTALL)
    if fold_code:
        body = re.sub(r"(?<=<th>)[^<]+(?=</th>)", lambda name: html.escape(readable(html.unescape(name[0]))), body)
    return re.sub(r'(href="(?!https?:)[^"]+)\.ipynb(?=["#])', r"\1.html", body)


def headings(body: str) -> list[tuple[str, str, str]]:
    """List level, anchor and text, as in the HTML, of the sections of a body, for its table of contents."""
    return re.findall(r'<h([23]) id="([^"]*)">(.*?)</h', body, re.DOTALL)


def unlink(body: str, item: str, pages: Container[str]) -> str:
    """Turn links of an item's page to what the report does not hold, such as a notebook that was not run, into text."""

    def replace(link: re.Match) -> str:
        target = normpath(join(dirname(item), link[1].partition("#")[0]))
        return link[0] if target.removesuffix(".html") in pages else link[2]

    return re.sub(r'<a href="(?!https?:|#|mailto:)([^"]*)"[^>]*>(.*?)</a>', replace, body, flags=re.DOTALL)
