"""The search that the options of ``nbnas search`` describe."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nbnas.errors import NbnasError
from nbnas.search.budget import Budget
from nbnas.search.candidate_scoring import NetworkScoring
from nbnas.search.evolution import SearchResult, evolve
from nbnas.search.presets import PRESETS
from nbnas.spaces import SPACES, SearchSpace, get_space


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
    space = get_space(preset.space if preset else options.target)
    arguments: dict[str, Any] = dict(preset.arguments) if preset else {}
    for name in ("strategy", "population", "steps", "duplicates", "in_flight"):
        if getattr(options, name) is not None:
            arguments[name] = getattr(options, name)
    if options.score is not None:
        arguments["score"] = options.score[0] if len(options.score) == 1 else options.score
    limits = {name: getattr(options, f"max_{name}") for name in ("params", "flops", "layers", "latency")}
    arguments["budget"] = Budget(
        **asdict(arguments.get("budget", Budget()))
        | {name: limit for name, limit in limits.items() if limit is not None}
    )
    arguments["scoring"] = _scoring(options, space, preset.scoring if preset else None)
    return evolve(
        space,
        **arguments,
        seed=options.seed,
        executor=options.executor,
        workers=options.workers,
        checkpoint=checkpoint,
        progress=not options.no_progress,
    )


def _scoring(options: argparse.Namespace, space: SearchSpace, published: Mapping[str, Any] | None) -> NetworkScoring:
    settings = asdict(NetworkScoring.of_dataset(space, options.dataset))
    # Another data set takes the place of the published inputs, but how networks are built stays.
    settings |= {name: value for name, value in (published or {}).items() if not options.dataset or name == "build"}
    batch, channels, height, width = settings["input_shape"]
    if options.resolution is not None:
        height = width = options.resolution
    settings["input_shape"] = (options.batch_size or batch, channels, height, width)
    if options.classes is not None:
        settings["num_classes"] = options.classes
    if options.device is not None:
        settings["device"] = options.device
    if options.inputs not in (None, "gaussian", "images"):
        raise NbnasError(f"--inputs must be gaussian or images, got {options.inputs!r}")
    if options.inputs == "gaussian":
        settings["images"] = None
    elif options.inputs == "images":
        settings["images"] = settings["images"] or options.dataset or next(iter(space.datasets))
    return NetworkScoring(**settings)
