"""How well scores rank networks: measures, intervals, and rankings combined into one.

One layout everywhere: one-dimensional arrays, one entry per architecture, larger is better.
"""

from nbnas.rankings.combining import CombinedRanking, aggregate_ranks, lexicographic_rank, worst_for_missing
from nbnas.rankings.intervals import (
    Estimate,
    bootstrap_estimate,
    bootstrap_interval,
    ndcg_tie_interval,
    paired_difference,
)
from nbnas.rankings.metrics import kendall_tau, ndcg, pair_shares, partial_kendall_tau, spearman_rho
from nbnas.rankings.whole_set import whole_set_differences, whole_set_estimates

__all__ = ["CombinedRanking", "aggregate_ranks", "lexicographic_rank", "worst_for_missing"]
__all__ += ["Estimate", "bootstrap_estimate", "bootstrap_interval", "ndcg_tie_interval", "paired_difference"]
__all__ += ["kendall_tau", "ndcg", "pair_shares", "partial_kendall_tau", "spearman_rho"]
__all__ += ["whole_set_differences", "whole_set_estimates"]
