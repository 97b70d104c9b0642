"""Running every notebook of a profile, only where something it depends on has changed."""

from collections.abc import Sequence
from pathlib import Path

from nbnas.benchmarks import load_benchmark
from nbnas.benchmarks.fetch import fetch
from nbnas.errors import NbnasError
from nbnas.machine.executors import Workers, available_cores, require_workers
from nbnas.machine.paths import notebooks_folder
from nbnas.reproduce import results
from nbnas.reproduce.notebook import FOLDERS, read_notebook
from nbnas.reproduce.notebook_runs import Job, describe_outcome, run_jobs, shared_inputs
from nbnas.reproduce.progress import Progress
from nbnas.reproduce.report.build import build_report
from nbnas.reproduce.results import profile_reports
from nbnas.reproduce.verdicts import count_verdicts, is_judged
from nbnas.scoring.plan import run_plan


def plan(profile: str, device: str = "cpu") -> list[Job]:
    """List the notebooks of a profile; those that have a parameter ``device`` get this one."""
    reports, inputs, jobs = profile_reports(profile), shared_inputs(), []
    for path in (path for folder in FOLDERS for path in sorted((notebooks_folder() / folder).glob("*.ipynb"))):
        notebook, item = read_notebook(path), f"{path.parent.name}/{path.stem}"
        parameters = dict(notebook.profiles.get(profile, {}))
        if notebook.parameters.get("device", device) != device:
            parameters["device"] = device
        output = reports / f"{item}.ipynb"
        jobs.append(Job(item, notebook, parameters, output, reports, inputs, notebook.expected_minutes(profile)))
    return jobs


def _fetch_absent() -> None:
    try:
        fetch()
    except NbnasError as error:
        print(f"not fetched: {error}")


def reproduce(
    profile: str = "default", device: str = "cpu", items: Sequence[str] = (), workers: int | None = None
) -> Path:
    """Say what will be done, run what is out of date, and build the report; returns its first page.

    Public accuracies that are absent are fetched first, see :func:`nbnas.benchmarks.fetch.fetch`; where that fails, a
    line says so and the run goes on with those that are present.

    ``items`` are only these, e.g. ``vkdnw/table1``; empty is all. So many ``workers`` run side by side (by default one
    per core, and one on a GPU), the longest first, and those that measure time alone, at the end. A failing one does
    not stop the others: the report is built from them, then :class:`NbnasError` is raised. The profile ``full`` first
    scores all that the notebooks want and that the store lacks, see :mod:`nbnas.scoring.plan`: hours on a GPU, weeks on
    a CPU, resumable.
    """
    require_workers(workers)
    reports = profile_reports(profile)
    _fetch_absent()
    if profile == "full":
        run_plan(Workers(device=device))
    jobs = [job for job in plan(profile, device) if not items or job.item in items]
    unknown = set(items) - {job.item for job in jobs}
    if unknown:
        raise NbnasError(f"no notebook for {', '.join(sorted(unknown))}")
    waiting = sorted((job for job in jobs if not job.up_to_date), key=lambda job: (job.notebook.alone, -job.minutes))
    # Each notebook already uses a GPU from several processes.
    workers = workers or (1 if device.startswith("cuda") else available_cores())
    print(f"profile {profile!r}: {len(jobs)} notebooks, {len(jobs) - len(waiting)} up to date")
    print(f"accuracies: {load_benchmark('nasbench201').description}")
    progress = Progress(waiting, workers)
    if waiting:
        names = ", ".join(job.item for job in waiting)
        print(f"to run, about {progress.minutes_left():.0f} min, {workers} at a time: {names}", flush=True)
    failures, done = [], 0
    with progress:
        for alone, number in ((False, workers), (True, 1)):
            batch = [job for job in waiting if job.notebook.alone == alone]
            runs = run_jobs(batch, number, one_thread=number > 1, on_start=progress.start) if batch else ()
            for job, outcome in runs:
                progress.end(job)
                done += 1
                print(f"[{done}/{len(waiting)}] {job.item} {describe_outcome(outcome)}", flush=True)
                if isinstance(outcome, NbnasError):
                    failures.append(str(outcome))
    index = build_report(reports, profile)
    verdicts = results.read_table(reports / "verdicts.csv")
    counts = ", ".join(f"{count} {name}" for name, count in count_verdicts(verdicts).items() if count)
    print(f"judged {is_judged(verdicts).sum():,} of {len(verdicts):,} published numbers: {counts}")
    print(f"report: {index}; nbnas report --profile {profile} --open shows it in a browser")
    if failures:
        raise NbnasError("\n".join(failures))
    return index
