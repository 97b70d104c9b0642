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
from nbnas.search.budget import Budget
from nbnas.search.evolution import SearchResult, evolve
from nbnas.search.strategy import Evolution
from nbnas.spaces import get_space


@dataclass(frozen=True)
class Preset:
    """A published search."""

    name: str
    description: str
    """Source, and what is assumed where the source is silent."""
    score: CombinedRanking
    strategy: Evolution
    budget: Budget
    steps: int
    scoring: Setting

    def run(self, **changes: Any) -> SearchResult:
        """Run the search, with other arguments of :func:`nbnas.search.evolve` where given."""
        published = {name: getattr(self, name) for name in ("score", "strategy", "budget", "steps", "scoring")}
        return evolve(self.scoring.space, **published | changes)


MOBILENET = Evolution(
    population=512,
    start=get_space("mobilenetv2").start,
    initial=11,
    mutation={"candidates": "published", "replacements": 2},
    start_mutation={"candidates": "published", "replacements": 1},
    duplicates="score",
    count_rejected=True,
    in_flight=1,
)
RESNET = replace(MOBILENET, start=get_space("zen_resnet").start)


def _az_nas(name: str, description: str, score: CombinedRanking, num_classes: int) -> Preset:
    # The scripts say 1,024; the parents are the best 1,023.
    strategy = replace(MOBILENET, population=1023, count_rejected=False)
    scoring = Setting("mobilenetv2", num_classes=num_classes)
    return Preset(name, description, score, strategy, Budget(flops=450e6, layers=14), 100_000, scoring)


def _tcet_cifar(saliency: str) -> Preset:
    return Preset(
        f"tcet_{saliency}_cifar_1m",
        "Xiang et al., AutoML 2023, Table 5: 480,000 draws below 1e6 counted parameters, scored without shortcuts "
        "on CIFAR-100 images.",
        CombinedRanking.of(f"tcet_{saliency}_log"),
        RESNET,
        Budget(params=1e6, layers=18),
        480_000,
        Setting("zen_resnet", "cifar100", inputs="images", build={"residual": False}),
    )


def _tcet_imagenet(saliency: str, size: str, flops: float, note: str = "") -> Preset:
    return Preset(
        f"tcet_{saliency}_imagenet_{size}",
        f"Released script of T-CET, no result published: 100,000 draws below {flops:g} counted operations, scored "
        f"without shortcuts; here on Gaussian noise in place of ImageNet.{note}",
        CombinedRanking.of(f"tcet_{saliency}_log"),
        MOBILENET,
        Budget(flops=flops, layers=14),
        100_000,
        Setting("mobilenetv2", build={"residual": False}),
    )


_PARAMS_NOTE = " The script asks for the score Params."

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        _az_nas(
            "vkdnw_mbv2",
            "Tybl & Neumann, CVPR 2025, Table 2, released script: product of five ranks. 10 classes, as in the "
            "authors' logs; the script says 1,000.",
            CombinedRanking.of(
                "flops", "az_expressivity", "az_progressivity", "vkdnw_mobilenetv2_entropy", "az_trainability"
            ),
            10,
        ),
        _az_nas(
            "az_nas_mbv2",
            "Lee & Ham, CVPR 2024, whose search VKDNW took over: the product of four ranks. Settings as in VKDNW's "
            "script, with its 1,000 classes.",
            CombinedRanking.of("flops", "az_expressivity", "az_progressivity", "az_trainability"),
            1000,
        ),
        _tcet_cifar("snip"),
        _tcet_cifar("synflow"),
        _tcet_imagenet("snip", "450m", 450e6, _PARAMS_NOTE),
        _tcet_imagenet("snip", "600m", 600e6),
        _tcet_imagenet("snip", "1g", 1e9, _PARAMS_NOTE),
        _tcet_imagenet("synflow", "450m", 450e6),
    )
}
"""Name -> published search."""


def get_preset(name: str) -> Preset:
    """Return a published search.

    >>> from nbnas.search import get_preset
    >>> from nbnas.scoring.setting import Setting
    >>> tiny = Setting("mobilenetv2", batch_size=4, resolution=32, num_classes=10)
    >>> result = get_preset("vkdnw_mbv2").run(steps=2, scoring=tiny, progress=False)
    >>> list(result.history.status)
    ['ok', 'ok']

    Raises:
        NbnasError: If there is none of that name.
    """
    if name not in PRESETS:
        raise NbnasError(f"unknown search {name!r}; choose from {', '.join(PRESETS)}")
    return PRESETS[name]
