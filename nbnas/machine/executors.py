"""Where networks are scored: in processes of this machine or by the workers of a Dask cluster."""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for_process

from nbnas.errors import NbnasError, first_line
from nbnas.machine.dask_cluster import _DaskExecutor, _is_of_dask, _local_cluster, _running_cluster
from nbnas.machine.freed_memory import keep_freed_memory

GPU_BYTES_PER_WORKER = 8 * 2**30
"""What a process that scores NAS-Bench-201 on batches of 64 may take: 16 fitted into 139 GiB with every data set."""


@contextmanager
def open_executor(
    executor: Executor | str | None, workers: int | None, tasks: int, device: str = "cpu"
) -> Iterator[tuple[Executor, Callable[[], int]]]:
    """Start or reach what runs the tasks; what this starts ends with the block.

    Args:
        executor: ``None`` or ``"processes"`` starts processes, ``"dask"`` starts them as a Dask cluster,
            ``"dask:ADDRESS"`` connects to a running one by the address of its scheduler or by its scheduler file.
            An executor is taken as it is, and stays open.
        workers: Number of processes to start; ``None`` is :func:`default_workers`.
        tasks: Number of tasks; no more processes than that are started.
        device: Where they compute.

    Yields:
        The executor, and a function that says how many tasks it runs at a time, now: Dask workers come and go.

    Raises:
        NbnasError: If the executor is unknown, lacks its package or cannot be reached, or workers are less than 1.
    """
    require_workers(workers)
    if isinstance(executor, Executor):
        if _is_of_dask(executor):
            opened = _DaskExecutor(executor)
            yield opened, opened.threads
        else:
            yield executor, lambda: workers or available_cores()
        return
    processes = min(workers or default_workers(device), tasks)
    name = str(executor or "processes")
    address = name.partition(":")[2]
    if name == "processes":
        with _process_pool(processes) as pool:
            yield pool, lambda: processes
    elif name == "dask":
        with _local_cluster(processes) as opened:
            yield opened, opened.threads
    elif name.startswith("dask:") and address:
        if workers is not None:
            raise NbnasError(f"the cluster at {address} has its own workers; leave out workers")
        with _running_cluster(address) as opened:
            yield opened, opened.threads
    else:
        raise NbnasError(f"unknown executor {name!r}; choose from processes, dask, dask:ADDRESS")


def require_workers(workers: int | None) -> None:
    """Check a number of processes where it was given; raises :class:`NbnasError` if it is less than 1."""
    if workers is not None and workers < 1:
        raise NbnasError(f"workers must be at least 1, got {workers}")


def describe_failure(error: Exception) -> str | None:
    """Say what befell the workers if that is what an error is about; ``None`` if it is about something else."""
    if isinstance(error, BrokenExecutor):
        return "a scoring process died (out of memory? fewer --workers need less)"
    # By name, because Dask is optional, and its older versions lack the second.
    if type(error).__name__ == "KilledWorker":
        return f"{error.allowed_failures + 1} Dask workers died of the same network (out of memory?)"
    if type(error).__name__ == "NoWorkerError":
        return "all Dask workers died (out of memory?)"
    if isinstance(error, CancelledError):
        return "the executor cancelled its tasks (connection to its scheduler lost?)"
    if isinstance(error, ModuleNotFoundError):
        return f"a worker lacks a package ({first_line(error)})"
    return None


def default_workers(device: str) -> int:
    """Number of processes that score on a device: one per core, on a GPU no more than its memory holds."""
    cores = available_cores()
    if not device.startswith("cuda"):
        return cores
    import torch

    return max(1, min(cores, torch.cuda.get_device_properties(device).total_memory // GPU_BYTES_PER_WORKER))


def available_cores() -> int:
    """Number of cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _process_pool(workers: int) -> ProcessPoolExecutor:
    # "spawn", because forking a process in which torch has started threads can deadlock.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business.
    import nbnas.scoring.score_many  # noqa: F401

    keep_freed_memory()
    gc.freeze()  # What is loaded now stays: the garbage collector took a fifth of the time that Python took.
    parent = multiprocessing.parent_process()

    def leave_with_parent() -> None:
        wait_for_process([parent.sentinel])
        os._exit(1)

    # A killed parent cannot stop its workers, and they would wait for work for ever.
    threading.Thread(target=leave_with_parent, daemon=True).start()
