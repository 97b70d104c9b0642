"""Options that several commands have: which workers compute, and where."""

import argparse

from nbnas.machine.executors import Workers

DEFAULT_WORKERS = "(default: one per core, on a GPU one per 8 GiB)"


def add_worker_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``, ``--executor``, ``--device`` and ``--no-progress``."""
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
    """Return the workers that these options describe."""
    return Workers(options.executor, options.workers, options.device)
