"""What, besides the network and the seed, decides a stored score."""

from dataclasses import dataclass
from pathlib import Path

from nbnas.errors import NbnasError
from nbnas.machine.paths import data_folder
from nbnas.scoring.score_table import ScoreTable
from nbnas.spaces import get_space


@dataclass(frozen=True)
class ScoringConfiguration:
    """What, besides the network and the seed, decides a score."""

    space: str = "nasbench201"
    dataset: str = "cifar10"
    """Gives the shape, that is classes and resolution, and the images if there are any."""
    batch_size: int = 64
    inputs: str = "gaussian"
    """``gaussian`` noise with random labels, or ``images`` with their labels, see :mod:`nbnas.datasets.images`."""

    def __post_init__(self) -> None:
        space = get_space(self.space)
        if self.dataset not in space.datasets:
            raise NbnasError(f"unknown data set {self.dataset!r}; choose from {', '.join(space.datasets)}")
        if self.batch_size < 1:
            raise NbnasError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.inputs not in ("gaussian", "images"):
            raise NbnasError(f"inputs must be 'gaussian' or 'images', got {self.inputs!r}")

    def table(self, proxy: str, store: Path | None = None) -> ScoreTable:
        """Return the table that holds the rows of ``proxy`` under this configuration."""
        folder = (store or data_folder() / "scores") / self.space / self.dataset
        return ScoreTable(folder / f"{proxy}-{self.inputs}-b{self.batch_size}")
