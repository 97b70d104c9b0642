"""What decides a score besides the network and the seed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from nbnas.datasets.images import Images, load_images
from nbnas.datasets.shapes import DATASETS, DatasetShape
from nbnas.errors import NbnasError
from nbnas.machine.paths import data_folder
from nbnas.networks.initialisation import INITIALISATIONS
from nbnas.proxies.probe import Batch
from nbnas.proxies.registry import select_proxies
from nbnas.scoring.given_inputs import draw_batch
from nbnas.scoring.score import score
from nbnas.scoring.score_table import ScoreTable
from nbnas.seeding import derive_seed, generator_for
from nbnas.spaces import SPACES, get_space


@dataclass(frozen=True)
class Setting:
    """What, besides the network and the seed, decides a score.

    Weights and inputs of a network are drawn from (seed, name of the space, architecture), so a score does not depend
    on what else is scored, and in which order.
    """

    space: Any = "nasbench201"
    """A search space or its name. Any object that builds networks will do, see :class:`nbnas.search.Searchable`."""
    dataset: str | None = None
    """Gives number of classes, resolution, and the images if there are any; ``None`` is the first data set of the
    space. A space without ``datasets`` has those of NATS-Bench; where ``build``, ``resolution`` or ``num_classes``
    are given, every space has these too."""
    batch_size: int = 64
    inputs: str = "gaussian"
    """``gaussian`` noise with random labels, or ``images`` with their labels, see :mod:`nbnas.datasets.images`."""
    build: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Options of the space's ``build``, such as ``{"residual": False}``."""
    resolution: int | tuple[int, int] | None = None
    """Side of the inputs in pixels, or (height, width), in place of the data set's."""
    num_classes: int | None = None
    """In place of the data set's."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", get_space(self.space) if isinstance(self.space, str) else self.space)
        object.__setattr__(self, "dataset", self.dataset or next(iter(self._datasets)))
        if self.dataset not in self._datasets:
            raise NbnasError(f"unknown data set {self.dataset!r}; choose from {', '.join(self._datasets)}")
        for name in ("batch_size", "resolution", "num_classes"):
            value = getattr(self, name)
            sizes = value if name == "resolution" and isinstance(value, tuple) and len(value) == 2 else (value,)
            if value is not None and not all(isinstance(size, int) and size >= 1 for size in sizes):
                raise NbnasError(f"{name} must be at least 1, got {value!r}")
        if self.inputs not in ("gaussian", "images"):
            raise NbnasError(f"inputs must be 'gaussian' or 'images', got {self.inputs!r}")

    def __reduce__(self) -> tuple:
        # A space of the package travels as its name, which is cheaper to send than its tables.
        name = self.space_name
        space = name if SPACES.get(name) is type(self.space) else self.space
        return Setting, (space, *(getattr(self, each.name) for each in fields(self)[1:]))

    @property
    def space_name(self) -> str:
        """Name of the space: its attribute ``name``, or that of its class."""
        return str(getattr(self.space, "name", type(self.space).__name__))

    @property
    def shape(self) -> DatasetShape:
        """Number of classes, resolution and channels; the resolution is a pair where :attr:`resolution` is one."""
        shape = self._datasets[self.dataset]
        return DatasetShape(self.num_classes or shape.num_classes, self.resolution or shape.resolution, shape.channels)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(batch, channels, height, width)."""
        size = self.shape.resolution
        return self.batch_size, self.shape.channels, *(size if isinstance(size, tuple) else (size, size))

    def own_seed(self, arch: str, seed: int, occurrence: int = 0) -> int:
        """Seed of the weights and inputs of one network; ``occurrence`` counts how often it was scored before."""
        return derive_seed(seed, self.space_name, arch, *([occurrence] if occurrence else []))

    def network(self, arch: str, seed: int | None = None, initialisation: str = "torch_default") -> nn.Module:
        """Build a network; with a seed, its weights are those of the scores of that seed.

        ``initialisation`` is one of :data:`nbnas.networks.initialisation.INITIALISATIONS`.
        """
        if self._replaces_nothing and hasattr(self.space, "build_for"):
            network = self.space.build_for(arch, self.dataset)
        else:
            network = self.space.build(arch, self.shape.num_classes, **self.build)
        if seed is not None:
            INITIALISATIONS[initialisation](network, generator_for(self.own_seed(arch, seed), "weights"))
        return network

    @property
    def _replaces_nothing(self) -> bool:
        return not self.build and self.resolution is None and self.num_classes is None

    @property
    def _datasets(self) -> Mapping[str, DatasetShape]:
        own = getattr(self.space, "datasets", DATASETS)
        return own if self._replaces_nothing else {**own, **DATASETS, **own}

    def images(self) -> Images | None:
        """Return the images that are the inputs, ``None`` where these are noise.

        Raises :class:`NbnasError` if there are none, or of another resolution.
        """
        if self.inputs == "gaussian":
            return None
        images = load_images(self.dataset)
        if tuple(images.pixels.shape[1:]) != self.input_shape[1:]:
            raise NbnasError(f"images of {self.dataset} do not have the shape {self.input_shape[1:]}")
        return images

    def batches(self, seed: int, count: int = 1) -> list[Batch]:
        """Draw pairs of inputs and labels; noise is what :func:`nbnas.score` draws from the same seed.

        Fewer batches are the first of more, and a smaller batch of noise is the beginning of a larger one.
        """
        images = self.images()
        if images is not None:
            return images.batches(self.batch_size, count, seed)
        return [draw_batch(self.input_shape, self.shape.num_classes, seed, number) for number in range(count)]

    def start(
        self, arch: str, seed: int = 0, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
    ) -> tuple[nn.Module, Tensor]:
        """Return the network in eval mode and the inputs from which the scores of VKDNW are computed.

        Numbers are drawn in float32 and then converted to ``dtype``: all precisions start from the same.
        """
        network = lay_out(self.network(arch, seed, "kaiming_normal"), device)
        inputs, _ = self.batches(self.own_seed(arch, seed))[0]
        return network.eval().to(device, dtype), inputs.to(device, dtype)

    def score(
        self, arch: str, proxies: str | list[str], seed: int = 0, device: str = "cpu", *, occurrence: int = 0
    ) -> pd.DataFrame:
        """Score one network on one thread, as :func:`nbnas.score_many` does, by :func:`nbnas.score`."""
        own_seed = self.own_seed(arch, seed, occurrence)
        count = max(proxy.info.batches for proxy in select_proxies(proxies))
        network = lay_out(self.network(arch), device)
        with single_thread():
            return score(network, proxies, batches=self.batches(own_seed, count), seed=own_seed, device=device)

    def record(self) -> dict[str, object]:
        """Return what defines a score table as plain values: ``space``, ``dataset``, ``batch_size``, ``inputs``."""
        return {"space": self.space_name} | {name: getattr(self, name) for name in ("dataset", "batch_size", "inputs")}

    def table(self, proxy: str, store: Path | None = None) -> ScoreTable:
        """Return the table that holds the rows of ``proxy``; only networks as the data set has them are stored."""
        if not self._replaces_nothing:
            raise NbnasError("score tables hold networks of the data set; leave out build, resolution and num_classes")
        folder = (store or data_folder() / "scores") / self.space_name / self.dataset
        return ScoreTable(folder / f"{proxy}-{self.inputs}-b{self.batch_size}")


def lay_out(network: nn.Module, device: str) -> nn.Module:
    """Return a network in the memory format in which a device scores it fastest."""
    # Channels-last runs narrow convolutions 1.3 to 2.2 times faster on a CPU; on a GPU it costs conversions.
    return network.to(memory_format=torch.channels_last) if torch.device(device).type == "cpu" else network


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread per process: the processes already fill the cores, and one thread is reproducible."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
