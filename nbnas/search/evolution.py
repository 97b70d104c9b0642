"""Evolutionary search, and random search to compare with."""

import pickle
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from tqdm import tqdm

from nbnas.errors import NbnasError, first_line
from nbnas.machine.append_log import AppendLog
from nbnas.machine.executors import Workers, describe_failure, open_executor
from nbnas.machine.window import failed
from nbnas.proxies.registry import select_proxies
from nbnas.rankings import CombinedRanking
from nbnas.rankings.published import RANKINGS
from nbnas.scoring.score import usable_device
from nbnas.scoring.setting import Setting
from nbnas.search.budget import Budget
from nbnas.search.candidate_scoring import CandidateScorer, ScoreFunction
from nbnas.search.candidates import Candidate, Trajectory
from nbnas.search.checkpoint import open_checkpoint
from nbnas.search.searchable import COSTS, Searchable
from nbnas.search.strategy import Evolution
from nbnas.spaces import get_space

Ending = Literal["complete", "interrupted", "exhausted"]


@dataclass(frozen=True)
class SearchResult:
    """What a search found."""

    history: pd.DataFrame
    """A row per candidate in the order drawn, indexed by its number: ``arch``; ``parent``, the number of its parent, NA
    where it has none; ``draws``, how many architectures were drawn until one was within the budget and new; its costs
    and scores by name, NaN where one failed; ``status``, ``ok`` or the first other status of a score; ``latency`` in
    seconds where it is limited; ``seconds`` it took to score, ``time`` at which that was done (UTC); ``objective``,
    what the search maximises, ranks being those among the whole history."""
    ended: Ending
    """Whether the search took all its steps, was stopped by Ctrl-C, or found no further candidates."""

    @property
    def best(self) -> str:
        """The architecture with the largest objective, of equal ones the oldest.

        Raises:
            NbnasError: If no candidate has one.
        """
        if not self.history["objective"].notna().any():
            raise NbnasError("no candidate of the search has a score")
        return str(self.history.loc[self.history["objective"].idxmax(), "arch"])


