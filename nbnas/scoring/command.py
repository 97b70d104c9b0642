"""The commands that score networks, and the list of what can score them."""

import argparse
from pathlib import Path

from nbnas.errors import NbnasError
from nbnas.machine.executors import add_worker_options, workers_of
from nbnas.proxies import list_proxies
from nbnas.scoring.plan import run_plan, scoring_plan
from nbnas.scoring.samples import sample_architectures
from nbnas.scoring.score_many import score_many
from nbnas.scoring.setting import Setting

STORE = "folder of score tables (default: data/scores)"


def add_scoring(commands: argparse._SubParsersAction) -> None:
    """Add ``nbnas score``, ``score-all`` and ``proxies``."""
    score = commands.add_parser("score", help="score many networks of a search space into the resumable store")
    score.add_argument("space", help="search space, e.g. nasbench201")
    score.add_argument("--dataset", default="cifar10", help="shape to score on (default: %(default)s)")
    score.add_argument("--proxies", nargs="+", default=["vkdnw"], metavar="NAME", help="names or glob patterns")
    score.add_argument("--archs", help="set of architectures (default: one of each distinct network)")
    score.add_argument("--sample", type=int, metavar="N", help="only the first N in the set's fixed random order")
    score.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="SEED")
    score.add_argument("--batch-size", type=int, default=64)
    score.add_argument("--inputs", default="gaussian", help="gaussian noise or images (default: %(default)s)")
    add_worker_options(score)
    score.add_argument("--store", type=Path, help=STORE)
    score.set_defaults(command=_score)
    everything = commands.add_parser("score-all", help="score all that the notebooks want, in rounds, resumable")
    add_worker_options(everything)
    everything.add_argument("--store", type=Path, help=STORE)
    everything.add_argument("--list", action="store_true", help="only say what would be scored")
    everything.set_defaults(command=_score_all)
    commands.add_parser("proxies", help="list the proxies").set_defaults(command=_proxies)


def _score(options: argparse.Namespace) -> None:
    if options.sample is not None and options.sample < 1:
        raise NbnasError(f"--sample must be at least 1, got {options.sample}")
    setting = Setting(options.space, options.dataset, options.batch_size, options.inputs)
    tables = score_many(
        sample_architectures(setting.space, options.archs, options.sample),
        options.proxies,
        setting,
        seeds=options.seeds,
        store=options.store,
        workers=workers_of(options),
        progress=not options.no_progress,
    )
    for name, rows in tables.items():
        statuses = ", ".join(f"{count} {status}" for status, count in rows["status"].value_counts().items())
        print(f"{name}: {len(rows)} rows ({statuses}), {rows['seconds'].mean():.3g} s per network")
    failed = sum(int(rows["status"].str.startswith("error").sum()) for rows in tables.values())
    if failed:
        raise NbnasError(f"{failed} rows ended in an error, see above; a rerun tries them again")


def _score_all(options: argparse.Namespace) -> None:
    if options.list:
        print("\n".join(map(str, scoring_plan(options.device))))
    else:
        run_plan(workers_of(options), store=options.store, progress=not options.no_progress)


def _proxies(_: argparse.Namespace) -> None:
    for row in list_proxies().itertuples():
        print(f"{row.Index:<18} {row.title}\n{'':<18} {row.formula}\n{'':<18} {row.paper}; cost: {row.cost}")
