"""Evolutionary search, and random search to compare with."""

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from tqdm import tqdm

from nbnas.errors import NbnasError, first_line
from nbnas.machine.executors import Workers, describe_failure, open_executor
from nbnas.search.budget import Budget
from nbnas.search.candidate_scoring import (
    CandidateScorer,
    NetworkScoring,
    ScoreFunction,
    portable_space,
)
from nbnas.search.candidates import _Candidate, _Search, _Settings
from nbnas.search.checkpoint import Checkpoint
from nbnas.search.objective import Objective, as_objective
from nbnas.search.searchable import Searchable, space_name
from nbnas.spaces import get_space


@dataclass(frozen=True)
class SearchResult:
    """What a search found."""

    history: pd.DataFrame
    """A row per candidate in the order drawn, indexed by its number: ``arch``; ``parent``, the number of its parent, NA
    where it has none; ``draws``, how many architectures were drawn until one was within the budget and new; its costs
    and scores by name, NaN where one failed; ``status``, ``ok`` or the first other status of a score; ``latency`` in
    seconds where it is limited; ``seconds`` it took to score, ``time`` at which that was done (UTC); ``objective``,
    what the search maximises, ranks being those among the whole history."""
    ended: Literal["complete", "interrupted", "exhausted"]
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
    score: str | Sequence[str] | Objective | ScoreFunction,
    *,
    budget: Budget | None = None,
    population: int = 64,
    steps: int = 1000,
    seed: int = 0,
    strategy: str = "evolution",
    tournament: int = 10,
    start: str | None = None,
    initial: int | None = None,
    mutation: Mapping[str, Any] | None = None,
    start_mutation: Mapping[str, Any] | None = None,
    duplicates: str = "skip",
    count_rejected: bool = False,
    in_flight: int = 16,
    scoring: NetworkScoring | None = None,
    executor: Executor | str | None = None,
    workers: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> SearchResult:
    """Search a space for the architecture with the largest score.

    ``evolution`` mutates a parent drawn uniformly from the ``population`` best of everything seen so far, as the
    searches of ZenNAS, AZ-NAS, T-CET and VKDNW do. ``regularised_evolution`` (Real et al., AAAI 2019) mutates the best
    of ``tournament`` draws, with replacement, from the last ``population`` candidates. ``random`` samples.

    The trajectory depends on the arguments up to ``scoring``, not on the executor or its workers: candidate i is drawn
    from a random stream of its own, when all candidates but the ``in_flight`` - 1 before it have their scores.

    Ctrl-C returns what is there. With a checkpoint, nothing is lost to ``kill -9`` either but the candidates in flight,
    and the same call continues as if it had not been interrupted, also with more steps.

    >>> import nbnas
    >>> from nbnas.search import Budget, evolve
    >>> space = nbnas.get_space("nasbench201")
    >>> result = evolve(space, "params", budget=Budget(flops=50e6), population=8, steps=40, progress=False)
    >>> len(result.history), bool(result.history.flops.max() <= 50e6)
    (40, True)

    Args:
        space: Name of a space of this package, or any object with the methods of :class:`nbnas.search.Searchable`.
        score: What to maximise. Name of a score (see :func:`nbnas.list_proxies`), of a cost (``params``, ``flops``,
            ``layers``, as the budget counts them), or a combined ranking ``vkdnw_agg``, ``vkdnw_single``, ``az_nas``,
            ``te_nas``; several names, whose ranks among everything seen are multiplied; an
            :class:`~nbnas.search.Objective`; or a function of the architecture that returns a number, or several by
            name, whose ranks are multiplied.
        budget: Limits that every candidate keeps.
        population: Number of possible parents.
        steps: Number of candidates.
        seed: Seed of draws, weights and inputs.
        strategy: See above.
        tournament: For ``regularised_evolution``.
        start: Architecture from which the first candidates are mutated; ``None`` samples them.
        initial: Number of these; ``None`` is ``population``.
        mutation: Further arguments of the space's ``mutate``.
        start_mutation: The same for mutations of ``start``; ``None`` is ``mutation``.
        duplicates: ``skip`` mutates a network that was a candidate before further, until it is new (``random`` samples
            again); ``score`` scores it again with other weights and inputs, and keeps both, as the published searches
            do.
        count_rejected: Whether every draw is a step, also one above the budget or skipped.
        in_flight: Number of candidates being scored at a time. 1 is the published order, in which every candidate
            knows the scores of all before it, and leaves nothing to share between workers.
        scoring: Inputs, classes, device and build options for named scores; ``None`` is Gaussian noise, batch 64, in
            the shape of the space's first data set, or 3 x 32 x 32 and 10 classes where it has none.
        executor: ``None`` scores in this process, on one thread; else as for :func:`nbnas.score_many`.
        workers: Number of processes that the executor starts.
        checkpoint: File to write every scored candidate to, and to resume from.
        progress: Show a progress bar.

    Raises:
        NbnasError: If an argument is unusable, no architecture within the budget is found, workers die, the disk is
            full, or the checkpoint is of another search.
    """
    found = get_space(space) if isinstance(space, str) else space
    _check_objects(found, budget, scoring)
    if executor is None and workers is not None:
        raise NbnasError("workers need an executor, such as executor='processes'; without one this process scores")
    scoring = scoring or NetworkScoring.of_dataset(found)
    budget = budget or Budget()
    function = score if callable(score) else None
    objective = None if function else as_objective(score)
    if start is not None and hasattr(found, "normalise"):
        start = found.normalise(start)
    mutation = dict(mutation or {})
    settings = _Settings(
        population=population,
        seed=seed,
        strategy=strategy,
        tournament=tournament,
        start=start,
        initial=population if initial is None else initial,
        mutation=mutation,
        start_mutation=mutation if start_mutation is None else dict(start_mutation),
        duplicates=duplicates,
        count_rejected=count_rejected,
        in_flight=in_flight,
    )
    if steps < 1:
        raise NbnasError(f"steps must be at least 1, got {steps!r}")
    search = _Search(found, objective, budget, settings, scoring, steps)
    names = tuple(objective.scores) if objective else function
    scorer = CandidateScorer(portable_space(found), names, scoring, budget.latency)
    if isinstance(executor, str):
        _check_portable(scorer)
    configuration = {
        "space": space_name(found),
        "score": asdict(objective) if objective else _describe_function(function),
        "budget": asdict(budget),
        **asdict(settings),
        "scoring": asdict(scoring),
    }
    with ExitStack() as stack:
        opened: Executor = _ThisProcess()
        if executor is not None:
            used = Workers(executor, workers, scoring.device)
            opened, _ = stack.enter_context(open_executor(used, in_flight, "nbnas.search.candidate_scoring"))
        saved = stack.enter_context(Checkpoint(Path(checkpoint), configuration)) if checkpoint is not None else None
        bar = stack.enter_context(tqdm(total=steps, unit="draw" if count_rejected else "net", disable=not progress))
        ended = _run(search, scorer, opened, saved, in_flight, bar)
    return SearchResult(search.history(), ended)


