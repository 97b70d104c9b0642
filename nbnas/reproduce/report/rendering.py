"""What all pages share: templates, style, and the list of facts that says how numbers were made."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from pygments.formatters import HtmlFormatter

from nbnas.machine.replace_file import replace_file
from nbnas.reproduce.notebook import run_time


@cache
def open_templates() -> Environment:
    """Return the templates, with the style of every page as a global."""
    environment = Environment(
        loader=PackageLoader("nbnas.reproduce.report"),
        autoescape=select_autoescape(["html.jinja"]),
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"number": _number, "run_time": run_time}
    environment.globals |= {
        "style": environment.loader.get_source(environment, "style.css")[0],
        "code_style": HtmlFormatter(style="default").get_style_defs(".highlight"),
        "dark_code_style": HtmlFormatter(style="github-dark").get_style_defs(".highlight"),
    }
    return environment


def write_page(template: str, path: Path, root: str = "", report: bool = True, **values: object) -> Path:
    """Render a template into a file, which is there whole or not at all; returns its path.

    ``root`` leads from the page to the folder of the report, and ``report`` says whether a report is there.
    """
    text = open_templates().get_template(template).render(root=root, report=report, **values)
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
