"""Scoring of one candidate, in this process or in a worker."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from torch import nn

from nbnas.datasets.images import load_images
from nbnas.errors import NbnasError
from nbnas.proxies.registry import select_proxies
from nbnas.scoring.score import score, usable_device
from nbnas.scoring.setting import lay_out, single_thread
from nbnas.scoring.timing import measure_latency
from nbnas.search.searchable import COSTS, Searchable
from nbnas.seeding import derive_seed
from nbnas.spaces import SearchSpace, get_space

TOO_SLOW = "latency above the budget"
"""Status of a candidate that was measured and not scored."""

ScoreFunction = Callable[[str], float | Mapping[str, float]]
"""Architecture -> its score, or several by name."""


@dataclass(frozen=True)
class NetworkScoring:
    """What networks are scored on."""

    input_shape: tuple[int, int, int, int] = (64, 3, 32, 32)
    """Batch, channels, height, width."""
    num_classes: int = 10
    images: str | None = None
    """Data set whose training images are the inputs, see :mod:`nbnas.datasets.images`; ``None`` is Gaussian noise."""
    device: str = "cpu"
    build: Mapping[str, Any] = field(default_factory=dict)
    """Options of the space's ``build``, such as ``{"residual": False}``."""

    def __post_init__(self) -> None:
        shape = tuple(self.input_shape)
        if len(shape) != 4 or any(not isinstance(size, int) or size < 1 for size in shape):
            raise NbnasError(f"input_shape must be (batch, channels, height, width), got {self.input_shape!r}")
        object.__setattr__(self, "input_shape", shape)
        if self.num_classes < 1:
            raise NbnasError(f"num_classes must be at least 1, got {self.num_classes!r}")
        usable_device(self.device)
        if self.images is not None and tuple(load_images(self.images).pixels.shape[1:]) != shape[1:]:
            raise NbnasError(f"images of {self.images} do not have the shape {shape[1:]}")

    @classmethod
    def of_dataset(cls, space: Searchable, dataset: str | None = None, batch_size: int = 64) -> "NetworkScoring":
        """Return the shape of one of a space's data sets, by default its first; Gaussian noise.

        Raises:
            NbnasError: If the space has no such data set.
        """
        datasets = getattr(space, "datasets", {})
        if dataset is None and not datasets:
            return cls((batch_size, 3, 32, 32))
        name = dataset or next(iter(datasets))
        if name not in datasets:
            raise NbnasError(f"unknown data set {name!r}; choose from {', '.join(datasets) or 'none'}")
        shape = datasets[name]
        return cls((batch_size, shape.channels, shape.resolution, shape.resolution), shape.num_classes)


@dataclass(frozen=True)
class CandidateScorer:
    """Scores candidates; pickle can send it to another process if it can send what it holds."""

    space: Searchable | str
    """A space, or the name of one of the package's, which every process builds for itself."""
    scores: tuple[str, ...] | ScoreFunction
    """Names of scores, costs among them are left out; or a function."""
    scoring: NetworkScoring
    latency: float | None
    """Largest latency in seconds; ``None`` measures none."""

    def __call__(self, arch: str, seed: int) -> dict[str, Any]:
        """Score one architecture.

        Returns:
            ``values``: name -> number, NaN where it failed; ``status``: ``ok`` or the first other status of a score;
            ``seconds`` that it took; ``time`` at which it was done (UTC); ``latency`` in seconds if it is limited.

        Raises:
            NbnasError: If the function returns something else than numbers.
        """
        start = time.perf_counter()
        row: dict[str, Any] = {"values": {}, "status": "ok"}
        with single_thread():
            if self.latency is not None:
                row["latency"] = self._latency(arch)
            if self.latency is not None and row["latency"] > self.latency:
                row["status"] = TOO_SLOW
            elif callable(self.scores):
                returned = self.scores(arch)
                values = returned if isinstance(returned, Mapping) else {"score": returned}
                try:
                    row["values"] = {str(name): float(value) for name, value in values.items()}
                except (TypeError, ValueError) as error:
                    raise NbnasError(
                        f"the score function must return a number, or several by name, got {returned!r} for {arch!r}"
                    ) from error
            else:
                row["values"], row["status"] = self._score(arch, seed)
        if not all(math.isfinite(value) for value in row["values"].values()) and row["status"] == "ok":
            row["status"] = "non_finite"
        row["seconds"] = round(time.perf_counter() - start, 4)
        row["time"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        return row

    def _build(self, arch: str) -> nn.Module:
        space = get_space(self.space) if isinstance(self.space, str) else self.space
        return lay_out(space.build(arch, self.scoring.num_classes, **self.scoring.build), self.scoring.device)

    def _score(self, arch: str, seed: int) -> tuple[dict[str, float], str]:
        names = [name for name in self.scores if name not in COSTS]
        if not names:
            return {}, "ok"
        batches = None
        if self.scoring.images is not None:
            needed = max(proxy.info.batches for proxy in select_proxies(names))
            images = load_images(self.scoring.images)
            batches = images.batches(self.scoring.input_shape[0], max(needed, 1), seed)
        table = score(
            self._build(arch),
            names,
            batches=batches,
            input_shape=self.scoring.input_shape,
            num_classes=self.scoring.num_classes,
            seed=seed,
            device=self.scoring.device,
        ).loc[names]
        failed = table["status"][table["status"] != "ok"]
        return table["value"].to_dict(), "ok" if failed.empty else str(failed.iloc[0])

    def _latency(self, arch: str) -> float:
        network = self._build(arch).to(self.scoring.device)
        return measure_latency(network, (1, *self.scoring.input_shape[1:]), self.scoring.device)


def score_seed(seed: int, space: str, arch: str, occurrence: int = 0) -> int:
    """Return the seed of a candidate's score: that of :func:`nbnas.score_many`, unless it is scored again."""
    return derive_seed(seed, space, arch, *([occurrence] if occurrence else []))


def portable_space(space: Searchable) -> Searchable | str:
    """Return the name of a space of the package, which is cheaper to send than its tables, or the space itself."""
    return space.name if isinstance(space, SearchSpace) and get_space(space.name) is space else space
