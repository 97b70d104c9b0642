"""nbnas: training-free neural architecture search, reproducible and explained.

The companion of VKDNW (CVPR 2025) and T-CET (AutoML 2023). Start with :func:`rank` for your own networks, :func:`score`
for one of them and :func:`get_space` for the benchmarks, look at what you have with :mod:`nbnas.show`, or open
``notebooks/lessons/01_tour.ipynb``.
"""

from importlib import import_module
from types import ModuleType

from nbnas import proxies, rankings, show
from nbnas.benchmarks import load_benchmark
from nbnas.errors import NbnasError
from nbnas.machine.executors import Workers
from nbnas.networks import initialisation
from nbnas.proxies import list_proxies
from nbnas.rankings.rank import rank
from nbnas.scoring.architecture_scores import load_sample, load_score_matrix, load_scores
from nbnas.scoring.score import score
from nbnas.scoring.score_many import score_many
from nbnas.scoring.setting import Setting
from nbnas.spaces import get_space

__version__ = "0.1.0"
"""Version of the package."""

_LOADED_WHEN_USED = ("search", "testing", "training")

__all__ = [
    "NbnasError",
    "Setting",
    "Workers",
    "__version__",
    "get_space",
    "initialisation",
    "list_proxies",
    "load_benchmark",
    "load_sample",
    "load_score_matrix",
    "load_scores",
    "proxies",
    "rank",
    "rankings",
    "score",
    "score_many",
    "search",
    "show",
    "testing",
    "training",
]


def __getattr__(name: str) -> ModuleType:
    if name in _LOADED_WHEN_USED:
        return import_module(f"nbnas.{name}")
    raise AttributeError(f"module 'nbnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
