"""The explorer: a page that combines stored scores and compares them with trained accuracies at once.

The page computes on its own, from the accuracies and scores that are put into it when the report is built.
"""

import base64
import gzip
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from nbnas.benchmarks import BENCHMARKS, load_benchmark
from nbnas.benchmarks.benchmark import Benchmark
from nbnas.errors import NbnasError
from nbnas.rankings.evaluation import FEWEST_FOR_NDCG
from nbnas.rankings.published import RANKINGS, component_ranking, tcet_rankings
from nbnas.reproduce.report.rendering import write_page
from nbnas.scoring.architecture_scores import SIZES, load_architecture_scores, proxy_of
from nbnas.scoring.setting import Setting

SPACES = ("nasbench201", "nasbench_macro", "nasbench301")
"""Spaces of which scores of many networks are stored."""

# Those that the papers multiply come first, in the papers' order: it decides the last bit of a sum.
_MULTIPLIED = ("jacov", "az_expressivity", "az_progressivity", "az_trainability", "flops")
_RANKINGS = chain(*(named.values() for named in (RANKINGS, tcet_rankings(logged=False), tcet_rankings(logged=True))))
TERMS: Mapping[str, tuple[str, ...]] = {
    "vkdnw_single": component_ranking("V").terms[0],
    **{name: (name,) for name in (*_MULTIPLIED, *chain(*(each.scores for each in _RANKINGS)))},
}
"""What the page combines, name -> scores of which the first decides and the next among equals, in its order."""


_OWN = {"name": "your scores", "keys": ["your scores"], "title": "Pasted or loaded below"}


def presets(space: str) -> dict[str, list[str]]:
    """Return title -> names of :data:`TERMS`. T-CET is the variant that the paper takes for the space."""
    tcet = tcet_rankings(logged=space == "nasbench_macro")
    rankings = {
        "VKDNW_agg": RANKINGS["vkdnw_agg"],
        "VKDNW_single": RANKINGS["vkdnw_single"],
        "AZ-NAS": RANKINGS["az_nas"],
        "T-CET (SynFlow)": tcet["tcet_synflow"],
        "T-CET (SNIP)": tcet["tcet_snip"],
        "FLOPs": RANKINGS["flops"],
    }
    names = {keys: name for name, keys in TERMS.items()}
    return {title: [names[keys] for keys in ranking.terms] for title, ranking in rankings.items()}


def write_explorer(reports: Path, spaces: Sequence[str]) -> Path:
    """Write ``explorer.html`` with the benchmarks of these spaces whose accuracies are available; returns its path.

    It says why the others are absent; an error in their files does not stop the report.
    """
    packed: dict[str, int] = {}
    benchmarks, absent = [], []
    for space in spaces:
        try:
            benchmarks += _data_sets(space, load_benchmark(space), packed)
        except NbnasError as error:
            absent.append({"title": BENCHMARKS[space].title, "reason": str(error)})
    used = {name: keys for name, keys in TERMS.items() if any(name in each["terms"] for each in benchmarks)}
    data = {
        "terms": [{"name": name, "keys": keys, "title": _title(name)} for name, keys in used.items()] + [_OWN],
        "benchmarks": benchmarks,
        "packed": list(packed),
        "logarithms": _last_bits_of_logarithms(max((each["networks"] for each in benchmarks), default=0)),
    }
    path = reports / "explorer.html"
    return write_page("explorer.html.jinja", path, data=data, absent=absent, fewest=FEWEST_FOR_NDCG)


def _data_sets(space: str, benchmark: Benchmark, packed: dict[str, int]) -> list[dict]:
    """Return what the page knows of each data set of which a proxy's scores are stored; columns go to ``packed``."""
    entries, order = [], None
    for dataset in benchmark.accuracy_columns:
        table, texts, notes = _stored_scores(space, dataset, benchmark)
        if set(table) <= set(SIZES):
            continue
        # Networks with the same scores become neighbours, which makes the page smaller.
        order = table.sort_values(list(table)).index if order is None else order
        terms = [name for name, keys in TERMS.items() if set(keys) <= set(table)]
        entry = {
            "space": space,
            "title": BENCHMARKS[space].title,
            "dataset": dataset,
            "networks": len(order),
            "archs": _pack(np.array(benchmark.archs, dtype=object)[order], packed),
            "accuracy": _pack(map(repr, benchmark.accuracy(dataset)[order].tolist()), packed),
            "scores": {name: _pack(text.reindex(order, fill_value=""), packed) for name, text in texts.items()},
            "terms": terms,
            "presets": [[title, names] for title, names in presets(space).items() if set(names) <= set(terms)],
            "described": f"{benchmark.description}. {benchmark.deviation} {benchmark.sample}".strip(),
            "notes": notes,
        }
        entries.append(entry)
    return entries


def _stored_scores(
    space: str, dataset: str, benchmark: Benchmark
) -> tuple[pd.DataFrame, dict[str, pd.Series], dict[str, str]]:
    """Return scores of all ranked networks, a text per score of those that have it, and where a score is from."""
    columns, notes, whole = {}, {}, pd.Index([])
    stored_flops = benchmark.stored_flops(dataset)
    for name in dict.fromkeys(chain(*TERMS.values())):
        try:
            found = load_architecture_scores([name], Setting(space, dataset))
        except NbnasError:
            continue
        values, whole = found.table[name], found.whole.index
        if len(values) >= FEWEST_FOR_NDCG:
            columns[name] = values
            notes[name] = found.description
    if stored_flops is not None and "flops" in columns:
        columns["flops"] = pd.Series(stored_flops[whole], whole)
    texts = {name: _shortest(column.astype(float)) for name, column in columns.items()}
    return pd.DataFrame(columns, whole), texts, notes


def _shortest(values: pd.Series) -> pd.Series:
    """Return numbers as texts with the fewest digits that keep their order and ties, which is all that ranks need."""
    for digits in range(4, 18):
        texts = values.map(f"{{:.{digits}g}}".format)
        if (texts.astype(float).rank() - values.rank()).abs().sum() == 0:
            break
    return texts


def _pack(lines: Iterable[str], packed: dict[str, int]) -> int:
    """Return the place of a compressed column in ``packed``, where the same column stands once."""
    text = base64.b64encode(gzip.compress("\n".join(lines).encode(), mtime=0)).decode()
    return packed.setdefault(text, len(packed))


def _title(term: str) -> str:
    own = {"vkdnw_single": "Number of layers, then entropy", "weight_layers": "Number of layers with weights"}
    return own.get(term) or proxy_of(term).info.title


def _last_bits_of_logarithms(networks: int) -> str:
    """Return the last two bits of ln(1), ln(1.5), ..., ln(networks), as digits.

    A browser's logarithm may differ from ours in the last bit. Sums of logarithms that are tied here would then not be
    tied there.
    """
    logarithms = np.log(np.arange(2, 2 * networks + 1) / 2)
    return "".join(map(str, logarithms.view(np.int64) & 3))
