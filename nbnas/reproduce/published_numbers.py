"""The numbers that the papers print, as one tidy table."""

from functools import cache
from pathlib import Path

import pandas as pd

from nbnas.errors import NbnasError
from nbnas.machine.paths import data_folder

KEY = ["item", "row", "row_key", "type", "benchmark", "column", "archs", "run", "metric"]
"""Columns that identify a published number; ``data/published/README.md`` explains each."""


def load_published(item: str | None = None) -> pd.DataFrame:
    """Return the published numbers of a table or figure such as ``vkdnw/table1``, in file order.

    ``None`` is every item of both papers, without the extra figures from the authors' notebooks. The columns are those
    of the csv files: ``value`` stays text, because its digits say how far it was rounded. Column ``std`` is the
    authors' standard deviation over runs where one is known, else 0.

    Raises:
        NbnasError: If the files are missing or there is no such item.
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
    deviations = deviations.assign(
        metric=deviations["metric"].str.removesuffix("_std"), std=deviations["value"].astype(float)
    )
    # Deviations are known for the older runs only; newer runs of the same row are taken to be as noisy.
    shared = ["row_key", "column", "archs", "metric"]
    largest = deviations.groupby(shared, as_index=False)["std"].max()
    return numbers.merge(largest, how="left", on=shared).fillna({"std": 0.0})
