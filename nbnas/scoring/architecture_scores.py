"""Stored scores: of the networks that were scored, and spread over the architectures that the papers rank."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError
from nbnas.proxies.registry import Proxy, select_proxies
from nbnas.scoring.samples import named_set, sample_architectures
from nbnas.scoring.setting import Setting
from nbnas.spaces import EnumeratedSpace, SearchSpace

SIZES: Mapping[str, Callable[[SearchSpace, str, str], float]] = {
    "flops": lambda space, arch, dataset: space.flops_for(arch, dataset),
    "params": lambda space, arch, dataset: space.params_for(arch, dataset),
    "trainable_layers": lambda space, arch, dataset: space.trainable_layers(arch),
    "weight_layers": lambda space, arch, dataset: space.weight_layers(arch),
}
"""Scores with a formula, which no table has to store: name -> function of space, architecture and data set."""

_size = cache(lambda name, space, arch, dataset: float(SIZES[name](space, arch, dataset)))
_SAME_TRUNK = {"cifar100": "cifar10"}
"""Data set -> another whose networks differ in the classifier alone, and see the same noise."""

_network_form = cache(lambda space, arch: space.network_form(arch))


def load_scores(proxy: str, setting: Setting, store: Path | None = None) -> pd.DataFrame:
    """Return the stored scores of one proxy: one row per (arch, seed).

    Where the space can be listed, the first column is ``arch_index``. ``store`` is the folder of tables, by default
    ``data/scores``. Raises :class:`NbnasError` if there are none; the message says which command computes them.
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

    The sample is as much of the set's fixed random order as is stored without a gap. Raises :class:`NbnasError` if not
    even the first architecture of the order is stored.
    """
    return _take_sample(load_scores(proxy, setting, store), proxy, setting, subset, seed)


def load_score_matrix(
    proxies: str | Sequence[str], setting: Setting, subset: str, seed: int = 0, store: Path | None = None
) -> pd.DataFrame:
    """Return the stored scores of several proxies, names or glob patterns, for the sample that all of them have.

    A row per network in the order of the sample, as :func:`load_sample` takes it, indexed by ``arch_index`` (by
    ``arch`` where the space cannot be listed), a column per score. NaN marks a network without that score: degenerate,
    not finite, or failed.
    """
    columns = []
    for proxy in select_proxies(proxies):
        sample = load_sample(proxy.info.name, setting, subset, seed, store)
        columns.append(sample.set_index(sample.columns[0])[list(proxy.info.scores)])
    # Samples begin one order: what all of them have is the shortest.
    matrix = pd.concat(columns, axis=1, join="inner").astype(float)
    return matrix.where(np.isfinite(matrix))


def _take_sample(rows: pd.DataFrame, proxy: str, setting: Setting, subset: str, seed: int) -> pd.DataFrame:
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
    whole: pd.DataFrame
    """FLOPs and trainable layers of every architecture of the set, indexed like the table."""


def load_architecture_scores(
    scores: Sequence[str],
    setting: Setting | str = "cifar10",
    subset: str | None = None,
    *,
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
        setting: Space, data set and batch size, or the name of a data set of NAS-Bench-201 for batches of 64.
        subset: Of NAS-Bench-201 ``filtered`` (the 9,445 cells without dead edges) or ``all``; of other spaces ``all``,
            or ``trained`` where the space cannot be listed or was trained in part. ``None`` is the first of these.
        inputs: ``gaussian`` or ``images`` reads tables made with those; ``published`` reads scores whose published runs
            fed images from tables made with images, where these hold a sample of the set at least half as large as that
            with Gaussian noise, and else with that.
        seed: Seed of the scores.
        store: Folder of tables; ``None`` is ``data/scores``.

    Raises:
        NbnasError: If a score is stored for no random sample of the set; the message says which command computes it.
    """
    setting = Setting(dataset=setting) if isinstance(setting, str) else setting
    sets = setting.space.ranked_sets
    if subset is not None and subset not in sets:
        raise NbnasError(f"subset must be {' or '.join(map(repr, sets))}, got {subset!r}")
    parts = sets[subset or next(iter(sets))]
    stored = _Stored(setting, seed, store)
    sources = {name: stored.source(name, inputs, parts.values()) for name in scores if name not in SIZES}
    samples = {target: stored.sample(sources, networks) for target, networks in parts.items()}
    sizes = {target: len(sample_architectures(setting.space, networks)) for target, networks in parts.items()}
    share = min(len(samples[target]) / sizes[target] for target in parts)
    counts, spread = {}, []
    for target, networks in parts.items():
        # Rounded up, so that the smaller of two samples is used whole.
        sample = samples[target].iloc[: int(np.ceil(share * sizes[target] - 1e-9))]
        members = named_set(setting.space, target)
        if share >= 1 and stored.reach(sources, target) == len(sample_architectures(setting.space, target)):
            # With scores of its own, no architecture needs those of another.
            networks, sample = target, stored.sample(sources, target)
        form = str if networks == target else partial(_network_form, setting.space)
        spread.append(_spread(sample, members, form))
        counts[networks] = len(sample)
    table = pd.concat(spread).sort_index(kind="stable")
    for name in scores:
        if name in SIZES:
            table[name] = [_size(name, setting.space, arch, setting.dataset) for arch in table["arch"]]
    description = _describe(counts, sources, setting, store)
    whole = _whole_set(setting.space, tuple(parts), setting.dataset)
    return ArchitectureScores(table[list(scores)], pd.factorize(table["group"])[0], share >= 1, description, whole)


