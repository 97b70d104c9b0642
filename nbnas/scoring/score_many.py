"""Scoring many networks of a search space into resumable tables."""

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from nbnas.errors import NbnasError
from nbnas.machine import provenance
from nbnas.machine.executors import Workers, describe_failure, open_executor
from nbnas.machine.window import in_flight
from nbnas.proxies.registry import select_proxies
from nbnas.scoring.score import usable_device
from nbnas.scoring.score_table import ScoreTable
from nbnas.scoring.setting import Setting

_Task = tuple[str, int, list[str]]
"""Architecture, seed, and the proxies whose tables lack them."""


def score_many(
    archs: Sequence[str],
    proxies: str | Sequence[str],
    setting: Setting | None = None,
    *,
    seeds: Sequence[int] = (0,),
    store: Path | None = None,
    workers: Workers = Workers(),
    progress: bool = True,
) -> dict[str, pd.DataFrame]:
    """Score every architecture with every proxy and seed, computing only what the store lacks.

    Any subset in any order gives the same numbers, see :class:`Setting`. Interrupt it as you like: finished networks
    are kept and a rerun continues.

    Args:
        archs: Architecture strings of the space.
        proxies: Names or glob patterns.
        setting: Space, data set, batch size and inputs; ``None`` is NAS-Bench-201, CIFAR-10, 64, Gaussian noise.
        seeds: One row per architecture and seed.
        store: Folder of tables; ``None`` is ``data/scores``.
        workers: Where networks are scored; by default in one process per core, each with one thread.
        progress: Show a progress bar with rate and time left.

    Returns:
        Proxy name -> the requested rows.

    Raises:
        NbnasError: If an argument is wrong, a worker dies (of a Dask cluster: four, of the same network) or the disk
            is full. What was scored before is kept.
    """
    setting = setting or Setting()
    usable_device(workers.device)
    setting.images()  # Before any worker starts: here a missing folder is one clear line.
    normalise = getattr(setting.space, "normalise", str)
    archs = [normalise(arch) for arch in archs]
    seeds = [int(seed) for seed in seeds]
    for seed in seeds:
        if not -(2**63) <= seed < 2**63:
            raise NbnasError(f"a seed must fit in 64 bits, got {seed}")
    names = [proxy.info.name for proxy in select_proxies(proxies)]
    tables = {name: setting.table(name, store) for name in names}
    done = {name: _finished(table.read()) for name, table in tables.items()}
    tasks = []
    for seed in dict.fromkeys(seeds):
        for arch in dict.fromkeys(archs):
            missing = [name for name in names if (arch, seed) not in done[name]]
            if missing:
                tasks.append((arch, seed, missing))
    if tasks:
        _run(tasks, tables, setting, workers, progress)
    wanted = {(arch, seed) for arch in archs for seed in seeds}
    return {name: _only(table.read(), wanted) for name, table in tables.items()}


def _keys(rows: pd.DataFrame) -> list[tuple[str, int]]:
    return list(zip(rows["arch"], rows["seed"], strict=True))


def _finished(rows: pd.DataFrame) -> set[tuple[str, int]]:
    """Keys that need no computing; rows that ended in an error are tried again."""
    return set(_keys(rows[~rows["status"].astype(str).str.startswith("error")]))


def _only(rows: pd.DataFrame, wanted: set[tuple[str, int]]) -> pd.DataFrame:
    return rows[pd.Series([key in wanted for key in _keys(rows)], dtype=bool)].reset_index(drop=True)


def _run(tasks: list[_Task], tables: dict[str, ScoreTable], setting: Setting, workers: Workers, progress: bool) -> None:
    run = provenance.collect(workers.device)
    images = setting.images()
    if images is not None:
        run["images"] = images.description
    needed = {name for _, _, names in tasks for name in names}
    with ExitStack() as stack:
        # Before the store is touched, which must stay as it is where there are no workers.
        executor, parallelism = stack.enter_context(open_executor(workers, len(tasks), preload=__name__))
        writers = {
            name: stack.enter_context(table.writer({"proxy": name, "init": "published", **setting.record()}, run))
            for name, table in tables.items()
            if name in needed
        }
        bar = stack.enter_context(tqdm(total=len(tasks), unit="net", smoothing=0.05, disable=not progress))

        def submit(task: _Task) -> Future:
            return executor.submit(_score_network, *task, setting, workers.device)

        scored = 0
        try:
            for _, future in in_flight(tasks, submit, lambda: 4 * parallelism()):
                for name, row in future.result().items():
                    writers[name].append(row)
                scored += 1
                bar.update()
        except Exception as error:
            failure = describe_failure(error)
            if failure is None:
                raise
            raise NbnasError(
                f"{failure} after {scored} of {len(tasks)} networks; those are kept, rerun to continue"
            ) from error


def _score_network(
    arch: str, seed: int, names: list[str], setting: Setting, device: str
) -> dict[str, dict[str, object]]:
    """Score one network; runs in a worker. Returns proxy name -> row of its table."""
    scores = setting.score(arch, names, seed, device)
    rows = {}
    for proxy in select_proxies(names):
        own = scores.loc[list(proxy.info.scores)]
        failed = own["status"][own["status"] != "ok"]
        status = "ok" if failed.empty else failed.iloc[0]
        row = {"arch": arch, "seed": seed, "status": status, "seconds": round(float(own["seconds"].iloc[0]), 4)}
        rows[proxy.info.name] = row | own["value"].to_dict()
    return rows
