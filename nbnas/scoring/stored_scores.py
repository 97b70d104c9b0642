"""Reading stored scores."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError
from nbnas.proxies.registry import select_proxies
from nbnas.scoring.samples import sample_architectures
from nbnas.scoring.setting import Setting
from nbnas.spaces import EnumeratedSpace


def load_scores(proxy: str, setting: Setting, store: Path | None = None) -> pd.DataFrame:
    """Return the stored scores of one proxy: one row per (arch, seed).

    Where the space can be listed, the first column is ``arch_index``. ``store`` is the folder of tables, by default
    ``data/scores``.

    Raises:
        NbnasError: If there are none; the message says which command computes them.
    """
    rows = setting.table(proxy, store).read()
    if rows.empty:
        wanted = f"{proxy!r} for {setting.space_name} on {setting.dataset}"
        raise NbnasError(f"no stored scores of {wanted}; run: {_command(proxy, setting)}")
    if isinstance(setting.space, EnumeratedSpace):
        rows.insert(0, "arch_index", [setting.space.index(arch) for arch in rows["arch"]])
    return rows


def load_sample(proxy: str, setting: Setting, subset: str, seed: int = 0, store: Path | None = None) -> pd.DataFrame:
    """Return the stored scores of a random sample of a named set of the space, whatever else the store holds.

    The sample is as much of the set's fixed random order as is stored without a gap.

    Raises:
        NbnasError: If not even the first architecture of the order is stored.
    """
    return take_sample(load_scores(proxy, setting, store), proxy, setting, subset, seed)


def take_sample(rows: pd.DataFrame, proxy: str, setting: Setting, subset: str, seed: int) -> pd.DataFrame:
    """Return what :func:`load_sample` does, of rows that :func:`load_scores` has read."""
    rows = rows[rows["seed"] == seed].set_index("arch", drop=False)
    sample = list(itertools.takewhile(rows.index.__contains__, sample_architectures(setting.space, subset)))
    if not sample:
        raise NbnasError(
            f"no random sample of {subset!r} with seed {seed} is stored for {proxy!r}; "
            f"run: {_command(proxy, setting)} --archs {subset} --seeds {seed}"
        )
    return rows.loc[sample].reset_index(drop=True)


def _command(proxy: str, setting: Setting) -> str:
    return (
        f"nbnas score {setting.space_name} --dataset {setting.dataset} --proxies {proxy} "
        f"--batch-size {setting.batch_size} --inputs {setting.inputs}"
    )


def load_score_matrix(
    proxies: str | Sequence[str], setting: Setting, subset: str, seed: int = 0, store: Path | None = None
) -> pd.DataFrame:
    """Return the stored scores of several proxies, names or glob patterns, for the sample that all of them have.

    Other arguments and errors are those of :func:`load_sample`.

    Returns:
        A row per network in the order of the sample, indexed by ``arch_index`` (by ``arch`` where the space cannot be
        listed), a column per score. NaN marks a network without that score: degenerate, not finite, or failed.
    """
    columns = []
    for proxy in select_proxies(proxies):
        sample = load_sample(proxy.info.name, setting, subset, seed, store)
        columns.append(sample.set_index(sample.columns[0])[list(proxy.info.scores)])
    # Samples begin one order: what all of them have is the shortest.
    matrix = pd.concat(columns, axis=1, join="inner").astype(float)
    return matrix.where(np.isfinite(matrix))
