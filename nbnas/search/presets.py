"""The searches of the papers by name.

Each follows the released code in what it draws, keeps and rejects: the first eleven candidates are mutations of the
start structure in one super block, later ones replace up to two super blocks of a parent drawn uniformly from the best
seen so far; candidates of the published multiplicities; duplicates are scored again and stay. Where a script of T-CET
asked for another score than its name says, the score here is the one that it meant.

Here as everywhere in this package, weights and inputs of a candidate come from a seed of its own. T-CET's code draws
one batch for activations that serves the whole search, and others for saliencies; here one batch serves both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nbnas.errors import NbnasError
from nbnas.rankings import CombinedRanking
from nbnas.scoring.setting import Setting
from nbnas.search.evolution import SearchResult, evolve
from nbnas.search.strategy import Budget, Evolution
from nbnas.spaces import get_space


@dataclass(frozen=True)
class Preset:
    """A published search."""

    description: str
    """Source, and what is assumed where the source is silent."""
    score: CombinedRanking
    scoring: Setting
    strategy: Evolution
    budget: Budget
    steps: int

    def run(self, **changes: Any) -> SearchResult:
        """Run the search, with other arguments of :func:`nbnas.search.evolve` where given."""
        published = {name: getattr(self, name) for name in ("score", "strategy", "budget", "steps", "scoring")}
        return evolve(self.scoring.space, **published | changes)


_VKDNW = Preset(
    "Tybl & Neumann, CVPR 2025, Table 2, released script: product of five ranks. 10 classes, as in the authors' logs; "
    "the script says 1,000.",
    CombinedRanking.of("flops", "az_expressivity", "az_progressivity", "vkdnw_mobilenetv2_entropy", "az_trainability"),
    Setting("mobilenetv2", num_classes=10),
    Evolution(
        population=1023,  # The scripts say 1,024; the parents are the best 1,023.
        start=get_space("mobilenetv2").start,
        initial=11,
        mutation={"candidates": "published", "replacements": 2},
        start_mutation={"candidates": "published", "replacements": 1},
        duplicates="score",
        in_flight=1,
    ),
    Budget(flops=450e6, layers=14),
    steps=100_000,
)
_AZ_NAS = replace(
    _VKDNW,
    description="Lee & Ham, CVPR 2024, whose search VKDNW took over: the product of four ranks. Settings as in VKDNW's "
    "script, with its 1,000 classes.",
    score=CombinedRanking.of("flops", "az_expressivity", "az_progressivity", "az_trainability"),
    scoring=Setting("mobilenetv2"),
)


def _tcet(saliency: str, source: str, images: str, scoring: Setting, budget: Budget, steps: int) -> Preset:
    description = f"{source}, scored without shortcuts{images}"
    strategy = replace(_VKDNW.strategy, population=512, start=scoring.space.start, count_rejected=True)
    return Preset(description, CombinedRanking.of(f"tcet_{saliency}_log"), scoring, strategy, budget, steps)


def _tcet_cifar(saliency: str) -> Preset:
    source = "Xiang et al., AutoML 2023, Table 5: 480,000 draws below 1e6 counted parameters"
    scoring = Setting("zen_resnet", "cifar100", inputs="images", build={"residual": False})
    return _tcet(saliency, source, " on CIFAR-100 images.", scoring, Budget(params=1e6, layers=18), 480_000)


def _tcet_imagenet(saliency: str, flops: float, note: str = "") -> Preset:
    source = f"Released script of T-CET, no result published: 100,000 draws below {flops:g} counted operations"
    images = f"; here on Gaussian noise in place of ImageNet.{note}"
    scoring = Setting("mobilenetv2", build={"residual": False})
    return _tcet(saliency, source, images, scoring, Budget(flops=flops, layers=14), 100_000)


PRESETS: Mapping[str, Preset] = {
    "vkdnw_mbv2": _VKDNW,
    "az_nas_mbv2": _AZ_NAS,
    "tcet_snip_cifar_1m": _tcet_cifar("snip"),
    "tcet_synflow_cifar_1m": _tcet_cifar("synflow"),
    "tcet_snip_imagenet_450m": _tcet_imagenet("snip", 450e6, " The script asks for the score Params."),
    "tcet_snip_imagenet_600m": _tcet_imagenet("snip", 600e6),
    "tcet_snip_imagenet_1g": _tcet_imagenet("snip", 1e9, " The script asks for the score Params."),
    "tcet_synflow_imagenet_450m": _tcet_imagenet("synflow", 450e6),
}
"""Name -> published search."""


def get_preset(name: str) -> Preset:
    """Return a published search, one of :data:`PRESETS`; raises :class:`NbnasError` for any other name.

    >>> import nbnas
    >>> from nbnas.search import get_preset
    >>> tiny = nbnas.Setting("mobilenetv2", batch_size=4, resolution=32, num_classes=10)
    >>> result = get_preset("vkdnw_mbv2").run(steps=2, scoring=tiny, progress=False)
    >>> list(result.history.status)
    ['ok', 'ok']
    """
    if name not in PRESETS:
        raise NbnasError(f"unknown search {name!r}; choose from {', '.join(PRESETS)}")
    return PRESETS[name]
