"""Where networks are scored: a Dask cluster gives what this process gives, whatever happens to its workers."""

import gc
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager

import pandas as pd
import pytest

import nbnas
from nbnas.cli import main
from nbnas.errors import NbnasError
from nbnas.machine import dask_cluster
from nbnas.machine.executors import Workers, available_cores, open_executor
from nbnas.scoring.score_many import _score_network, score_many
from nbnas.scoring.setting import Setting

distributed = pytest.importorskip("distributed")

SPACE = nbnas.get_space("nasbench201")
SMALL = Setting(batch_size=4)
CELLS = [SPACE[index] for index in range(12)]


@contextmanager
def cluster(workers, *, processes):
    """A cluster on this machine, reached over the network as others are."""
    with distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=processes,
        protocol="tcp",
        dashboard_address="127.0.0.1:0",
        memory_limit=None,
        silence_logs=50,
    ) as started:
        yield started


@pytest.fixture(scope="module")
def threads():
    """A cluster of two workers in threads of this process: it starts at once."""
    with cluster(2, processes=False) as started:
        yield started


@pytest.fixture
def run(tmp_path):
    def score(executor, archs=CELLS[:4], proxies=("params", "grad_norm"), number=None, **options):
        options = {"store": tmp_path / "store", "progress": False, **options}
        return score_many(archs, proxies, SMALL, workers=Workers(executor, number), **options)

    return score


def serial(folder, archs=CELLS[:4], proxies=("params", "grad_norm")):
    with ThreadPoolExecutor(1) as executor:
        return score_many(archs, proxies, SMALL, workers=Workers(executor), store=folder / "serial", progress=False)


def assert_same_rows(tables, expected):
    assert set(tables) == set(expected)
    for name, rows in expected.items():
        assert not rows.empty
        pd.testing.assert_frame_equal(
            tables[name].drop(columns="seconds"), rows.drop(columns="seconds"), check_exact=True
        )


def stored(folder, proxy="params"):
    return SMALL.table(proxy, folder / "store").read()


def wait_until(condition):
    deadline = time.monotonic() + 180  # Workers import torch, which takes half a minute on a busy machine.
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert condition()


# Names of executors


@pytest.mark.parametrize("executor", ["treads", "dask:", "Dask", "processes:4", 5])
def test_unknown_executor_is_a_one_line_error_before_any_work(run, tmp_path, executor):
    with pytest.raises(NbnasError, match=r"unknown executor .*; choose from processes, dask, dask:ADDRESS") as caught:
        run(executor)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_unknown_executor_on_the_command_line(tmp_path, capsys):
    command = ["score", "nasbench201", "--proxies", "params", "--sample", "1", "--store", str(tmp_path)]
    assert main([*command, "--executor", "slurm"]) == 1
    assert capsys.readouterr().err == "nbnas: unknown executor 'slurm'; choose from processes, dask, dask:ADDRESS\n"


