"""The public files that tables of accuracies are made from: where they are, how large, their SHA-256, their licence."""

import csv
from pathlib import Path
from typing import NamedTuple


class UpstreamFile(NamedTuple):
    """A file of a public GitHub repository at a fixed commit."""

    repository: str
    """``owner/name``."""
    commit: str
    path: str
    bytes: int
    sha256: str
    licence: str


class UpstreamTable(NamedTuple):
    """A table that ``nbnas data fetch`` writes."""

    name: str
    file: str
    """Name of its file, in the folder of fetched tables or in one that the user has."""
    parts: tuple[UpstreamFile, ...]

    @property
    def megabytes(self) -> float:
        """Size of all parts in 10^6 bytes; compressed on the way, they are less."""
        return sum(part.bytes for part in self.parts) / 1e6

    @property
    def hint(self) -> str:
        """How to get it."""
        return f"run nbnas data fetch {self.name}"


def _read_tables() -> dict[str, UpstreamTable]:
    tables: dict[str, UpstreamTable] = {}
    with Path(__file__).with_suffix(".csv").open(newline="") as file:
        for row in csv.DictReader(file):
            name, table_file = row.pop("table"), row.pop("file")
            part = UpstreamFile(**row | {"bytes": int(row["bytes"])})
            parts = tables[name].parts if name in tables else ()
            tables[name] = UpstreamTable(name, table_file, (*parts, part))
    return tables


UPSTREAM = _read_tables()
"""Name of a table -> how it is made."""
