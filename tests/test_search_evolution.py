"""Searches keep their budget, choose parents as they say, and run the same whatever happens to them."""

import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nbnas
from nbnas import Setting, Workers
from nbnas.errors import NbnasError
from nbnas.machine.append_log import DamagedLogWarning, read_log
from nbnas.machine.paths import project_root
from nbnas.networks.layers import weight_layers
from nbnas.rankings import CombinedRanking, aggregate_ranks
from nbnas.rankings.published import RANKINGS
from nbnas.search import Budget, Evolution, candidates, evolve
from nbnas.search.candidates import TOO_SLOW
from nbnas.search.evolution import as_ranking
from nbnas.search.strategy import KINDS
from nbnas.seeding import derive_seed
from tests import search_spaces
from tests.search_spaces import DigitSpace, noise, three_scores, total

SPACE = DigitSpace()
GOLDEN = Path(__file__).parent / "golden"
TINY = Setting(SPACE, batch_size=2, resolution=8)
DRAWING = {field.name for field in fields(Evolution)}


def search(score=three_scores, space=SPACE, **options):
    options = {"population": 6, "steps": 80, "progress": False, **options}
    drawing = {name: options.pop(name) for name in DRAWING & set(options)}
    return evolve(space, score, **{"strategy": Evolution(**drawing), **options})


def trajectory(result):
    """What a run must have in common with another of the same search."""
    return result.history.drop(columns=["seconds", "time"])


def assert_same(result, expected):
    pd.testing.assert_frame_equal(trajectory(result), trajectory(expected), check_exact=True)


def best_before(history, number, size):
    """Numbers of the best candidates before one, by ranks computed anew."""
    before = history.iloc[:number]
    scores = aggregate_ranks([before[name] for name in ("total", "noise", "last")])
    return set(np.lexsort((np.arange(number), -scores))[:size].tolist())


# What is drawn


def test_single_score_finds_the_best():
    result = search(total, steps=400, population=10)
    assert result.best == "5" * 8
    assert result.ended == "complete"
    assert result.history["objective"].equals(result.history["score"])
    random = search(total, steps=400, kind="random")
    assert total(random.best) < 40


@pytest.mark.parametrize("in_flight", [1, 5])
def test_parents_are_the_best_of_everything_seen(in_flight):
    history = search(in_flight=in_flight).history
    late = history.iloc[6 + in_flight :]
    for number, row in late.iterrows():
        assert row["parent"] in best_before(history, number - in_flight + 1, 6)
        parent = history["arch"][row["parent"]]
        # A child that was seen before is mutated further.
        assert 1 <= sum(a != b for a, b in zip(parent, row["arch"], strict=True)) <= row["draws"]
    assert late["parent"].nunique() > 10
    assert history["parent"][:6].isna().all()


def test_parents_of_regularised_evolution_are_the_best_of_draws_from_the_newest():
    chosen = search(kind="regularised_evolution", population=10, tournament=1000, in_flight=1).history
    columns = ["total", "noise", "last"]
    for number in range(10, len(chosen)):
        scores = aggregate_ranks([chosen[name][:number] for name in columns])
        assert chosen["parent"][number] == number - 10 + np.argmax(scores[-10:])
    uniform = search(kind="regularised_evolution", population=10, tournament=1, in_flight=1).history
    ages = (uniform.index[10:] - uniform["parent"][10:]).to_numpy(dtype=int)
    assert set(ages) == set(range(1, 11))


def test_random_search_has_no_parents():
    assert search(kind="random").history["parent"].isna().all()


def test_first_candidates_are_mutations_of_the_start():
    history = search(start="00000000", initial=4, in_flight=1).history
    assert history["parent"][:4].isna().all()
    assert history["parent"][4:].notna().all()
    assert all(arch.count("0") == 7 for arch in history["arch"][:4])


