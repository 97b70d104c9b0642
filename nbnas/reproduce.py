"""Running every notebook of a profile, only where something it depends on has changed."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nbnas import provenance
from nbnas.atomic import replace_file
from nbnas.benchmarks import USER_FILES, load_benchmark, nasbench201, nats_sss
from nbnas.benchmarks.analog import installed_data_file
from nbnas.errors import NbnasError
from nbnas.notebook import FOLDERS, Notebook, Value, last_run, read_notebook, run_notebook, stamp_file
from nbnas.paths import data_folder, notebooks_folder, project_root, reports_folder, user_data_file
from nbnas.report import build_report
from nbnas.scoring_plan import run_plan

PROFILES = ("smoke", "default", "full")


@dataclass(frozen=True)
class Job:
    """One notebook to run, and whether its result is up to date."""

    item: str
    notebook: Notebook
    parameters: dict[str, Value]
    output: Path
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


def profile_reports(profile: str) -> Path:
    """Folder of a profile's results: ``reports`` for ``default``, ``reports/<profile>`` for the others.

    Raises:
        NbnasError: If the profile is unknown.
    """
    if profile not in PROFILES:
        raise NbnasError(f"unknown profile {profile!r}; choose from {', '.join(PROFILES)}")
    return reports_folder() if profile == "default" else reports_folder() / profile


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
            jobs.append(make_job(item, notebook, parameters, reports / f"{item}.ipynb", inputs, minutes))
    return jobs


def make_job(
    item: str, notebook: Notebook, parameters: dict[str, Value], output: Path, inputs: str, minutes: float = 1.0
) -> Job:
    """Describe one run; ``inputs`` is what :func:`shared_inputs` returns."""
    text = json.dumps([notebook.path.read_text(), parameters, inputs])
    return Job(item, notebook, parameters, output, hashlib.sha256(text.encode()).hexdigest(), minutes)


def run_job(job: Job, reports: Path) -> None:
    """Run one notebook and remember what it was run on.

    Raises:
        NbnasError: See :func:`nbnas.notebook.run_notebook`.
    """
    # Should the run fail, the report must not show the previous result as this one.
    job.stamp.unlink(missing_ok=True)
    job.output.with_suffix(".json").unlink(missing_ok=True)
    before = os.environ.get("NBNAS_REPORTS")
    os.environ["NBNAS_REPORTS"] = str(reports)  # The kernel inherits it.
    start = time.monotonic()
    try:
        run_notebook(job.notebook, job.parameters, job.output)
    finally:
        if before is None:
            del os.environ["NBNAS_REPORTS"]
        else:
            os.environ["NBNAS_REPORTS"] = before
    stamp = {"digest": job.digest, "seconds": round(time.monotonic() - start, 1), "parameters": job.parameters}
    replace_file(job.stamp, lambda path: path.write_text(json.dumps(stamp, indent=1) + "\n"))


def reproduce(profile: str = "default", device: str = "cpu", items: Sequence[str] = ()) -> Path:
    """Say what will be done, run what is out of date, and build the report.

    A failing notebook does not stop the others. The profile ``full`` first scores all that the notebooks want and that
    the store lacks, see :mod:`nbnas.scoring_plan`: hours on a GPU, weeks on a CPU, resumable.

    Args:
        profile: One of :data:`PROFILES`.
        device: Torch device of the notebooks.
        items: Only these, e.g. ``vkdnw/table1``; empty is all.

    Returns:
        The first page of the report.

    Raises:
        NbnasError: At the end, if a notebook failed; the report is built from the others.
    """
    reports = profile_reports(profile)
    if profile == "full":
        run_plan(device)
    jobs = [job for job in plan(profile, device) if not items or job.item in items]
    unknown = set(items) - {job.item for job in jobs}
    if unknown:
        raise NbnasError(f"no notebook for {', '.join(sorted(unknown))}")
    waiting = [job for job in jobs if not job.up_to_date]
    _announce(profile, jobs, waiting)
    failures = []
    for number, job in enumerate(waiting, start=1):
        print(f"[{number}/{len(waiting)}] {job.item} ...", end=" ", flush=True)
        start = time.monotonic()
        try:
            run_job(job, reports)
            print(f"done in {time.monotonic() - start:.0f} s", flush=True)
        except NbnasError as error:
            print("failed", flush=True)
            failures.append(str(error))
    index = build_report(reports, profile)
    print(f"report: {index}")
    if failures:
        raise NbnasError("\n".join(failures))
    return index


def _announce(profile: str, jobs: list[Job], waiting: list[Job]) -> None:
    print(f"profile {profile!r}: {len(jobs)} notebooks, {len(jobs) - len(waiting)} up to date")
    print(f"accuracies: {load_benchmark('nasbench201').description}")
    if waiting:
        minutes = sum(job.minutes for job in waiting)
        print(f"to run, about {minutes:.0f} min on two cores: " + ", ".join(job.item for job in waiting))


def shared_inputs() -> str:
    """Return the digest of the package, its libraries, the stored scores, the published numbers and the accuracies."""
    digest = hashlib.sha256()
    package = sorted((project_root() / "nbnas").rglob("*.py"))
    # What draws pages from finished notebooks, or runs them over a grid, is no reason to run them again.
    files = [path for path in package if not {"report", "sweep"} & set(path.relative_to(project_root()).parts)]
    files += sorted((data_folder() / "published").glob("*.csv"))
    files += sorted((data_folder() / "scores").rglob("*.parquet")) + sorted((data_folder() / "scores").rglob("*.jsonl"))
    imported = (nasbench201.imported_table(), nats_sss.imported_table())
    accuracies = (*imported, *map(user_data_file, USER_FILES), installed_data_file())
    files += [path for path in accuracies if path is not None]
    for path in files:
        if path.exists():
            digest.update(path.read_bytes())
    digest.update(json.dumps(provenance.library_versions()).encode())
    return digest.hexdigest()