@pytest.mark.parametrize("executor", ["dask", "dask:tcp://127.0.0.1:8786"])
def test_missing_package_is_a_one_line_error_that_says_what_to_install(run, tmp_path, monkeypatch, executor):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NbnasError, match=r"pip install 'nbnas\[dask\]'") as caught:
        run(executor)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_other_executors_work_without_the_package(run, tmp_path, monkeypatch):
    expected = serial(tmp_path)
    monkeypatch.delitem(sys.modules, "distributed")
    with ThreadPoolExecutor(2) as executor:
        assert_same_rows(run(executor), expected)
    assert "distributed" not in sys.modules


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "127.0.0.1:9", "nowhere", "smoke://127.0.0.1:9"])
def test_unreachable_address_is_a_one_line_error(run, tmp_path, monkeypatch, address):
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 0.3)
    with pytest.raises(NbnasError, match=f"no Dask scheduler can be reached at {address}: ") as caught:
        run(f"dask:{address}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_no_garbage_is_collected_while_a_client_starts(run, monkeypatch):
    # One that failed before would wait for the lock that the new one holds.
    seen = []

    def client(**_):
        seen.append(gc.isenabled())
        raise OSError("refused")

    monkeypatch.setattr("distributed.Client", client)
    with pytest.raises(NbnasError, match="refused"):
        run("dask:127.0.0.1:9")
    assert seen == [False]
    assert gc.isenabled()


def test_missing_and_damaged_scheduler_files_are_one_line_errors(run, tmp_path):
    path = tmp_path / "scheduler.json"
    with pytest.raises(NbnasError, match=f"no such Dask scheduler file: {path}"):
        run(f"dask:{path}")
    path.write_text("{}")
    with pytest.raises(NbnasError, match="no Dask scheduler can be reached"):
        run(f"dask:{path}")


def test_workers_of_a_running_cluster_are_its_own(run, threads):
    with pytest.raises(NbnasError, match="has its own workers"):
        run(f"dask:{threads.scheduler_address}", number=2)


# A running cluster


def test_address_file_and_client_give_the_rows_of_this_process(run, tmp_path, threads):
    expected = serial(tmp_path)
    path = tmp_path / "scheduler.json"
    with distributed.Client(threads, set_as_default=False) as client:
        client.write_scheduler_file(str(path))
        own = client.get_executor()
        for number, executor in enumerate([f"dask:{threads.scheduler_address}", f"dask:{path}", own]):
            assert_same_rows(run(executor, store=tmp_path / str(number)), expected)
        assert own.submit(len, "open").result() == 4


def test_a_cluster_runs_as_many_tasks_as_it_has_threads_now():
    with (
        cluster(1, processes=False) as started,
        distributed.Client(started, set_as_default=False) as client,
        open_executor(Workers(client.get_executor()), 9) as (_, parallelism),
    ):
        assert parallelism() == 1
        started.scale(3)
        wait_until(lambda: parallelism() == 3)
        started.scale(0)
        wait_until(lambda: not client.nthreads())
        assert parallelism() == 1


def test_a_cluster_may_start_without_workers(run, tmp_path):
    with cluster(0, processes=False) as started:
        threading.Timer(0.5, started.scale, [2]).start()
        assert_same_rows(run(f"dask:{started.scheduler_address}"), serial(tmp_path))


def test_other_executors_run_as_many_tasks_as_workers_says():
    with ThreadPoolExecutor(1) as executor:
        for workers, expected in ((3, 3), (None, available_cores())):
            with open_executor(Workers(executor, workers), 2) as (opened, parallelism):
                assert opened is executor
                assert parallelism() == expected


@pytest.mark.parametrize("workers", [0, -2])
def test_less_than_one_worker_is_a_one_line_error(run, workers):
    for executor in (None, "processes", "dask"):
        with pytest.raises(NbnasError, match=f"^workers must be at least 1, got {workers}$"):
            run(executor, number=workers)


def raise_missing(*_):
    raise ModuleNotFoundError("No module named 'nbnas'")


def test_worker_without_a_package_is_a_one_line_error(run, tmp_path, threads, monkeypatch):
    monkeypatch.setattr(sys.modules["nbnas.scoring.score_many"], "_score_network", raise_missing)
    with pytest.raises(NbnasError, match=r"a worker lacks a package \(No module named 'nbnas'\) after 0 of 4"):
        run(f"dask:{threads.scheduler_address}")


def test_tasks_can_be_read_without_the_package(threads, monkeypatch):
    sent = []
    with distributed.Client(threads, set_as_default=False) as client:
        own = client.get_executor()
        monkeypatch.setattr(own, "submit", lambda task, **_: sent.append(distributed.protocol.pickle.dumps(task)))
        with open_executor(Workers(own), 1) as (executor, _):
            executor.submit(_score_network, CELLS[0], 0, ["params"], SMALL, "cpu")
    assert pickle.loads(sent[0])()["params"]["params"] == SPACE.params(CELLS[0])
    code = "import pickle, sys; sys.modules['nbnas'] = None; pickle.loads(sys.stdin.buffer.read())"
    subprocess.run([sys.executable, "-c", code], input=sent[0], check=True)


def test_cancelled_tasks_are_an_error_that_says_what_is_kept(run, tmp_path):
    class Lost(ThreadPoolExecutor):
        def submit(self, function, arch, *arguments):
            if arch != CELLS[3]:
                return super().submit(function, arch, *arguments)
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    message = r"cancelled its tasks .* after \d of 4 networks"
    with Lost(1) as executor, pytest.raises(NbnasError, match=message) as caught:
        run(executor)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, CancelledError)


# Processes that die


@pytest.mark.slow
def test_command_line_with_a_cluster_of_its_own(tmp_path, capsys):
    command = ["score", "nasbench201", "--proxies", "params", "grad_norm", "--batch-size", "4", "--no-progress"]
    options = ["--sample", "4", "--store", str(tmp_path / "store"), "--executor", "dask", "--workers", "2"]
    assert main([*command, *options]) == 0
    captured = capsys.readouterr()
    assert "params: 4 rows (4 ok)" in captured.out
    assert captured.err == ""
    archs = [SPACE[cell] for cell in SPACE.sample_subset("filtered-unique", 4)]
    tables = {proxy: stored(tmp_path, proxy) for proxy in ("params", "grad_norm")}
    assert_same_rows(tables, serial(tmp_path, archs))


