"""The search over all pages of a report: an index of their sections, and the script that reads it."""

import re
from html.parser import HTMLParser
from pathlib import Path

from nbnas.machine.replace_file import replace_file
from nbnas.reproduce.notebook import FOLDERS
from nbnas.reproduce.report.rendering import open_templates

_LONGEST_TEXT = 1500
"""Characters of a section that can be found, which keeps the index of all pages under a megabyte."""
_HIDDEN = ("script", "style", "math", "pre")


class _Sections(HTMLParser):
    """Collects anchor, heading and text of each section of a page's main part."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[list[str]] = []
        self.hidden = self.heading = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        identifier = dict(attributes).get("id") or ""
        if re.fullmatch("h[1-4]", tag) and (tag == "h1" or identifier):
            self.sections.append([identifier, "", ""])
            self.heading = True
        self.hidden = self.hidden or tag in _HIDDEN

    def handle_endtag(self, tag: str) -> None:
        self.heading = self.heading and not re.fullmatch("h[1-4]", tag)
        self.hidden = self.hidden and tag not in _HIDDEN
        if self.sections and tag in ("p", "li", "td", "th", "dt", "dd", "summary"):
            self.sections[-1][2] += " "

    def handle_data(self, data: str) -> None:
        if self.sections and not self.hidden:
            self.sections[-1][1 if self.heading else 2] += data


def write_search(reports: Path) -> None:
    """Write ``search.js`` beside the pages of a report, all of which load it when a reader begins to type."""
    index = []
    # Not those of another profile, whose report stands in a folder of this one.
    for path in sorted(path for folder in (".", *FOLDERS, "sweeps") for path in (reports / folder).glob("*.html")):
        parser = _Sections()
        parser.feed(path.read_text())
        title = " ".join(parser.sections[0][1].split()) if parser.sections else path.stem
        for anchor, heading, text in parser.sections:
            address = path.relative_to(reports).as_posix() + (f"#{anchor}" if anchor else "")
            index.append([address, title, " ".join(heading.split()), " ".join(text.split())[:_LONGEST_TEXT]])
    script = open_templates().get_template("search.js.jinja").render(index=index)
    replace_file(reports / "search.js", lambda partial: partial.write_text(script))