@cache
def _whole_set(space: SearchSpace, parts: Sequence[str], dataset: str) -> pd.DataFrame:
    archs = pd.concat([pd.Series(named_set(space, part), dtype=object) for part in parts]).sort_index()
    sizes = {name: [_size(name, space, arch, dataset) for arch in archs] for name in ("flops", "trainable_layers")}
    return pd.DataFrame(sizes, archs.index)


def proxy_of(score: str) -> Proxy:
    """Return the proxy that computes a score; :class:`NbnasError` if none does."""
    for proxy in select_proxies(score):
        if score in proxy.info.scores:
            return proxy
    raise NbnasError(f"{score!r} is not the name of a score")


class _Stored:
    """Stored scores of one seed; every table is read once."""

    def __init__(self, setting: Setting, seed: int, store: Path | None) -> None:
        self._setting, self._seed = setting, seed
        self._rows = cache(lambda proxy, source: load_scores(proxy, source, store))

    def source(self, name: str, inputs: str, parts: Sequence[str]) -> Setting:
        """Setting of the table to read a score from."""
        if inputs != "published":
            return self._farthest(name, replace(self._setting, inputs=inputs), parts)
        noise, images = (replace(self._setting, inputs=inputs) for inputs in ("gaussian", "images"))
        noise = self._farthest(name, noise, parts)
        if proxy_of(name).info.inputs != "images":
            return noise
        on_noise, on_images = (min(self.reach({name: source}, part) for part in parts) for source in (noise, images))
        # A run that has only begun must not replace a sample many times its size.
        return images if on_images and 2 * on_images >= on_noise else noise

    def _farthest(self, name: str, setting: Setting, parts: Sequence[str]) -> Setting:
        """The setting, or that of a data set on which this score is the same and stored for more networks."""
        twin = _SAME_TRUNK.get(setting.dataset)
        if twin is None or proxy_of(name).info.sees_classifier or setting.inputs != "gaussian":
            return setting
        candidates = setting, replace(setting, dataset=twin)
        return max(candidates, key=lambda source: min(self.reach({name: source}, part) for part in parts))

    def reach(self, sources: Mapping[str, Setting], part: str) -> int:
        """Number of networks in :meth:`sample`."""
        try:
            return len(self.sample(sources, part))
        except NbnasError:
            return 0

    def sample(self, sources: Mapping[str, Setting], part: str) -> pd.DataFrame:
        """Scores of the networks of one set that have all of them, by architecture, in the order of the sample."""
        columns = [pd.DataFrame(index=sample_architectures(self._setting.space, part))] if not sources else []
        for name, source in sources.items():
            proxy = proxy_of(name).info.name
            rows = _take_sample(self._rows(proxy, source), proxy, source, part, self._seed)
            values = rows.set_index("arch")[name].astype(float)
            columns.append(values.where(np.isfinite(values)))
        return pd.concat(columns, axis=1, join="inner")


def _spread(scored: pd.DataFrame, members: Mapping[int, str], form: Callable[[str], str]) -> pd.DataFrame:
    """Give every member of a set the scores of the architecture that has the same form, where there is one.

    Returns ``arch``, ``group`` (its form) and the scores, by row in the benchmark.
    """
    scored = scored.set_axis([form(arch) for arch in scored.index])
    rows = pd.DataFrame({"arch": pd.Series(members, dtype=object)}).rename_axis("arch_index")
    rows["group"] = [form(arch) for arch in rows["arch"]]
    return rows.join(scored[~scored.index.duplicated(keep="last")], on="group", how="inner")


def _describe(counts: Mapping[str, int], sources: Mapping[str, Setting], setting: Setting, store: Path | None) -> str:
    names = setting.space.set_names
    if not sources:
        return f"{sum(counts.values()):,} {next(iter(names.values()))}, by formula."
    sizes = {part: len(sample_architectures(setting.space, part)) for part in counts}
    scored = " and ".join(f"{count:,} of {sizes[part]:,} {names[part]}" for part, count in counts.items())
    on_images = {name: source for name, source in sources.items() if source.inputs == "images"}
    inputs = "Gaussian noise"
    if on_images:
        tables = [source.table(proxy_of(name).info.name, store) for name, source in on_images.items()]
        seen = sorted({run["images"] for table in tables for run in table.provenance()["runs"] if "images" in run})
        others = ", Gaussian noise for the others" if len(on_images) < len(sources) else ""
        inputs = f"{'; '.join(seen) or 'images'} for {', '.join(on_images)}{others}"
    return f"Scored {scored}; inputs: {inputs}, batch {setting.batch_size}."
