"""Evolutionary search, and random search to compare with."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from tqdm import tqdm

from nbnas.errors import NbnasError, first_line
from nbnas.machine.append_log import AppendLog
from nbnas.machine.executors import Workers, describe_failure, failed, open_executor, packed
from nbnas.proxies.registry import select_proxies
from nbnas.rankings import CombinedRanking
from nbnas.rankings.published import RANKINGS
from nbnas.scoring.given_inputs import usable_device
from nbnas.scoring.setting import Setting
from nbnas.search.candidates import CandidateScorer, Row, ScoreFunction, Trajectory
from nbnas.search.checkpoint import open_checkpoint
from nbnas.search.strategy import COSTS, Budget, Evolution, Searchable

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
        """The architecture with the largest objective, of equal ones the oldest; raises :class:`NbnasError` if none."""
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
    """Search a space for the architecture with the largest score, among ``steps`` candidates that keep the budget.

    The trajectory depends on the arguments up to ``scoring`` and not on the workers: candidate i is drawn from a random
    stream of its own, when all candidates but the ``in_flight`` - 1 before it have their scores. ``seed`` decides
    draws, weights and inputs.

    Ctrl-C returns what is there. With a ``checkpoint``, the file of all scored candidates, even ``kill -9`` loses only
    the candidates in flight, and the same call continues as if it had not been interrupted, also with more steps.

    ``space`` is a name, or any object with the methods of :class:`nbnas.search.Searchable`. ``score`` is the name of a
    score (see :func:`nbnas.list_proxies`), of a cost (``params``, ``flops``, ``layers``, as the budget counts them), or
    of one of :data:`nbnas.rankings.published.RANKINGS`, such as ``vkdnw_agg``; several names, whose ranks among
    everything seen are multiplied; a :class:`~nbnas.rankings.CombinedRanking`; or a function of the architecture that
    returns a number, or several by name, whose ranks are multiplied. ``scoring`` has inputs, classes and build options
    for named scores, of the same space; ``None`` is ``Setting(space)``. ``workers`` say where to score; without an
    executor it is this process, on one thread.

    Raises :class:`NbnasError` if an argument is unusable, no architecture within the budget is found, workers die, the
    disk is full, or the checkpoint is of another search.

    >>> import nbnas
    >>> from nbnas.search import Budget, Evolution, evolve
    >>> small = Evolution(population=8)
    >>> result = evolve("nasbench201", "params", strategy=small, budget=Budget(flops=50e6), steps=40, progress=False)
    >>> len(result.history), bool(result.history.flops.max() <= 50e6)
    (40, True)
    """
    own = Setting(space)
    strategy, budget = strategy or Evolution(), budget or Budget()
    scoring, workers = scoring or own, workers or Workers()
    _check(own.space, strategy, budget, scoring, workers, steps)
    objective = CombinedRanking(()) if callable(score) else as_ranking(score)
    trajectory = Trajectory(scoring, objective, budget, strategy.completed(own.space), seed, steps)
    names = tuple(name for name in objective.scores if name not in COSTS)
    scorer = CandidateScorer(score if callable(score) else names, scoring, seed, workers.device, budget.latency)
    opening, keeping = nullcontext((None, None)), nullcontext(({}, None))
    if isinstance(workers.executor, str):
        try:
            packed(scorer)
        except Exception as error:
            needed = "space and score function cannot be sent to other processes, define them in a module"
            raise NbnasError(f"{needed}: {first_line(error)}") from error
    if workers.executor is not None:
        opening = open_executor(workers, strategy.in_flight, "nbnas.search.candidates")
    if checkpoint is not None:
        keeping = open_checkpoint(Path(checkpoint), _record(trajectory, score, workers.device))
    unit = "draw" if strategy.count_rejected else "net"
    with opening as (executor, _), keeping as (logged, log), tqdm(total=steps, unit=unit, disable=not progress) as bar:
        ended = _run(trajectory, scorer, executor, logged, log, bar)
    return SearchResult(trajectory.history(), ended)


def as_ranking(score: str | Sequence[str] | CombinedRanking) -> CombinedRanking:
    """Return the ranking that a user's ``score`` stands for; :class:`NbnasError` if a name is unknown or none given."""
    ranking = score
    if not isinstance(score, CombinedRanking):
        names = [score] if isinstance(score, str) else list(score) if isinstance(score, Iterable) else []
        if not names or not all(isinstance(name, str) for name in names):
            raise NbnasError(f"score must name at least one score, got {score!r}")
        single = RANKINGS.get(names[0]) if len(names) == 1 else None
        ranking = single or CombinedRanking.of(*names)
    for name in set(ranking.scores) - set(COSTS):
        known = [each for proxy in select_proxies(name) for each in proxy.info.scores]
        if name not in known:
            raise NbnasError(f"{name!r} names a proxy with several scores; name one of them, such as {known[0]!r}")
    return ranking


