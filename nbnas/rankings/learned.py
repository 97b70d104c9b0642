"""Model-driven rankings: a random forest learns accuracies of some networks and predicts those of the rest.

Source: Tybl & Neumann, CVPR 2025 (``tybl2025vkdnw``), the rows of Table 1 marked m.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nbnas.benchmarks.benchmark import Benchmark
from nbnas.errors import NbnasError
from nbnas.rankings import Estimate, kendall_tau, ndcg, spearman_rho, worst_for_missing
from nbnas.rankings.evaluation import metric_rows, missing
from nbnas.rankings.graph_features import PUBLISHED_FAMILIES, graph_feature_table
from nbnas.rankings.whole_set import whole_set_estimates
from nbnas.scoring.architecture_scores import ArchitectureScores, load_architecture_scores
from nbnas.seeding import derive_seed
from nbnas.spaces import get_space

VKDNW_FEATURES = (*(f"vkdnw_decile_{decile}" for decile in range(1, 10)), "trainable_layers", "flops")
"""Deciles of the Fisher spectrum and the size of the network; their entropy is not among them."""
ZERO_COST_FEATURES = (
    *("az_expressivity", "az_progressivity", "az_trainability", "jacov", "gradsign", "zico", "zen", "grad_norm"),
    *("naswot", "synflow", "snip", "grasp", "te_nas_ntk", "te_nas_linear_regions"),
)
"""Scores by other methods."""


class Model(NamedTuple):
    """What a forest learns from."""

    scores: tuple[str, ...] = ()
    graph_features: bool = False
    degrees_of_sets: bool = True
    """Whether node degrees count the edges with any of a set of operations, or only those with a single one."""


MODELS = {
    "graf_m": Model(graph_features=True),
    "vkdnw_m": Model(VKDNW_FEATURES),
    "vkdnw_zcs_m": Model(VKDNW_FEATURES + ZERO_COST_FEATURES),
    "vkdnw_zcs_graf_m": Model(VKDNW_FEATURES + ZERO_COST_FEATURES, graph_features=True),
}
"""Row key of the published tables -> model."""
OTHER_MODELS = {
    "graf_single_m": Model(graph_features=True, degrees_of_sets=False),
    "vkdnw_last128_m": Model((*(f"vkdnw_last128_decile_{k}" for k in range(1, 10)), "trainable_layers", "flops")),
}
"""What the published forests may have learned from instead: fewer graph features, or the last 128 tensors."""


class ForestRanking(NamedTuple):
    """Predicted accuracies in percent of the networks that the forest did not learn from.

    Rows are positions in the table, ascending; the ranking is to be judged on the test rows alone.
    """

    train_rows: np.ndarray
    test_rows: np.ndarray
    predictions: np.ndarray


def evaluate_model(
    row_key: str,
    benchmark: Benchmark,
    dataset: str,
    subset: str = "filtered",
    *,
    left_out: Sequence[str] = (),
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    repeats: int = 200,
    store: Path | None = None,
    **forest: int,
) -> pd.DataFrame:
    """Fit one of :data:`MODELS` or :data:`OTHER_MODELS` per seed to NAS-Bench-201; judge it on networks held out.

    Returns rows as of :func:`nbnas.rankings.evaluation.metric_rows`, means over the seeds, each with a split and a
    forest of its own. On a complete set the interval is the range over seeds. From a sample, the values on all cells
    but those learned from are estimated, with bootstrap intervals averaged over seeds; isomorphic cells, which share
    stored scores, then stay on one side of the split. Features come from Gaussian noise alone where too few networks
    were scored on images to learn from; where too few are scored at all, the numbers are NaN.

    ``left_out`` are scores to do without, because they are stored for too few networks; the note names them. ``store``
    is the folder of score tables, by default ``data/scores``. ``forest`` are ``train_size``, ``trees`` and ``jobs`` of
    :func:`forest_ranking`.
    """
    if dataset not in benchmark.accuracy_columns:
        return missing(row_key, dataset, f"needs data: {benchmark.hint}")
    train_size = forest.setdefault("train_size", 1024)
    model = (MODELS | OTHER_MODELS)[row_key]
    scores = [name for name in model.scores if name not in left_out]
    try:
        cells = load_architecture_scores(scores, dataset, subset, store=store)
        if len(cells.table) < 1.2 * train_size:  # More networks may have been scored on noise than on images.
            cells = load_architecture_scores(scores, dataset, subset, inputs="gaussian", store=store)
    except NbnasError as error:
        return missing(row_key, dataset, f"needs compute: {error}")
    if len(cells.table) < 1.2 * train_size:
        reason = f"needs compute: {train_size:,} cells to learn from and a fifth more to test on; {cells.description}"
        return missing(row_key, dataset, reason)

    accuracy = pd.Series(benchmark.accuracy(dataset))[cells.whole.index]
    found = [_evaluate_split(cells, model, accuracy, repeats, seed=seed, **forest) for seed in seeds]
    estimates = []
    for values, lows, highs in np.moveaxis(np.array(found), 0, 2):  # (seeds, metrics, 3) -> a row of each per metric
        ends = (values.min(), values.max()) if cells.complete else (lows.mean(), highs.mean())
        estimates.append(Estimate(values.mean(), *ends))

    note = f"Mean of {len(found)} splits, {train_size:,} cells to learn from. {cells.description}"
    without = [name for name in model.scores if name in left_out]
    note += f" Without the feature{'s' if len(without) > 1 else ''} {', '.join(without)}." if without else ""
    return metric_rows(row_key, dataset, estimates, benchmark.source, note)


def _evaluate_split(
    cells: ArchitectureScores, model: Model, accuracy: pd.Series, repeats: int, **forest: int
) -> list[Estimate]:
    """One estimate per metric on the cells held out by one split; accuracies are those of the whole set."""
    features = cells.table
    if model.graph_features:
        space = get_space("nasbench201")
        graphs = graph_feature_table([space[cell] for cell in features.index], PUBLISHED_FAMILIES)
        if not model.degrees_of_sets:
            graphs = graphs[[name for name in graphs if not (name.startswith("node_") and "," in name)]]
        features = features.join(graphs.set_axis(features.index))
    # Isomorphic cells share stored scores, so a forest could recall the accuracy of one for the others.
    groups = cells.groups if cells.table.shape[1] else None
    ranking = forest_ranking(features, accuracy[features.index], groups=groups, **forest)
    tested = features.index[ranking.test_rows]
    if cells.complete:
        columns = ranking.predictions, accuracy[tested]
        return [Estimate(statistic(*columns)) for statistic in (kendall_tau, spearman_rho, ndcg)]
    rest = cells.whole.drop(index=features.index[ranking.train_rows])
    sample = rest.index.get_indexer(tested), accuracy[rest.index], rest, cells.groups[ranking.test_rows]
    return whole_set_estimates(ranking.predictions, *sample, repeats=repeats)


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
    value of their column and NaN the smallest. What cannot be learned from is an :class:`nbnas.NbnasError`.

    Features are (n, d), accuracies (n,) in percent in the same order; the index of a series plays no part. The seed is
    from 0 to 2^32 - 1. ``jobs`` threads grow trees, -1 is one per core; the result does not depend on it.

    Cells that are the same network train to nearly the same accuracy and share scores that are stored once. Split
    apart, the forest recalls an accuracy that it has seen. With ``groups``, labels (n,) such as canonical forms, the
    sorted labels are shuffled by the seed, and whole groups go to the training side in that order until it has
    ``train_size`` rows or more.

    The published rankings did not use ``groups``. They have 300 trees and are means of seeds 1 to 5, but their forests
    were not seeded; these are.
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
        wanted = f"trees >= 1, 0 <= seed < 2^32 and 1 <= train_size < {len(table)}, the number of rows"
        raise NbnasError(f"a forest needs {wanted}; got trees={trees!r}, seed={seed!r}, train_size={train_size!r}")
    if groups is None:
        # The published share of test rows, 1 - train_size / n, gives this split too, but for some n one row less.
        rows = np.arange(len(table))
        train_rows, _ = model_selection.train_test_split(rows, train_size=int(train_size), random_state=seed)
    else:
        train_rows = _whole_groups(groups, len(table), train_size, seed)
    is_training = np.zeros(len(table), dtype=bool)
    is_training[train_rows] = True

    with np.errstate(over="ignore", invalid="ignore"):  # Refused next.
        scaler = preprocessing.StandardScaler().fit(table[is_training])
    if not np.isfinite(scaler.scale_).all():
        names = _named(features, ~np.isfinite(scaler.scale_))
        raise NbnasError(f"the variance of {names} overflows; give the logarithm or the rank instead")
    random_state = derive_seed(seed, "forest") % 2**32
    forest = ensemble.RandomForestRegressor(n_estimators=trees, random_state=random_state, n_jobs=jobs)
    forest.fit(scaler.transform(table[is_training]), accuracy[is_training])
    # Threads would add up the trees in an order of their own, and last bits decide ties.
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
        raise NbnasError(f"features have {frame.shape[0]} rows and {frame.shape[1]} columns, there is nothing to learn")
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
