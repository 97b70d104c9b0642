"""Processor time of a search's step without scoring, at 1,000, 10,000 and 100,000 networks seen; run by ``make bench``.

The search is ``vkdnw_mbv2`` with made-up scores: 1,023 parents, five terms, one candidate at a time. A step is all that
happens between two scorings: ranks, the choice of a parent, mutations until the budget is kept, counts. Beside it the
ranking alone, and a ranking of everything anew.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from nbnas.machine.append_log import AppendLog
from nbnas.machine.provenance import describe_device
from nbnas.rankings import aggregate_ranks
from nbnas.search import get_preset
from nbnas.search.population import Population

SEEN = (1_000, 10_000, 100_000)
STEPS = 1_000
"""Steps around each of these that are timed."""

TERMS = 5


def made_up_scores(rng: np.random.Generator, count: int) -> np.ndarray:
    """Scores (count, terms) that agree a little, as those of the search do."""
    return rng.normal(size=(count, TERMS)) + rng.normal(size=(count, 1))


def time_step(scores: np.ndarray, seen: int, folder: Path) -> float:
    """Return the median seconds of a step of a search that is resumed with so many networks seen."""
    preset, names = get_preset("vkdnw_mbv2"), [f"term {term}" for term in range(TERMS)]
    remaining, entered, left = iter(scores[seen:].tolist()), [], []

    def score(arch: str) -> dict[str, float]:
        entered.append(time.process_time())
        values = dict(zip(names, next(remaining), strict=True))
        left.append(time.process_time())
        return values

    # A short search gives the architectures of the long one, so that parents are like those it would have.
    path = folder / f"{seen}.search"
    archs = preset.run(score=score, steps=STEPS, progress=False, checkpoint=path).history
    log, remaining = AppendLog(path), iter(scores[seen:].tolist())
    for number in range(STEPS, seen):
        row = {name: archs[name].iloc[number % STEPS] for name in ("arch", "status", "seconds", "time")}
        costs = dict.fromkeys(("params", "flops", "layers"), 0.0)
        values = dict(zip(names, scores[number].tolist(), strict=True))
        log.append({"number": number, "parent": None, "draws": 1, "costs": costs, "values": values, **row})
    log.close()
    entered.clear()
    left.clear()
    preset.run(score=score, steps=seen + STEPS, progress=False, checkpoint=path)
    return float(np.median(np.subtract(entered[1:], left[:-1])))


def time_ranking(scores: np.ndarray) -> dict[int, float]:
    """Networks seen -> mean seconds of an insertion, looks at former members included."""
    population = Population(get_preset("vkdnw_mbv2").strategy.population)
    times = {}
    for number, row in enumerate(scores.tolist()):
        if number in SEEN:
            start = time.process_time()
        population.insert(number, [(value,) for value in row])
        if number - STEPS in SEEN:
            times[number - STEPS] = (time.process_time() - start) / STEPS
    return times


def time_ranking_anew(scores: np.ndarray) -> dict[int, float]:
    """Networks seen -> median seconds of ranking them all."""
    times = {}
    for seen in SEEN:
        taken = []
        for _ in range(5):
            start = time.process_time()
            np.argsort(aggregate_ranks(scores[:seen].T))
            taken.append(time.process_time() - start)
        times[seen] = statistics.median(taken)
    return times


def main() -> None:
    """Print milliseconds, and ratios to those at the smallest number of networks."""
    print(f"{describe_device('cpu')}; vkdnw_mbv2 without scoring, milliseconds (ratio to {SEEN[0]:,} seen)", flush=True)
    scores = made_up_scores(np.random.default_rng(0), SEEN[-1] + STEPS + 1)
    with tempfile.TemporaryDirectory() as folder:
        steps = {seen: time_step(scores, seen, Path(folder)) for seen in SEEN}
    print(f"{'':<22}" + "".join(f"{f'{seen:,} seen':>22}" for seen in SEEN))
    for title, times in {
        "whole step": steps,
        "ranking": time_ranking(scores),
        "ranking anew": time_ranking_anew(scores),
    }.items():
        cells = [f"{1e3 * times[seen]:.3f} ({times[seen] / times[SEEN[0]]:.2f})" for seen in SEEN]
        print(f"{title:<22}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