def _run(
    trajectory: Trajectory,
    scorer: CandidateScorer,
    executor: Executor | None,
    logged: Mapping[int, Row],
    log: AppendLog | None,
    bar: tqdm,
) -> Ending:
    """Take steps until there is no further candidate, or Ctrl-C."""
    strategy = trajectory.strategy
    waiting: deque[tuple[Row, int]] = deque()
    running: dict[Future, Row] = {}

    def finish(row: Row, scores: Row) -> None:
        row.update(scores)
        if log is not None:
            log.append(row)

    try:
        while True:
            while len(waiting) < strategy.in_flight and not trajectory.complete:
                row = logged.get(trajectory.drawn) or trajectory.draw()
                if row is None:
                    break
                occurrence = trajectory.add(row)
                waiting.append((row, occurrence))
                if executor is not None and "status" not in row:
                    running[executor.submit(scorer, row["arch"], occurrence)] = row
            if not waiting:
                return "complete" if trajectory.complete else "exhausted"
            oldest, occurrence = waiting.popleft()
            if executor is None and "status" not in oldest:
                finish(oldest, scorer(oldest["arch"], occurrence))
            while "status" not in oldest:
                # What is done is written at once, before older candidates are done, and before an error ends it.
                for future in sorted(wait(running, return_when=FIRST_COMPLETED).done, key=failed):
                    finish(running.pop(future), future.result())
            trajectory.take_in(oldest)
            bar.update(oldest["draws"] if strategy.count_rejected else 1)
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
    space: Searchable, strategy: Evolution, budget: Budget, scoring: Setting, workers: Workers, steps: int
) -> None:
    """Raise :class:`NbnasError` for what no search can use."""
    kinds = {"strategy": Evolution, "budget": Budget, "scoring": Setting, "workers": Workers}
    for (name, kind), argument in zip(kinds.items(), (strategy, budget, scoring, workers), strict=True):
        if not isinstance(argument, kind):
            raise NbnasError(f"{name} must be an object of {kind.__name__}, got {argument!r}")
    # A class has the methods too, but they want an object.
    if isinstance(space, type) or not all(callable(getattr(space, name, None)) for name in ("sample", "mutate")):
        raise NbnasError(f"space must be a name or an object that can sample and mutate, got {space!r}")
    if scoring.space is not space:
        raise NbnasError(f"scoring is of the space {scoring.space_name}, which is not the one to search")
    if steps < 1:
        raise NbnasError(f"steps must be at least 1, got {steps!r}")
    if workers.executor is None and workers.number is not None:
        raise NbnasError("workers need an executor, such as executor='processes'; without one this process scores")
    usable_device(workers.device)
    scoring.images()  # Before any worker starts: here a missing folder is one clear line.


def _record(trajectory: Trajectory, score: Any, device: str) -> dict[str, Any]:
    """Return all that decides the trajectory as plain values, in the form in which checkpoints hold it."""
    function = f"{getattr(score, '__module__', '')}.{getattr(score, '__qualname__', type(score).__qualname__)}"
    setting, drawing = trajectory.setting, asdict(trajectory.strategy)
    scoring = {"input_shape": setting.input_shape, "num_classes": setting.shape.num_classes}
    scoring["images"] = setting.dataset if setting.inputs == "images" else None
    scoring |= {"device": device, "build": dict(setting.build)}
    record = {"space": setting.space_name, "score": function if callable(score) else asdict(trajectory.objective)}
    record |= {"budget": asdict(trajectory.budget), "strategy": drawing.pop("kind"), **drawing}
    return record | {"seed": trajectory.seed, "scoring": scoring}
