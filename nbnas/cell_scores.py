"""Stored scores of NAS-Bench-201, spread over the cells that the papers rank."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError
from nbnas.proxies.registry import Proxy, select_proxies
from nbnas.score_many import ScoringConfiguration, load_sample, load_score_matrix
from nbnas.spaces import get_space
from nbnas.store import ScoreTable

SIZES = ("flops", "params", "trainable_layers")
"""Scores with a formula, which no table has to store."""


@dataclass(frozen=True)
class CellScores:
    """Scores of a set of cells, or of a random sample of it that stands for it."""

    table: pd.DataFrame
    """A row per cell, indexed by NATS-Bench index, a column per score; NaN where a network has none."""
    groups: np.ndarray
    """(rows,): cells that are the same network share a label, and its scores."""
    complete: bool
    """Whether the rows are the whole set."""
    description: str
    """How many of how many, and on which inputs, in one line."""


def load_cell_scores(
    scores: Sequence[str],
    dataset: str,
    subset: str = "filtered",
    *,
    batch_size: int = 64,
    inputs: str = "published",
    seed: int = 0,
    store: Path | None = None,
) -> CellScores:
    """Return stored scores for every cell whose network has all of them.

    Cells without dead edges were scored once per distinct network: cells that are the same network differ in the order
    of parameters and in the random draw only, and take the score of the one that stands for them. Cells with dead edges
    were scored one by one. The sample of the set ``all`` takes both kinds in the proportion in which the set has them.

    Args:
        scores: Names of scores; sizes need no stored table.
        dataset: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
        subset: ``filtered`` (the 9,445 cells without dead edges) or ``all``.
        batch_size: Of the stored tables.
        inputs: ``gaussian`` or ``images`` reads tables made with those; ``published`` reads scores whose published runs
            fed images from tables made with images, where these hold a sample of the set at least half as large as that
            with Gaussian noise, and else with that.
        seed: Seed of the scores.
        store: Folder of tables; ``None`` is ``data/scores``.

    Raises:
        NbnasError: If a score is stored for no random sample of the set; the message says which command computes it.
    """
    if subset not in ("filtered", "all"):
        raise NbnasError(f"subset must be 'filtered' or 'all', got {subset!r}")
    space = get_space("nasbench201")
    stored = [name for name in scores if name not in SIZES]
    parts = ["filtered-unique", "dead-edges"] if subset == "all" else ["filtered-unique"]
    sources = {name: _configuration(name, dataset, parts, batch_size, inputs, seed, store) for name in stored}
    tables = {part: _load_part(stored, sources, part, seed, store) for part in parts}
    share = min(len(tables[part]) / len(space.subset(part)) for part in parts)
    # Rounded up, so that the smaller of the two samples is used whole.
    tables = {
        part: table.iloc[: int(np.ceil(share * len(space.subset(part)) - 1e-9))] for part, table in tables.items()
    }
    if share >= 1:
        tables["filtered"] = _load_every_cell(stored, sources, seed, store)
    # With scores of its own, no cell needs those of another.
    shared = tables.get("filtered") is None
    first = _spread(tables["filtered-unique"]) if shared else tables["filtered"]
    table = pd.concat([first, tables["dead-edges"]]) if subset == "all" else first
    for name in set(scores) & set(SIZES):
        table[name] = _sizes(name, dataset)[table.index]
    table = table[list(scores)].sort_index()
    # A cell that was scored for itself is a group of its own.
    forms = _network_forms() if shared else {}
    groups = pd.factorize(np.array([forms.get(cell, str(cell)) for cell in table.index]))[0]
    counts = {part: tables[part] for part in (parts if shared else ["filtered", *parts[1:]])}
    return CellScores(table, groups, share >= 1, _describe(counts, sources, batch_size, store))


_NAMES = {
    "filtered-unique": "distinct networks without dead edges",
    "filtered": "cells without dead edges",
    "dead-edges": "cells with dead edges",
}


def _proxy_of(score: str) -> Proxy:
    for proxy in select_proxies(score):
        if score in proxy.info.scores:
            return proxy
    raise NbnasError(f"{score!r} is not the name of a score")


def _configuration(
    name: str, dataset: str, parts: Sequence[str], batch_size: int, inputs: str, seed: int, store: Path | None
) -> ScoringConfiguration:
    proxy = _proxy_of(name)
    if inputs != "published":
        return ScoringConfiguration(dataset=dataset, batch_size=batch_size, inputs=inputs)
    gaussian = ScoringConfiguration(dataset=dataset, batch_size=batch_size)
    if proxy.info.inputs != "images":
        return gaussian
    images = ScoringConfiguration(dataset=dataset, batch_size=batch_size, inputs="images")
    reach = {
        configuration: min(_reach(proxy.info.name, configuration, part, seed, store) for part in parts)
        for configuration in (images, gaussian)
    }
    # A run that has only begun must not replace a sample many times its size.
    return images if reach[images] and 2 * reach[images] >= reach[gaussian] else gaussian


def _reach(proxy: str, configuration: ScoringConfiguration, part: str, seed: int, store: Path | None) -> int:
    """Number of networks in the stored random sample."""
    try:
        return len(load_sample(proxy, configuration, part, seed, store))
    except NbnasError:
        return 0


def _table(score: str, configuration: ScoringConfiguration, store: Path | None) -> ScoreTable:
    return configuration.table(_proxy_of(score).info.name, store)


def _load_part(
    scores: Sequence[str], sources: dict[str, ScoringConfiguration], part: str, seed: int, store: Path | None
) -> pd.DataFrame:
    """Scores of the networks of one part that have all of them, in the order of the sample."""
    if not scores:
        return pd.DataFrame(index=pd.Index(get_space("nasbench201").sample_subset(part), name="arch_index"))
    columns = [load_score_matrix(name, sources[name], part, seed, store)[[name]] for name in scores]
    return pd.concat(columns, axis=1, join="inner")


def _load_every_cell(
    scores: Sequence[str], sources: dict[str, ScoringConfiguration], seed: int, store: Path | None
) -> pd.DataFrame | None:
    """Scores of every cell without dead edges, or None unless each was scored for itself."""
    try:
        table = _load_part(scores, sources, "filtered", seed, store)
    except NbnasError:
        return None
    return table if len(table) == len(get_space("nasbench201").subset("filtered")) else None


def _spread(representatives: pd.DataFrame) -> pd.DataFrame:
    """Give every cell without dead edges the row of the cell that stands for its network, where that has one."""
    space, forms = get_space("nasbench201"), _network_forms()
    representative = {forms[cell]: cell for cell in space.subset("filtered-unique")}
    cells = np.array(space.subset("filtered"))
    sources = np.array([representative[forms[cell]] for cell in cells])
    kept = np.isin(sources, representatives.index)
    return representatives.loc[sources[kept]].set_axis(pd.Index(cells[kept], name="arch_index"))


@cache
def _network_forms() -> dict[int, str]:
    space = get_space("nasbench201")
    return {cell: space.network_form(space[cell]) for cell in space.subset("filtered")}


@cache
def _sizes(name: str, dataset: str) -> np.ndarray:
    space = get_space("nasbench201")
    shape = space.datasets[dataset]
    measure = {
        "flops": lambda arch: space.flops(arch, shape.resolution, shape.num_classes),
        "params": lambda arch: space.params(arch, shape.num_classes),
        "trainable_layers": space.trainable_layers,
    }[name]
    return np.array([measure(arch) for arch in space], dtype=float)


def _describe(
    tables: dict[str, pd.DataFrame], sources: dict[str, ScoringConfiguration], batch_size: int, store: Path | None
) -> str:
    space = get_space("nasbench201")
    if not sources:
        return f"{sum(map(len, tables.values())):,} cells, by formula."
    counts = " and ".join(
        f"{len(table):,} of {len(space.subset(part)):,} {_NAMES[part]}" for part, table in tables.items()
    )
    on_images = [name for name, configuration in sources.items() if configuration.inputs == "images"]
    others = " and Gaussian noise" if len(on_images) < len(sources) else ""
    runs = [run for name in on_images for run in _table(name, sources[name], store).provenance()["runs"]]
    pictures = "; ".join(sorted({run["images"] for run in runs if "images" in run})) or "images"
    inputs = f"{pictures} for {', '.join(on_images)}{others}" if on_images else "Gaussian noise"
    return f"Scored {counts}; inputs: {inputs}, batch {batch_size}."
