"""Model-driven rankings: accuracies predicted by forests from scores and graph features of trained cells.

Source: Tybl & Neumann, CVPR 2025 (``tybl2025vkdnw``), the rows of Table 1 marked m.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.benchmarks.benchmark import Benchmark
from nbnas.errors import NbnasError
from nbnas.rankings import Estimate, bootstrap_estimate, kendall_tau, ndcg, spearman_rho
from nbnas.rankings.evaluation import metric_rows, missing
from nbnas.rankings.forest import forest_ranking
from nbnas.rankings.graph_features import PUBLISHED_FAMILIES, graph_feature_table
from nbnas.scoring.architecture_scores import ArchitectureScores, load_architecture_scores
from nbnas.spaces import get_space

VKDNW_FEATURES = (*(f"vkdnw_decile_{decile}" for decile in range(1, 10)), "trainable_layers", "flops")
"""Deciles of the Fisher spectrum and the size of the network; their entropy is not among them."""

ZERO_COST_FEATURES = (
    *("az_expressivity", "az_progressivity", "az_trainability", "jacov", "gradsign", "zico", "zen", "grad_norm"),
    *("naswot", "synflow", "snip", "grasp", "te_nas_ntk", "te_nas_linear_regions"),
)
"""Scores by other methods."""


@dataclass(frozen=True)
class Model:
    """What a forest learns from."""

    scores: tuple[str, ...] = ()
    graph_features: bool = False


MODELS = {
    "graf_m": Model(graph_features=True),
    "vkdnw_m": Model(VKDNW_FEATURES),
    "vkdnw_zcs_m": Model(VKDNW_FEATURES + ZERO_COST_FEATURES),
    "vkdnw_zcs_graf_m": Model(VKDNW_FEATURES + ZERO_COST_FEATURES, graph_features=True),
}
"""Row key of the published tables -> model."""


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
    """Fit a forest per seed and judge its predictions on the networks held out.

    Args:
        row_key: Key of :data:`MODELS`.
        benchmark: Accuracies of NAS-Bench-201.
        dataset: A data set of it.
        subset: ``filtered`` or ``all``.
        left_out: Scores to do without, because they are stored for too few networks; the note names them.
        seeds: A split and a forest each; results are means over them.
        repeats: Bootstrap resamples of each split.
        store: Folder of score tables; ``None`` is ``data/scores``.
        forest: ``train_size``, ``trees`` and ``jobs`` of :func:`nbnas.rankings.forest.forest_ranking`.

    Returns:
        Rows as of :func:`nbnas.rankings.evaluation.metric_rows`. On a complete set the interval is the range over
        seeds. On a sample it is a bootstrap interval, averaged over seeds; isomorphic cells, which share stored scores,
        then stay on one side of the split, and nDCG is not attempted. Features come from Gaussian noise alone where too
        few networks were scored on images to learn from; where too few are scored at all, the numbers are NaN.
    """
    if dataset not in benchmark.accuracy_columns:
        return missing(row_key, dataset, benchmark.hint)
    train_size = forest.setdefault("train_size", 1024)
    model = MODELS[row_key]
    scores = [name for name in model.scores if name not in left_out]
    try:
        cells = load_architecture_scores(scores, dataset, subset, store=store)
        if len(cells.table) < 1.2 * train_size:  # More networks may have been scored on noise than on images.
            cells = load_architecture_scores(scores, dataset, subset, inputs="gaussian", store=store)
    except NbnasError as error:
        return missing(row_key, dataset, str(error))
    if len(cells.table) < 1.2 * train_size:
        reason = f"needs {train_size:,} cells to learn from and a fifth more to test on; {cells.description}"
        return missing(row_key, dataset, reason)

    accuracy = benchmark.accuracy(dataset)[cells.table.index]
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
    cells: ArchitectureScores, model: Model, accuracy: np.ndarray, repeats: int, **forest: int
) -> list[Estimate]:
    """One estimate per metric on the cells held out by one split; no nDCG of a sample."""
    features = cells.table
    if model.graph_features:
        space = get_space("nasbench201")
        graphs = graph_feature_table([space[cell] for cell in features.index], PUBLISHED_FAMILIES)
        features = features.join(graphs.set_axis(features.index))
    # Isomorphic cells share stored scores, so a forest could recall the accuracy of one for the others.
    groups = cells.groups if cells.table.shape[1] else None
    ranking = forest_ranking(features, accuracy, groups=groups, **forest)
    columns = ranking.predictions, accuracy[ranking.test_rows]
    if cells.complete:
        return [Estimate(statistic(*columns)) for statistic in (kendall_tau, spearman_rho, ndcg)]
    options = {"groups": cells.groups[ranking.test_rows], "repeats": repeats}
    return [bootstrap_estimate(statistic, *columns, **options) for statistic in (kendall_tau, spearman_rho)]
