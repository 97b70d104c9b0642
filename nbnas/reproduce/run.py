"""Running every notebook of a profile, only where something it depends on has changed."""

from collections.abc import Sequence
from pathlib import Path

from nbnas.benchmarks import load_benchmark
from nbnas.errors import NbnasError
from nbnas.machine.executors import Workers, available_cores, require_workers
from nbnas.machine.paths import notebooks_folder
from nbnas.reproduce.notebook import FOLDERS, read_notebook
from nbnas.reproduce.notebook_runs import Job, make_job, run_jobs, shared_inputs
from nbnas.reproduce.profiles import profile_reports
from nbnas.reproduce.report import build_report
from nbnas.scoring.plan import run_plan


def plan(profile: str, device: str = "cpu") -> list[Job]:
    """List the notebooks of a profile.

    Args:
        profile: One of :data:`PROFILES`.
        device: Given to every notebook that has a parameter ``device``.

    Raises:
        NbnasError: If the profile is unknown or a notebook is malformed.
    """
    reports, inputs = profile_reports(profile), shared_inputs()
    jobs = []
    for folder in FOLDERS:
        for path in sorted((notebooks_folder() / folder).glob("*.ipynb")):
            notebook = read_notebook(path)
            parameters = dict(notebook.profiles.get(profile, {}))
            if "device" in notebook.parameters and device != notebook.parameters["device"]:
                parameters["device"] = device
            item = f"{folder}/{path.stem}"
            minutes = notebook.minutes.get(profile, notebook.minutes.get("default", 1.0))
            jobs.append(make_job(item, notebook, parameters, reports / f"{item}.ipynb", reports, inputs, minutes))
    return jobs


def reproduce(
    profile: str = "default", device: str = "cpu", items: Sequence[str] = (), workers: int | None = None
) -> Path:
    """Say what will be done, run what is out of date, and build the report.

    Notebooks run side by side, the longest first, and those that measure time alone, at the end. A failing one does
    not stop the others. The profile ``full`` first scores all that the notebooks want and that
    the store lacks, see :mod:`nbnas.scoring.plan`: hours on a GPU, weeks on a CPU, resumable.

    Args:
        profile: One of :data:`PROFILES`.
        device: Torch device of the notebooks.
        items: Only these, e.g. ``vkdnw/table1``; empty is all.
        workers: Notebooks that run at a time; ``None`` is one per core, and one on a GPU.

    Returns:
        The first page of the report.

    Raises:
        NbnasError: At the end, if a notebook failed; the report is built from the others.
    """
    require_workers(workers)
    reports = profile_reports(profile)
    if profile == "full":
        run_plan(Workers(device=device))
    jobs = [job for job in plan(profile, device) if not items or job.item in items]
    unknown = set(items) - {job.item for job in jobs}
    if unknown:
        raise NbnasError(f"no notebook for {', '.join(sorted(unknown))}")
    waiting = [job for job in jobs if not job.up_to_date]
    # Notebooks use a GPU from several processes themselves.
    workers = workers or (1 if device.startswith("cuda") else available_cores())
    alone = [job for job in waiting if job.notebook.alone]
    together = sorted((job for job in waiting if not job.notebook.alone), key=lambda job: -job.minutes)
    _announce(profile, jobs, together, alone, workers)
    failures, done = [], 0
    for batch, number in ((together, workers), (alone, 1)):
        for job, outcome in run_jobs(batch, number, one_thread=number > 1) if batch else ():
            done += 1
            failed = isinstance(outcome, NbnasError)
            result = "failed" if failed else f"done in {outcome:.0f} s"
            print(f"[{done}/{len(waiting)}] {job.item} {result}", flush=True)
            if failed:
                failures.append(str(outcome))
    index = build_report(reports, profile)
    print(f"report: {index}")
    if failures:
        raise NbnasError("\n".join(failures))
    return index


def _announce(profile: str, jobs: Sequence[Job], together: Sequence[Job], alone: Sequence[Job], workers: int) -> None:
    waiting = [*together, *alone]
    print(f"profile {profile!r}: {len(jobs)} notebooks, {len(jobs) - len(waiting)} up to date")
    print(f"accuracies: {load_benchmark('nasbench201').description}")
    if waiting:
        minutes = [job.minutes for job in together]
        longest = max(minutes, default=0)
        total = max(longest, sum(minutes) / workers) + sum(job.minutes for job in alone)
        names = ", ".join(job.item for job in waiting)
        print(f"to run, about {total:.0f} min, {workers} at a time: {names}", flush=True)
