"""The commands that run notebooks and build the report. Each imports what it needs: they need the packages of a lab."""

import argparse
import os
import webbrowser
from pathlib import Path

from nbnas.errors import NbnasError
from nbnas.machine.executors import DEFAULT_WORKERS


def add_reproduction(commands: argparse._SubParsersAction) -> None:
    """Add ``nbnas run``, ``reproduce``, ``report``, ``sweep`` and ``exercises``."""
    run = commands.add_parser("run", help="run one notebook with strictly checked parameters")
    run.add_argument("notebook", type=Path)
    run.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    run.add_argument("-o", "--output", type=Path, help="executed notebook (default: NAME.out.ipynb here)")
    run.set_defaults(command=_run)

    reproduce = commands.add_parser("reproduce", help="run the notebooks of a profile and build the report")
    reproduce.add_argument("items", nargs="*", metavar="ITEM", help="only these, e.g. vkdnw/table1")
    reproduce.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    workers = "notebooks that run at the same time (default: one per core)"
    reproduce.add_argument("--workers", type=int, metavar="N", help=workers)
    reproduce.set_defaults(command=_reproduce)

    report = commands.add_parser("report", help="build the report from the saved results")
    report.add_argument("--open", action="store_true", help="show it in a browser")
    report.set_defaults(command=_report)
    for parser in (reproduce, report):
        parser.add_argument("--profile", default="default", help="smoke, default or full (default: %(default)s)")

    sweep = commands.add_parser("sweep", help="run a notebook over a grid of parameters, resumable")
    sweep.add_argument("specification", type=Path, help="notebooks/sweeps/NAME.yml")
    sweep.add_argument("--workers", type=int, metavar="N", help=f"points that run at the same time {DEFAULT_WORKERS}")
    sweep.set_defaults(command=_sweep)

    exercises = commands.add_parser("exercises", help="copy the lessons without solutions to notebooks/exercises")
    exercises.set_defaults(command=_exercises)


def _run(options: argparse.Namespace) -> None:
    from nbnas.reproduce.notebook import parse_parameter, read_notebook, run_notebook

    notebook = read_notebook(options.notebook)
    parameters = {name: parse_parameter(notebook, name, text) for name, text in options.parameter}
    output = (options.output or Path(f"{options.notebook.stem}.out.ipynb")).absolute()
    # Results go beside the output: the report must not take a run with other parameters for one of its own.
    os.environ.setdefault("NBNAS_REPORTS", str(output.with_suffix(".reports")))
    run_notebook(notebook, parameters, output)
    print(f"wrote {output}, tables and figures in {os.environ['NBNAS_REPORTS']}")


def _reproduce(options: argparse.Namespace) -> None:
    from nbnas.reproduce.run import reproduce

    reproduce(options.profile, options.device, options.items, options.workers)


def _report(options: argparse.Namespace) -> None:
    from nbnas.reproduce.report.build import build_report
    from nbnas.reproduce.results import profile_reports

    index = build_report(profile_reports(options.profile), options.profile)
    print(index)
    if options.open and not webbrowser.open(index.absolute().as_uri()):
        raise NbnasError(f"no browser was found; open {index} by hand")


def _sweep(options: argparse.Namespace) -> None:
    from nbnas.reproduce.sweep import sweep

    print(f"summary: {sweep(options.specification, options.workers)}")


def _exercises(_: argparse.Namespace) -> None:
    from nbnas.reproduce.exercises import make_exercises

    for name, what in make_exercises().items():
        reason = "" if what == "written" else ": you have worked in it; move it away to get a fresh copy"
        print(f"notebooks/exercises/{name} {what}{reason}")
