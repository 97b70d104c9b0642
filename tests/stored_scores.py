"""Score tables with made-up values, for tests of what reads them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.proxies import select_proxies
from nbnas.scoring.setting import Setting


def store_scores(
    store: Path,
    proxy: str,
    values: Mapping[int, float],
    configuration: Setting | None = None,
    seed: int = 0,
) -> None:
    """Add a row per architecture to a proxy's table; NaN is a network that failed.

    Args:
        store: Folder of tables.
        proxy: Name of the proxy.
        values: Index of the space -> first score; each further score of the proxy is 1,000 larger than the one before.
        configuration: Of the table.
        seed: Seed of the rows.
    """
    configuration = configuration or Setting()
    space, table = configuration.space, configuration.table(proxy, store)
    numbers = np.array(list(values.values()), dtype=float)
    rows = {"arch": [space[cell] for cell in values], "seed": seed, "seconds": 1.0}
    rows["status"] = np.where(np.isnan(numbers), "error: made up", "ok")
    (chosen,) = select_proxies(proxy)
    rows |= {name: numbers + 1000 * number for number, name in enumerate(chosen.info.scores)}
    # The merged file itself: a log of thousands of rows, each flushed to disk, would take seconds.
    table.parquet.parent.mkdir(parents=True, exist_ok=True)
    pd.concat([table.read(), pd.DataFrame(rows)]).to_parquet(table.parquet, index=False)