def test_mutation_arguments_reach_the_space():
    space = nbnas.get_space("zen_resnet")
    options = {"candidates": "published", "replacements": 3}
    history = search("params", space, steps=12, start=space.start, initial=3, mutation=options, in_flight=1).history
    parents = history["parent"][3:]
    changes = [
        sum(a != b for a, b in zip(space.blocks(history["arch"][p]), space.blocks(history["arch"][n]), strict=False))
        for n, p in parents.items()
    ]
    assert max(changes) > 1


def test_search_leaves_a_neighbourhood_that_is_all_known():
    result = search(total, population=1, initial=1, start="5" * 8, steps=300)
    assert (result.ended, len(result.history)) == ("complete", 300)
    assert set(result.history["objective"][100:] < 35) == {True, False}


@pytest.mark.parametrize("kind", KINDS)
def test_every_candidate_is_within_the_budget(kind):
    space = nbnas.get_space("zen_resnet")
    budget = Budget(params=2e5, flops=20e6, layers=9)
    result = search("params", space, budget=budget, kind=kind, steps=40)
    shape = space.datasets["cifar10"]
    for row in result.history.itertuples():
        assert row.params == space.counted_params(row.arch, shape.num_classes) <= 2e5
        assert row.flops == space.counted_flops(row.arch, shape.resolution, shape.num_classes) <= 20e6
        assert row.layers == space.counted_layers(row.arch) <= 9
    assert result.history["draws"].max() > 1


def test_costs_of_inputs_that_are_not_square_are_those_of_the_network():
    space = nbnas.get_space("zen_resnet")
    scoring = Setting(space, resolution=(32, 64))
    (row,) = search("flops", space, scoring=scoring, strategy=Evolution("random"), steps=1).history.itertuples()
    network = space.build(row.arch, 10)
    assert row.flops == nbnas.score(network, "flops", input_shape=(1, 3, 32, 64)).value["flops"]


def test_costs_of_a_space_without_counts_are_those_of_the_network():
    history = search("params", budget=Budget(params=600), scoring=TINY, steps=12).history
    assert history["params"].max() <= 600
    for row in history.itertuples():
        network = SPACE.build(row.arch)
        assert row.params == sum(parameter.numel() for parameter in network.parameters())
        assert row.layers == len(weight_layers(network)) == 9
        table = nbnas.score(network, "flops", input_shape=(1, 3, 8, 8))
        assert row.flops == table.value["flops"]


def test_costs_of_the_spaces_of_the_package(space):
    resolution, classes = 32, 10
    assert space.costs(space[11], resolution, classes) == {
        "params": space.params(space[11]),
        "flops": space.flops(space[11]),
        "layers": space.weight_layers(space[11]),
    }


def test_slow_networks_are_neither_scored_nor_parents(monkeypatch):
    monkeypatch.setattr(candidates.CandidateScorer, "_latency", lambda _, arch: total(arch) / 10)
    scored = []
    result = search(lambda arch: scored.append(arch) or noise(arch), budget=Budget(latency=2.0), initial=20)
    history = result.history
    slow = history["latency"] > 2
    assert 0 < slow.sum() < len(history) == 80
    assert set(history["status"][slow]) == {TOO_SLOW}
    assert scored == history["arch"][~slow].tolist()
    assert not set(history["parent"].dropna()) & set(history.index[slow])
    assert history["objective"].isna().equals(slow)


def test_latency_is_measured_in_seconds():
    history = search(total, budget=Budget(latency=10.0), scoring=TINY, steps=3).history
    assert ((history["latency"] > 0) & (history["latency"] < 1)).all()
    assert set(history["status"]) == {"ok"}


# Duplicates


def test_networks_are_scored_once():
    scored = []

    def score(arch):
        scored.append(arch)
        return total(arch)

    history = search(score, steps=200, population=2).history
    assert len(set(scored)) == len(scored) == len(history) == 200
    assert history["draws"].max() > 1


def test_architectures_of_one_network_are_duplicates(space):
    history = search("params", space, steps=120).history
    assert len(history) == 120
    assert history["arch"].map(space.network_form).is_unique


