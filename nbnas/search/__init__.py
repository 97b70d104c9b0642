"""Search for architectures: evolution under budgets, the published searches, simulation on benchmarks."""

from nbnas.search.evolution import SearchResult, evolve
from nbnas.search.presets import PRESETS, Preset, get_preset
from nbnas.search.simulation import SearchSimulation, simulate
from nbnas.search.strategy import Budget, Evolution, Searchable

__all__ = ["PRESETS", "Budget", "Evolution", "Preset", "SearchResult", "Searchable", "evolve", "get_preset"]
__all__ += ["SearchSimulation", "simulate"]
