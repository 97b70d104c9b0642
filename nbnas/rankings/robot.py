"""RoBoT: weights of a sum of scores, learned from the accuracies of a few networks.

Scores are scaled to [0, 1]. A weight vector in [-1, 1]^k is as good as the accuracy of the network that its weighted
sum puts first; Bayesian optimisation looks for a good one. What is left of the budget of accuracies goes to the next
networks in the order of the best weights. Source: He et al., ICLR 2024 (key ``he2024robot``), and its released code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nbnas.errors import NbnasError

_EXPLORATION = 2.576
"""Deviations that the upper confidence bound adds to the mean."""
_CANDIDATES = 10_000


@dataclass(frozen=True)
class RobotResult:
    """What a run of RoBoT found; networks are their numbers in the table of scores."""

    weights: np.ndarray
    """(k,): the last evaluated weights among those of the best accuracy."""
    ranking: np.ndarray
    """All networks by these weights, best first."""
    queried: list[int]
    """Networks whose accuracy was asked, in that order."""
    best: int
    """Of these, the most accurate."""


def scale_scores(scores: pd.DataFrame) -> np.ndarray:
    """Return (n, k): each column scaled to [0, 1] over its numbers, a constant one as it is; missing scores are 0."""
    low, high = scores.min(), scores.max()
    varies = high > low
    return ((scores - low.where(varies, 0)) / (high - low).where(varies, 1)).fillna(0).to_numpy(dtype=float)


def order_by(scaled: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the networks by their weighted sums, best first; of equals, the last one comes first."""
    return np.argsort(scaled @ weights, kind="stable")[::-1]


def robot(
    scores: pd.DataFrame,
    accuracy: Callable[[int], float],
    budget: int = 20,
    seed: int = 0,
    weights: Sequence[Sequence[float]] | None = None,
) -> RobotResult:
    """Run RoBoT on n networks: ask the accuracies of ``budget`` of them, at most, and return the best.

    Args:
        scores: A row per network and a column per score, NaN where it is missing.
        accuracy: Gives the accuracy of a network by its number; called once for each.
        budget: Number of networks asked, and of weight vectors tried.
        seed: Of the optimisation.
        weights: Weight vectors to try instead of optimising.

    Raises:
        NbnasError: If the budget is not between 1 and n, or scikit-learn is missing.
    """
    if not 1 <= budget <= len(scores):
        raise NbnasError(f"budget must be between 1 and {len(scores)}, got {budget}")
    scaled, known = scale_scores(scores), {}

    def ask(network: int) -> float:
        if network not in known:
            known[network] = float(accuracy(network))
        return known[network]

    def first_of(candidate: np.ndarray) -> float:
        return ask(int(order_by(scaled, candidate)[0]))

    if weights is None:
        tried, targets = _explore(first_of, scaled.shape[1], budget, np.random.default_rng(seed))
    else:
        tried = [np.asarray(each, dtype=float) for each in weights]
        targets = [first_of(each) for each in tried]
    kept = tried[max(range(len(tried)), key=lambda number: (targets[number], number))]
    ranking = order_by(scaled, kept)
    for network in ranking:
        if len(known) < budget:
            ask(int(network))
    return RobotResult(kept, ranking, list(known), max(known, key=known.get))


def _explore(
    objective: Callable[[np.ndarray], float], scores: int, evaluations: int, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[float]]:
    """Maximise by an upper confidence bound: one random point, then proposals; return points and values."""
    try:
        from sklearn.gaussian_process import GaussianProcessRegressor, kernels
    except ImportError as error:
        raise NbnasError("RoBoT's optimisation needs scikit-learn: run pip install 'nbnas[lab]'") from error
    tried = [rng.uniform(-1, 1, scores)]
    targets = [objective(tried[0])]
    while len(tried) < evaluations:
        model = GaussianProcessRegressor(
            kernels.Matern(nu=2.5),
            alpha=1e-6,
            normalize_y=True,
            n_restarts_optimizer=5,
            random_state=int(rng.integers(2**31)),
        ).fit(np.stack(tried), targets)
        candidates = rng.uniform(-1, 1, (_CANDIDATES, scores))
        mean, deviation = model.predict(candidates, return_std=True)
        tried.append(candidates[np.argmax(mean + _EXPLORATION * deviation)])
        targets.append(objective(tried[-1]))
    return tried, targets