def test_published_searches_score_duplicates_again():
    history = search(
        ["l2_norm", "params"],
        duplicates="score",
        population=1,
        start="11111111",
        initial=30,
        steps=30,
        scoring=TINY,
    ).history
    repeated = history[history["arch"].duplicated(keep=False)]
    assert not repeated.empty
    assert (repeated.groupby("arch")["l2_norm"].nunique() > 1).all()
    assert (repeated.groupby("arch")["params"].nunique() == 1).all()


def test_search_ends_when_there_is_nothing_new(monkeypatch):
    monkeypatch.setattr(candidates, "MOST_DRAWS", 500)
    space = nbnas.get_space("zen_resnet")

    class TwoDigits(DigitSpace):
        def network_form(self, arch):
            return arch[:1]

    with pytest.warns(UserWarning, match=r"ends after 6 candidates: none new .* in 500 draws .* 500 seen before"):
        result = search(total, TwoDigits())
    assert result.ended == "exhausted"
    assert len(result.history) == 6
    with pytest.raises(NbnasError, match=r"no architecture within the budget in 500 draws \(rejected: 500 params\)"):
        search("flops", space, budget=Budget(params=10))


def test_rejected_draws_may_be_steps():
    space = nbnas.get_space("zen_resnet")
    options = {"budget": Budget(params=1e5), "steps": 60, "count_rejected": True, "duplicates": "score"}
    result = search("flops", space, start=space.start, initial=5, **options)
    assert result.ended == "complete"
    draws = result.history["draws"]
    assert 50 < draws.sum() <= 60
    assert len(draws) < 60


# Scores


def test_objective_is_the_product_of_ranks_among_the_whole_history():
    history = search().history
    expected = aggregate_ranks([history[name] for name in ("total", "noise", "last")])
    np.testing.assert_array_equal(history["objective"], expected)
    assert search().best == history["arch"][int(np.argmax(expected))]


def test_scores_are_those_of_score_with_the_seed_of_score_many():
    result = search(["snip", "naswot"], scoring=TINY, steps=5, seed=3)
    for row in result.history.itertuples():
        seed = derive_seed(3, "DigitSpace", row.arch)
        table = nbnas.score(SPACE.build(row.arch), ["snip", "naswot"], input_shape=(2, 3, 8, 8), seed=seed)
        assert [row.snip, row.naswot] == pytest.approx(table.loc[["snip", "naswot"], "value"].tolist(), rel=1e-4)


def test_scoring_on_images_needs_them(monkeypatch):
    monkeypatch.delenv("NBNAS_DATA", raising=False)
    with pytest.raises(NbnasError, match="no images of cifar10"):
        search("snip", scoring=Setting(SPACE, inputs="images"))


def test_failed_scores_have_a_status_and_rank_last():
    history = search(search_spaces.failing, in_flight=1, steps=150).history
    failed = history["total"].isna()
    assert 0 < failed.sum() < 150
    assert set(history["status"][failed]) == {"non_finite"}
    ranks = [history["total"].fillna(-math.inf), history["noise"]]
    np.testing.assert_array_equal(history["objective"], aggregate_ranks(ranks))
    alone = search(lambda arch: search_spaces.failing(arch)["total"], in_flight=1, steps=150).history
    failed = alone["score"].isna()
    assert failed.any()
    late_parents = set(alone["parent"][40:])
    assert not late_parents & set(alone.index[failed])


@pytest.mark.parametrize("name", ["te_nas", "az_nas", "vkdnw_single", "vkdnw_agg"])
def test_combined_rankings_are_those_of_the_tables(name):
    rng = np.random.default_rng(0)
    scores = as_ranking(name).scores
    table = pd.DataFrame({score: rng.integers(9, size=60).astype(float) for score in scores})
    found, published = as_ranking(name).evaluate(table), RANKINGS[name].rank(table)
    np.testing.assert_allclose(aggregate_ranks([found]), aggregate_ranks([published]))
    assert set(scores) == set(RANKINGS[name].scores)


