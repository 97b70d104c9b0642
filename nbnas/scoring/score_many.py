"""Scoring many networks of a search space into resumable tables."""

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from nbnas.errors import NbnasError
from nbnas.machine import provenance
from nbnas.machine.executors import Workers, describe_failure, in_flight, open_executor
from nbnas.proxies.registry import select_proxies
from nbnas.scoring.given_inputs import usable_device
from nbnas.scoring.score_table import KEY, ScoreTable
from nbnas.scoring.setting import Setting

_Task = tuple[str, int, list[str]]  # Architecture, seed, and the proxies whose tables lack them.


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
    archs = [*map(getattr(setting.space, "normalise", str), archs)]
    seeds = [int(seed) for seed in seeds]
    if wide := [seed for seed in seeds if not -(2**63) <= seed < 2**63]:
        raise NbnasError(f"a seed must fit in 64 bits, got {wide[0]}")
    tables = {proxy.info.name: setting.table(proxy.info.name, store) for proxy in select_proxies(proxies)}
    done = {name: _finished(table.read()) for name, table in tables.items()}
    wanted = [(arch, seed) for seed in dict.fromkeys(seeds) for arch in dict.fromkeys(archs)]
    tasks = [(*key, missing) for key in wanted if (missing := [name for name in tables if key not in done[name]])]
    if tasks:
        _run(tasks, tables, setting, workers, progress)
    return {name: _only(table.read(), wanted) for name, table in tables.items()}


def _finished(rows: pd.DataFrame) -> set[tuple[str, int]]:
    """Keys that need no computing; rows that ended in an error are tried again."""
    rows = rows[~rows["status"].astype(str).str.startswith("error")]
    return set(zip(rows["arch"], rows["seed"], strict=True))


def _only(rows: pd.DataFrame, wanted: list[tuple[str, int]]) -> pd.DataFrame:
    return rows[pd.MultiIndex.from_frame(rows[KEY]).isin(wanted)].reset_index(drop=True)


def _run(tasks: list[_Task], tables: dict[str, ScoreTable], setting: Setting, workers: Workers, progress: bool) -> None:
    run = provenance.collect(workers.device)
    if setting.inputs == "images":
        run["images"] = setting.images().description
    with ExitStack() as stack:
        # Before the store is touched, which must stay as it is where there are no workers.
        executor, parallelism = stack.enter_context(open_executor(workers, len(tasks), preload=__name__))
        writers = {}
        for name in dict.fromkeys(name for _, _, missing in tasks for name in missing):
            about = {"proxy": name, "init": "published", **setting.record()}
            writers[name] = stack.enter_context(tables[name].writer(about, run))
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
            kept = "those are kept, rerun to continue"
            raise NbnasError(f"{failure} after {scored} of {len(tasks)} networks; {kept}") from error


def _score_network(arch: str, seed: int, names: list[str], setting: Setting, device: str) -> dict[str, dict]:
    """Score one network; runs in a worker. Returns proxy name -> row of its table."""
    scores = setting.score(arch, names, seed, device)
    rows = {}
    for proxy in select_proxies(names):
        own = scores.loc[list(proxy.info.scores)]
        status = next((status for status in own["status"] if status != "ok"), "ok")
        row = {"arch": arch, "seed": seed, "status": status, "seconds": round(float(own["seconds"].iloc[0]), 4)}
        rows[proxy.info.name] = row | own["value"].to_dict()
    return rows
