"""Search for architectures: evolution under budgets, the published searches, simulation on benchmarks."""

from nbnas.search.budget import Budget
from nbnas.search.candidate_scoring import NetworkScoring
from nbnas.search.evolution import SearchResult, evolve
from nbnas.search.objective import Objective
from nbnas.search.presets import PRESETS, Preset, get_preset
from nbnas.search.searchable import Searchable
from nbnas.search.simulation import SearchSimulation, simulate

__all__ = [
    "PRESETS",
    "Budget",
    "NetworkScoring",
    "Objective",
    "Preset",
    "SearchResult",
    "SearchSimulation",
    "Searchable",
    "evolve",
    "get_preset",
    "simulate",
]
