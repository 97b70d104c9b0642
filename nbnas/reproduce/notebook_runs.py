"""Running notebooks side by side, and remembering what each was run on."""

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbnas.benchmarks import accuracy_files
from nbnas.errors import NbnasError
from nbnas.machine import provenance
from nbnas.machine.executors import Workers, describe_failure, in_flight, open_executor
from nbnas.machine.paths import data_folder, project_root
from nbnas.machine.replace_file import replace_file
from nbnas.reproduce.notebook import Notebook, Value, last_run, run_notebook, stamp_file


@dataclass(frozen=True)
class Job:
    """One notebook to run, and whether its result is up to date."""

    item: str
    notebook: Notebook
    parameters: dict[str, Value]
    output: Path
    reports: Path
    """Folder in which it leaves tables and figures."""
    inputs: str
    """What else decides the result, see :func:`shared_inputs`."""
    expected_minutes: float = 1.0

    @cached_property
    def digest(self) -> str:
        """Digest of all that decides the result."""
        text = json.dumps([self.notebook.path.read_text(), self.parameters, self.inputs])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def minutes(self) -> float:
        """How long the last run took, else what the notebook says."""
        return last_run(self.output).get("seconds", 60 * self.expected_minutes) / 60

    @property
    def up_to_date(self) -> bool:
        """Whether the result was made from what is there now."""
        return last_run(self.output).get("digest") == self.digest and self.output.exists()


def run_jobs(
    jobs: Sequence[Job], workers: int, *, one_thread: bool = True, on_start: Callable[[Job], None] = lambda job: None
) -> Iterator[tuple[Job, float | NbnasError]]:
    """Run notebooks side by side, in the given order, and yield each when it ends: its seconds, or why it failed.

    ``on_start`` is called with each when it begins.

    Every notebook has a kernel of its own, which computes with one thread unless told otherwise: then results do not
    depend on how many run at a time. A failing one does not stop the others. If a worker process dies, this raises
    :class:`NbnasError`; what has been yielded is finished.
    """
    with open_executor(Workers(number=workers), len(jobs)) as (executor, _):

        def begin(job: Job) -> Future:
            on_start(job)
            return executor.submit(_run_job, job, one_thread)

        try:
            # Submit no more than run at once: a process pool starts queued jobs even after an error.
            for job, future in in_flight(jobs, begin, lambda: workers):
                try:
                    outcome = future.result()
                except NbnasError as error:
                    outcome = error
                yield job, outcome
        except BrokenExecutor as error:
            raise NbnasError(f"{describe_failure(error)}; finished notebooks are kept; rerun to continue") from error
        except BaseException:
            # The results are no longer needed, and a notebook may take long. A kernel ends with its parent.
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def describe_outcome(outcome: float | NbnasError) -> str:
    """Say in a few words how a run that :func:`run_jobs` yields ended."""
    return "failed" if isinstance(outcome, NbnasError) else f"done in {outcome:.0f} s"


def _run_job(job: Job, one_thread: bool) -> float:
    """Run one notebook in a worker process, whose environment is its own; returns seconds."""
    os.environ["NBNAS_REPORTS"] = str(job.reports.absolute())  # The kernel inherits it.
    if one_thread:  # Kernels that run side by side already fill the cores.
        os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    # If the run fails, the report must not show the previous result as this one.
    stamp, digest = stamp_file(job.output), job.digest
    stamp.unlink(missing_ok=True)
    job.output.with_suffix(".json").unlink(missing_ok=True)
    start = time.monotonic()
    run_notebook(job.notebook, job.parameters, job.output)
    seconds = time.monotonic() - start
    record = {"digest": digest, "seconds": round(seconds, 1), "parameters": job.parameters}
    replace_file(stamp, lambda path: path.write_text(json.dumps(record, indent=1) + "\n"))
    return seconds


def shared_inputs() -> str:
    """Return the digest of the package, its libraries, the stored scores, the published numbers and the accuracies."""
    root, data = project_root(), data_folder()
    # Code that draws pages from finished notebooks, or runs them over a grid, does not change their results.
    package = sorted((root / "nbnas").rglob("*.py"))
    files = [path for path in package if not {"report", "sweep.py"} & set(path.relative_to(root).parts)]
    for pattern in ("published/*.csv", "scores/**/*.parquet", "scores/**/*.jsonl"):
        files += sorted(data.glob(pattern))
    files += accuracy_files()
    digest = hashlib.sha256(json.dumps(provenance.library_versions()).encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()