def test_terms_may_be_lexicographic_and_summed():
    objective = CombinedRanking((("layers", "params"), ("flops",)), "sum")
    history = search(objective, scoring=TINY, steps=20).history
    ranks = [history["params"], history["flops"]]  # All networks have as many layers.
    np.testing.assert_array_equal(history["objective"], aggregate_ranks(ranks, "sum"))


# Whatever happens to it


class ReversingExecutor(Executor):
    """Finishes tasks in threads, in an order unlike that of submission."""

    def __init__(self):
        self._pool = ThreadPoolExecutor(3)
        self._count = 0

    def submit(self, function, *arguments):
        self._count += 1
        delay = 0.004 * (self._count % 4)
        return self._pool.submit(lambda: (time.sleep(delay), function(*arguments))[1])


@pytest.mark.parametrize("kind", KINDS)
def test_trajectory_does_not_depend_on_workers(kind):
    options = {"kind": kind, "steps": 60, "in_flight": 7}
    expected = search(**options)
    assert_same(search(workers=Workers(ReversingExecutor()), **options), expected)
    with ThreadPoolExecutor(1) as executor:
        assert_same(search(workers=Workers(executor), **options), expected)


def test_other_seeds_give_other_trajectories():
    assert not set(search(seed=1).history["arch"]) <= set(search(seed=2).history["arch"])


class StopsAfter:
    """A score function that raises at a call."""

    __module__, __qualname__ = three_scores.__module__, three_scores.__qualname__

    def __init__(self, calls, error):
        self._left, self._error = calls, error

    def __call__(self, arch):
        if not self._left:
            raise self._error
        self._left -= 1
        return three_scores(arch)


@pytest.mark.parametrize("in_flight", [1, 6])
@pytest.mark.parametrize("kind", ["evolution", "regularised_evolution"])
def test_interrupted_search_keeps_all_and_resumes_as_if_it_had_not_been(tmp_path, kind, in_flight):
    options = {"kind": kind, "in_flight": in_flight}
    expected = search(**options)
    path = tmp_path / "folder" / "checkpoint"
    for _ in range(2):
        result = search(StopsAfter(23, KeyboardInterrupt()), checkpoint=path, **options)
        assert result.ended == "interrupted"
        assert not result.history.empty
    assert len(read_log(path)) == 1 + 46
    resumed = StopsAfter(80 - 46, AssertionError("scored twice"))
    assert_same(search(resumed, checkpoint=path, **options), expected)
    assert_same(search(StopsAfter(0, AssertionError("scored twice")), checkpoint=path, **options), expected)
    assert_same(search(checkpoint=path, steps=100, **options), search(steps=100, **options))


def test_search_that_counts_rejected_draws_resumes(tmp_path):
    space = nbnas.get_space("zen_resnet")
    options = {"budget": Budget(params=1e5), "start": space.start, "initial": 3, "count_rejected": True, "in_flight": 3}
    expected = search("params", space, steps=50, **options)
    path = tmp_path / "checkpoint"
    assert len(search("params", space, steps=17, checkpoint=path, **options).history) < len(expected.history)
    assert_same(search("params", space, steps=50, checkpoint=path, **options), expected)


def test_interrupt_without_checkpoint_returns_what_is_there():
    result = search(StopsAfter(10, KeyboardInterrupt()), in_flight=1)
    assert (result.ended, len(result.history)) == ("interrupted", 10)
    window = search(StopsAfter(10, KeyboardInterrupt()), in_flight=16)
    assert_same(window, search(steps=10, in_flight=16))
    nothing = search(StopsAfter(0, KeyboardInterrupt()))
    assert nothing.history.empty
    with pytest.raises(NbnasError, match="no candidate of the search has a score"):
        _ = nothing.best


def test_checkpoint_with_damaged_and_missing_rows_gives_the_same_trajectory(tmp_path):
    path = tmp_path / "checkpoint"
    expected = search(in_flight=5, checkpoint=path)
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for number, line in enumerate(lines[:50]) if number not in (20, 33)]
    path.write_bytes(b"".join(kept)[:-5])
    with pytest.warns(DamagedLogWarning):
        assert_same(search(in_flight=5, checkpoint=path), expected)


