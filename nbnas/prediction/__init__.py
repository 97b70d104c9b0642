"""Accuracies predicted from graph features and scores of cells whose accuracies are known: model-driven rankings."""

from nbnas.prediction.evaluation import MODELS, Model, evaluate_model
from nbnas.prediction.features import VKDNW_FEATURES, ZERO_COST_FEATURES
from nbnas.prediction.forest import ForestRanking, forest_ranking
from nbnas.prediction.graf import FAMILIES, PUBLISHED_FAMILIES, graph_feature_table, graph_features

__all__ = [
    "FAMILIES",
    "MODELS",
    "PUBLISHED_FAMILIES",
    "VKDNW_FEATURES",
    "ZERO_COST_FEATURES",
    "ForestRanking",
    "Model",
    "evaluate_model",
    "forest_ranking",
    "graph_feature_table",
    "graph_features",
]
