"""Scoring many networks of a search space into resumable tables."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from nbnas.datasets.images import load_images
from nbnas.errors import NbnasError
from nbnas.machine import provenance
from nbnas.machine.executors import describe_failure, open_executor
from nbnas.proxies.registry import select_proxies
from nbnas.scoring.configuration import ScoringConfiguration
from nbnas.scoring.score import score, usable_device
from nbnas.scoring.score_table import ScoreTable
from nbnas.scoring.starting_point import lay_out, single_thread
from nbnas.seeding import derive_seed
from nbnas.spaces import get_space


def score_many(
    archs: Sequence[str],
    proxies: str | Sequence[str],
    configuration: ScoringConfiguration | None = None,
    *,
    seeds: Sequence[int] = (0,),
    store: Path | None = None,
    executor: Executor | str | None = None,
    workers: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> dict[str, pd.DataFrame]:
    """Score every architecture with every proxy and seed, computing only what the store lacks.

    Weights and inputs of a network are drawn from (seed, space, architecture), so any subset in any order gives
    the same numbers. Interrupt it as you like: finished networks are kept and a rerun continues.

    Args:
        archs: Architecture strings of the space.
        proxies: Names or glob patterns.
        configuration: Space, data set shape and batch size; ``None`` is NAS-Bench-201, CIFAR-10, 64.
        seeds: One row per architecture and seed.
        store: Folder of tables; ``None`` is ``data/scores``.
        executor: Any ``concurrent.futures`` executor, such as ``Client.get_executor()`` of Dask. ``None`` or
            ``"processes"`` starts one process per core, each with one thread; ``"dask"`` starts them as a Dask cluster;
            ``"dask:ADDRESS"`` uses a running one, by the address of its scheduler or by its scheduler file.
        workers: Number of those processes; ``None`` is one per core, on a GPU no more than have 8 GiB of its memory.
        device: Torch device of the networks.
        progress: Show a progress bar with rate and time left.

    Returns:
        Proxy name -> the requested rows.

    Raises:
        NbnasError: If an argument is wrong, a worker dies (of a Dask cluster: four, of the same network) or the disk
            is full. What was scored before is kept.
    """
    configuration = configuration or ScoringConfiguration()
    space = get_space(configuration.space)
    usable_device(device)
    if configuration.inputs == "images":
        load_images(configuration.dataset)  # Before any worker starts: here a missing folder is one clear line.
    archs = [space.normalise(arch) for arch in archs]
    seeds = [int(seed) for seed in seeds]
    for seed in seeds:
        if not -(2**63) <= seed < 2**63:
            raise NbnasError(f"a seed must fit in 64 bits, got {seed}")
    names = [proxy.info.name for proxy in select_proxies(proxies)]
    tables = {name: configuration.table(name, store) for name in names}
    done = {name: _finished(table.read()) for name, table in tables.items()}
    tasks = []
    for seed in dict.fromkeys(seeds):
        for arch in dict.fromkeys(archs):
            missing = [name for name in names if (arch, seed) not in done[name]]
            if missing:
                tasks.append((arch, seed, missing))
    if tasks:
        _run(tasks, tables, configuration, executor, workers, device, progress)
    wanted = {(arch, seed) for arch in archs for seed in seeds}
    return {name: _only(table.read(), wanted) for name, table in tables.items()}


def _keys(rows: pd.DataFrame) -> list[tuple[str, int]]:
    return list(zip(rows["arch"], rows["seed"], strict=True))


def _finished(rows: pd.DataFrame) -> set[tuple[str, int]]:
    """Keys that need no computing; rows that ended in an error are tried again."""
    return set(_keys(rows[~rows["status"].astype(str).str.startswith("error")]))


def _only(rows: pd.DataFrame, wanted: set[tuple[str, int]]) -> pd.DataFrame:
    return rows[pd.Series([key in wanted for key in _keys(rows)], dtype=bool)].reset_index(drop=True)


def _run(
    tasks: list[tuple[str, int, list[str]]],
    tables: dict[str, ScoreTable],
    configuration: ScoringConfiguration,
    executor: Executor | str | None,
    workers: int | None,
    device: str,
    progress: bool,
) -> None:
    run = provenance.collect(device)
    if configuration.inputs == "images":
        run["images"] = load_images(configuration.dataset).description
    needed = {name for _, _, names in tasks for name in names}
    with ExitStack() as stack:
        # Before the store is touched, which should be left alone if it cannot be had.
        executor, parallelism = stack.enter_context(open_executor(executor, workers, len(tasks), device))
        writers = {
            name: stack.enter_context(table.writer({"proxy": name, "init": "published", **asdict(configuration)}, run))
            for name, table in tables.items()
            if name in needed
        }
        bar = stack.enter_context(tqdm(total=len(tasks), unit="net", smoothing=0.05, disable=not progress))
        scored = 0
        try:
            for rows in _in_flight(executor, tasks, configuration, device, lambda: 4 * parallelism()):
                for name, row in rows.items():
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


def _in_flight(
    executor: Executor,
    tasks: list[tuple[str, int, list[str]]],
    configuration: ScoringConfiguration,
    device: str,
    window: Callable[[], int],
) -> Iterator[dict[str, dict[str, object]]]:
    """Yield results as they finish, with at most ``window()`` networks submitted at a time."""
    remaining = iter(tasks)
    pending: set[Future] = set()
    try:
        while True:
            room = window() - len(pending)
            for task in itertools.islice(remaining, max(room, 0)):
                pending.add(executor.submit(_score_network, *task, configuration, device))
            if not pending:
                return
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            # What is there is handed out before an error ends it.
            for future in sorted(finished, key=_failed):
                yield future.result()
    finally:
        for future in pending:
            future.cancel()


def _failed(future: Future) -> bool:
    return future.cancelled() or future.exception() is not None


def _score_network(
    arch: str, seed: int, names: list[str], configuration: ScoringConfiguration, device: str
) -> dict[str, dict[str, object]]:
    """Score one network; runs in a worker. Returns proxy name -> row of its table."""
    space = get_space(configuration.space)
    shape = space.datasets[configuration.dataset]
    network = lay_out(space.build_for(arch, configuration.dataset), device)
    own_seed = derive_seed(seed, configuration.space, arch)
    batches = None
    if configuration.inputs == "images":
        needed = max(proxy.info.batches for proxy in select_proxies(names))
        batches = load_images(configuration.dataset).batches(configuration.batch_size, needed, own_seed)
    with single_thread():
        scores = score(
            network,
            names,
            batches=batches,
            input_shape=(configuration.batch_size, shape.channels, shape.resolution, shape.resolution),
            num_classes=shape.num_classes,
            seed=own_seed,
            device=device,
        )
    rows = {}
    for proxy in select_proxies(names):
        own = scores.loc[list(proxy.info.scores)]
        failed = own["status"][own["status"] != "ok"]
        status = "ok" if failed.empty else failed.iloc[0]
        row = {"arch": arch, "seed": seed, "status": status, "seconds": round(float(own["seconds"].iloc[0]), 4)}
        rows[proxy.info.name] = row | own["value"].to_dict()
    return rows
