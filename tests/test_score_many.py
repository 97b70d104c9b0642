"""Scoring many networks: reproducible, resumable, and safe when killed, interrupted or short of workers."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import nbnas
from nbnas.errors import NbnasError
from nbnas.machine.executors import Workers
from nbnas.scoring.architecture_scores import load_sample, load_scores
from nbnas.scoring.score_many import score_many
from nbnas.scoring.setting import Setting
from nbnas.seeding import derive_seed

SPACE = nbnas.get_space("nasbench201")
CELLS = [SPACE[index] for index in (284, 11, 0, 857)]
EMPTY_CELL = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
SMALL = Setting(batch_size=4)


class InlineExecutor(Executor):
    """Runs each task when it is submitted, in this process, and records its architecture and seed."""

    def __init__(self):
        self.tasks = []

    def submit(self, function, arch, seed, *arguments):
        self.tasks.append((arch, seed))
        future = Future()
        future.set_result(function(arch, seed, *arguments))
        return future


class RefusingExecutor(Executor):
    def submit(self, *_):
        raise AssertionError("nothing should have been computed")


class DyingExecutor(InlineExecutor):
    """A process pool whose workers die after ``lifetime`` networks."""

    def __init__(self, lifetime, refuses):
        super().__init__()
        self._lifetime = lifetime
        self._refuses = refuses

    def submit(self, function, *arguments):
        if len(self.tasks) < self._lifetime:
            return super().submit(function, *arguments)
        if self._refuses:
            raise BrokenProcessPool("the pool is broken")
        future = Future()
        future.set_exception(BrokenProcessPool("a worker died"))
        return future


@pytest.fixture
def run(tmp_path):
    """Score into a fresh store, in this process unless told otherwise."""

    def score(
        archs,
        proxies,
        configuration=SMALL,
        *,
        store=tmp_path / "store",
        executor=None,
        number=None,
        device="cpu",
        **options,
    ):
        options = {"progress": False, **options}
        workers = Workers(executor or InlineExecutor(), number, device)
        return score_many(archs, proxies, configuration, store=store, workers=workers, **options)

    return score


def without_seconds(rows):
    return rows.drop(columns="seconds")


# Numbers


def test_any_subset_in_any_order_gives_the_same_numbers(run, tmp_path):
    whole = run(CELLS[:3], "vkdnw")["vkdnw"]
    torch.manual_seed(123)
    first = run([CELLS[2]], "vkdnw", store=tmp_path / "first")["vkdnw"]
    others = run([CELLS[1], CELLS[0]], "vkdnw", store=tmp_path / "others")["vkdnw"]
    parts = pd.concat([first, others]).sort_values("arch", ignore_index=True)
    assert len(whole) == 3
    assert whole["vkdnw_entropy"].nunique() == 3
    pd.testing.assert_frame_equal(without_seconds(parts), without_seconds(whole), check_exact=True)


def test_results_equal_direct_calls_of_score_with_the_derived_seed(run):
    names = ["vkdnw_entropy", "vkdnw_decile_9", "vkdnw_trace", "vkdnw_paper_entropy", "params", "trainable_layers"]
    tables = run([CELLS[0]], ["params", "trainable_layers", "vkdnw"], seeds=(0, 7))
    for seed in (0, 7):
        direct = nbnas.score(
            SPACE.build(CELLS[0]),
            ["params", "trainable_layers", "vkdnw"],
            input_shape=(4, 3, 32, 32),
            seed=derive_seed(seed, "nasbench201", CELLS[0]),
        )
        stored = pd.concat([table[table["seed"] == seed].iloc[0] for table in tables.values()])
        np.testing.assert_allclose(stored[names].to_numpy(float), direct.loc[names, "value"].to_numpy(float), rtol=1e-4)


def test_seeds_give_a_row_each_and_different_draws(run):
    rows = run(CELLS[:1], ["vkdnw", "params"], seeds=(0, 1, 5))
    assert rows["vkdnw"]["seed"].tolist() == rows["params"]["seed"].tolist() == [0, 1, 5]
    assert rows["vkdnw"]["vkdnw_entropy"].nunique() == 3
    assert rows["params"]["params"].nunique() == 1


def test_proxies_that_share_passes_get_the_numbers_they_get_alone(run, tmp_path):
    names = ["snip", "grasp", "naswot", "tcet_snip"]
    together = run(CELLS[:1], names)
    assert set(together) == set(names)
    for name in names:
        alone = run(CELLS[:1], name, store=tmp_path / name)[name]
        assert set(alone["status"]) == {"ok"}
        pd.testing.assert_frame_equal(without_seconds(together[name]), without_seconds(alone), check_exact=True)


def test_name_of_a_score_chooses_its_proxy(run):
    tables = run(CELLS[:1], ["tcet_snip_log", "params"])
    assert set(tables) == {"params", "tcet_snip"}
    assert {"tcet_snip", "tcet_snip_log"} <= set(tables["tcet_snip"].columns)


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "ImageNet16-120"])
def test_sizes_are_those_of_the_data_set(run, dataset):
    shape = SPACE.datasets[dataset]
    rows = run(CELLS[:2], ["params", "flops", "trainable_layers"], Setting(dataset=dataset, batch_size=1))
    archs = sorted(CELLS[:2])
    assert set(rows) == {"params", "flops", "trainable_layers"}
    assert rows["params"]["params"].tolist() == [SPACE.params(arch, shape.num_classes) for arch in archs]
    assert rows["flops"]["flops"].tolist() == [SPACE.flops(a, shape.resolution, shape.num_classes) for a in archs]
    assert rows["trainable_layers"]["trainable_layers"].tolist() == [SPACE.trainable_layers(arch) for arch in archs]


def test_thread_pool_gives_the_same_numbers(run, tmp_path):
    with ThreadPoolExecutor(2) as executor:
        threaded = run(CELLS[:3], "vkdnw", store=tmp_path / "threaded", executor=executor)["vkdnw"]
    inline = run(CELLS[:3], "vkdnw")["vkdnw"]
    pd.testing.assert_frame_equal(without_seconds(threaded), without_seconds(inline), check_exact=True)


def test_number_of_threads_of_torch_is_left_as_it_was(run):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        run(CELLS[:1], "params")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_default_process_pool_gives_the_same_numbers(run, tmp_path):
    pooled = score_many(
        CELLS[:3], "vkdnw", SMALL, store=tmp_path / "pooled", workers=Workers(number=2), progress=False
    )["vkdnw"]
    inline = run(CELLS[:3], "vkdnw")["vkdnw"]
    pd.testing.assert_frame_equal(without_seconds(pooled), without_seconds(inline), check_exact=True)


# Resuming


def test_rerun_computes_nothing_and_returns_the_same_rows(run):
    first = run(CELLS, ["params", "trainable_layers"], seeds=(0, 1))
    again = run(CELLS[::-1], ["params", "trainable_layers"], seeds=(1, 0), executor=RefusingExecutor())
    assert set(again) == {"params", "trainable_layers"}
    for name, rows in first.items():
        assert len(rows) == 8
        pd.testing.assert_frame_equal(again[name], rows, check_exact=True)


def test_only_missing_networks_and_seeds_are_computed(run):
    run(CELLS[:2], "params", seeds=(0,))
    executor = InlineExecutor()
    run(CELLS[:3], "params", seeds=(0, 1), executor=executor)
    assert executor.tasks == [(CELLS[2], 0), (CELLS[0], 1), (CELLS[1], 1), (CELLS[2], 1)]


def test_only_missing_proxies_of_a_network_are_computed(run, monkeypatch):
    run(CELLS[:1], "params")
    asked = []
    original = Setting.score

    def recording_score(setting, arch, names, *options):
        asked.append(sorted(names))
        return original(setting, arch, names, *options)

    monkeypatch.setattr(Setting, "score", recording_score)
    run(CELLS[:2], ["params", "trainable_layers"])
    assert asked == [["trainable_layers"], ["params", "trainable_layers"]]


def test_repeated_architectures_and_seeds_are_computed_once(run):
    executor = InlineExecutor()
    rows = run([CELLS[0], CELLS[1], f" {CELLS[0]}\n"], "params", seeds=(0, 0), executor=executor)["params"]
    assert executor.tasks == [(CELLS[0], 0), (CELLS[1], 0)]
    assert rows["arch"].tolist() == sorted(CELLS[:2])


def test_result_holds_the_requested_rows_only(run):
    run(CELLS, "params", seeds=(0, 1))
    rows = run([CELLS[3], CELLS[1]], "params", seeds=(1,), executor=RefusingExecutor())["params"]
    assert sorted(zip(rows["arch"], rows["seed"], strict=True)) == sorted([(CELLS[3], 1), (CELLS[1], 1)])
    assert rows.index.tolist() == [0, 1]


def test_no_architectures_give_an_empty_table_with_its_columns(run):
    rows = run([], "params", executor=RefusingExecutor())["params"]
    assert rows.empty
    assert {"arch", "seed", "status", "seconds"} <= set(rows.columns)


def test_tables_of_other_configurations_are_not_reused(run):
    run(CELLS[:1], "params")
    for configuration in (Setting(batch_size=2), Setting("nasbench201", "cifar100", 4)):
        executor = InlineExecutor()
        run(CELLS[:1], "params", configuration, executor=executor)
        assert executor.tasks == [(CELLS[0], 0)]


def test_degenerate_network_keeps_its_status_and_is_not_computed_again(run):
    for executor in (InlineExecutor(), RefusingExecutor()):
        row = run([EMPTY_CELL], "vkdnw", executor=executor)["vkdnw"].iloc[0]
        assert row["status"] == "degenerate"
        assert np.isnan(row["vkdnw_entropy"])


def test_rows_that_ended_in_an_error_are_tried_again_and_replaced(run, tmp_path):
    failed = {"arch": CELLS[0], "seed": 0, "status": "error: out of memory", "seconds": 1.0, "params": math.nan}
    with SMALL.table("params", tmp_path / "store").writer({}, {}) as log:
        log.append(failed)
    rows = run(CELLS[:1], "params")["params"]
    assert rows[["status", "params"]].values.tolist() == [["ok", SPACE.params(CELLS[0])]]
    run(CELLS[:1], "params", executor=RefusingExecutor())


def test_numpy_seeds_are_as_good_as_python_ones(run):
    rows = run(CELLS[:1], "params", seeds=np.arange(2))["params"]
    assert rows["seed"].tolist() == [0, 1]


def test_sidecar_says_what_computed_the_rows(run, tmp_path):
    run(CELLS[:2], "params")
    record = SMALL.table("params", tmp_path / "store").provenance()
    expected = {"proxy": "params", "inputs": "gaussian", "space": "nasbench201", "dataset": "cifar10", "batch_size": 4}
    assert record["configuration"] == expected | {"init": "published"}
    (session,) = record["runs"]
    assert session["rows"] == 2
    assert session["versions"]["torch"] == metadata.version("torch")
    assert {"time", "commit", "device", "python"} <= set(session)


# Errors


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dataset": "mnist"}, "unknown data set 'mnist'"),
        ({"space": "darts"}, "unknown search space 'darts'"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"inputs": "pictures"}, "inputs must be 'gaussian' or 'images', got 'pictures'"),
    ],
)
def test_wrong_configuration_is_a_one_line_error(setting, message):
    with pytest.raises(NbnasError, match=message):
        Setting(**setting)


def test_images_that_are_not_there_stop_a_run_before_any_work(run, monkeypatch):
    monkeypatch.delenv("NBNAS_DATA", raising=False)
    with pytest.raises(NbnasError, match="no images of cifar10: set NBNAS_DATA"):
        run(CELLS, "params", Setting(inputs="images"), executor=RefusingExecutor())


@pytest.mark.parametrize(
    ("archs", "proxies", "configuration", "options", "message"),
    [
        (CELLS, "no_such_proxy", SMALL, {}, "no proxy matches 'no_such_proxy'"),
        (CELLS, ["params", "vkdwn"], SMALL, {}, "no proxy matches 'vkdwn'"),
        ([*CELLS, "|nor_conv_3x3~0|"], "params", SMALL, {}, "3 nodes"),
        ([*CELLS, EMPTY_CELL.replace("none~2", "none~1")], "params", SMALL, {}, "edge 2-3"),
        ([*CELLS, 5], "params", SMALL, {}, "is a string, got int"),
        (CELLS[0], "params", SMALL, {}, "3 nodes"),
        (CELLS, "params", SMALL, {"seeds": [2**63]}, "64 bits"),
        (CELLS, "params", SMALL, {"device": "gpu"}, "gpu"),
        (CELLS, "params", SMALL, {"device": "cuda:99"}, "cuda:99"),
    ],
    ids=[
        "proxy",
        "second_proxy",
        "short_arch",
        "wrong_edge",
        "not_a_string",
        "not_a_list",
        "seed",
        "device_name",
        "device_number",
    ],
)
def test_wrong_argument_is_a_one_line_error_before_any_work(
    run, tmp_path, archs, proxies, configuration, options, message
):
    with pytest.raises(NbnasError, match=message) as caught:
        run(archs, proxies, configuration, executor=RefusingExecutor(), **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("progress", [True, False])
@pytest.mark.parametrize("refuses", [True, False], ids=["submit_raises", "future_raises"])
def test_dead_worker_is_an_error_that_says_how_many_networks_are_kept(run, tmp_path, refuses, progress):
    archs = [SPACE[index] for index in range(6)]
    # One worker has a window of four tasks: those are back before the fifth is submitted.
    with pytest.raises(NbnasError, match=r"after 4 of 6 networks; those are kept") as caught:
        run(archs, "params", executor=DyingExecutor(4, refuses), number=1, progress=progress)
    assert "\n" not in str(caught.value)
    table = SMALL.table("params", tmp_path / "store")
    assert set(pd.read_parquet(table.parquet)["arch"]) == set(archs[:4])
    executor = InlineExecutor()
    assert len(run(archs, "params", executor=executor)["params"]) == 6
    assert [arch for arch, _ in executor.tasks] == archs[4:]


def test_error_inside_a_worker_passes_on_and_keeps_finished_networks(run, tmp_path):
    class Failing(DyingExecutor):
        def submit(self, *arguments):
            if len(self.tasks) == 4:
                raise MemoryError
            return super().submit(*arguments)

    archs = [SPACE[index] for index in range(6)]
    with pytest.raises(MemoryError):
        run(archs, "params", executor=Failing(4, False), number=1)
    assert len(pd.read_parquet(SMALL.table("params", tmp_path / "store").parquet)) == 4


# Loading


def test_load_scores_adds_the_index_of_each_architecture(run, tmp_path):
    run(CELLS, "params", seeds=(0, 1))
    rows = load_scores("params", SMALL, tmp_path / "store")
    assert rows.columns[0] == "arch_index"
    assert sorted(rows["arch_index"]) == [0, 0, 11, 11, 284, 284, 857, 857]
    assert [SPACE[index] for index in rows["arch_index"]] == rows["arch"].tolist()
    assert rows["params"].tolist() == [SPACE.params(arch) for arch in rows["arch"]]


@pytest.mark.parametrize(
    ("configuration", "options"),
    [
        (Setting(), "--dataset cifar10 --proxies params"),
        (Setting(dataset="cifar100"), "--dataset cifar100 --proxies params"),
        (Setting(batch_size=4), "--batch-size 4"),
    ],
    ids=["default", "dataset", "batch_size"],
)
def test_load_scores_of_nothing_names_the_command_that_computes_them(tmp_path, configuration, options):
    with pytest.raises(NbnasError, match="run: nbnas score nasbench201 ") as caught:
        load_scores("params", configuration, tmp_path)
    assert options in str(caught.value)
    assert "\n" not in str(caught.value)


# Killed and interrupted processes

CHILD = """
import signal
import sys
from pathlib import Path

