"""Running one notebook over a grid of parameters: one papermill run per point, one tidy table, one page."""

from nbnas.reproduce.sweep.run import sweep
from nbnas.reproduce.sweep.specification import read_sweep

__all__ = ["read_sweep", "sweep"]
