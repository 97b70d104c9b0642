"""Published against reproduced: the numbers that the papers print, and one verdict for each of them."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from nbnas.errors import NbnasError
from nbnas.machine.paths import data_folder

KEY = ["item", "row", "row_key", "type", "benchmark", "column", "archs", "run", "metric"]
"""Columns that identify a published number; ``data/published/README.md`` explains each."""

NOT_ATTEMPTED = "not attempted"
VERDICTS = ("match", "close", "differs", NOT_ATTEMPTED)
COLUMNS = [
    "item", "row", "dataset", "metric", "published", "reproduced", "low", "high", "verdict", "source", "note",
]  # fmt: skip
"""Columns of ``reports/verdicts.csv``."""


def load_published(item: str | None = None) -> pd.DataFrame:
    """Return the published numbers of a table or figure such as ``vkdnw/table1``, in file order.

    ``None`` is every item of both papers, without the extra figures from the authors' notebooks. The columns are those
    of the csv files: ``value`` stays text, because its digits say how far it was rounded. Column ``std`` is the
    authors' standard deviation over runs where one is known, else 0.
    """
    numbers = _read_all(data_folder() / "published")
    wanted = numbers["item"].str.startswith(("vkdnw/", "tcet/")) if item is None else numbers["item"] == item
    if not wanted.any():
        raise NbnasError(f"no published numbers for {item!r}")
    return numbers[wanted].reset_index(drop=True)


@cache
def _read_all(folder: Path) -> pd.DataFrame:
    """Read every file once per process: the report asks for each of twenty items."""
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise NbnasError(f"no published numbers in {folder}; run nbnas from its checkout")
    numbers = pd.concat([pd.read_csv(file, dtype=str, keep_default_na=False) for file in files], ignore_index=True)
    deviations = numbers[numbers["metric"].str.endswith("_std")]
    deviations = deviations.replace({"metric": "_std$"}, "", regex=True).astype({"value": float})
    # Deviations are known for the older runs only; newer runs of the same row are taken to be as noisy.
    shared = ["row_key", "column", "archs", "metric"]
    largest = deviations.groupby(shared)["value"].max().rename("std").reset_index()
    return numbers.merge(largest, how="left", on=shared).fillna({"std": 0.0})


def rounding(text: str) -> float:
    """Half a unit of the last printed digit: 0.0005 for ``0.623``.

    >>> rounding("0.623"), rounding("70"), round(rounding("2.20e-01"), 6)
    (0.0005, 0.5, 0.0005)
    """
    return 0.5 * 10.0 ** Decimal(text).as_tuple().exponent


def judge(published: str, reproduced: float, low: float, high: float, std: float = 0.0) -> str:
    """Compare a published number, as printed, with ours and its interval from ``low`` to ``high``.

    A published 0.623 stands for 0.6225 to 0.6235. ``match``: that range meets our interval, or the published value is
    within three published standard deviations of ours. ``close``: the published value is within three times the larger
    of rounding and three standard deviations of our interval. Else ``differs``. ``std`` is the published standard
    deviation over runs, 0 if unknown. :class:`NbnasError` if our value lies outside of its interval or one is NaN.
    """
    # Both are sums in some order: a ranking has tau 1 with itself in every resample, and 1 - 1e-16 in the whole.
    if not low - 1e-12 <= reproduced <= high + 1e-12:
        raise NbnasError(f"reproduced value {reproduced} is not inside its interval [{low}, {high}]")
    value = float(published)
    half_unit = rounding(published) + 1e-12
    if low - half_unit <= value <= high + half_unit or abs(value - reproduced) <= 3 * std:
        return "match"
    tolerance = 3 * max(half_unit, 3 * std)
    return "close" if low - tolerance <= value <= high + tolerance else "differs"


def published_only(item: str, reproduced: pd.DataFrame) -> pd.DataFrame:
    """Drop reproduced numbers that the item does not print; :class:`NbnasError` if none is left."""
    keys = [name for name in KEY if name in reproduced.columns]
    kept = reproduced.merge(load_published(item)[keys].drop_duplicates(), on=keys)
    if kept.empty:
        raise NbnasError(f"{item} prints none of these numbers")
    return kept


def compare(
    item: str,
    reproduced: pd.DataFrame,
    reasons: Mapping[str, str] | None = None,
    explanations: Mapping[str, str] | None = None,
    *,
    dataset: Sequence[str] = ("column",),
) -> pd.DataFrame:
    """Set every published number of an item such as ``vkdnw/table1`` beside ours: :data:`COLUMNS`, in published order.

    :class:`NbnasError` if a reproduced number matches no published one, or two reproduced ones match the same.

    Args:
        reproduced: One row per number: columns that identify it (``row_key``, ``column`` and ``metric``, more of
            :data:`KEY` where those are ambiguous) and ``reproduced``, ``low``, ``high``, ``source``, ``note``. A NaN in
            ``reproduced`` means not attempted, and ``note`` says why.
        reasons: ``row_key`` or ``benchmark`` -> why its numbers are not attempted; key ``*`` covers the others.
        explanations: Likewise, why its numbers are close or differ; added to the note.
        dataset: Columns of the published numbers that make up ``dataset`` of the result.
    """
    published = load_published(item)
    keys = [name for name in KEY if name in reproduced.columns]
    ours = pd.MultiIndex.from_frame(reproduced[keys])
    absent = ~ours.isin(pd.MultiIndex.from_frame(published[keys]))
    for wrong, message in ((ours.duplicated(), "reproduced twice:"), (absent, "no published number for")):
        if wrong.any():
            raise NbnasError(f"{item}: {message} {reproduced.loc[wrong, keys].iloc[0].to_dict()}")
    table = published.merge(reproduced, how="left", on=keys, suffixes=("_published", ""))
    table = table.fillna({"source": "", "note": ""})
    reasons, explanations, verdicts, notes = reasons or {}, explanations or {}, [], []
    for row in table.itertuples():
        if math.isnan(row.reproduced):
            verdict = NOT_ATTEMPTED
            note = row.note or _of(reasons, row) or "no notebook has computed it"
        else:
            verdict, note = judge(row.value, row.reproduced, row.low, row.high, row.std), row.note
            if verdict != "match":
                note = f"{note} {_of(explanations, row)}".strip()
        verdicts.append(verdict)
        notes.append(note)
    joined = table[list(dataset)].agg(", ".join, axis=1)
    return table.assign(verdict=verdicts, note=notes, dataset=joined, published=table["value"])[COLUMNS]


def _of(texts: Mapping[str, str], row: Any) -> str:
    """Text of a published number by its ``row_key``, else its ``benchmark``, else ``*``."""
    return texts.get(row.row_key) or texts.get(row.benchmark) or texts.get("*") or ""


def with_remarks(table: pd.DataFrame) -> pd.DataFrame:
    """Add to the notes of one item what is known of its published numbers, such as that they are quoted."""
    published = load_published(table["item"].iloc[0])
    notes = [
        f"{note.rstrip('.')}. On the published value: {remark}." if remark else note
        for note, remark in zip(table["note"], published["note"], strict=True)
    ]
    return table.assign(note=notes)


def not_attempted(item: str, reasons: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return the verdict rows of an item of which nothing is reproduced; ``reasons`` as for :func:`compare`."""
    columns = {"item": str, "reproduced": float, "low": float, "high": float, "source": str, "note": str}
    return compare(item, pd.DataFrame(columns=list(columns)).astype(columns), reasons)


def count_verdicts(table: pd.DataFrame) -> dict[str, int]:
    """Return verdict -> number of rows, in the order of :data:`VERDICTS`, zeros included."""
    return table["verdict"].value_counts().reindex(VERDICTS, fill_value=0).to_dict()


def absent_rows(table: pd.DataFrame) -> pd.DataFrame:
    """List what was not attempted: a row per reason, with the rows and data sets that it concerns."""
    grouped = table[table["verdict"] == NOT_ATTEMPTED].groupby("note", sort=False)
    return grouped[["row", "dataset"]].agg(lambda names: ", ".join(dict.fromkeys(names))).reset_index()
