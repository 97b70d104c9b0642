"""The numbers that the papers print, as one tidy table."""

from functools import cache
from pathlib import Path

import pandas as pd

from nbnas.errors import NbnasError
from nbnas.machine.paths import data_folder

KEY = ["item", "row", "row_key", "type", "benchmark", "column", "archs", "run", "metric"]
"""Columns that identify a published number; ``data/published/README.md`` explains each."""


def load_published(item: str | None = None) -> pd.DataFrame:
    """Return published numbers with their provenance, in file order.

    Args:
        item: A table or figure such as ``vkdnw/table1``; ``None`` is every item of both papers, without the extra
            figures from the authors' notebooks.

    Returns:
        The columns of the csv files; ``value`` stays text, because its digits say how far it was rounded. Column
        ``std`` is the authors' standard deviation over runs where one is known, else 0.

    Raises:
        NbnasError: If the files are missing or there is no such item.
    """
    numbers = _read_all(data_folder() / "published")
    if item is None:
        return numbers[numbers["item"].str.startswith(("vkdnw/", "tcet/"))].reset_index(drop=True)
    if item not in set(numbers["item"]):
        raise NbnasError(f"no published numbers for {item!r}")
    return numbers[numbers["item"] == item].reset_index(drop=True)


@cache
def _read_all(folder: Path) -> pd.DataFrame:
    """Read every file once per process: the report asks for each of twenty items."""
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise NbnasError(f"no published numbers in {folder}; run nbnas from its checkout")
    numbers = pd.concat([pd.read_csv(file, dtype=str, keep_default_na=False) for file in files], ignore_index=True)
    deviations = numbers[numbers["metric"].str.endswith("_std")].copy()
    deviations["metric"] = deviations["metric"].str.removesuffix("_std")
    deviations["std"] = deviations["value"].astype(float)
    # The deviations are known for the older runs only; a newer run of the same row is as noisy.
    shared = ["row_key", "column", "archs", "metric"]
    deviations = deviations.groupby(shared, as_index=False)["std"].max()
    numbers = numbers.merge(deviations, how="left", on=shared)
    numbers["std"] = numbers["std"].fillna(0.0)
    return numbers