import nbnas

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if the tests run in the background
    space = nbnas.get_space("nasbench201")
    nbnas.score_many(
        [space[index] for index in range(24)],
        "vkdnw",
        nbnas.Setting(batch_size=4),
        store=Path(sys.argv[1]),
        workers=nbnas.Workers(number=2),
    )
"""
CHILD_CELLS = [SPACE[index] for index in range(24)]


def children_of(pid):
    children = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            children.append(int(path.parent.name))
    return children


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@contextmanager
def scoring_process(folder):
    """Start a script that scores 24 networks; yield it in mid-run, with the ids of its children."""
    script = folder / "score.py"
    script.write_text(CHILD)
    shards = SMALL.table("vkdnw", folder / "store").shards
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder / "store")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=folder,
    )

    def has_three_rows():
        return sum(path.read_bytes().count(b"\n") - 1 for path in shards.glob("*.jsonl")) >= 3

    children = []
    try:
        started = wait_until(lambda: process.poll() is not None or has_three_rows(), 120)
        assert started
        assert process.poll() is None, process.stderr.read()
        children = children_of(process.pid)
        yield process, children
    finally:
        if process.poll() is None or any(is_running(pid) for pid in children):
            os.killpg(process.pid, signal.SIGKILL)  # the session that Popen started: the script and its workers
        process.wait()
        process.stderr.close()


def assert_rerun_completes(run, kept):
    executor = InlineExecutor()
    rows = run(CHILD_CELLS, "vkdnw", executor=executor)["vkdnw"]
    assert {arch for arch, _ in executor.tasks} == set(CHILD_CELLS) - set(kept)
    assert len(executor.tasks) == 24 - len(kept)
    assert sorted(rows["arch"]) == sorted(CHILD_CELLS)


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads process ids from /proc")


@pytest.mark.slow
@needs_proc
def test_killed_run_keeps_its_rows_leaves_no_worker_and_continues(run, tmp_path):
    table = SMALL.table("vkdnw", tmp_path / "store")
    with scoring_process(tmp_path) as (process, children):
        assert len(children) >= 2
        process.kill()
        process.wait()
        assert wait_until(lambda: not any(is_running(pid) for pid in children), 10)
    assert not table.parquet.exists()
    kept = table.read()
    assert 3 <= len(kept) < 24
    assert set(kept["status"]) == {"ok"}
    assert_rerun_completes(run, kept["arch"])
    assert list(table.shards.glob("*.jsonl")) == []
    assert len(pd.read_parquet(table.parquet)) == 24
    merged = pd.read_parquet(table.parquet).set_index("arch")["vkdnw_entropy"]
    assert merged[kept["arch"]].tolist() == kept["vkdnw_entropy"].tolist()


@pytest.mark.slow
@needs_proc
def test_interrupted_run_merges_its_rows_fails_and_continues(run, tmp_path):
    table = SMALL.table("vkdnw", tmp_path / "store")
    with scoring_process(tmp_path) as (process, children):
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
        _, errors = process.communicate(timeout=60)
        assert wait_until(lambda: not any(is_running(pid) for pid in children), 10)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    kept = pd.read_parquet(table.parquet)
    assert 3 <= len(kept) < 24
    assert list(table.shards.glob("*.jsonl")) == []
    assert_rerun_completes(run, kept["arch"])


@pytest.mark.slow
@needs_proc
def test_killed_worker_stops_the_run_with_an_error_and_keeps_its_rows(tmp_path):
    table = SMALL.table("vkdnw", tmp_path / "store")
    with scoring_process(tmp_path) as (process, children):
        workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(workers[0], signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    message = errors.strip().splitlines()[-1]
    found = re.search(r"NbnasError: a scoring process died .* after (\d+) of 24 networks; those are kept", message)
    assert found, message
    assert len(pd.read_parquet(table.parquet)) == int(found[1]) >= 3


def test_a_sample_is_the_random_order_up_to_the_first_gap(run, tmp_path):
    order = SPACE.sample_subset("filtered-unique")
    chosen = [*order[:3], order[4], SPACE.index(EMPTY_CELL)]
    run([SPACE[index] for index in chosen], "params")
    sample = load_sample("params", SMALL, "filtered-unique", store=tmp_path / "store")
    assert sample["arch_index"].tolist() == order[:3]
    with pytest.raises(NbnasError, match="no random sample"):
        load_sample("params", SMALL, "filtered-unique", seed=1, store=tmp_path / "store")


def test_matrix_joins_the_sample_that_all_proxies_have(tmp_path):
    store = tmp_path / "store"
    order = SPACE.sample_subset("filtered-unique", 4)
    score_many([SPACE[cell] for cell in order], "params", SMALL, store=store, progress=False)
    score_many([SPACE[cell] for cell in order[:3]], "az_*", SMALL, store=store, workers=Workers(InlineExecutor()))
    matrix = nbnas.load_score_matrix(["params", "az_*"], SMALL, "filtered-unique", store=store)
    assert matrix.index.tolist() == order[:3]
    assert matrix.index.name == "arch_index"
    assert matrix.columns.tolist() == ["params", "az_expressivity", "az_progressivity", "az_trainability"]
    assert matrix["params"].tolist() == [SPACE.params(SPACE[cell]) for cell in order[:3]]
    assert matrix.notna().all(axis=None)


def test_matrix_marks_networks_without_a_score(tmp_path):
    store = tmp_path / "store"
    order = SPACE.sample_subset("filtered-unique", 2)
    configuration = Setting(batch_size=4)
    rows = [
        {"arch": SPACE[order[0]], "seed": 0, "status": "ok", "seconds": 1.0, "zen": 2.0, "zen_paper": math.inf},
        {"arch": SPACE[order[1]], "seed": 0, "status": "degenerate", "seconds": 1.0, "zen": None, "zen_paper": None},
    ]
    with configuration.table("zen", store).writer({}, {}) as log:
        for row in rows:
            log.append(row)
    matrix = nbnas.load_score_matrix("zen", configuration, "filtered-unique", store=store)
    assert matrix["zen"].tolist()[0] == 2
    assert matrix.isna().to_numpy().tolist() == [[False, True], [True, True]]


# Inputs other than those of the space's data sets


def test_inputs_need_not_be_square():
    setting = Setting("nats_sss", batch_size=2, resolution=(16, 24))
    arch = setting.space.sample(np.random.default_rng(0))
    seed = setting.own_seed(arch, 3)
    expected = nbnas.score(setting.network(arch), "snip", input_shape=(2, 3, 16, 24), seed=seed)
    assert setting.score(arch, "snip", 3)["value"].item() == pytest.approx(expected["value"].item(), rel=1e-4)
    with pytest.raises(NbnasError, match=r"resolution must be at least 1, got \(16, 0\)"):
        Setting("nats_sss", resolution=(16, 0))


def test_scores_and_no_table_on_a_data_set_that_the_space_does_not_list(tmp_path):
    assert Setting("mobilenetv2", resolution=64).dataset == "imagenet"
    setting = Setting("mobilenetv2", "cifar10", 2, num_classes=10)
    assert (setting.input_shape, setting.shape.num_classes) == ((2, 3, 32, 32), 10)
    with pytest.raises(NbnasError, match="tables hold networks of the data set"):
        setting.table("snip", tmp_path)
    with pytest.raises(NbnasError, match="unknown data set 'cifar10'; choose from imagenet"):
        Setting("mobilenetv2", "cifar10").table("snip", tmp_path)
