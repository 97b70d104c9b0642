"""Model-driven rankings: a random forest learns accuracies of some networks and predicts those of the rest."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nbnas.errors import NbnasError
from nbnas.rankings.combining import worst_for_missing
from nbnas.seeding import derive_seed


@dataclass(frozen=True)
class ForestRanking:
    """Predictions for the networks that the forest did not learn from; rows are positions in the table, ascending."""

    train_rows: np.ndarray
    test_rows: np.ndarray
    predictions: np.ndarray
    """Predicted accuracy of ``test_rows`` in percent; the ranking is to be judged on these rows alone."""


def forest_ranking(
    features: pd.DataFrame | ArrayLike,
    accuracy: ArrayLike,
    *,
    train_size: int = 1024,
    trees: int = 300,
    seed: int = 0,
    groups: ArrayLike | None = None,
    jobs: int = 1,
) -> ForestRanking:
    """Fit a random forest to standardised features of ``train_size`` networks and predict the others.

    The training networks are those of scikit-learn's ``train_test_split`` with the seed as its random state, and all
    other settings of the forest are scikit-learn's. Before the split, infinities become the largest or smallest finite
    value of their column and NaN the smallest.

    Cells that are the same network train to nearly the same accuracy and share scores that are stored once. Split
    apart, the forest recalls an accuracy that it has seen. With ``groups``, the sorted labels are shuffled by the seed,
    and whole groups go to the training side in that order until it has ``train_size`` rows or more.

    Source: Tybl & Neumann, CVPR 2025 (``tybl2025vkdnw``), the rows of Table 1 marked m, for which ``groups`` was not
    used; published with 300 trees and the means of seeds 1 to 5. The published forests were not seeded, these are.

    Args:
        features: (n, d), a row per network.
        accuracy: (n,), in percent, in the same order; the index of a series plays no part.
        train_size: Number of networks to learn from, below n.
        trees: Number of trees.
        seed: Seed of the split and of the forest, from 0 to 2^32 - 1.
        groups: (n,) labels whose rows stay together, such as canonical forms.
        jobs: Threads that grow trees; -1 is one per core. The result does not depend on it.

    Raises:
        NbnasError: If scikit-learn is missing, a number is out of range, lengths differ, an accuracy is not finite, no
            row or group is left to predict, or a column is not numeric, has no finite value, or has values whose
            variance overflows.
    """
    try:
        from sklearn import ensemble, model_selection, preprocessing
    except ImportError as error:
        raise NbnasError("a model-driven ranking needs scikit-learn: run pip install 'nbnas[lab]'") from error
    table = _finite_table(features)
    accuracy = np.asarray(accuracy, dtype=float)
    if accuracy.shape != (len(table),):
        raise NbnasError(f"features have {len(table)} rows, accuracy has shape {accuracy.shape}")
    if not np.isfinite(accuracy).all():
        raise NbnasError(f"{int((~np.isfinite(accuracy)).sum())} of {len(accuracy)} accuracies are not finite")
    if not (1 <= train_size < len(table) and trees >= 1 and 0 <= seed < 2**32):
        raise NbnasError(
            f"a forest needs trees >= 1, 0 <= seed < 2^32 and 1 <= train_size < {len(table)}, the number of rows; "
            f"got trees={trees!r}, seed={seed!r}, train_size={train_size!r}"
        )
    if groups is None:
        # The published share of test rows, 1 - train_size / n, gives this split too, but for some n one row less.
        rows = np.arange(len(table))
        train_rows, _ = model_selection.train_test_split(rows, train_size=int(train_size), random_state=seed)
    else:
        train_rows = _whole_groups(groups, len(table), train_size, seed)
    is_training = np.zeros(len(table), dtype=bool)
    is_training[train_rows] = True

    with np.errstate(over="ignore", invalid="ignore"):  # Checked in the next lines.
        scaler = preprocessing.StandardScaler().fit(table[is_training])
    if not np.isfinite(scaler.scale_).all():
        names = _named(features, ~np.isfinite(scaler.scale_))
        raise NbnasError(f"the variance of {names} overflows; give the logarithm or the rank instead")
    random_state = derive_seed(seed, "forest") % 2**32
    forest = ensemble.RandomForestRegressor(n_estimators=trees, random_state=random_state, n_jobs=jobs)
    forest.fit(scaler.transform(table[is_training]), accuracy[is_training])
    # Several threads would add up the trees in a varying order, and the last bits decide ties.
    forest.set_params(n_jobs=1)
    # Trees compare in float32. Standardised training values are below sqrt(n), so every threshold is too, and a test
    # value beyond float32 falls on the same side of it as the largest float32.
    limit = np.finfo(np.float32).max
    predictions = forest.predict(scaler.transform(table[~is_training]).clip(-limit, limit))
    return ForestRanking(np.flatnonzero(is_training), np.flatnonzero(~is_training), predictions)


def _finite_table(features: pd.DataFrame | ArrayLike) -> np.ndarray:
    """Return the features as finite floats, (n, d)."""
    try:
        frame = pd.DataFrame(features)
    except ValueError as error:
        raise NbnasError(f"features must be a table of rows and columns, got shape {np.shape(features)}") from error
    if frame.empty:
        raise NbnasError(f"features have {frame.shape[0]} rows and {frame.shape[1]} columns; nothing to learn from")
    text = [not pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]
    if any(text):
        raise NbnasError(f"features must be numbers; not numeric: {_named(frame, text)}")
    table = pd.DataFrame(frame.to_numpy(dtype=float, na_value=np.nan))
    useless = ~np.isfinite(table).any()
    if useless.any():
        raise NbnasError(f"features without a finite value: {_named(frame, useless)}")
    return worst_for_missing(table).to_numpy()


def _whole_groups(groups: ArrayLike, rows: int, train_size: int, seed: int) -> np.ndarray:
    groups = np.asarray(groups)
    if groups.shape != (rows,):
        raise NbnasError(f"features have {rows} rows, groups has shape {groups.shape}")
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(derive_seed(seed, "groups")).permutation(len(sizes))
    taken = 1 + np.searchsorted(np.cumsum(sizes[order]), train_size)
    if taken == len(sizes):
        raise NbnasError(f"{rows} rows in {len(sizes)} groups leave none to predict beside {train_size} to learn from")
    return np.flatnonzero(np.isin(group, order[:taken]))


def _named(features: pd.DataFrame | ArrayLike, chosen: ArrayLike) -> str:
    """Name the chosen columns, the first few of many, on one line."""
    names = [repr(name) for name in pd.DataFrame(features).columns[np.asarray(chosen)]]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
