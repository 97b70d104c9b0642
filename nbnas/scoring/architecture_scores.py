"""Stored scores, spread over the architectures that the papers rank."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.benchmarks import load_benchmark
from nbnas.errors import NbnasError
from nbnas.proxies.registry import Proxy, select_proxies
from nbnas.scoring.samples import TRAINED, sample_architectures
from nbnas.scoring.setting import Setting
from nbnas.scoring.stored_scores import load_sample, load_score_matrix
from nbnas.spaces import EnumeratedSpace, SearchSpace, get_space

SIZES: Mapping[str, Callable[[SearchSpace, str, str], float]] = {
    "flops": lambda space, arch, dataset: space.flops_for(arch, dataset),
    "params": lambda space, arch, dataset: space.params_for(arch, dataset),
    "trainable_layers": lambda space, arch, dataset: space.trainable_layers(arch),
    "weight_layers": lambda space, arch, dataset: space.weight_layers(arch),
}
"""Scores with a formula, which no table has to store: name -> function of space, architecture and data set."""


@dataclass(frozen=True)
class ArchitectureScores:
    """Scores of a set of architectures, or of a random sample of it that stands for it."""

    table: pd.DataFrame
    """A row per architecture, indexed by its row in the benchmark (the index of the space, where it can be listed), a
    column per score; NaN where a network has none."""
    groups: np.ndarray
    """(rows,): architectures that are the same network share a label, and its scores."""
    complete: bool
    """Whether the rows are the whole set."""
    description: str
    """How many of how many, and on which inputs, in one line."""


def load_architecture_scores(
    scores: Sequence[str],
    dataset: str = "cifar10",
    subset: str | None = None,
    *,
    space: str = "nasbench201",
    batch_size: int = 64,
    inputs: str = "published",
    seed: int = 0,
    store: Path | None = None,
) -> ArchitectureScores:
    """Return stored scores for every architecture whose network has all of them.

    Networks are scored once: architectures that are the same network differ in the order of parameters and in the
    random draw only, and take the score of the one that stands for them. Cells of NAS-Bench-201 with dead edges were
    scored one by one. The sample of its set ``all`` takes both kinds in the proportion in which the set has them.

    Args:
        scores: Names of scores; those in :data:`SIZES` need no stored table.
        dataset: A data set of the space.
        subset: Of NAS-Bench-201 ``filtered`` (the 9,445 cells without dead edges) or ``all``; of other spaces ``all``,
            or ``trained`` where the space cannot be listed. ``None`` is the first of these.
        space: Name of the search space.
        batch_size: Of the stored tables.
        inputs: ``gaussian`` or ``images`` reads tables made with those; ``published`` reads scores whose published runs
            fed images from tables made with images, where these hold a sample of the set at least half as large as that
            with Gaussian noise, and else with that.
        seed: Seed of the scores.
        store: Folder of tables; ``None`` is ``data/scores``.

    Raises:
        NbnasError: If a score is stored for no random sample of the set; the message says which command computes it.
    """
    parts = _parts(space, subset)
    shape = Setting(space, dataset, batch_size)
    stored = [name for name in scores if name not in SIZES]
    sources = {name: _source(name, shape, list(parts.values()), inputs, seed, store) for name in stored}
    samples, own = {}, {}
    for target, networks in parts.items():
        samples[target] = _load(stored, sources, networks, shape, seed, store)
        own[target] = target == networks
    sizes = {target: len(sample_architectures(space, networks)) for target, networks in parts.items()}
    share = min(len(samples[target]) / sizes[target] for target in parts)
    for target, networks in parts.items():
        # Rounded up, so that the smaller of two samples is used whole.
        samples[target] = samples[target].iloc[: int(np.ceil(share * sizes[target] - 1e-9))]
        if share >= 1 and target != networks:
            each = _load_each(stored, sources, target, shape, seed, store)
            # With scores of its own, no architecture needs those of another.
            own[target], samples[target] = each is not None, samples[target] if each is None else each
    counts = {(target if own[target] else parts[target]): len(samples[target]) for target in parts}
    rows, groups = zip(*(_spread(samples[target], space, target, own[target]) for target in parts), strict=True)
    table = pd.concat(rows)
    labels = np.concatenate(groups)
    order = np.argsort(table.index, kind="stable")
    table, labels = table.iloc[order], labels[order]
    for name in scores:
        if name in SIZES:
            table[name] = _sizes(name, space, dataset, tuple(table.index))
    description = _describe(counts, sources, shape, store)
    return ArchitectureScores(table[list(scores)], pd.factorize(labels)[0], share >= 1, description)


def _parts(space: str, subset: str | None) -> dict[str, str]:
    """Disjoint sets that make up the wanted one -> the set of networks that was scored for each."""
    found = get_space(space)
    if not isinstance(found, EnumeratedSpace):
        parts = {TRAINED: {TRAINED: TRAINED}}
    elif space == "nasbench201":
        filtered = {"filtered": found.networks}
        parts = {"filtered": filtered, "all": filtered | {"dead-edges": "dead-edges"}}
    else:
        parts = {"all": {"all": found.networks}}
    subset = subset or next(iter(parts))
    if subset not in parts:
        raise NbnasError(f"subset must be {' or '.join(map(repr, parts))}, got {subset!r}")
    return parts[subset]


def _proxy_of(score: str) -> Proxy:
    for proxy in select_proxies(score):
        if score in proxy.info.scores:
            return proxy
    raise NbnasError(f"{score!r} is not the name of a score")


def _source(name: str, shape: Setting, networks: Sequence[str], inputs: str, seed: int, store: Path | None) -> Setting:
    proxy = _proxy_of(name)
    if inputs != "published":
        return replace(shape, inputs=inputs)
    if proxy.info.inputs != "images":
        return shape
    images = replace(shape, inputs="images")
    reach = {
        configuration: min(_reach(proxy.info.name, configuration, part, seed, store) for part in networks)
        for configuration in (images, shape)
    }
    # A run that has only begun must not replace a sample many times its size.
    return images if reach[images] and 2 * reach[images] >= reach[shape] else shape


def _reach(proxy: str, configuration: Setting, part: str, seed: int, store: Path | None) -> int:
    """Number of networks in the stored random sample."""
    try:
        return len(load_sample(proxy, configuration, part, seed, store))
    except NbnasError:
        return 0


def _load(
    scores: Sequence[str],
    sources: Mapping[str, Setting],
    part: str,
    shape: Setting,
    seed: int,
    store: Path | None,
) -> pd.DataFrame:
    """Scores of the networks of one set that have all of them, by architecture, in the order of the sample."""
    space = shape.space
    if not scores:
        return pd.DataFrame(index=sample_architectures(shape.space_name, part))
    columns = [load_score_matrix(name, sources[name], part, seed, store)[[name]] for name in scores]
    table = pd.concat(columns, axis=1, join="inner")
    return table.set_axis([space[row] for row in table.index]) if isinstance(space, EnumeratedSpace) else table


def _load_each(
    scores: Sequence[str],
    sources: Mapping[str, Setting],
    part: str,
    shape: Setting,
    seed: int,
    store: Path | None,
) -> pd.DataFrame | None:
    """Scores of every architecture of a set, or None unless each was scored for itself."""
    try:
        table = _load(scores, sources, part, shape, seed, store)
    except NbnasError:
        return None
    return table if len(table) == len(sample_architectures(shape.space_name, part)) else None


def _spread(networks: pd.DataFrame, space: str, target: str, own: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """Give every architecture of the target set the row of its network, where that has one; also their groups."""
    archs = _rows(space, target)
    forms = archs if own else {row: _network_form(space, arch) for row, arch in archs.items()}
    representative = {arch if own else _network_form(space, arch): arch for arch in networks.index}
    rows = [row for row, form in forms.items() if form in representative]
    table = networks.loc[[representative[forms[row]] for row in rows]]
    return table.set_axis(pd.Index(rows, name="arch_index")), np.array([forms[row] for row in rows], dtype=object)


@cache
def _rows(space: str, name: str) -> dict[int, str]:
    """Row in the benchmark -> architecture, for a named set."""
    found = get_space(space)
    if isinstance(found, EnumeratedSpace):
        return {row: found[row] for row in found.subset(name)}
    return dict(enumerate(load_benchmark(space).archs))


@cache
def _network_form(space: str, arch: str) -> str:
    return get_space(space).network_form(arch)


@cache
def _sizes(name: str, space: str, dataset: str, rows: tuple[int, ...]) -> np.ndarray:
    found = get_space(space)
    archs = found if isinstance(found, EnumeratedSpace) else load_benchmark(space).archs
    values = {arch: SIZES[name](found, arch, dataset) for arch in {archs[row] for row in rows}}
    return np.array([values[archs[row]] for row in rows], dtype=float)


def _describe(
    counts: Mapping[str, int],
    sources: Mapping[str, Setting],
    shape: Setting,
    store: Path | None,
) -> str:
    space = shape.space
    names = space.set_names if isinstance(space, EnumeratedSpace) else {TRAINED: "networks"}
    if not sources:
        return f"{sum(counts.values()):,} {next(iter(names.values()))}, by formula."
    scored = " and ".join(
        f"{count:,} of {len(sample_architectures(shape.space_name, part)):,} {names[part]}"
        for part, count in counts.items()
    )
    on_images = [name for name, configuration in sources.items() if configuration.inputs == "images"]
    others = " and Gaussian noise" if len(on_images) < len(sources) else ""
    runs = [
        run for name in on_images for run in sources[name].table(_proxy_of(name).info.name, store).provenance()["runs"]
    ]
    pictures = "; ".join(sorted({run["images"] for run in runs if "images" in run})) or "images"
    inputs = f"{pictures} for {', '.join(on_images)}{others}" if on_images else "Gaussian noise"
    return f"Scored {scored}; inputs: {inputs}, batch {shape.batch_size}."
