"""The command ``nbnas``."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from nbnas.errors import NbnasError

DEFAULT_WORKERS = "(default: one per core, on a GPU one per 8 GiB)"

WORKERS = f"processes {DEFAULT_WORKERS}"

EXECUTORS = (
    "processes, dask for a Dask cluster of such processes, dask:ADDRESS or dask:FILE.json for the running one "
    "with that scheduler (default: %(default)s)"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for bad input or a failed run, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    warnings.showwarning = _one_line_warning
    if os.environ.get("NBNAS_DATA"):
        # Kernels run in the folder of their notebook, where a relative path would name something else.
        os.environ["NBNAS_DATA"] = os.path.abspath(os.environ["NBNAS_DATA"])
    try:
        options.command(options)
    except NbnasError as error:
        print(f"nbnas: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"nbnas: {error.filename or 'file system'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nbnas: interrupted; what was finished is kept, rerun to continue", file=sys.stderr)
        return 130
    return 0


def _one_line_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"nbnas: warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nbnas", description="Training-free neural architecture search, reproducible."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    score = commands.add_parser("score", help="score many networks of a search space into the resumable store")
    score.add_argument("space", help="search space, e.g. nasbench201")
    score.add_argument("--dataset", default="cifar10", help="shape to score on (default: %(default)s)")
    score.add_argument("--proxies", nargs="+", default=["vkdnw"], metavar="NAME", help="names or glob patterns")
    score.add_argument("--archs", help="set of architectures (default: one of each distinct network)")
    score.add_argument("--sample", type=int, metavar="N", help="only the first N in the set's fixed random order")
    score.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="SEED")
    score.add_argument("--batch-size", type=int, default=64)
    score.add_argument("--inputs", default="gaussian", help="gaussian noise or images (default: %(default)s)")
    score.add_argument("--workers", type=int, help=WORKERS)
    score.add_argument("--executor", default="processes", help=EXECUTORS)
    score.add_argument("--device", default="cpu")
    score.add_argument("--store", type=Path, help="folder of score tables (default: data/scores)")
    score.add_argument("--no-progress", action="store_true")
    score.set_defaults(command=_score)

    everything = commands.add_parser("score-all", help="score all that the notebooks want, in rounds, resumable")
    everything.add_argument("--workers", type=int, help=WORKERS)
    everything.add_argument("--executor", default="processes", help=EXECUTORS)
    everything.add_argument("--device", default="cpu")
    everything.add_argument("--store", type=Path, help="folder of score tables (default: data/scores)")
    everything.add_argument("--no-progress", action="store_true")
    everything.add_argument("--list", action="store_true", help="only say what would be scored")
    everything.set_defaults(command=_score_all)

    search = commands.add_parser("search", help="search a space for the best network within a budget, resumable")
    search.add_argument("target", help="search space, e.g. zen_resnet, or published search, see --list", nargs="?")
    search.add_argument("--list", action="store_true", help="only list the published searches")
    search.add_argument(
        "--score", nargs="+", metavar="NAME", help="scores whose ranks are multiplied, or vkdnw_agg ..."
    )
    for name in ("params", "flops", "layers"):
        search.add_argument(f"--max-{name}", type=float, metavar="N", help=f"largest number of {name}")
    search.add_argument("--max-latency", type=float, metavar="SECONDS", help="of one image")
    search.add_argument("--strategy", help="evolution (default), regularised_evolution or random")
    search.add_argument("--population", type=int, metavar="N", help="possible parents (default: 64)")
    search.add_argument("--steps", type=int, metavar="N", help="candidates (default: 1000)")
    search.add_argument("--seed", type=int, default=0)
    search.add_argument("--duplicates", help="skip (default), or score them again")
    search.add_argument("--in-flight", type=int, metavar="N", help="candidates scored at a time (default: 16)")
    search.add_argument("--dataset", help="shape to score on (default: the first of the space)")
    search.add_argument("--resolution", type=int, metavar="PIXELS", help="in place of the data set's")
    search.add_argument("--classes", type=int, metavar="N", help="in place of the data set's")
    search.add_argument("--batch-size", type=int, metavar="N", help="(default: 64)")
    search.add_argument("--inputs", help="gaussian noise (default) or images of the data set")
    search.add_argument("--workers", type=int, help=WORKERS)
    search.add_argument("--executor", default="processes", help=EXECUTORS)
    search.add_argument("--device", help="(default: cpu)")
    search.add_argument("--checkpoint", type=Path, metavar="FILE", help="(default: TARGET-seedN.search here)")
    search.add_argument("--history", type=Path, metavar="FILE.csv", help="table of all candidates to write at the end")
    search.add_argument("--no-progress", action="store_true")
    search.set_defaults(command=_search)

    proxies = commands.add_parser("proxies", help="list the proxies")
    proxies.set_defaults(command=_proxies)

    data = commands.add_parser("data", help="trained accuracies: what is present, import NATS-Bench")
    actions = data.add_subparsers(required=True, metavar="ACTION")
    status = actions.add_parser("status", help="say what is present and which tables it unlocks")
    status.set_defaults(command=_data_status)
    import_nats = actions.add_parser("import-nats", help="import an unpacked archive of NATS-Bench")
    import_nats.add_argument(
        "path", type=Path, help="NATS-tss-v1_0-3ffb9-simple for nasbench201, NATS-sss-v1_0-50262-simple for nats_sss"
    )
    import_nats.set_defaults(command=_import_nats)

    train = commands.add_parser("train", help="train a found network by a published recipe, resumable")
    train.add_argument("space", help="search space, e.g. zen_resnet")
    train.add_argument("arch", help="architecture, e.g. a structure string")
    train.add_argument("--dataset", default="cifar10", help="cifar10, cifar100 or imagenet (default: %(default)s)")
    train.add_argument("--recipe", help="cifar, imagenet or imagenet_150_epochs (default: the data set's)")
    train.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="change the recipe, e.g. -p epochs 30",
    )
    train.add_argument("-o", "--output", type=Path, required=True, help="folder of the run; a rerun goes on there")
    train.add_argument("--data", type=Path, metavar="DIR", help="folder of data sets (default: $NBNAS_DATA)")
    train.add_argument("--train-images", type=int, metavar="N", help="train on N of the images")
    train.add_argument("--test-images", type=int, metavar="N", help="test with N of the images")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--device", default="cpu")
    train.add_argument("--workers", type=int, default=0, help="processes that prepare images (default: %(default)s)")
    train.add_argument(
        "--checkpoint-steps",
        type=int,
        default=1000,
        metavar="N",
        help="steps between checkpoints (default: %(default)s)",
    )
    train.add_argument("--no-progress", action="store_true")
    train.set_defaults(command=_train)

    run = commands.add_parser("run", help="run one notebook strictly")
    run.add_argument("notebook", type=Path)
    run.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    run.add_argument("-o", "--output", type=Path, help="executed notebook (default: NAME.out.ipynb here)")
    run.set_defaults(command=_run)

    reproduce = commands.add_parser("reproduce", help="run the notebooks of a profile and build the report")
    reproduce.add_argument("items", nargs="*", metavar="ITEM", help="only these, e.g. vkdnw/table1")
    reproduce.add_argument("--profile", default="default", help="smoke, default or full (default: %(default)s)")
    reproduce.add_argument("--device", default="cpu")
    reproduce.add_argument(
        "--workers", type=int, metavar="N", help="notebooks that run at a time (default: one per core)"
    )
    reproduce.set_defaults(command=_reproduce)

    report = commands.add_parser("report", help="build the report from what the notebooks left")
    report.add_argument("--profile", default="default")
    report.set_defaults(command=_report)

    sweep = commands.add_parser("sweep", help="run a notebook over a grid of parameters, resumable")
    sweep.add_argument("specification", type=Path, help="notebooks/sweeps/NAME.yml")
    sweep.add_argument("--workers", type=int, metavar="N", help=f"points that run at a time {DEFAULT_WORKERS}")
    sweep.set_defaults(command=_sweep)

    exercises = commands.add_parser("exercises", help="copy the lessons without solutions to notebooks/exercises")
    exercises.set_defaults(command=_exercises)
    return parser


def _score(options: argparse.Namespace) -> None:
    from nbnas.machine.executors import Workers
    from nbnas.scoring.samples import sample_architectures
    from nbnas.scoring.score_many import score_many
    from nbnas.scoring.setting import Setting

    for name in ("sample", "workers"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise NbnasError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
    tables = score_many(
        sample_architectures(options.space, options.archs, options.sample),
        options.proxies,
        Setting(options.space, options.dataset, options.batch_size, options.inputs),
        seeds=options.seeds,
        store=options.store,
        workers=Workers(options.executor, options.workers, options.device),
        progress=not options.no_progress,
    )
    for name, rows in tables.items():
        statuses = ", ".join(f"{count} {status}" for status, count in rows["status"].value_counts().items())
        print(f"{name}: {len(rows)} rows ({statuses}), {rows['seconds'].mean():.3g} s per network")
    failed = sum(int(rows["status"].str.startswith("error").sum()) for rows in tables.values())
    if failed:
        raise NbnasError(f"{failed} rows ended in an error, see above; a rerun tries them again")


def _score_all(options: argparse.Namespace) -> None:
    from nbnas.machine.executors import Workers
    from nbnas.scoring.plan import run_plan, scoring_plan

    if options.list:
        print("\n".join(map(str, scoring_plan(options.device))))
        return
    run_plan(
        Workers(options.executor, options.workers, options.device),
        store=options.store,
        progress=not options.no_progress,
    )


def _search(options: argparse.Namespace) -> None:
    from nbnas.machine.replace_file import replace_file
    from nbnas.search import PRESETS
    from nbnas.search.command import run_search

    if options.list:
        print("\n".join(f"{preset.name:<26} {preset.description}" for preset in PRESETS.values()))
        return
    if options.target is None:
        raise NbnasError("name a search space, or a published search as listed by --list")
    checkpoint = options.checkpoint or Path(f"{options.target}-seed{options.seed}.search")
    if options.history:  # Now, lest the search end with a folder that is not there.
        options.history.parent.mkdir(parents=True, exist_ok=True)
    result = run_search(options, checkpoint)
    if options.history:
        replace_file(options.history, lambda path: result.history.to_csv(path))
    if not result.history.empty:
        best = result.history[result.history["arch"] == result.best].iloc[0]
        numbers = best.drop(["arch", "parent", "draws", "status", "seconds", "time", "objective"])
        print(result.best)
        print(", ".join(f"{name} {value:.6g}" for name, value in numbers.items()))
        print(f"best of {len(result.history)} candidates, {result.history['seconds'].mean():.3g} s each; {checkpoint}")
    if result.ended == "interrupted":
        raise KeyboardInterrupt


def _proxies(_: argparse.Namespace) -> None:
    from nbnas.proxies import list_proxies

    table = list_proxies()
    for row in table.itertuples():
        print(f"{row.Index:<18} {row.title}\n{'':<18} {row.formula}\n{'':<18} {row.paper}; cost: {row.cost}")


def _data_status(_: argparse.Namespace) -> None:
    from nbnas.benchmarks import BENCHMARKS, load_benchmark
    from nbnas.benchmarks.nasbench201 import SOURCES, describe_sources

    print(f"nasbench201 (the first of {', '.join(SOURCES)} present is used):")
    for line in describe_sources():
        print(f"  {line}")
    for space in BENCHMARKS:
        if space != "nasbench201":
            try:
                print(f"{space}: present, {load_benchmark(space).description}")
            except NbnasError as error:
                print(f"{space}: {error}")


def _import_nats(options: argparse.Namespace) -> None:
    from nbnas.benchmarks.nats_archive import import_nats

    print(f"wrote {import_nats(options.path)}")


def _train(options: argparse.Namespace) -> None:
    from nbnas.training import build_network, change_recipe, get_recipe, load_data, train
    from nbnas.training.processes import is_first_process

    name = options.recipe or ("imagenet" if options.dataset == "imagenet" else "cifar")
    recipe = change_recipe(get_recipe(name), dict(options.parameter))
    data = load_data(options.dataset, recipe.resolution, options.data, options.train_images, options.test_images)
    metrics = train(
        build_network(options.space, options.arch, data.num_classes, recipe),
        data,
        recipe,
        options.output,
        network=f"{options.space} {options.arch}",
        seed=options.seed,
        device=options.device,
        workers=options.workers,
        checkpoint_steps=options.checkpoint_steps,
        progress=not options.no_progress,
    )
    if is_first_process():
        accuracies = metrics["test_top1"]
        print(
            f"test accuracy {accuracies.iloc[-1]:.2f} % after {len(metrics)} epochs (best {accuracies.max():.2f} %), "
            f"{metrics['seconds'].mean():.3g} s per epoch; wrote {options.output}"
        )


def _run(options: argparse.Namespace) -> None:
    from nbnas.reproduce.notebook import parse_parameter, read_notebook, run_notebook

    notebook = read_notebook(options.notebook)
    parameters = {name: parse_parameter(notebook, name, text) for name, text in options.parameter}
    output = (options.output or Path(f"{options.notebook.stem}.out.ipynb")).absolute()
    # What it saves goes beside the output: the report must not take a run with other parameters for its own.
    os.environ.setdefault("NBNAS_REPORTS", str(output.with_suffix(".reports")))
    run_notebook(notebook, parameters, output)
    print(f"wrote {output}, tables and figures in {os.environ['NBNAS_REPORTS']}")


def _reproduce(options: argparse.Namespace) -> None:
    from nbnas.reproduce.run import reproduce

    reproduce(options.profile, options.device, options.items, options.workers)


def _report(options: argparse.Namespace) -> None:
    from nbnas.reproduce.profiles import profile_reports
    from nbnas.reproduce.report import build_report

    print(build_report(profile_reports(options.profile), options.profile))


def _sweep(options: argparse.Namespace) -> None:
    from nbnas.reproduce.sweep import sweep

    print(f"summary: {sweep(options.specification, options.workers)}")


def _exercises(_: argparse.Namespace) -> None:
    from nbnas.reproduce.exercises import make_exercises

    for name, what in make_exercises().items():
        reason = "" if what == "written" else ": you have worked in it; move it away for a fresh one"
        print(f"notebooks/exercises/{name} {what}{reason}")
