"""The search that the options of ``nbnas search`` describe."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbnas.errors import NbnasError
from nbnas.machine.executors import Workers
from nbnas.scoring.setting import Setting
from nbnas.search.budget import Budget
from nbnas.search.evolution import SearchResult, evolve
from nbnas.search.presets import PRESETS
from nbnas.search.strategy import Evolution
from nbnas.spaces import SPACES


def run_search(options: argparse.Namespace, checkpoint: Path) -> SearchResult:
    """Run a published search with some arguments changed, or one put together from options.

    Raises:
        NbnasError: As :func:`nbnas.search.evolve`; also if the target is neither space nor search, or lacks a score.
    """
    preset = PRESETS.get(options.target)
    if preset is None and options.target not in SPACES:
        raise NbnasError(f"unknown target {options.target!r}; choose from {', '.join([*SPACES, *PRESETS])}")
    if preset is None and options.score is None:
        raise NbnasError(f"a search of {options.target} needs --score")
    score = options.score[0] if options.score and len(options.score) == 1 else options.score
    scoring = preset.scoring if preset else Setting(options.target)
    if options.dataset:  # It takes the place of the published inputs, but how networks are built stays.
        scoring = Setting(scoring.space, options.dataset, build=scoring.build)
    scoring = _changed(scoring, options, "batch_size", "inputs", "resolution", num_classes="classes")
    return evolve(
        scoring.space,
        score or preset.score,
        strategy=_changed(
            preset.strategy if preset else Evolution(),
            options,
            *("population", "duplicates", "in_flight"),
            kind="strategy",
        ),
        budget=_changed(
            preset.budget if preset else Budget(),
            options,
            **{name: f"max_{name}" for name in ("params", "flops", "layers", "latency")},
        ),
        steps=options.steps if options.steps is not None else preset.steps if preset else 1000,
        seed=options.seed,
        scoring=scoring,
        workers=Workers(options.executor, options.workers, options.device or "cpu"),
        checkpoint=checkpoint,
        progress=not options.no_progress,
    )


def _changed(published: Any, options: argparse.Namespace, *same: str, **renamed: str) -> Any:
    """Return a dataclass with those fields replaced whose option was given."""
    given = {field: getattr(options, option) for field, option in ({name: name for name in same} | renamed).items()}
    return replace(published, **{field: value for field, value in given.items() if value is not None})