def test_killed_search_resumes(tmp_path):
    path = tmp_path / "checkpoint"
    code = (
        "from tests.search_spaces import *\n"
        "from nbnas import Workers\n"
        "from nbnas.search import Evolution, evolve\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "evolve(DigitSpace(), three_scores_slowly, strategy=Evolution(population=6, in_flight=4), steps=1000000, "
        f"progress=False, workers=Workers(ThreadPoolExecutor(2)), checkpoint={str(path)!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=project_root())
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not path.exists() or path.read_bytes().count(b"\n") < 60):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(read_log(path)) - 1
    assert done >= 59
    score = search_spaces.three_scores_slowly
    result = search(score, steps=done + 20, in_flight=4, checkpoint=path)
    assert_same(result, search(steps=done + 20, in_flight=4))


def test_dying_workers_are_a_one_line_error_and_what_is_done_is_kept(tmp_path):
    class Dying(Executor):
        def __init__(self):
            self.left = 10

        def submit(self, function, *arguments):
            future = Future()
            self.left -= 1
            if self.left < 0:
                future.set_exception(BrokenProcessPool())
            else:
                future.set_result(function(*arguments))
            return future

    path = tmp_path / "checkpoint"
    with pytest.raises(NbnasError, match=r"a scoring process died .* after \d+ candidates; those are kept"):
        search(workers=Workers(Dying()), checkpoint=path, in_flight=4)
    assert len(read_log(path)) == 1 + 10


def test_error_of_a_score_function_is_raised_as_it_is():
    with pytest.raises(ZeroDivisionError):
        search(lambda arch: 1 / 0)


def test_dask_gives_the_same_trajectory():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        found = search(workers=Workers(client.get_executor()), steps=30)
    assert_same(found, search(steps=30))


@pytest.mark.slow
def test_processes_give_the_same_trajectory():
    options = {"score": ["snip", "params"], "scoring": TINY, "steps": 30}
    assert_same(search(workers=Workers("processes", 2), **options), search(**options))
    space = nbnas.get_space("nasbench201")
    options = {"score": "naswot", "space": space, "scoring": Setting("nasbench201", batch_size=2), "steps": 10}
    assert_same(search(workers=Workers("processes", 2), **options), search(**options))


# Errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"population": 0}, "population must be at least 1, got 0"),
        ({"in_flight": 0}, "in_flight must be at least 1"),
        ({"kind": "aging"}, "strategy must be evolution or regularised_evolution or random, got 'aging'"),
        ({"duplicates": "keep"}, "duplicates must be skip or score, got 'keep'"),
        ({"score": "snap"}, "no proxy matches 'snap'"),
        ({"score": "vkdnw"}, "'vkdnw' names a proxy with several scores; name one of them, such as 'vkdnw_entropy'"),
        ({"score": []}, "score must name at least one score"),
        ({"score": None}, "score must name at least one score, got None"),
        ({"score": lambda arch: None}, "the score function must return a number, or several by name, got None for '"),
        ({"score": lambda arch: {"a": "x"}}, "the score function must return a number, or several by name, got "),
        ({"score": lambda arch: {}}, "the score function must return at least one number, got {}"),
        ({"score": lambda arch: {arch: 1.0}}, "the score function must return "),
        ({"space": "darts"}, "unknown search space 'darts'"),
        ({"space": DigitSpace}, "space must be a name or an object that can sample and mutate, got <class"),
        ({"space": object()}, "space must be a name or an object that can sample and mutate, got <object"),
        ({"budget": {"params": 5}}, "budget must be an object of Budget, got {'params': 5}"),
        ({"scoring": (2, 3, 8, 8)}, "scoring must be an object of Setting, got "),
        ({"scoring": Setting()}, "scoring is of the space nasbench201, which is not the one to search"),
        ({"strategy": "random"}, "strategy must be an object of Evolution, got 'random'"),
        ({"workers": Workers(number=2)}, "workers need an executor, such as executor='processes'"),
        ({"space": "zen_resnet", "score": "params", "start": "SuperConv"}, r"block 1 \(character 1\)"),
        ({"score": partial(float, threading.Lock()), "workers": Workers("processes")}, "define them in a module"),
        ({"workers": Workers("threads")}, "unknown executor 'threads'"),
    ],
)
def test_unusable_arguments_are_one_line_errors(options, message):
    with pytest.raises(NbnasError, match=message) as caught:
        search(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["params", "flops", "layers", "latency"])
