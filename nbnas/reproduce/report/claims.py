"""What the two papers claim, and whether their own numbers and ours support it.

A claim is a list of comparisons between rows of one table or figure. Nothing of the outcome is written here: it is
computed from the verdicts of a run.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import pandas as pd

from nbnas.reproduce.verdicts import is_judged

HOLDS, IN_PART, FAILS = "holds", "holds in part", "does not hold"
UNDECIDED, UNKNOWN = "undecided", "not judged"


class Comparison(NamedTuple):
    """That one row of an item has a larger value than each of some others, or about the same value as another."""

    item: str
    dataset: str
    metric: str
    row: str
    others: tuple[str, ...]
    margin: float = 0.0
    """Where this is more than 0, the value may differ from that of the one other row by at most so much."""
    other_dataset: str = ""
    """Where the others stand in another column than the row."""


class Claim(NamedTuple):
    """A sentence of a paper in our words, and the comparisons that decide it, the most telling ones first."""

    paper: str
    text: str
    comparisons: tuple[Comparison, ...]


class Side(NamedTuple):
    """The value of a row and of the best of the others, each with its interval."""

    row: tuple[float, float, float]
    other: tuple[float, float, float]
    name: str
    """Name of that other row."""
    holds: bool
    clear: bool
    """Whether the intervals do not overlap; of two values that should be alike, whether no end is too far off."""


class Outcome(NamedTuple):
    """A comparison in the published numbers and in ours; ``elsewhere`` where ours is that of the reference run."""

    comparison: Comparison
    published: Side
    ours: Side
    elsewhere: bool


class Card(NamedTuple):
    """A claim with all comparisons that could be made."""

    claim: Claim
    outcomes: list[Outcome]

    @property
    def status(self) -> str:
        """``holds`` if every comparison is in favour, ``does not hold`` if none is, else ``holds in part``.

        ``undecided`` if not all are in favour and none goes beyond the uncertainty, ``not judged`` if there are none.
        """
        if not self.outcomes:
            return UNKNOWN
        if self.held == len(self.outcomes):
            return HOLDS
        if not any(outcome.ours.clear for outcome in self.outcomes):
            return UNDECIDED
        return IN_PART if self.held else FAILS

    @property
    def held(self) -> int:
        """Number of comparisons in favour of the claim."""
        return sum(outcome.ours.holds for outcome in self.outcomes)

    @property
    def clear_in_favour(self) -> int:
        """Number of those that go beyond the uncertainty."""
        return sum(outcome.ours.holds and outcome.ours.clear for outcome in self.outcomes)

    @property
    def published_held(self) -> int:
        """Number of comparisons that the published numbers decide in favour."""
        return sum(outcome.published.holds for outcome in self.outcomes)


_SETS = ("cifar10", "cifar100", "imagenet16-120")
_SINGLE = ("FLOPs", "GradNorm", "GraSP", "SNIP", "SynFlow", "Jacov", "NASWOT", "ZenNAS", "ZiCo", "TE-NAS")
_LAYERS, _ALL_MODEL = "No. of trainable layers (ℵ)", "(VKDNW+ZCS+GRAF)_m (ours)"
_SUBSETS = {
    "without VKDNW": "flops_expressivity_trainability_jacov_",
    "without Jacov": "flops_expressivity_trainability_vkdnw_",
    "without expressivity": "flops_trainability_jacov_vkdnw_",
    "without trainability": "flops_expressivity_jacov_vkdnw_",
    "without FLOPs": "expressivity_trainability_jacov_vkdnw_",
}
_FIVE = "flops_expressivity_trainability_jacov_vkdnw_"
ROW_NAMES = {
    _FIVE: "all five parts",
    **{row: name for name, row in _SUBSETS.items()},
    **{f"random {count}": f"{count} samples of noise" for count in (8, 64, 128)},
    **{f"real {count}": f"{count} images" for count in (8, 64, 128)},
    **{count: f"{count} parameters" for count in ("16", "128")},
}
"""Row -> how a card names it, where the published name says little."""
_TCET_SETS = (*_SETS, "ss1", "ss2", "ss3")
_OLDER = ("FLOPS", "#Params", "Grad-Norm", "GraSP", "Synflow", "SNIP", "ZiCo", "Zen-Score", "NASWOT")


def _larger(item: str, datasets: Sequence[str], metrics: Sequence[str], pairs: dict[str, tuple[str, ...]]):
    return tuple(
        Comparison(item, dataset, metric, row, others)
        for metric, (row, others), dataset in product(metrics, pairs.items(), datasets)
    )


_MEASURES = ("ndcg_1000", "kendall_tau", "spearman_rho")
CLAIMS = (
    Claim(
        "vkdnw",
        "VKDNW_agg ranks NAS-Bench-201 better than every other training-free score.",
        _larger(
            "vkdnw/table1",
            _SETS,
            _MEASURES,
            {"VKDNW_agg (ours)": (*_SINGLE, "AZ-NAS", _LAYERS, "VKDNW_single (ours)")},
        ),
    ),
    Claim(
        "vkdnw",
        "VKDNW_single puts the best networks on top better than every other single score.",
        _larger("vkdnw/table1", _SETS, ("ndcg_1000",), {"VKDNW_single (ours)": (*_SINGLE, _LAYERS)}),
    ),
    Claim(
        "vkdnw",
        "Each of the five parts makes VKDNW_agg better: leaving one out lowers nDCG.",
        _larger("vkdnw/table3", _SETS, ("ndcg_1000",), {_FIVE: tuple(_SUBSETS.values())}),
    ),
    Claim(
        "vkdnw",
        "The Fisher spectrum helps a model that learns accuracies: forests rank better with it than from graphs alone.",
        _larger("vkdnw/table1", _SETS, ("kendall_tau", "ndcg_1000"), {_ALL_MODEL: ("GRAF",)}),
    ),
    Claim(
        "vkdnw",
        "Within NAS-Bench-201, VKDNW grows least with the number of layers among the parts of the aggregate.",
        tuple(
            Comparison("vkdnw/table4", "trainable_layers", "kendall_tau", part, ("VKDNW",))
            for part in ("expressivity", "progressivity", "trainability")
        ),
    ),
    Claim(
        "vkdnw",
        "Noise serves as well as real images, and a batch of 8 as well as one of 128.",
        tuple(
            Comparison("vkdnw/table5", "imagenet16-120", "kendall_tau", row, (other,), 0.03)
            for row, other in (("real 64", "random 64"), ("random 8", "random 128"), ("real 8", "real 128"))
        ),
    ),
    Claim(
        "vkdnw",
        "A Fisher matrix of 16 parameters ranks nearly as well as one of 128.",
        tuple(Comparison("vkdnw/table7", dataset, "kendall_tau", "16", ("128",), 0.03) for dataset in _SETS),
    ),
    Claim(
        "tcet",
        "How evenly saliency is spread over the weights ranks networks better than the saliency itself.",
        _larger(
            "tcet/table2",
            _TCET_SETS,
            ("kendall_tau",),
            {"SNIP-SNR": ("SNIP",), "Synflow-SNR": ("Synflow",)},
        ),
    ),
    Claim(
        "tcet",
        "T-CET with SNIP ranks cells better than every score before it.",
        _larger("tcet/table2", _TCET_SETS, ("kendall_tau",), {"T-CET(SNIP)": _OLDER}),
    ),
    Claim(
        "tcet",
        "The logarithm of the ratios helps in macro spaces, where parameters rank badly, and not in cell spaces.",
        (
            *_larger(
                "tcet/tableA1",
                ("nb-macro, cifar10",),
                ("kendall_tau",),
                {"Log-SNIP-SNR": ("SNIP-SNR",), "Log-Synflow-SNR": ("Synflow-SNR",)},
            ),
            *_larger(
                "tcet/tableA1",
                tuple(f"nats-tss, {dataset}" for dataset in _SETS),
                ("kendall_tau",),
                {"SNIP-SNR": ("Log-SNIP-SNR",), "Synflow-SNR": ("Log-Synflow-SNR",)},
            ),
        ),
    ),
    Claim(
        "tcet",
        "Older scores measure much the same; the two halves of T-CET differ, so combining them gains more.",
        (
            Comparison(
                "tcet/figure1",
                "Vanilla-Synflow, right",
                "partial_kendall_tau",
                "ZiCo",
                ("Synflow-SNR",),
                other_dataset="Lnwot, right",
            ),
        ),
    ),
)


def judge_claims(verdicts: pd.DataFrame, reference: pd.DataFrame) -> list[Card]:
    """Return a card for each of :data:`CLAIMS`, from the verdicts of a run and of the reference run.

    A comparison needs the value of its row and of at least one other, of the same run: this one, else the reference
    run. Others without a value are left out, and so is a comparison that neither run can make.
    """
    keys = ["item", "dataset", "metric", "row"]
    tables = [table[is_judged(table)].drop_duplicates(keys).set_index(keys) for table in (verdicts, reference)]
    return [Card(claim, list(_outcomes(claim, tables))) for claim in CLAIMS]


def _outcomes(claim: Claim, tables: Sequence[pd.DataFrame]) -> Iterator[Outcome]:
    for comparison in claim.comparisons:
        item, dataset, metric = comparison.item, comparison.dataset, comparison.metric
        rows = [(item, dataset, metric, comparison.row)]
        rows += [(item, comparison.other_dataset or dataset, metric, other) for other in comparison.others]
        for table in tables:
            present = [key for key in rows if key in table.index]
            # A row whose published value is quoted or which was not scored cannot be beaten; the rest still can.
            if rows[0] in present and len(present) > 1:
                found = table.loc[present].reset_index()
                published = found["published"].astype(float)
                bare = found.assign(reproduced=published, low=published, high=published)
                yield Outcome(comparison, _side(bare, comparison), _side(found, comparison), table is tables[1])
                break


def _side(rows: pd.DataFrame, comparison: Comparison) -> Side:
    values = rows[["reproduced", "low", "high"]].astype(float)
    best = values["reproduced"].iloc[1:].idxmax()
    own, other = tuple(values.iloc[0]), tuple(values.loc[best])
    if comparison.margin:
        distance = abs(own[0] - other[0])
        spread = max(own[2] - other[1], other[2] - own[1])
        return Side(own, other, rows["row"][best], distance <= comparison.margin, spread <= comparison.margin)
    return Side(own, other, rows["row"][best], own[0] > other[0], own[1] > other[2] or other[1] > own[2])
