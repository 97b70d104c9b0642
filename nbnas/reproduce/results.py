"""What a notebook leaves behind: a table, figures with alternative text, and how they were made."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from nbnas.errors import NbnasError
from nbnas.machine import provenance
from nbnas.machine.paths import reports_folder
from nbnas.machine.replace_file import replace_file

PROFILES = ("smoke", "default", "full")
"""How much of the work ``make reproduce`` does."""


def profile_reports(profile: str) -> Path:
    """Folder of a profile's results: ``reports`` for ``default``, ``reports/<profile>`` for the others."""
    if profile not in PROFILES:
        raise NbnasError(f"unknown profile {profile!r}; choose from {', '.join(PROFILES)}")
    return reports_folder() if profile == "default" else reports_folder() / profile


def save(
    item: str,
    table: pd.DataFrame,
    figures: Mapping[str, tuple[Figure, str]],
    protocol: Mapping[str, object],
    device: str = "cpu",
    finding: str = "",
) -> Path:
    """Write ``reports/<item>.csv``, one png per figure, and last ``reports/<item>.json``; returns the path of the json.

    An item is called ``vkdnw/table1``, for example. The table has verdicts of :func:`nbnas.reproduce.verdicts.compare`,
    or any result of a lesson or sweep. ``figures`` is name -> (figure, alternative text), ``protocol`` what a reader
    must know to trust the numbers: sample, seed, source. ``device`` computed them. ``finding`` is the one sentence of
    a study for the first page of the report.
    """
    path = reports_folder() / f"{item}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path.with_suffix(".csv"), index=False)
    pictures = []
    for name, (figure, alt) in figures.items():
        pictures.append({"file": f"{path.stem}-{name}.png", "alt": alt})
        file = path.with_name(pictures[-1]["file"])
        figure.savefig(file, dpi=160, bbox_inches="tight", metadata={"Software": None})
    record = {"item": item, "protocol": dict(protocol), "figures": pictures, "provenance": provenance.collect(device)}
    record |= {"finding": finding} if finding else {}
    replace_file(path, lambda partial: partial.write_text(json.dumps(record, indent=1) + "\n"))
    return path


def load(item: str, reports: Path) -> tuple[pd.DataFrame, dict[str, object]] | None:
    """Return the table and record that :func:`save` wrote, or None if the item has not been run."""
    path = reports / f"{item}.json"
    if not path.exists():
        return None
    return read_table(path.with_suffix(".csv")), json.loads(path.read_text())


def read_table(path: Path) -> pd.DataFrame:
    """Read a csv with verdicts. A row may be named "8", which must stay text."""
    text = dict.fromkeys(("row", "dataset", "published", "source", "note", "cause"), str)
    return pd.read_csv(path, dtype=text).fillna(dict.fromkeys(text, ""))
