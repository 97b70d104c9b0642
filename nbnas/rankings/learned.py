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
from nbnas.rankings import bootstrap_interval, kendall_tau, ndcg, spearman_rho
from nbnas.rankings.evaluation import METRICS, NDCG_OF_SAMPLE, missing, published_name
from nbnas.rankings.forest import forest_ranking
from nbnas.rankings.graph_features import PUBLISHED_FAMILIES, graph_feature_table
from nbnas.scoring.architecture_scores import ArchitectureScores, load_architecture_scores
from nbnas.spaces import get_space

VKDNW_FEATURES = (*(f"vkdnw_decile_{decile}" for decile in range(1, 10)), "trainable_layers", "flops")
"""Deciles of the Fisher spectrum and the size of the network; their entropy is not among them."""


ZERO_COST_FEATURES = (
    "az_expressivity",
    "az_progressivity",
    "az_trainability",
    "jacov",
    "gradsign",
    "zico",
    "zen",
    "grad_norm",
    "naswot",
    "synflow",
    "snip",
    "grasp",
    "te_nas_ntk",
    "te_nas_linear_regions",
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
    train_size: int = 1024,
    trees: int = 300,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    repeats: int = 200,
    jobs: int = 1,
    store: Path | None = None,
) -> pd.DataFrame:
    """Fit a forest per seed and judge its predictions on the networks held out.

    Source: Tybl & Neumann, CVPR 2025 (key ``tybl2025vkdnw``), the rows of Table 1 marked m.

    Args:
        row_key: Key of :data:`MODELS`.
        benchmark: The accuracies.
        dataset: ``cifar10``, ``cifar100`` or ``ImageNet16-120``.
        subset: ``filtered`` or ``all``.
        left_out: Scores to do without, because they are stored for too few networks; the note names them.
        train_size: Networks to learn from.
        trees: Trees of each forest.
        seeds: A split and a forest each; results are means over them.
        repeats: Bootstrap resamples of each split.
        jobs: Threads that grow trees.
        store: Folder of score tables; ``None`` is ``data/scores``.

    Returns:
        Rows as of :func:`nbnas.rankings.evaluation.evaluate`. On a complete set the interval is the range over seeds.
        On a sample it is a bootstrap interval, averaged over seeds; isomorphic cells, which share stored scores, then
        stay on one side of the split, and nDCG is not attempted. Features come from Gaussian noise alone where too few
        networks were scored on images to learn from; where too few are scored at all, ``reproduced`` is NaN.
    """
    if dataset not in benchmark.accuracy_columns:
        return missing(row_key, dataset, benchmark.hint)
    model = MODELS[row_key]
    scores = [name for name in model.scores if name not in left_out]
    try:
        cells = load_architecture_scores(scores, dataset, subset, store=store)
        if len(cells.table) < 1.2 * train_size:  # More networks may have been scored on noise than on images.
            cells = load_architecture_scores(scores, dataset, subset, inputs="gaussian", store=store)
    except NbnasError as error:
        return missing(row_key, dataset, str(error))
    if len(cells.table) < 1.2 * train_size:
        reason = f"needs {train_size:,} cells to learn from and a fifth more to judge by; {cells.description}"
        return missing(row_key, dataset, reason)
    found = [
        _evaluate_split(
            cells, model, benchmark.accuracy(dataset), repeats, train_size=train_size, trees=trees, seed=seed, jobs=jobs
        )
        for seed in seeds
    ]
    without = [name for name in model.scores if name in left_out]
    note = f"Mean of {len(found)} splits, {train_size:,} cells to learn from. {cells.description}"
    note += f" Without the feature{'s' if len(without) > 1 else ''} {', '.join(without)}." if without else ""
    rows = []
    for metric in METRICS:
        values, lows, highs = np.array([split[metric] for split in found]).T
        if cells.complete:
            lows, highs = [values.min()], [values.max()]
        numbers = {"reproduced": values.mean(), "low": np.mean(lows), "high": np.mean(highs)}
        reason = NDCG_OF_SAMPLE if np.isnan(values).any() else note
        rows.append(
            {"row_key": row_key, "column": published_name(dataset), "metric": metric, **numbers, "note": reason}
        )
    return pd.DataFrame(rows).assign(source=benchmark.source)


def _evaluate_split(
    cells: ArchitectureScores, model: Model, accuracy: np.ndarray, repeats: int, **settings: int
) -> dict[str, tuple[float, float, float]]:
    """Metric -> (value, low, high) on the cells held out by one split."""
    features, accuracy = cells.table, accuracy[cells.table.index]
    if model.graph_features:
        space = get_space("nasbench201")
        graphs = graph_feature_table([space[cell] for cell in features.index], PUBLISHED_FAMILIES)
        features = features.join(graphs.set_axis(features.index))
    # Scores stored once per class would carry accuracies of one cell over to its equals.
    groups = cells.groups if cells.table.shape[1] else None
    ranking = forest_ranking(features, accuracy, groups=groups, **settings)
    held_out = accuracy[ranking.test_rows]
    result = {}
    for metric, statistic in (("kendall_tau", kendall_tau), ("spearman_rho", spearman_rho)):
        value = statistic(ranking.predictions, held_out)
        low = high = value
        if not cells.complete:
            low, high = bootstrap_interval(
                statistic, ranking.predictions, held_out, groups=cells.groups[ranking.test_rows], repeats=repeats
            )
        result[metric] = (value, low, high)
    value = ndcg(ranking.predictions, held_out) if cells.complete else np.nan
    return result | {"ndcg_1000": (value, value, value)}
