"""What another seed of the scores would have given, for a set that was scored completely with one seed."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nbnas.rankings.combining import CombinedRanking


def seed_deviations(
    method: CombinedRanking,
    first: pd.DataFrame,
    second: pd.DataFrame,
    groups: ArrayLike,
    accuracy: ArrayLike,
    statistics: Sequence[Callable[..., float]],
) -> list[float]:
    """Estimate the standard deviation over seeds of statistics (scores, accuracy) of a ranking of all architectures.

    ``first`` has the scores of all N architectures, and ``accuracy`` (N,) is in its order; ``second`` has the scores of
    n of them with another seed, and ``groups`` (n,) says which are the same network. Replacing the scores of a block of
    networks changes a statistic by d. Seeds are drawn independently for every network, so the variance of d is twice
    the block's share in that of the statistic: the estimate is sqrt(N / (2 n) sum d^2), here over up to 50 blocks.
    """
    labels = pd.factorize(np.asarray(groups))[0]
    block = np.random.default_rng(0).permutation(labels.max() + 1)[labels] % 50

    def measure(table: pd.DataFrame) -> np.ndarray:
        scores = method.rank(table)
        return np.array([statistic(scores, accuracy) for statistic in statistics])

    before, squares = measure(first), np.zeros(len(statistics))
    for number in np.unique(block):
        changed = first.copy()
        changed.loc[second.index[block == number], second.columns] = second[block == number]
        squares += (measure(changed) - before) ** 2
    return np.sqrt(len(first) / (2 * len(second)) * squares).tolist()
