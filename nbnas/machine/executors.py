"""Where networks are scored: in processes of this machine or by the workers of a Dask cluster."""

import argparse
import ctypes
import gc
import importlib
import itertools
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TypeVar

import cloudpickle

from nbnas.errors import NbnasError, first_line
from nbnas.machine.dask_cluster import DaskExecutor, open_cluster

Task = TypeVar("Task")

GPU_BYTES_PER_WORKER = 8 * 2**30
"""What a process that scores NAS-Bench-201 on batches of 64 may take: 16 fitted into 139 GiB with every data set."""

DEFAULT_WORKERS = "(default: one per core, on a GPU one per 8 GiB)"


@dataclass(frozen=True)
class Workers:
    """Where networks are scored."""

    executor: Executor | str | None = None
    """``None`` or ``"processes"`` starts processes of one thread, ``"dask"`` starts them as a Dask cluster,
    ``"dask:ADDRESS"`` connects to a running one by the address of its scheduler or by its scheduler file. Any
    ``concurrent.futures`` executor, such as ``Client.get_executor()`` of Dask, is taken as it is, and stays open."""
    number: int | None = None
    """Number of processes to start; ``None`` is one per core, on a GPU no more than have 8 GiB of its memory."""
    device: str = "cpu"
    """Torch device of the networks."""

    def __post_init__(self) -> None:
        require_workers(self.number)


def add_worker_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that :func:`workers_of` reads, and ``--no-progress``."""
    parser.add_argument("--workers", type=int, metavar="N", help=f"processes {DEFAULT_WORKERS}")
    parser.add_argument(
        "--executor",
        default="processes",
        help="processes, dask for a Dask cluster of such processes, dask:ADDRESS or dask:FILE.json for the running one "
        "with that scheduler (default: %(default)s)",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")


def workers_of(options: argparse.Namespace) -> Workers:
    """Return the workers that the options of a command describe."""
    return Workers(options.executor, options.workers, options.device)


@contextmanager
def open_executor(
    workers: Workers, tasks: int, preload: str | None = None
) -> Iterator[tuple[Executor, Callable[[], int]]]:
    """Start or reach what runs the tasks, with no more processes than tasks; what this starts ends with the block.

    Processes import the module that ``preload`` names when they start. Yields the executor, and a function that says
    how many tasks it runs at a time, now: Dask workers come and go.

    Raises:
        NbnasError: If the executor is unknown, lacks its package or cannot be reached.
    """
    executor, number = workers.executor, workers.number
    processes = min(number or default_workers(workers.device), tasks)
    name = str(executor or "processes")
    address = name.removeprefix("dask:")
    if isinstance(executor, Executor) and type(executor).__module__.startswith("distributed."):
        opened = DaskExecutor(executor)
        yield opened, opened.threads
    elif isinstance(executor, Executor):
        yield executor, lambda: number or available_cores()
    elif name == "processes":
        # "spawn", because forking a process in which torch has started threads can deadlock.
        context = multiprocessing.get_context("spawn")
        with (
            _no_script_that_is_not_there(),
            ProcessPoolExecutor(processes, context, _prepare_worker, (preload,)) as pool,
        ):
            yield _Packing(pool), lambda: processes
    elif name == "dask" or address not in (name, ""):
        if name != "dask" and number is not None:
            raise NbnasError(f"the cluster at {address} has its own workers; leave out workers")
        with open_cluster(None if name == "dask" else address, processes) as opened:
            yield opened, opened.threads
    else:
        raise NbnasError(f"unknown executor {name!r}; choose from processes, dask, dask:ADDRESS")


def packed(task: object) -> bytes:
    """Pickle a task for another process: what a notebook defines as code, for there is no file to import it from."""
    return (cloudpickle if _script() is None else pickle).dumps(task)


def _script() -> Path | None:
    """The file that this process runs, which a notebook and the standard input are not."""
    script = Path(getattr(sys.modules["__main__"], "__file__", ""))
    return script if script.is_file() else None


@contextmanager
def _no_script_that_is_not_there() -> Iterator[None]:
    """A new process runs the file of ``__main__`` first, and would die of the ``<stdin>`` that Python calls one."""
    main = vars(sys.modules["__main__"])
    held = main.pop("__file__", None) if _script() is None else None
    try:
        yield
    finally:
        if held is not None:
            main["__file__"] = held


class _Packing(Executor):
    """Runs tasks in a pool of processes."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    def submit(self, function: Callable, /, *arguments: object) -> Future:
        return self._pool.submit(_call, packed((function, arguments)))