@pytest.mark.parametrize("limit", [0, -1, math.nan])
def test_budgets_are_positive(name, limit):
    with pytest.raises(NbnasError, match=f"the budget of {name} must be positive"):
        Budget(**{name: limit})


def test_unusable_device_is_a_one_line_error():
    with pytest.raises(NbnasError, match="device 'gpu' cannot be used"):
        search(workers=Workers(device="gpu"))


def test_checkpoint_of_another_search_is_left_alone(tmp_path):
    path = tmp_path / "checkpoint"
    search(checkpoint=path, steps=5)
    content = path.read_bytes()
    for options, message in (
        ({"population": 7}, "holds a search with population 6, not 7; name another file"),
        ({"budget": Budget(params=5)}, "holds a search with budget params None, not 5"),
        ({"score": total}, "holds a search with score 'tests.search_spaces.three_scores', not 'tests.search_spaces"),
    ):
        with pytest.raises(NbnasError, match=message):
            search(checkpoint=path, **options)
    assert path.read_bytes() == content
    path.write_text("something else\n")
    with pytest.raises(NbnasError, match="is not the checkpoint of a search"):
        search(checkpoint=path)
    assert path.read_text() == "something else\n"
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]


def test_checkpoint_without_candidates_may_be_replaced(tmp_path):
    path = tmp_path / "checkpoint"
    with pytest.raises(ZeroDivisionError):
        search(lambda arch: 1 / 0, checkpoint=path)
    assert len(search(checkpoint=path, steps=5).history) == 5


@pytest.mark.parametrize("name", ["function", "vkdnw_single"])
def test_checkpoints_of_earlier_versions_continue(tmp_path, name):
    path = tmp_path / "checkpoint"
    shutil.copy(GOLDEN / f"search_by_{name}.checkpoint", path)
    before = read_log(path)
    if name == "function":
        strategy = Evolution(population=3, in_flight=2, start="11111111", initial=2)
        options = {"strategy": strategy, "budget": Budget(params=1500), "scoring": TINY, "seed": 5}
        fresh = evolve(SPACE, three_scores, steps=9, progress=False, **options)
        resumed = StopsAfter(3, AssertionError("scored twice"))
        assert_same(evolve(SPACE, resumed, steps=9, progress=False, checkpoint=path, **options), fresh)
    else:
        strategy = Evolution(
            "regularised_evolution",
            population=3,
            tournament=2,
            start=nbnas.get_space("zen_resnet").start,
            mutation={"candidates": "published", "replacements": 2},
            start_mutation={"replacements": 1},
        )
        scoring = Setting("zen_resnet", "cifar100", 2, build={"residual": False}, resolution=16)
        options = {"strategy": strategy, "budget": Budget(params=2e5), "scoring": scoring, "steps": 4}
        result = evolve("zen_resnet", name, progress=False, checkpoint=path, **options)
        assert result.history["vkdnw_entropy"].tolist() == [row["values"]["vkdnw_entropy"] for row in before[1:]]
    assert read_log(path)[: len(before)] == before


def test_two_searches_cannot_write_one_checkpoint(tmp_path):
    path = tmp_path / "checkpoint"

    def score(arch):
        with pytest.raises(NbnasError, match="another search is writing"):
            search(checkpoint=path)
        return total(arch)

    assert search(score, checkpoint=path, steps=1).ended == "complete"
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]


def test_result_can_be_pickled():
    result = search(steps=5)
    assert_same(pickle.loads(pickle.dumps(result)), result)
