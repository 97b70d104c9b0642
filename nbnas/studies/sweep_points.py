"""How well one score ranks a small random sample of trained cells, scored here and now: a point of a sweep.

The networks are the first of the space's fixed random order; weights and inputs are those of :func:`nbnas.score_many`.
"""

import time

import numpy as np
import pandas as pd

from nbnas.benchmarks.benchmark import Benchmark
from nbnas.errors import NbnasError
from nbnas.proxies.fisher_information import FisherSetting
from nbnas.proxies.registry import select_proxies
from nbnas.rankings import bootstrap_estimate, kendall_tau, lexicographic_rank, worst_for_missing
from nbnas.scoring.given_inputs import usable_device
from nbnas.scoring.samples import sample_architectures
from nbnas.scoring.setting import Setting


def score_sample(score: str, setting: Setting, networks: int, seed: int = 0, device: str = "cpu") -> pd.DataFrame:
    """Score the first ``networks`` by one score, in this process and without the store.

    A row per network has ``arch``, ``value`` (NaN where it has none), ``status`` and ``seconds``.
    """
    if not any(score in proxy.info.scores for proxy in select_proxies(score)):
        raise NbnasError(f"{score!r} is not the name of a score")
    archs = sample_architectures(setting.space, size=networks)
    rows = [setting.score(arch, score, seed, device).loc[score] for arch in archs]
    table = pd.DataFrame(rows).reset_index(drop=True).assign(arch=archs).astype({"value": float, "seconds": float})
    table["value"] = table["value"].where(np.isfinite(table["value"]))
    return table[["arch", "value", "status", "seconds"]]


def score_sample_by_fisher(
    dimension: int, entries_per_tensor: int, setting: Setting, networks: int, seed: int = 0, device: str = "cpu"
) -> pd.DataFrame:
    """Score the same networks by VKDNW with a Fisher matrix of another make; 128 and 1 are those of the published one.

    The matrix has ``dimension`` parameters, fewer in a network without so many tensors: ``entries_per_tensor`` entries
    of each of the first tensors, evenly spaced. Inputs must be Gaussian. The result is that of :func:`score_sample`,
    and ``dimension``, what the matrix really has.
    """
    if entries_per_tensor < 1 or dimension < 1 or dimension % entries_per_tensor:
        got = f"{dimension} and {entries_per_tensor}"
        raise NbnasError(f"the dimension must be a multiple of the entries per tensor, got {got}")
    if setting.inputs != "gaussian":
        raise NbnasError(f"the Fisher matrix is scored on gaussian inputs here, got {setting.inputs!r}")
    device = str(usable_device(device))
    fisher = FisherSetting(dimension // entries_per_tensor, entries_per_tensor=entries_per_tensor)
    rows = []
    for arch in sample_architectures(setting.space, size=networks):
        start = time.perf_counter()
        network, inputs = setting.start(arch, seed, device=device)
        value = float(fisher.scores_of_network(network, inputs)["entropy"])
        seconds, size = time.perf_counter() - start, len(fisher.entries(network))
        rows.append((arch, value, "ok" if np.isfinite(value) else "degenerate", seconds, size))
    return pd.DataFrame(rows, columns=["arch", "value", "status", "seconds", "dimension"])


def rank_sample(scores: pd.DataFrame, setting: Setting, benchmark: Benchmark, repeats: int = 500) -> pd.DataFrame:
    """Measure how scored networks are ranked, by the score alone and by it after the number of layers.

    Networks without a value rank last. The one row has ``kendall_tau`` of the score with accuracy, its 95 % interval
    ``low`` to ``high``; ``tau_layers_first`` of the ranking by the number of trainable layers first and the score
    second (VKDNW_single, where it is VKDNW's entropy), ``low_layers_first``, ``high_layers_first``;
    ``seconds_per_network`` on one thread; ``networks``, ``without_score`` of them; the source of ``accuracies``.
    """
    failed = scores["value"].isna()
    if failed.all():
        reasons = ", ".join(sorted(set(scores["status"])))
        raise NbnasError(f"none of {len(scores)} networks has a score: {reasons}")
    space = setting.space
    accuracy = benchmark.accuracy(setting.dataset)[[space.index(arch) for arch in scores["arch"]]]
    values = worst_for_missing(scores[["value"]])["value"]
    layers_first = lexicographic_rank([space.trainable_layers(arch) for arch in scores["arch"]], values)
    row = {}
    for name, ranking in {"": values, "_layers_first": layers_first}.items():
        estimate = bootstrap_estimate(kendall_tau, ranking, accuracy, repeats=repeats)
        row |= dict(zip((f"tau{name}" if name else "kendall_tau", f"low{name}", f"high{name}"), estimate, strict=True))
    row["seconds_per_network"] = round(float(scores["seconds"].mean()), 4)
    row |= {"networks": len(scores), "without_score": int(failed.sum()), "accuracies": benchmark.source}
    return pd.DataFrame([row])


def sample_protocol(setting: Setting, benchmark: Benchmark, networks: int, seed: int) -> dict[str, object]:
    """Say what a reader must know to trust the numbers, for :func:`nbnas.reproduce.results.save`."""
    drawn = f"the first {networks} of the space's fixed random order, all distinct, without dead edges"
    protocol = {"seed": seed, "networks": drawn, "weights": "the published initialisation of each score"}
    protocol |= {"accuracies": benchmark.description, "intervals": "95 %, bootstrap over networks"}
    return setting.record() | protocol
