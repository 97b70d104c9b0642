"""The command ``nbnas search``."""

import argparse
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from nbnas.errors import NbnasError
from nbnas.machine.executors import add_worker_options, workers_of
from nbnas.machine.replace_file import replace_file
from nbnas.scoring.setting import Setting
from nbnas.search.evolution import SearchResult, as_ranking, evolve
from nbnas.search.presets import PRESETS, Preset
from nbnas.search.strategy import COSTS, Budget, Evolution
from nbnas.spaces import SPACES


def add_search(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    search = commands.add_parser("search", help="search a space for the best network within a budget, resumable")
    search.add_argument("target", help="search space, e.g. zen_resnet, or published search, see --list", nargs="?")
    search.add_argument("--list", action="store_true", help="only list the published searches")
    search.add_argument("--score", nargs="+", metavar="NAME", help="scores whose ranks are multiplied, or vkdnw_agg")
    for name in COSTS:
        search.add_argument(f"--max-{name}", dest=name, type=float, metavar="N", help=f"largest number of {name}")
    search.add_argument("--max-latency", dest="latency", type=float, metavar="SECONDS", help="of one image")
    search.add_argument("--strategy", dest="kind", help="evolution (default), regularised_evolution or random")
    search.add_argument("--population", type=int, metavar="N", help="possible parents (default: 64)")
    search.add_argument("--steps", type=int, metavar="N", help="candidates (default: 1000)")
    search.add_argument("--seed", type=int, default=0)
    search.add_argument("--duplicates", help="skip (default), or score them again")
    search.add_argument("--in-flight", type=int, metavar="N", help="candidates scored at a time (default: 16)")
    search.add_argument("--dataset", help="shape to score on (default: the first of the space)")
    search.add_argument("--resolution", type=int, metavar="PIXELS", help="in place of the data set's")
    search.add_argument("--classes", dest="num_classes", type=int, metavar="N", help="in place of the data set's")
    search.add_argument("--batch-size", type=int, metavar="N", help="(default: 64)")
    search.add_argument("--inputs", help="gaussian noise (default) or images of the data set")
    add_worker_options(search)
    search.add_argument("--checkpoint", type=Path, metavar="FILE", help="(default: TARGET-seedN.search here)")
    search.add_argument("--history", type=Path, metavar="FILE.csv", help="table of all candidates to write at the end")
    search.set_defaults(command=_search)


def _search(options: argparse.Namespace) -> None:
    if options.list:
        print("\n".join(f"{name:<26} {preset.description}" for name, preset in PRESETS.items()))
        return
    if options.target is None:
        raise NbnasError("name a search space, or a published search as listed by --list")
    checkpoint = options.checkpoint or Path(f"{options.target}-seed{options.seed}.search")
    if options.history:  # Now, lest the search end with a folder that is not there.
        options.history.parent.mkdir(parents=True, exist_ok=True)
    result = _run(options, checkpoint)
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


def _run(options: argparse.Namespace, checkpoint: Path) -> SearchResult:
    """Run a published search with some arguments changed, or one put together from options."""
    target = options.target
    if target in PRESETS:
        preset = PRESETS[target]
    elif target not in SPACES:
        raise NbnasError(f"unknown target {target!r}; choose from {', '.join([*SPACES, *PRESETS])}")
    elif options.score is None:
        raise NbnasError(f"a search of {target} needs --score")
    else:
        preset = Preset("", as_ranking(options.score), Setting(target), Evolution(), Budget(), 1000)
    scoring = preset.scoring
    if options.dataset:  # It takes the place of the published inputs, but how networks are built stays.
        sizes = {"resolution": options.resolution, "num_classes": options.num_classes}
        scoring = Setting(scoring.space, options.dataset, build=scoring.build, **sizes)
    parts = {"strategy": preset.strategy, "budget": preset.budget, "scoring": scoring}
    settings = {name: _changed(part, options) for name, part in parts.items()}
    settings["steps"] = preset.steps if options.steps is None else options.steps
    settings |= {"seed": options.seed, "workers": workers_of(options), "progress": not options.no_progress}
    return evolve(scoring.space, options.score or preset.score, checkpoint=checkpoint, **settings)


def _changed(published: Any, options: argparse.Namespace) -> Any:
    """Return a dataclass with those fields replaced that were given as options."""
    given = {field.name: getattr(options, field.name, None) for field in fields(published)}
    return replace(published, **{name: value for name, value in given.items() if value is not None})
