"""Scoring by the workers of a Dask cluster, started here or running elsewhere."""

import gc
import logging
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nbnas.errors import NbnasError, first_line

CONNECT_SECONDS = 10
"""How long a Dask scheduler may take to answer."""

RESTART_SECONDS = 120
"""How long a Dask cluster that this started may be without any worker."""

PREPARE_DASK_WORKER = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)

from nbnas.machine.executors import keep_freed_memory
keep_freed_memory()
"""
"""What Dask workers that this started do first. Ctrl-C is the parent's business, also while they import."""


@contextmanager
def open_cluster(address: str | None, processes: int) -> Iterator["DaskExecutor"]:
    """Connect to the Dask scheduler at an address, or that a file names; without one, start processes here."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise NbnasError("scoring through Dask needs another package; run: pip install 'nbnas[dask]'") from error
    is_file = bool(address) and address.endswith(".json")
    if is_file and not Path(address).is_file():  # Dask would wait for it.
        raise NbnasError(f"no such Dask scheduler file: {address}")
    with ExitStack() as stack:
        if address is None:
            # Workers that die while they start are not replaced, and without any the tasks would wait for ever.
            patience = {"distributed.scheduler.no-workers-timeout": f"{RESTART_SECONDS} s"}
            stack.enter_context(dask.config.set(patience))
            with _no_garbage_collection():
                cluster = LocalCluster(
                    n_workers=processes,
                    threads_per_worker=1,
                    # Workers keep no results: at a limit they could not make room, only stop.
                    memory_limit=None,
                    # Any free port: the usual one may be taken, by the cluster of another run.
                    dashboard_address="127.0.0.1:0",
                    # The task of a dead worker goes to another, which is not worth a warning; at last it ends the run.
                    silence_logs=logging.CRITICAL,
                    preload=PREPARE_DASK_WORKER,
                )
                client = Client(stack.enter_context(cluster), set_as_default=False)
        else:
            # The log would say with tracebacks what the error that follows says in one line.
            logger = logging.getLogger("distributed.client")
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
            where = {"scheduler_file": address} if is_file else {"address": address}
            try:
                with _no_garbage_collection():
                    client = Client(**where, timeout=CONNECT_SECONDS, set_as_default=False)
            except Exception as error:
                raise NbnasError(f"no Dask scheduler can be reached at {address}: {first_line(error)}") from error
        yield DaskExecutor(stack.enter_context(client).get_executor())


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep the collector out while a client starts: a failed one, when collected, waits for a lock that this holds."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class DaskExecutor(Executor):
    """Wraps what ``Client.get_executor()`` returns, so that tasks can be read anywhere."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._client = executor._client  # It has no public name.

    def submit(self, function: Callable, *arguments: object) -> Future:
        task = pickle.dumps((function, arguments))

        # A scheduler without this package could not read a task that names it, and a worker without it would die
        # before it could say so. A local function is sent as code that names nothing but pickle.
        def run() -> object:
            function, arguments = pickle.loads(task)
            return function(*arguments)

        # A proxy that fails is a status, so an exception is the fault of a worker, and another may do better. Equal
        # tasks are kept apart, for a rerun must not be answered with the error of the run before.
        return self._executor.submit(run, retries=2, pure=False)

    def threads(self) -> int:
        """Number of threads of all workers, at least 1: some clusters start workers only when there is a task."""
        try:
            return max(1, sum(self._client.nthreads().values()))
        except OSError as error:
            # A client that loses its scheduler cancels the tasks, in another thread and perhaps a little later.
            raise CancelledError from error
