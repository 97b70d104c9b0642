"""Running notebooks side by side, and remembering what each was run on."""

import hashlib
import itertools
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from nbnas.benchmarks import accuracy_files
from nbnas.errors import NbnasError
from nbnas.machine import provenance
from nbnas.machine.executors import Workers, describe_failure, open_executor
from nbnas.machine.paths import data_folder, project_root
from nbnas.machine.replace_file import replace_file
from nbnas.reproduce.notebook import Notebook, Value, last_run, run_notebook, stamp_file

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Environment of kernels that run side by side: they already fill the cores."""


@dataclass(frozen=True)
class Job:
    """One notebook to run, and whether its result is up to date."""

    item: str
    notebook: Notebook
    parameters: dict[str, Value]
    output: Path
    reports: Path
    """Folder in which it leaves tables and figures."""
    digest: str
    expected_minutes: float

    @property
    def stamp(self) -> Path:
        return stamp_file(self.output)

    @property
    def minutes(self) -> float:
        """How long the last run took, else what the notebook says."""
        return last_run(self.output).get("seconds", 60 * self.expected_minutes) / 60

    @property
    def up_to_date(self) -> bool:
        """Whether the result was made from what is there now."""
        return self.output.exists() and last_run(self.output).get("digest") == self.digest


def make_job(
    item: str,
    notebook: Notebook,
    parameters: dict[str, Value],
    output: Path,
    reports: Path,
    inputs: str,
    minutes: float = 1.0,
) -> Job:
    """Describe one run; ``inputs`` is what :func:`shared_inputs` returns."""
    text = json.dumps([notebook.path.read_text(), parameters, inputs])
    return Job(item, notebook, parameters, output, reports, hashlib.sha256(text.encode()).hexdigest(), minutes)


def run_jobs(jobs: Sequence[Job], workers: int, *, one_thread: bool = True) -> Iterator[tuple[Job, float | NbnasError]]:
    """Run notebooks side by side, in the given order, and yield each when it ends: its seconds, or why it failed.

    Every notebook has a kernel of its own. A failing one does not stop the others.

    Args:
        jobs: What to run.
        workers: How many at a time.
        one_thread: Whether kernels compute with one thread, so that results do not depend on how many run at a time.

    Raises:
        NbnasError: If a worker process dies; what has been yielded is finished.
    """
    remaining, running = iter(jobs), {}
    with open_executor(Workers(number=workers), len(jobs)) as (executor, _):
        try:
            while True:
                # No more than run: a process pool starts what waits in its queue even after an error.
                for job in itertools.islice(remaining, workers - len(running)):
                    running[executor.submit(_run_job, job, one_thread)] = job
                if not running:
                    break
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    job = running.pop(future)
                    try:
                        outcome = future.result()
                    except NbnasError as error:
                        outcome = error
                    yield job, outcome
        except BrokenExecutor as error:
            raise NbnasError(f"{describe_failure(error)}; finished notebooks are kept, rerun to continue") from error
        except BaseException:
            # A notebook may take long, and nobody wants its result any more. A kernel ends with its parent.
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _run_job(job: Job, one_thread: bool) -> float:
    """Run one notebook in a worker process, whose environment is its own; returns seconds."""
    if one_thread:
        os.environ.update(ONE_THREAD)
    os.environ["NBNAS_REPORTS"] = str(job.reports.absolute())  # The kernel inherits it.
    # Should the run fail, the report must not show the previous result as this one.
    job.stamp.unlink(missing_ok=True)
    job.output.with_suffix(".json").unlink(missing_ok=True)
    start = time.monotonic()
    run_notebook(job.notebook, job.parameters, job.output)
    seconds = time.monotonic() - start
    stamp = {"digest": job.digest, "seconds": round(seconds, 1), "parameters": job.parameters}
    replace_file(job.stamp, lambda path: path.write_text(json.dumps(stamp, indent=1) + "\n"))
    return seconds


def shared_inputs() -> str:
    """Return the digest of the package, its libraries, the stored scores, the published numbers and the accuracies."""
    digest = hashlib.sha256()
    package = sorted((project_root() / "nbnas").rglob("*.py"))
    # What draws pages from finished notebooks, or runs them over a grid, is no reason to run them again.
    files = [path for path in package if not {"report", "sweep"} & set(path.relative_to(project_root()).parts)]
    files += sorted((data_folder() / "published").glob("*.csv"))
    files += sorted((data_folder() / "scores").rglob("*.parquet")) + sorted((data_folder() / "scores").rglob("*.jsonl"))
    files += accuracy_files()
    for path in files:
        if path.exists():
            digest.update(path.read_bytes())
    digest.update(json.dumps(provenance.library_versions()).encode())
    return digest.hexdigest()