@pytest.mark.slow
def test_killed_worker_is_replaced_and_the_rows_are_those_of_this_process(run, tmp_path):
    killed = []

    def kill_one(process):
        wait_until(lambda: len(stored(tmp_path, "vkdnw")) >= 2)
        os.kill(process, signal.SIGKILL)
        killed.append(len(stored(tmp_path, "vkdnw")))

    with cluster(2, processes=True) as started, distributed.Client(started, set_as_default=False) as client:
        before = set(client.run(os.getpid).values())
        killer = threading.Thread(target=kill_one, args=[min(before)])
        killer.start()
        tables = run(client.get_executor(), CELLS, "vkdnw")
        killer.join()
        client.wait_for_workers(2, timeout=180)
        after = set(client.run(os.getpid).values())
    assert killed[0] < len(CELLS)
    assert before & after == before - {min(before)}
    assert_same_rows(tables, serial(tmp_path, CELLS, "vkdnw"))


def score_or_die(arch, *arguments):
    if arch == CELLS[-1]:
        os.kill(os.getpid(), signal.SIGKILL)
    return _score_network(arch, *arguments)


@pytest.mark.slow
def test_network_that_kills_every_worker_ends_the_run_and_what_was_scored_is_kept(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["nbnas.scoring.score_many"], "_score_network", score_or_die)
    # A network that waits behind the fatal one may not have had its turn.
    message = r"^4 Dask workers died of the same network \(out of memory\?\) after (\d+) of 12 networks; those are kept"
    with pytest.raises(NbnasError, match=message) as caught:
        run("dask", CELLS, "params", number=2)
    kept = pd.read_parquet(SMALL.table("params", tmp_path / "store").parquet)
    assert len(kept) == int(re.match(message, str(caught.value))[1]) > 0
    assert set(kept["arch"]) <= set(CELLS[:-1])


SCHEDULER = ["-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file"]
WORKER = ["-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--scheduler-file"]


@pytest.mark.slow
def test_lost_scheduler_is_one_line_on_the_command_line_and_what_was_scored_is_kept(tmp_path):
    path = tmp_path / "scheduler.json"
    started = []

    def start(*arguments):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        # The workers stay in the folder of this process, where the package may be.
        started.append(subprocess.Popen([sys.executable, *arguments], **quiet))
        return started[-1]

    try:
        scheduler = start(*SCHEDULER, str(path))
        wait_until(path.exists)
        start(*WORKER, str(path))
        command = ["-m", "nbnas", "score", "nasbench201", "--batch-size", "4", "--sample", "60", "--no-progress"]
        score = start(*command, "--store", str(tmp_path / "store"), "--executor", f"dask:{path}")
        wait_until(lambda: score.poll() is not None or len(stored(tmp_path, "vkdnw")) >= 2)
        scheduler.kill()
        _, errors = score.communicate(timeout=180)
    finally:
        for process in started:
            process.kill()
            process.communicate()
    assert score.returncode == 1
    assert errors.count("\n") == 1, errors
    assert "nbnas: the executor cancelled its tasks (connection to its scheduler lost?) after " in errors
    assert 2 <= len(pd.read_parquet(SMALL.table("vkdnw", tmp_path / "store").parquet)) < 60


CHILD = """
import signal
import sys
from pathlib import Path

import nbnas

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if the tests run in the background
    space = nbnas.get_space("nasbench201")
    cells = [space[index] for index in range(40)]
    shape = nbnas.Setting(batch_size=4)
    nbnas.score_many(cells, "vkdnw", shape, store=Path(sys.argv[1]), workers=nbnas.Workers("dask", 2), progress=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_or_killed_run_keeps_its_rows_and_leaves_no_worker(tmp_path, number):
    script = tmp_path / "score.py"
    script.write_text(CHILD)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "store")],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: process.poll() is not None or len(stored(tmp_path, "vkdnw")) >= 2)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as Ctrl-C in a terminal does
        else:
            process.kill()
        # Workers hold the pipe too: it ends with the last of them.
        _, errors = process.communicate(timeout=180)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0
    assert errors.count("Traceback") == (number == signal.SIGINT), errors
    assert 2 <= len(stored(tmp_path, "vkdnw")) < 40


OWN_SPACE = """
from torch import nn
from nbnas import Workers
from nbnas.search import Evolution, evolve
class Widths:
    def sample(self, rng):
        return str(rng.integers(4, 9))
    def mutate(self, arch, rng):
        return str(int(arch) + 1)
    def build(self, arch, num_classes=10):
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(int(arch), num_classes)]
        return nn.Sequential(nn.Conv2d(3, int(arch), 3), nn.ReLU(), *head)
workers = Workers("processes", 1)
result = evolve(Widths(), ["naswot"], steps=2, workers=workers, strategy=Evolution(population=2), progress=False)
print("steps", len(result.history))
"""


@pytest.mark.slow
def test_processes_know_what_a_notebook_defines():
    # As in a notebook, __main__ is no file.
    done = subprocess.run([sys.executable, "-"], input=OWN_SPACE, capture_output=True, text=True)
    assert "steps 2" in done.stdout, done.stderr


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(OWN_SPACE)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert 'below if __name__ == "__main__":' in done.stderr.strip().splitlines()[-1]
