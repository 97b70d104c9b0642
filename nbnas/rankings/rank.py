"""Ranking networks of one's own by a published method."""

import difflib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from nbnas.errors import NbnasError, first_line
from nbnas.machine.append_log import AppendLog, read_log
from nbnas.machine.executors import Workers, describe_failure, in_flight, open_executor
from nbnas.proxies.registry import registered
from nbnas.rankings.combining import CombinedRanking
from nbnas.rankings.published import RANKINGS
from nbnas.scoring.score import score

Network = nn.Module | Callable[[], nn.Module]
"""A network, or a function or class that makes it when called without arguments."""

Method = str | Sequence[str] | CombinedRanking

_PAPERS = {"vkdnw": "vkdnw_agg", "tcet": "tcet_snip"}
"""Name of a paper -> its method."""


def find_method(method: Method) -> CombinedRanking:
    """Return the ranking of a method: of the papers, by one score, or by the product of ranks of several.

    Case, spaces, hyphens and underscores do not matter. :class:`NbnasError` names the nearest where there is none.

    >>> find_method("VKDNW") == find_method("vkdnw-agg"), find_method("T-CET").scores
    (True, ('tcet_snip',))
    """
    if isinstance(method, CombinedRanking):
        return method
    if not isinstance(method, str):
        terms = [find_method(name).terms for name in method]
        if any(len(term) != 1 for term in terms):
            raise NbnasError("a list of methods may hold scores and vkdnw_single, not rankings made of several")
        return CombinedRanking(tuple(term[0] for term in terms))
    scores = {name: CombinedRanking.of(name) for proxy in registered() for name in proxy.info.scores}
    known = {_plain(name): ranking for name, ranking in {**scores, **RANKINGS}.items()}
    known |= {paper: RANKINGS.get(name, scores.get(name)) for paper, name in _PAPERS.items()}
    if _plain(method) not in known:
        names = {_plain(name): name for name in (*scores, *RANKINGS)}
        nearest = difflib.get_close_matches(_plain(method), names, 1, 0)
        raise NbnasError(f"unknown method {method!r}; the nearest is {names[nearest[0]]!r}")
    return known[_plain(method)]


def rank(
    networks: Mapping[str, Network] | Sequence[Network],
    method: Method = "vkdnw_agg",
    *,
    input_shape: tuple[int, int, int, int] = (64, 3, 32, 32),
    seeds: int = 3,
    device: str | torch.device | None = None,
    executor: Executor | str | None = None,
    log: Path | None = None,
) -> pd.DataFrame:
    """Rank networks by a training-free method, with several initialisations and inputs.

    Args:
        networks: Name -> network, or a list, which is named by classes. A network may be given as a function that
            builds it, for a search space ``{arch: partial(space.build, arch) for arch in archs}``.
        method: ``vkdnw_agg``, ``vkdnw_single``, ``tcet_snip``, ``tcet_synflow``, ``az_nas``, ``te_nas``, any score or
            list of scores, or a :class:`~nbnas.rankings.CombinedRanking`, see :func:`find_method`.
        input_shape: (batch, channels, height, width) of the standard normal inputs.
        seeds: Number of seeds, 0 and up.
        device: Where to score; ``None`` is each network's own device.
        executor: ``processes``, ``dask``, ``dask:ADDRESS`` or an executor, see :class:`nbnas.Workers`; networks must
            then be picklable. ``None`` scores in this process.
        log: File that keeps what is scored; a rerun with it scores what is missing. Networks are known by their names.

    Returns:
        A row per network, best first, indexed by name. ``rank``: mean over seeds of the rank by the method, 1 is best;
        ``spread``: its standard deviation over seeds; ``like_next``: True where not all seeds put the network before
        the next one, so that the two cannot be told apart; per score its mean and ``NAME rank``, the rank of that mean
        among these networks; ``status``: ``ok``, or the scores that failed, which count as worse than any number.

    Raises:
        NbnasError: If there are fewer than two networks, the method is unknown, a builder fails, or no network has
            one of the scores; then it says why.
    """
    ranking, named = find_method(method), networks_by_name(networks)
    if len(named) < 2 or seeds < 1:
        raise NbnasError(f"ranking needs two networks and a seed, got {len(named)} and {seeds}")
    key = {"scores": list(ranking.scores), "input_shape": list(input_shape)}
    wanted = list(product(named, range(seeds)))
    done = _finished(log, key)
    tasks = [(name, named[name], seed) for name, seed in wanted if (name, seed) not in done]
    scored = partial(_score, scores=ranking.scores, input_shape=input_shape, device=device)
    with ExitStack() as stack:
        said = stack.enter_context(warnings.catch_warnings(record=True))
        file = stack.enter_context(closing(AppendLog(log))) if log is not None else None
        bar = stack.enter_context(tqdm(total=len(tasks), unit="net", disable=len(tasks) < 4))
        for row in _run(scored, tasks, executor, str(device or "cpu")):
            done[row["name"], row["seed"]] = row
            if file is not None:
                file.append({**key, **row})
            bar.update()
    for message in dict.fromkeys(str(each.message) for each in said):  # Once, for all networks and seeds.
        warnings.warn(message, stacklevel=2)
    return _summary(pd.DataFrame([done[each] for each in wanted]), ranking)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def networks_by_name(networks: Mapping[str, Network] | Sequence[Network]) -> dict[str, Network]:
    """Return name -> network; a list is named by classes or functions, with a number from the second of a name on."""
    if isinstance(networks, Mapping):
        return {str(name): network for name, network in networks.items()}
    named: dict[str, Network] = {}
    for network in networks:
        name = getattr(network, "__name__", type(network).__name__)
        same = sum(other.partition(" ")[0] == name for other in named)
        named[f"{name} {same + 1}" if same else name] = network
    return named