def _call(task: bytes) -> object:
    function, arguments = pickle.loads(task)
    return function(*arguments)


def in_flight(
    tasks: Iterable[Task], submit: Callable[[Task], Future], window: Callable[[], int]
) -> Iterator[tuple[Task, Future]]:
    """Submit tasks, at most ``window()`` at a time, and yield each with its finished future, in the order they end.

    Tasks are taken from the iterator only when there is room, so it may decide late what comes next. It ends when
    nothing is running and no task, or no room, is left. Of futures that end together, those with a result come before
    failed ones. When the loop over this generator ends early, tasks that wait are cancelled.
    """
    remaining = iter(tasks)
    running: dict[Future, Task] = {}
    try:
        while True:
            for task in itertools.islice(remaining, max(window() - len(running), 0)):
                running[submit(task)] = task
            if not running:
                return
            finished, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
            # What is there is handed out before an error ends it.
            for future in sorted(finished, key=failed):
                yield running.pop(future), future
    finally:
        for future in running:
            future.cancel()


def failed(future: Future) -> bool:
    """Whether a finished future holds no result."""
    return future.cancelled() or future.exception() is not None


def require_workers(number: int | None) -> None:
    """Check a number of processes where it was given; raises :class:`NbnasError` if it is less than 1."""
    if number is not None and number < 1:
        raise NbnasError(f"workers must be at least 1, got {number}")


def describe_failure(error: Exception) -> str | None:
    """Say what happened to the workers; ``None`` if the error has another cause."""
    if isinstance(error, BrokenExecutor) and _runs_again_when_imported():
        return 'each process ran this script again: put what starts them below if __name__ == "__main__":; all died'
    if isinstance(error, BrokenExecutor):
        return "a scoring process died (out of memory? fewer --workers need less)"
    # By name, because Dask is optional, and its older versions lack the second.
    if type(error).__name__ == "KilledWorker":
        return f"{error.allowed_failures + 1} Dask workers died of the same network (out of memory?)"
    if type(error).__name__ == "NoWorkerError":
        return "all Dask workers died (out of memory?)"
    if isinstance(error, CancelledError):
        return "the executor cancelled its tasks (connection to its scheduler lost?)"
    return f"a worker lacks a package ({first_line(error)})" if isinstance(error, ModuleNotFoundError) else None


def _runs_again_when_imported() -> bool:
    script = _script()
    return script is not None and "__name__" not in script.read_text(errors="replace")


def default_workers(device: str) -> int:
    """Number of processes that score on a device: one per core, on a GPU no more than its memory holds."""
    cores = available_cores()
    if not device.startswith("cuda"):
        return cores
    import torch

    return max(1, min(cores, torch.cuda.get_device_properties(device).total_memory // GPU_BYTES_PER_WORKER))


def available_cores() -> int:
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory() -> None:
    """Let this process keep up to 2 GiB that it has freed for the next tensors; without glibc, do nothing.

    The system clears every page that it hands out anew: an eighth of the time of scoring on a CPU. This is a matter of
    the whole process, so only those that nbnas starts itself ask for it.
    """
    try:
        set_parameter = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    # By their numbers in malloc.h: trim threshold, map threshold, number of arenas.
    set_parameter(-1, 2**31 - 1)
    set_parameter(-3, 2**25)  # The most that it accepts; larger tensors are rare.
    set_parameter(-8, 1)  # The heaps of threads that are not the first are small, and given back when empty.


def _prepare_worker(preload: str | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business.
    if preload is not None:
        importlib.import_module(preload)
    keep_freed_memory()
    gc.freeze()  # What is loaded now stays: the garbage collector took a fifth of the time that Python took.
    parent = multiprocessing.parent_process()

    def leave_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    # A killed parent cannot stop its workers, and they would wait for work for ever.
    threading.Thread(target=leave_with_parent, daemon=True).start()
