"""Everything that the notebooks want scored, in the order of need; ``make scores`` works through it.

Samples are nested: each round extends the one before. An interrupted run leaves a store of even coverage, and a rerun
continues it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nbnas.datasets.images import describe_images
from nbnas.errors import NbnasError
from nbnas.machine.executors import Workers
from nbnas.proxies.registry import list_proxies
from nbnas.scoring.samples import named_set, sample_architectures
from nbnas.scoring.score_many import score_many
from nbnas.scoring.setting import Setting
from nbnas.spaces import get_space

AGGREGATE_PARTS = ("vkdnw", "jacov", "az_expressivity", "az_trainability", "az_progressivity")
"""Proxies that VKDNW_agg and AZ-NAS combine, FLOPs apart, which need no network."""

TCET_PROXIES = ("ssnr_snip", "ssnr_synflow", "tcet_snip", "tcet_synflow", "nwot", "naswot", "snip", "synflow", "zico")
"""Proxies of T-CET's tables on spaces other than NAS-Bench-201."""

PAPER_SAMPLE = 500
"""Architectures that T-CET scored of spaces that it did not score as a whole."""

_SLOW = "te_nas_ntk"
"""A backward pass per sample where BatchNorm couples them: as expensive as all others together."""
_ELSEWHERE = {"flops", "params", "trainable_layers", "vkdnw_mobilenetv2"}
"""Proxies with a formula, and one of another space."""


@dataclass(frozen=True)
class Stage:
    """One call of :func:`nbnas.score_many`."""

    setting: Setting
    proxies: tuple[str, ...]
    archs: str
    """Named set of the space."""
    sample: int | None
    """How many of the set, in its fixed random order; ``None`` is all."""
    seed: int = 0

    def __str__(self) -> str:
        size = "all" if self.sample is None else f"first {self.sample:,}"
        inputs = f"{self.setting.space_name}, {self.setting.dataset}, {self.setting.inputs}"
        scored = f"{len(self.proxies)} proxies on {size} of {self.archs}"
        return f"{inputs}, batch {self.setting.batch_size}, seed {self.seed}: {scored}"


def scoring_plan(device: str = "cpu") -> list[Stage]:
    """List the stages for a device.

    On a CPU: rounds of 300, 1,000, 3,000 and all networks, the combined rankings first. On a GPU: the whole space for
    one seed, then for further seeds up to five; of other spaces one seed. Stages that want images, or architectures
    that stand in a file, are left out where there are none.
    """
    return [stage for stage in (_gpu_stages() if device.startswith("cuda") else _cpu_stages()) if _is_possible(stage)]


def _is_possible(stage: Stage) -> bool:
    if stage.setting.inputs == "images" and not describe_images(stage.setting.dataset):
        return False
    try:
        named_set(stage.setting.space, stage.archs)
    except NbnasError:
        return False
    return True


def run_plan(workers: Workers = Workers(), *, store: Path | None = None, progress: bool = True) -> None:
    """Work through :func:`scoring_plan` as :func:`nbnas.score_many` does, computing only what the store lacks."""
    stages = scoring_plan(workers.device)
    for number, stage in enumerate(stages, start=1):
        print(f"[{number}/{len(stages)}] {stage}", flush=True)
        archs = sample_architectures(stage.setting.space, stage.archs, stage.sample)
        options = {"seeds": [stage.seed], "store": store, "workers": workers, "progress": progress}
        score_many(archs, stage.proxies, stage.setting, **options)


def _proxies(*left_out: str) -> tuple[str, ...]:
    return tuple(name for name in list_proxies().index if name not in {*_ELSEWHERE, *left_out})


def _image_proxies() -> tuple[str, ...]:
    inputs = list_proxies().inputs
    return tuple(name for name in _proxies(_SLOW) if inputs[name] == "images")


def _cpu_stages() -> Iterator[Stage]:
    datasets = ("ImageNet16-120", "cifar10", "cifar100")
    for sample in (300, 1000, 3000, None):
        for dataset in datasets:
            noise, images = Setting(dataset=dataset), Setting(dataset=dataset, inputs="images")
            yield Stage(noise, AGGREGATE_PARTS, "filtered-unique", sample)
            yield Stage(noise, _proxies(_SLOW), "filtered-unique", sample)
            yield Stage(noise, _proxies(_SLOW), "dead-edges", sample)
            yield Stage(images, _image_proxies(), "filtered-unique", sample)
        yield from _ablations(sample)
        yield from _other_spaces(sample, PAPER_SAMPLE)
        for dataset in datasets:
            yield Stage(Setting(dataset=dataset), (_SLOW,), "filtered-unique", sample)


def _gpu_stages() -> Iterator[Stage]:
    for seed in range(5):
        for archs in ("filtered-unique", "dead-edges", "filtered"):
            for dataset in get_space("nasbench201").datasets:
                noise, images = Setting(dataset=dataset), Setting(dataset=dataset, inputs="images")
                yield Stage(noise, _proxies(), archs, None, seed)
                yield Stage(images, (*_image_proxies(), _SLOW), archs, None, seed)
        if seed == 0:
            yield from _ablations(None)
            yield from _other_spaces(None, None)


def _other_spaces(sample: int | None, most: int | None) -> Iterator[Stage]:
    """T-CET's other spaces; of those that the paper sampled, and of the largest cells, no more than ``most``."""
    tasks = get_space("transnasbench101_micro").datasets
    sampled = [Setting("nasbench301"), *(Setting("transnasbench101_micro", task) for task in tasks)]
    sampled += [Setting(f"nasbench1shot1_{family}") for family in ("ss1", "ss2", "ss3")]
    for setting in (Setting("nasbench_macro"), *sampled):
        size = min(sample or most, most) if most is not None and setting in sampled else sample
        yield Stage(setting, TCET_PROXIES, setting.space.default_set, size)


def _ablations(sample: int | None) -> Iterator[Stage]:
    """Other batch sizes and inputs of VKDNW on ImageNet16-120, other parameters on all shapes."""
    dataset = "ImageNet16-120"
    for batch_size in (8, 16, 32, 64, 128):
        # The main table has noise in batches of 64.
        for inputs in ("images",) if batch_size == 64 else ("gaussian", "images"):
            yield Stage(Setting("nasbench201", dataset, batch_size, inputs), ("vkdnw",), "filtered-unique", sample)
    for dataset, batch_size in (("ImageNet16-120", 32), ("ImageNet16-120", 64), ("cifar10", 64), ("cifar100", 64)):
        yield Stage(Setting("nasbench201", dataset, batch_size), ("vkdnw_ablations",), "filtered-unique", sample)