def _finished(log: Path | None, key: dict[str, list]) -> dict[tuple[str, int], dict]:
    """Rows of a log that were scored in this way, by name and seed; those that ended in an error are tried again."""
    rows = read_log(log) if log is not None and log.exists() else []
    kept = [row for row in rows if {each: row[each] for each in key} == key and "error" not in row["status"]]
    return {(row["name"], row["seed"]): row for row in kept}


def _run(scored: Callable, tasks: list, executor: Executor | str | None, device: str) -> Iterator[dict]:
    if executor is None or not tasks:
        yield from (scored(*task) for task in tasks)
        return
    with open_executor(Workers(executor, device=device), len(tasks), preload=__name__) as (opened, parallelism):
        try:
            for _, future in in_flight(tasks, lambda task: opened.submit(scored, *task), lambda: 2 * parallelism()):
                yield future.result()
        except Exception as error:
            failure = describe_failure(error)
            if failure is None:
                raise
            raise NbnasError(failure) from error


def _score(
    name: str,
    network: Network,
    seed: int,
    scores: tuple[str, ...],
    input_shape: tuple[int, int, int, int],
    device: str | torch.device | None,
) -> dict[str, object]:
    """Score one network with one seed; runs in a worker. Returns a row."""
    try:
        model = network if isinstance(network, nn.Module) else network()
    except Exception as error:
        raise NbnasError(f"{name}: cannot be built: {first_line(error)}") from error
    try:
        table = score(model, scores, input_shape=input_shape, seed=seed, device=device).loc[list(scores)]
    except NbnasError as error:
        raise NbnasError(f"{name}: {error}") from error
    failed = [f"{each}: {status}" for each, status in table.status.items() if status != "ok"]
    return {"name": name, "seed": seed, "status": "; ".join(failed) or "ok", **table.value}


def _summary(table: pd.DataFrame, ranking: CombinedRanking) -> pd.DataFrame:
    """The table that :func:`rank` returns, of a row per network and seed."""
    scores, names = list(ranking.scores), list(dict.fromkeys(table["name"]))
    for each in scores:
        if table[each].isna().all():
            raise NbnasError(f"no network has the score {each}: {table.status.iloc[0]}")
    by_seed = pd.DataFrame(index=names)
    for seed, rows in table.groupby("seed"):
        values = pd.Series(ranking.evaluate(rows), index=rows["name"])
        by_seed[seed] = values.rank(ascending=False, na_option="bottom")
    found = pd.DataFrame({"rank": by_seed.mean(axis=1), "spread": by_seed.std(axis=1)})
    by_name = table.groupby("name")
    means = by_name[scores].mean().loc[names]
    for each in scores:
        found[each], found[f"{each} rank"] = means[each], means[each].rank(ascending=False)
    found["status"] = by_name["status"].agg(lambda statuses: next((s for s in statuses if s != "ok"), "ok"))
    found = found.sort_values("rank", kind="stable")
    ordered = by_seed.loc[found.index]
    before_next = (ordered < ordered.shift(-1)).all(axis=1)
    found.insert(2, "like_next", ~before_next)
    found.loc[found.index[-1], "like_next"] = False
    return found.rename_axis("network")
