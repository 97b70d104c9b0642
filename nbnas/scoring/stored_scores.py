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


def load_scores(proxy: str, configuration: Setting, store: Path | None = None) -> pd.DataFrame:
    """Return the stored scores of one proxy: one row per (arch, seed).

    Where the space can be listed, the first column is ``arch_index``.

    Raises:
        NbnasError: If there are none; the message says which command computes them.
    """
    rows = configuration.table(proxy, store).read()
    if rows.empty:
        raise NbnasError(
            f"no stored scores of {proxy!r} for {configuration.space_name} on {configuration.dataset}; "
            f"run: {_command(proxy, configuration)}"
        )
    space = configuration.space
    if isinstance(space, EnumeratedSpace):
        rows.insert(0, "arch_index", [space.index(arch) for arch in rows["arch"]])
    return rows


def load_sample(
    proxy: str, configuration: Setting, subset: str, seed: int = 0, store: Path | None = None
) -> pd.DataFrame:
    """Return the stored scores of a random sample of a named set, whatever else the store holds.

    The sample is as much of the set's fixed random order as is stored without a gap.

    Args:
        proxy: Name of the proxy.
        configuration: The table to read.
        subset: Named set of the space.
        seed: Seed of the scores.
        store: Folder of tables; ``None`` is ``data/scores``.

    Raises:
        NbnasError: If not even the first architecture of the order is stored.
    """
    rows = load_scores(proxy, configuration, store)
    rows = rows[rows["seed"] == seed].set_index("arch", drop=False)
    order = sample_architectures(configuration.space_name, subset)
    sample = list(itertools.takewhile(rows.index.__contains__, order))
    if not sample:
        raise NbnasError(
            f"no random sample of {subset!r} with seed {seed} is stored for {proxy!r}; "
            f"run: {_command(proxy, configuration)} --archs {subset} --seeds {seed}"
        )
    return rows.loc[sample].reset_index(drop=True)


def _command(proxy: str, configuration: Setting) -> str:
    return (
        f"nbnas score {configuration.space_name} --dataset {configuration.dataset} --proxies {proxy} "
        f"--batch-size {configuration.batch_size} --inputs {configuration.inputs}"
    )


def load_score_matrix(
    proxies: str | Sequence[str],
    configuration: Setting,
    subset: str,
    seed: int = 0,
    store: Path | None = None,
) -> pd.DataFrame:
    """Return the stored scores of several proxies for the random sample that all of them have.

    Args:
        proxies: Names or glob patterns.
        configuration: The tables to read.
        subset: Named set of the space.
        seed: Seed of the scores.
        store: Folder of tables; ``None`` is ``data/scores``.

    Returns:
        A row per network in the order of the sample, indexed by ``arch_index`` (by ``arch`` where the space cannot be
        listed), a column per score. NaN marks a network without that score: degenerate, not finite, or failed.

    Raises:
        NbnasError: As :func:`load_sample`.
    """
    chosen = select_proxies(proxies)
    key = "arch_index" if isinstance(configuration.space, EnumeratedSpace) else "arch"
    samples = {
        proxy.info.name: load_sample(proxy.info.name, configuration, subset, seed, store).set_index(key)
        for proxy in chosen
    }
    # Samples are prefixes of one order.
    common = min(samples.values(), key=len).index
    columns = [samples[proxy.info.name].loc[common, list(proxy.info.scores)] for proxy in chosen]
    matrix = pd.concat(columns, axis=1).astype(float)
    return matrix.where(np.isfinite(matrix))
