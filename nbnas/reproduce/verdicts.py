"""Published against reproduced: the numbers that the papers print, and one verdict for each of them."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError
from nbnas.machine.paths import data_folder
from nbnas.reproduce.verdict_rule import CLOSE, CONSISTENT, DIFFERS, EXPLAINED, MATCH, judge, rounding

KEY = ["item", "row", "row_key", "type", "benchmark", "column", "archs", "run", "metric"]
"""Columns that identify a published number; ``data/published/README.md`` explains each."""

NOT_COMPARABLE, NOT_ATTEMPTED = "not comparable", "not attempted"
VERDICTS = (MATCH, CONSISTENT, CLOSE, EXPLAINED, DIFFERS, NOT_COMPARABLE, NOT_ATTEMPTED)
KINDS = ("needs data", "needs compute", "quoted from elsewhere")
"""Why a number is not attempted: each such note begins with one of these and a colon."""
COLUMNS = [
    *("item", "row", "dataset", "metric", "published", "reproduced", "difference", "low", "high", "alternative"),
    *("verdict", "source", "note", "cause"),
]
"""Columns of ``verdicts.csv``; ``difference`` is reproduced less published, ``cause`` why that is more than noise."""

_NORMAL = 1.96
"""Standard deviations to either side that hold 95 % of a normal distribution."""
_SAME_RANKING = {"V": "vkdnw_single", "J": "jacov", "VJETF": "vkdnw_agg"}
"""Subset of components -> row key of Table 1 that is the same ranking, of which deviations over runs are known."""
_OPTIONAL = {
    "seed_deviation": 0.0,
    "published_deviation": 0.0,
    **dict.fromkeys(("alternative", "alternative_low", "alternative_high"), math.nan),
    "alternative_name": "",
}
"""Columns that reproduced numbers may lack, and what they are then."""


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
    same = numbers.assign(row_key=numbers["row_key"].replace(_SAME_RANKING))[shared]
    return numbers.assign(std=same.merge(largest, how="left", on=shared)["std"].fillna(0.0).to_numpy())


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
    incomparable: Mapping[str, str] | None = None,
    *,
    dataset: Sequence[str] = ("column",),
) -> pd.DataFrame:
    """Set every published number of an item such as ``vkdnw/table1`` beside ours: :data:`COLUMNS`, in published order.

    :class:`NbnasError` if a reproduced number matches no published one, or two reproduced ones match the same, or a
    number is missing for a reason that is none of :data:`KINDS`.

    Args:
        reproduced: One row per number: columns that identify it (``row_key``, ``column`` and ``metric``, more of
            :data:`KEY` where those are ambiguous) and ``reproduced``, ``low``, ``high``, ``source``, ``note``. A NaN in
            ``reproduced`` means not attempted, and ``note`` says why. ``seed_deviation`` is the standard deviation of
            ours over seeds as far as the interval lacks it, NaN if unknown; ``published_deviation`` that of the
            published value for another reason than seeds, such as a sample of its own. ``alternative``,
            ``alternative_low``, ``alternative_high`` and ``alternative_name`` are a number computed otherwise, which
            may explain a difference. All these may be left out.
        reasons: ``row_key`` or ``benchmark`` -> why its numbers are not attempted; key ``*`` covers the others.
        explanations: Likewise, what is known of numbers that lie outside of the uncertainty; added to the note.
        incomparable: ``metric`` or ``source`` -> why its numbers cannot be compared, such as other hardware; key ``*``
            as above.
        dataset: Columns of the published numbers that make up ``dataset`` of the result.
    """
    table = _beside_published(item, reproduced)
    reasons, explanations, incomparable = reasons or {}, explanations or {}, incomparable or {}
    verdicts, notes, causes = [], [], []
    for row in table.itertuples():
        note, cause, other = row.note, "", _of(incomparable, row.metric, row.source)
        if math.isnan(row.reproduced):
            given = _of(reasons, row.row_key, row.benchmark)
            verdict, note = NOT_ATTEMPTED, note or given or f"{KINDS[1]}: no notebook has computed it"
            if not note.startswith(KINDS):
                raise NbnasError(f"{item}, {row.row}: a reason begins with {' or '.join(KINDS)}, got {note!r}")
        elif other:
            verdict, note, cause = NOT_COMPARABLE, f"{note} {other}".strip(), other
        else:
            verdict, tried = _judge_row(row)
            if verdict not in (MATCH, CONSISTENT):
                cause = _of(explanations, row.row_key, row.benchmark)
                note = f"{note} {cause} {tried}".strip().replace("  ", " ")
        verdicts.append(verdict)
        notes.append(note)
        causes.append(cause)
    joined = table[list(dataset)].agg(", ".join, axis=1)
    difference = table["reproduced"] - table["value"].astype(float)
    found = {"verdict": verdicts, "note": notes, "cause": causes, "dataset": joined, "published": table["value"]}
    return table.assign(**found, difference=difference)[COLUMNS]


def _of(texts: Mapping[str, str], *keys: str) -> str:
    return next((texts[key] for key in (*keys, "*") if texts.get(key)), "")


def _beside_published(item: str, reproduced: pd.DataFrame) -> pd.DataFrame:
    """Join ours to the published numbers; afterwards ``low`` to ``high`` hold all of our noise, seeds included."""
    published = load_published(item)
    keys = [name for name in KEY if name in reproduced.columns]
    ours = pd.MultiIndex.from_frame(reproduced[keys])
    absent = ~ours.isin(pd.MultiIndex.from_frame(published[keys]))
    for wrong, message in ((ours.duplicated(), "reproduced twice:"), (absent, "no published number for")):
        if wrong.any():
            raise NbnasError(f"{item}: {message} {reproduced.loc[wrong, keys].iloc[0].to_dict()}")
    reproduced = reproduced.assign(**{name: value for name, value in _OPTIONAL.items() if name not in reproduced})
    table = published.merge(reproduced, how="left", on=keys, suffixes=("_published", ""))
    table = table.fillna({"source": "", "note": "", "alternative_name": ""})
    # A run of the authors is as noisy as one of ours. Theirs is known from five whole runs, ours from fewer networks.
    known = table["seed_deviation"].isna() | ((table["seed_deviation"] > 0) & (table["std"] > 0))
    seeds = table["std"].where(known, table["seed_deviation"])
    runs = np.where(table["run"].str.contains("5seed"), 5, 1)
    of_runs = table["std"].where(table["std"] > 0, seeds) / np.sqrt(runs)
    table["published_error"] = _NORMAL * np.hypot(of_runs, table["published_deviation"])
    for end, side in (("low", -1), ("high", 1)):
        table[end] = table["reproduced"] + side * np.hypot(table[end] - table["reproduced"], _NORMAL * seeds)
    return table


def _judge_row(row: NamedTuple) -> tuple[str, str]:
    """Return the verdict, and what another way to compute the number gave."""
    verdict = judge(row.value, row.reproduced, row.low, row.high, row.metric, row.published_error)
    if math.isnan(row.alternative):
        return verdict, ""
    ends = row.alternative_low, row.alternative_high
    other = judge(row.value, row.alternative, *ends, row.metric, row.published_error)
    value = float(row.value)
    meets = other in (MATCH, CONSISTENT) and abs(row.alternative - value) < abs(row.reproduced - value)
    tried = f"{row.alternative_name} gives {row.alternative:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"
    tried += ", which agrees." if meets else ", which does not agree either."
    return (EXPLAINED if meets and verdict == DIFFERS else verdict), tried


def compare_differences(item: str, differences: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Set published differences between rows and the row ``reference`` beside ours.

    ``differences`` is of :func:`nbnas.rankings.evaluation.paired_differences`. Adds ``published``, and ``agrees``:
    whether the published difference, give or take the rounding of both values, lies in our interval.
    """
    keys = ["column", "metric", "row_key"]
    printed = load_published(item).drop_duplicates(keys).set_index(keys)["value"]
    other = differences.assign(row_key=reference).set_index(keys).index
    texts = pd.DataFrame({"row": printed.reindex(differences.set_index(keys).index).to_numpy()})
    texts["reference"] = printed.reindex(other).to_numpy()
    published = texts["row"].astype(float) - texts["reference"].astype(float)
    slack = texts.map(rounding, na_action="ignore").sum(axis=1).to_numpy(dtype=float)
    inside = published.between(differences["low"] - slack, differences["high"] + slack)
    return differences.assign(published=published, agrees=inside).dropna(subset="published")


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


def is_judged(table: pd.DataFrame) -> pd.Series:
    """Which rows were compared."""
    return ~table["verdict"].isin([NOT_COMPARABLE, NOT_ATTEMPTED])


def count_verdicts(table: pd.DataFrame) -> dict[str, int]:
    """Return verdict -> number of rows, in the order of :data:`VERDICTS`, zeros included."""
    return table["verdict"].value_counts().reindex(VERDICTS, fill_value=0).to_dict()