def _run(
    search: _Search,
    scorer: CandidateScorer,
    executor: Executor,
    checkpoint: Checkpoint | None,
    in_flight: int,
    bar: tqdm,
) -> Literal["complete", "interrupted", "exhausted"]:
    """Take steps until there is no further candidate; returns how the search ended."""
    logged = checkpoint.rows if checkpoint else {}
    window: deque[tuple[_Candidate, Future]] = deque()
    unwritten: dict[Future, _Candidate] = {}
    try:
        while True:
            while len(window) < in_flight:
                candidate = search.next_candidate(logged.get(search.drawn))
                if candidate is None:
                    break
                future = _finished(logged[candidate.number]) if candidate.number in logged else None
                if future is None:
                    future = executor.submit(scorer, candidate.arch, search.score_seed(candidate))
                    unwritten[future] = candidate
                    if future.done():
                        _write([future], unwritten, checkpoint)
                window.append((candidate, future))
            if not window:
                return "complete" if search.complete else "exhausted"
            candidate, future = window[0]
            while future in unwritten:
                # What is done is written at once, also if an older candidate must be taken in before.
                done, _ = wait(unwritten, return_when=FIRST_COMPLETED)
                _write(done, unwritten, checkpoint)
            search.take_in(candidate, future.result())
            window.popleft()
            bar.update(candidate.draws if search.count_rejected else 1)
    except KeyboardInterrupt:
        # In this process, a whole window is scored before its first candidate is taken in.
        for candidate, future in window:
            if future in unwritten:
                break
            if candidate.number == search.taken_in:
                search.take_in(candidate, future.result())
        return "interrupted"
    except Exception as error:
        failure = describe_failure(error)
        if failure is None:
            raise
        kept = "those are kept, rerun to continue" if checkpoint else "a checkpoint would have kept them"
        raise NbnasError(f"{failure} after {search.taken_in} candidates; {kept}") from error
    finally:
        for future in unwritten:
            future.cancel()


def _write(done: Iterable[Future], unwritten: dict[Future, _Candidate], checkpoint: Checkpoint | None) -> None:
    """Write finished candidates to the checkpoint, and only then raise what befell another."""
    for future in sorted(done, key=lambda future: future.cancelled() or future.exception() is not None):
        row = future.result()
        candidate = unwritten.pop(future)
        if checkpoint is not None:
            drawn = {name: getattr(candidate, name) for name in ("arch", "parent", "draws", "costs")}
            checkpoint.append(candidate.number, drawn | row)


def _finished(row: Mapping[str, Any]) -> Future:
    future: Future = Future()
    future.set_result(row)
    return future


class _ThisProcess(Executor):
    """Scores a candidate when it is submitted."""

    def submit(self, function: Callable, *arguments: Any) -> Future:
        return _finished(function(*arguments))


def _check_objects(space: Searchable, budget: Budget | None, scoring: NetworkScoring | None) -> None:
    # A class has the methods too, but they want an object.
    if isinstance(space, type) or not all(callable(getattr(space, name, None)) for name in ("sample", "mutate")):
        raise NbnasError(f"space must be a name or an object that can sample and mutate, got {space!r}")
    for name, argument, kind in (("budget", budget, Budget), ("scoring", scoring, NetworkScoring)):
        if argument is not None and not isinstance(argument, kind):
            raise NbnasError(f"{name} must be an object of {kind.__name__}, got {argument!r}")


def _check_portable(scorer: CandidateScorer) -> None:
    try:
        pickle.dumps(scorer)
    except Exception as error:
        raise NbnasError(
            f"space and score function cannot be sent to other processes, define them in a module: {first_line(error)}"
        ) from error


def _describe_function(function: ScoreFunction) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