def evolve(
    space: Searchable | str,
    score: str | Sequence[str] | CombinedRanking | ScoreFunction,
    *,
    strategy: Evolution | None = None,
    budget: Budget | None = None,
    steps: int = 1000,
    seed: int = 0,
    scoring: Setting | None = None,
    workers: Workers | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> SearchResult:
    """Search a space for the architecture with the largest score.

    The trajectory depends on the arguments up to ``scoring`` and not on the workers: candidate i is drawn from a random
    stream of its own, when all candidates but the ``in_flight`` - 1 before it have their scores.

    Ctrl-C returns what is there. With a checkpoint, even ``kill -9`` loses nothing but the candidates in flight, and
    the same call continues as if it had not been interrupted, also with more steps.

    >>> import nbnas
    >>> from nbnas.search import Budget, Evolution, evolve
    >>> small = Evolution(population=8)
    >>> result = evolve("nasbench201", "params", strategy=small, budget=Budget(flops=50e6), steps=40, progress=False)
    >>> len(result.history), bool(result.history.flops.max() <= 50e6)
    (40, True)

    Args:
        space: Name of a space of this package, or any object with the methods of :class:`nbnas.search.Searchable`.
        score: What to maximise. Name of a score (see :func:`nbnas.list_proxies`), of a cost (``params``, ``flops``,
            ``layers``, as the budget counts them), or of one of :data:`nbnas.rankings.published.RANKINGS`, such as
            ``vkdnw_agg``; several names, whose ranks among everything seen are multiplied; a
            :class:`~nbnas.rankings.CombinedRanking`; or a function of the architecture that returns a number, or
            several by name, whose ranks are multiplied.
        strategy: How candidates are drawn; ``None`` is ``Evolution()``.
        budget: Limits that every candidate keeps.
        steps: Number of candidates.
        seed: Seed of draws, weights and inputs.
        scoring: Inputs, classes and build options for named scores, of the same space; ``None`` is ``Setting(space)``.
        workers: Where to score; without an executor in this process, on one thread.
        checkpoint: File to write every scored candidate to, and to resume from.
        progress: Show a progress bar.

    Raises:
        NbnasError: If an argument is unusable, no architecture within the budget is found, workers die, the disk is
            full, or the checkpoint is of another search.
    """
    strategy, budget, workers = strategy or Evolution(), budget or Budget(), workers or Workers()
    scoring = scoring or Setting(space)
    _check(space, strategy, budget, scoring, workers, steps)
    strategy = strategy.completed(scoring.space)
    objective = None if callable(score) else as_ranking(score)
    names = tuple(name for name in objective.scores if name not in COSTS) if objective else score
    scorer = CandidateScorer(names, scoring, seed, workers.device, budget.latency)
    if isinstance(workers.executor, str):
        _check_portable(scorer)
    trajectory = Trajectory(scoring, objective, budget, strategy, seed, steps)
    with ExitStack() as stack:
        executor = None
        if workers.executor is not None:
            opening = open_executor(workers, strategy.in_flight, "nbnas.search.candidate_scoring")
            executor, _ = stack.enter_context(opening)
        rows, log = {}, None
        if checkpoint is not None:
            record = _record(objective or score, budget, strategy, scoring, seed, workers.device)
            rows, log = stack.enter_context(open_checkpoint(Path(checkpoint), record))
        unit = "draw" if strategy.count_rejected else "net"
        bar = stack.enter_context(tqdm(total=steps, unit=unit, disable=not progress))
        ended = _run(trajectory, scorer, executor, rows, log, bar)
    return SearchResult(trajectory.history(), ended)


def as_ranking(score: str | Sequence[str] | CombinedRanking) -> CombinedRanking:
    """Return the ranking that a user's ``score`` stands for.

    Raises:
        NbnasError: If a name is unknown or there is none.
    """
    if isinstance(score, str):
        ranking = RANKINGS.get(score) or CombinedRanking.of(score)
    elif isinstance(score, CombinedRanking):
        ranking = score
    else:
        names = list(score) if isinstance(score, Iterable) else []
        if not names or not all(isinstance(name, str) for name in names):
            raise NbnasError(f"score must name at least one score, got {score!r}")
        ranking = CombinedRanking.of(*names)
    for name in set(ranking.scores) - set(COSTS):
        proxies = select_proxies(name)
        if not any(name in proxy.info.scores for proxy in proxies):
            first = proxies[0].info.scores[0]
            raise NbnasError(f"{name!r} names a proxy with several scores; name one of them, such as {first!r}")
    return ranking


def _run(
    trajectory: Trajectory,
    scorer: CandidateScorer,
    executor: Executor | None,
    rows: dict[int, dict[str, Any]],
    log: AppendLog | None,
    bar: tqdm,
) -> Ending:
    """Take steps until there is no further candidate; ``rows`` are those of the checkpoint."""
    strategy = trajectory.strategy
    drawn: deque[Candidate] = deque()
    running: dict[Future, Candidate] = {}

    def keep(candidate: Candidate, row: dict[str, Any]) -> None:
        rows[candidate.number] = row
        if log is not None:
            about = {name: getattr(candidate, name) for name in ("number", "arch", "parent", "draws", "costs")}
            log.append(about | row)

    try:
        while True:
            while len(drawn) < strategy.in_flight:
                candidate = trajectory.next_candidate(rows.get(trajectory.drawn))
                if candidate is None:
                    break
                drawn.append(candidate)
                if executor is not None and candidate.number not in rows:
                    running[executor.submit(scorer, candidate.arch, candidate.occurrence)] = candidate
            if not drawn:
                return "complete" if trajectory.complete else "exhausted"
            oldest = drawn[0]
            while oldest.number not in rows:
                if executor is None:
                    keep(oldest, scorer(oldest.arch, oldest.occurrence))
                    break
                # What is done is written at once, before an error ends it, and before older candidates are done.
                for future in sorted(wait(running, return_when=FIRST_COMPLETED).done, key=failed):
                    keep(running.pop(future), future.result())
            trajectory.take_in(drawn.popleft(), rows.pop(oldest.number))
            bar.update(oldest.draws if strategy.count_rejected else 1)
    except KeyboardInterrupt:
        return "interrupted"
    except Exception as error:
        failure = describe_failure(error)
        if failure is None:
            raise
        kept = "those are kept, rerun to continue" if log else "a checkpoint would have kept them"
        raise NbnasError(f"{failure} after {len(trajectory.rows)} candidates; {kept}") from error
    finally:
        for future in running:
            future.cancel()


def _check(
    space: Searchable | str, strategy: Evolution, budget: Budget, scoring: Setting, workers: Workers, steps: int
) -> None:
    """Raise :class:`NbnasError` for what no search can use."""
    for name, argument, kind in (
        ("strategy", strategy, Evolution),
        ("budget", budget, Budget),
        ("scoring", scoring, Setting),
        ("workers", workers, Workers),
    ):
        if not isinstance(argument, kind):
            raise NbnasError(f"{name} must be an object of {kind.__name__}, got {argument!r}")
    # A class has the methods too, but they want an object.
    found = scoring.space
    if isinstance(found, type) or not all(callable(getattr(found, name, None)) for name in ("sample", "mutate")):
        raise NbnasError(f"space must be a name or an object that can sample and mutate, got {found!r}")
    if found is not (get_space(space) if isinstance(space, str) else space):
        raise NbnasError(f"scoring is of the space {scoring.space_name}, which is not the one to search")
    if steps < 1:
        raise NbnasError(f"steps must be at least 1, got {steps!r}")
    if workers.executor is None and workers.number is not None:
        raise NbnasError("workers need an executor, such as executor='processes'; without one this process scores")
    usable_device(workers.device)
    scoring.images()  # Before any worker starts: here a missing folder is one clear line.


def _check_portable(scorer: CandidateScorer) -> None:
    try:
        pickle.dumps(scorer)
    except Exception as error:
        raise NbnasError(
            f"space and score function cannot be sent to other processes, define them in a module: {first_line(error)}"
        ) from error


def _record(
    score: CombinedRanking | ScoreFunction,
    budget: Budget,
    strategy: Evolution,
    scoring: Setting,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """Return all that decides the trajectory as plain values, in the form in which checkpoints hold it."""
    if isinstance(score, CombinedRanking):
        maximised = asdict(score)
    else:
        name = getattr(score, "__qualname__", type(score).__qualname__)
        maximised = f"{getattr(score, '__module__', '')}.{name}"
    drawing = asdict(strategy)
    return {
        "space": scoring.space_name,
        "score": maximised,
        "budget": asdict(budget),
        "strategy": drawing.pop("kind"),
        **drawing,
        "seed": seed,
        "scoring": {
            "input_shape": scoring.input_shape,
            "num_classes": scoring.shape.num_classes,
            "images": scoring.dataset if scoring.inputs == "images" else None,
            "device": device,
            "build": dict(scoring.build),
        },
    }
