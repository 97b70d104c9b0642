"""Fetching public accuracies: from a server on this machine, whole, broken off, lying and silent."""

import csv
import errno
import gzip
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nbnas
from nbnas.benchmarks import fetch as fetching
from nbnas.benchmarks import load_benchmark
from nbnas.benchmarks.benchmark import user_file
from nbnas.benchmarks.upstream import UPSTREAM, UpstreamFile, UpstreamTable
from nbnas.cli import main
from nbnas.errors import NbnasError
from nbnas.machine import paths
from nbnas.reproduce import run
from nbnas.reproduce.report import explorer

CELL = "[(0, 0), (1, 5), (1, 1), (0, 1), (1, 3), (0, 3), (1, 3), (3, 2)]"
RECORD = {"arch": f"[{CELL}, {CELL}]", "val_accuracy": 93.5, "flops": {"score": 153.5}, "params": {"score": 0.75}}
DARTS = json.dumps({"cifar10": {RECORD["arch"]: RECORD}}).encode()


def hashed_cells(key):
    cells = {f"{epochs}_final_validation_accuracy": [0.25] for epochs in (4, 12, 36, 108)}
    return json.dumps({**cells, "key": [key], "trainable_parameters": [7], "final_training_time": [1.5]}).encode()


CONTENTS = {
    "darts.json": DARTS,
    "first.json": hashed_cells("b"),
    "second.json": hashed_cells("a"),
    "macro.json": b"[" + b"1, " * 100_000 + b"1]",
}


def tiny(name, file, *parts):
    known = (("a/b", "c0", part, len(CONTENTS[part]), hashlib.sha256(CONTENTS[part]).hexdigest()) for part in parts)
    return UpstreamTable(name, file, tuple(UpstreamFile(*part, licence="MIT") for part in known))


TABLES = {
    "nasbench301": tiny("nasbench301", "nasbench301_subset.csv.gz", "darts.json"),
    "nasbench101_by_hash": tiny("nasbench101_by_hash", "nasbench101_by_hash.csv.gz", "first.json", "second.json"),
    "nasbench_macro": tiny("nasbench_macro", "nas_bench_macro_cifar10.json", "macro.json"),
}
FILES = {table.file for table in TABLES.values()}


class Mirror:
    """A server whose answers a test chooses: name of a file -> what is done with the request for it."""

    def __init__(self, contents):
        self.contents, self.behaviour, self.asked = contents, {}, Counter()
        self.half_way, self.released = threading.Event(), threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                mirror.asked["HEAD"] += 1
                mirror.behaviour.get("HEAD", whole)(mirror, self, b"")

            def do_GET(self):
                name = self.path.split("/")[-1]
                mirror.asked[name] += 1
                action = whole if self.path.startswith("/moved/") else mirror.behaviour.get(name, whole)
                action(mirror, self, mirror.contents[self.path if self.path in mirror.contents else name])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


def whole(mirror, request, content):
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


def half(mirror, request, content):
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[: len(content) // 2])


def half_without_length(mirror, request, content):
    request.send_response(200)
    request.end_headers()
    request.wfile.write(content[: len(content) // 2])


def half_then_wait(mirror, request, content):
    half(mirror, request, content)
    request.wfile.flush()
    mirror.half_way.set()
    mirror.released.wait(300)
    request.wfile.write(content[len(content) // 2 :])


def silence(mirror, request, content):
    mirror.released.wait(300)


def other_bytes(mirror, request, content):
    whole(mirror, request, content[:-1] + b"?")


def moved(mirror, request, content):
    request.send_response(302)
    request.send_header("Location", f"/moved{request.path}")
    request.end_headers()


def status(code):
    return lambda mirror, request, content: request.send_error(code)


def aim_at(mirror, folder, monkeypatch):
    monkeypatch.setenv("NBNAS_MIRROR", mirror.url)
    monkeypatch.setenv("NBNAS_FETCHED", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("NBNAS_OFFLINE", "NBNAS_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "fetched"


@pytest.fixture
def mirror(folder, monkeypatch):
    server = Mirror(CONTENTS)
    aim_at(server, folder, monkeypatch)
    monkeypatch.setattr(fetching, "UPSTREAM", TABLES)
    yield server
    server.close()


def tables_in(folder):
    return {path.name for path in folder.iterdir() if path.name in FILES} if folder.exists() else set()


def leftovers(folder):
    return {path.name for path in folder.iterdir()} - FILES - {"fetch.lock"}


def one_line(text):
    assert text.startswith("nbnas: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")
    return text


# All goes well


def test_fetch_writes_tables_that_the_loaders_read(mirror, folder, capsys):
    assert main(["data", "fetch"]) == 0
    out = capsys.readouterr().out
    megabytes = sum(map(len, CONTENTS.values())) / 1e6
    names = "nasbench301, nasbench101_by_hash, nasbench_macro"
    assert f"fetching {names} ({megabytes:.1f} MB) from {mirror.url} to {folder}\n" in out
    assert "nasbench301: 0.0 MB of a/b, licence: MIT\n" in out
    assert "wrote nasbench301_subset.csv.gz, nasbench101_by_hash.csv.gz, nas_bench_macro_cifar10.json\n" in out
    assert tables_in(folder) == FILES
    assert leftovers(folder) == set()
    benchmark = load_benchmark("nasbench301")
    assert benchmark.accuracy("cifar10").tolist() == [93.5]
    assert nbnas.get_space("nasbench301").params(benchmark.archs[0]) > 0
    assert (folder / "nas_bench_macro_cifar10.json").read_bytes() == CONTENTS["macro.json"]
    cells = pd.read_csv(folder / "nasbench101_by_hash.csv.gz")
    assert cells["module_hash"].tolist() == ["a", "b"]
    assert cells["cifar10_val_4ep"].tolist() == [25.0, 25.0]
    assert mirror.asked == {"HEAD": 1} | dict.fromkeys(CONTENTS, 1)


def test_what_is_present_is_not_asked_for(mirror, folder, capsys):
    assert main(["data", "fetch", "nasbench301"]) == 0
    assert tables_in(folder) == {"nasbench301_subset.csv.gz"}
    mirror.asked.clear()
    assert main(["data", "fetch", "nasbench301"]) == 0
    assert "nothing to fetch" in capsys.readouterr().out
    assert mirror.asked == {}


def test_what_the_folder_of_the_user_has_is_not_fetched(mirror, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    for file in FILES - {"nasbench301_subset.csv.gz"}:
        (tmp_path / file).touch()
    assert main(["data", "fetch"]) == 0
    assert mirror.asked == {"HEAD": 1, "darts.json": 1}
    assert tables_in(folder) == {"nasbench301_subset.csv.gz"}


def test_a_redirect_is_followed(mirror, folder):
    mirror.behaviour["darts.json"] = moved
    assert main(["data", "fetch", "nasbench301"]) == 0
    assert mirror.asked["darts.json"] == 2
    assert load_benchmark("nasbench301").accuracy("cifar10").tolist() == [93.5]


# The server fails


@pytest.mark.parametrize(
    ("action", "message", "others_are_fetched"),
    [
        (half, r"did not arrive \(\w+\); rerun to continue", False),
        (half_without_length, "its SHA-256 differs", True),
        (other_bytes, "its SHA-256 differs", True),
        (status(404), "answered 404 Not Found", True),
        (status(429), "answered 429 Too Many Requests", False),
        (status(503), "answered 503 Service Unavailable", False),
        (silence, r"did not arrive \(\w+\); rerun to continue", False),
        (half_then_wait, r"did not arrive \(\w+\); rerun to continue", False),
    ],
    ids=["truncated", "truncated_unnoticed", "other_bytes", "404", "429", "503", "silence", "silence_half_way"],
)
def test_a_failing_server_is_one_line_and_a_rerun_goes_on(
    mirror, folder, capsys, monkeypatch, action, message, others_are_fetched
):
    monkeypatch.setattr(fetching, "SILENT_SECONDS", 0.5)
    mirror.behaviour["second.json"] = action
    start = time.monotonic()
    assert main(["data", "fetch"]) == 1
    assert time.monotonic() - start < 10
    error = one_line(capsys.readouterr().err)
    assert re.search(message, error)
    assert f"{mirror.url}/a/b/c0/second.json" in error
    assert tables_in(folder) == FILES - ({"nasbench101_by_hash.csv.gz"} if others_are_fetched else FILES) | {
        "nasbench301_subset.csv.gz"
    }
    assert {path.name for path in (folder / "nasbench101_by_hash.download").iterdir()} == {"first.json"}

    mirror.behaviour.clear()
    mirror.asked.clear()
    assert main(["data", "fetch"]) == 0
    assert tables_in(folder) == FILES
    assert leftovers(folder) == set()
    assert mirror.asked == {"HEAD": 1, "second.json": 1} | ({} if others_are_fetched else {"macro.json": 1})


def test_a_damaged_part_is_downloaded_again(mirror, folder):
    part = folder / "nasbench301.download" / "darts.json"
    part.parent.mkdir(parents=True)
    part.write_bytes(DARTS[:10])
    assert main(["data", "fetch", "nasbench301"]) == 0
    assert mirror.asked["darts.json"] == 1
    assert load_benchmark("nasbench301").accuracy("cifar10").tolist() == [93.5]


@pytest.mark.parametrize("base", ["silent", "http://127.0.0.1:1", "nonsense"])
def test_nobody_answers_within_seconds(mirror, folder, capsys, monkeypatch, base):
    mirror.behaviour["HEAD"] = silence
    monkeypatch.setattr(fetching, "ANSWER_SECONDS", 0.5)
    if base != "silent":
        monkeypatch.setenv("NBNAS_MIRROR", base)
    start = time.monotonic()
    assert main(["data", "fetch"]) == 1
    assert time.monotonic() - start < 5
    error = one_line(capsys.readouterr().err)
    assert f"no answer from {mirror.url if base == 'silent' else base}; rerun with a network" in error
    assert not folder.exists()
    assert sum(mirror.asked.values()) == (base == "silent")


def test_offline_never_asks(mirror, capsys, monkeypatch):
    monkeypatch.setenv("NBNAS_OFFLINE", "1")
    assert main(["data", "fetch"]) == 1
    error = one_line(capsys.readouterr().err)
    assert "NBNAS_OFFLINE is set; absent: nasbench301, nasbench101_by_hash, nasbench_macro" in error
    assert mirror.asked == {}


def test_unknown_table_is_an_error_that_lists_the_known(mirror, capsys):
    assert main(["data", "fetch", "nasbench301", "nasbench999"]) == 1
    error = one_line(capsys.readouterr().err)
    assert "unknown table nasbench999; choose from nasbench301, nasbench101_by_hash, nasbench_macro" in error
    assert mirror.asked == {}


# This machine fails

PROGRAM = """
import resource, sys
from nbnas.benchmarks import fetch
from nbnas.benchmarks.upstream import UpstreamFile, UpstreamTable
from nbnas.cli import main
fetch.UPSTREAM = {tables}
fetch.SILENT_SECONDS = 300  # A busy machine is not a silent server.
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
sys.exit(main(["data", "fetch"]))
"""


def start_fetch(limit=0):
    program = PROGRAM.format(tables=TABLES, limit=limit)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-u", "-c", program], **pipes)


@pytest.mark.slow
def test_ctrl_c_half_way_leaves_nothing_half_written(mirror, folder):
    mirror.behaviour["macro.json"] = half_then_wait
    with start_fetch() as process:
        assert mirror.half_way.wait(300)
        process.send_signal(signal.SIGINT)
        assert "interrupted" in one_line(process.communicate(timeout=300)[1])
        assert process.returncode == 130
    assert tables_in(folder) == FILES - {"nas_bench_macro_cifar10.json"}
    assert list((folder / "nasbench_macro.download").iterdir()) == []
    mirror.behaviour.clear()
    assert main(["data", "fetch"]) == 0
    assert tables_in(folder) == FILES
    assert leftovers(folder) == set()


@pytest.mark.slow
def test_kill_half_way_leaves_nothing_that_is_ever_read(mirror, folder):
    mirror.behaviour["macro.json"] = half_then_wait
    with start_fetch() as process:
        assert mirror.half_way.wait(300)
        process.kill()
        process.communicate(timeout=300)
    assert tables_in(folder) == FILES - {"nas_bench_macro_cifar10.json"}
    (folder / "nas_bench_macro_cifar10.json.0.part").write_bytes(b"half")  # As if killed a moment later.
    with pytest.raises(NbnasError, match="no NAS-Bench-Macro accuracies found: run nbnas data fetch nasbench_macro"):
        load_benchmark("nasbench_macro")
    mirror.behaviour.clear()
    assert main(["data", "fetch"]) == 0
    assert (folder / "nas_bench_macro_cifar10.json").read_bytes() == CONTENTS["macro.json"]
    assert leftovers(folder) == set()


@pytest.mark.slow
def test_a_full_disk_is_one_line(mirror, folder):
    with start_fetch(limit=100_000) as process:
        error = one_line(process.communicate(timeout=300)[1])
        assert process.returncode == 1
    assert f"cannot write {folder}: File too large; rerun to continue" in error
    assert tables_in(folder) == FILES - {"nas_bench_macro_cifar10.json"}
    assert main(["data", "fetch"]) == 0
    assert tables_in(folder) == FILES
    assert leftovers(folder) == set()


def test_a_disk_that_is_full_when_the_table_is_written_is_one_line(mirror, folder, capsys, monkeypatch):
    def no_space(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_space)
        assert main(["data", "fetch", "nasbench301"]) == 1
    assert f"cannot write {folder}: No space left on device" in one_line(capsys.readouterr().err)
    assert tables_in(folder) == set()
    assert leftovers(folder) == {"nasbench301.download"}
    assert main(["data", "fetch", "nasbench301"]) == 0
    assert mirror.asked["darts.json"] == 1  # What had been downloaded was kept.


@pytest.mark.slow
def test_two_fetches_at_once_download_everything_once(mirror, folder):
    mirror.behaviour["darts.json"] = half_then_wait
    with start_fetch() as first:
        assert mirror.half_way.wait(300)
        with start_fetch() as second:
            assert second.stdout.readline().startswith("fetching nasbench301, ")
            assert second.poll() is None
            mirror.released.set()
            out, error = second.communicate(timeout=300)
        first.communicate(timeout=300)
    assert (first.returncode, second.returncode, error) == (0, 0, "")
    assert "nothing to fetch" in out
    assert tables_in(folder) == FILES
    assert {name: mirror.asked[name] for name in CONTENTS} == dict.fromkeys(CONTENTS, 1)


def test_a_folder_that_cannot_be_is_one_line(mirror, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NBNAS_FETCHED", str(tmp_path / "file" / "fetched"))
    assert main(["data", "fetch"]) == 1
    assert f"cannot write {tmp_path / 'file' / 'fetched'}: Not a directory" in one_line(capsys.readouterr().err)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_one_line(mirror, folder, capsys):
    folder.mkdir(mode=0o500)
    assert main(["data", "fetch"]) == 1
    assert f"cannot write {folder}: Permission denied" in one_line(capsys.readouterr().err)


# Who fetches, and who finds it


@pytest.fixture
def nothing_to_run(tmp_path, monkeypatch):
    monkeypatch.setenv("NBNAS_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setattr(run, "plan", lambda profile, device: [])
    monkeypatch.setattr(explorer, "SPACES", ())  # Reading all scores takes a while.


def test_reproduce_fetches_what_is_absent(mirror, folder, nothing_to_run, capsys):
    assert main(["reproduce"]) == 0
    assert f"from {mirror.url} to {folder}" in capsys.readouterr().out
    assert tables_in(folder) == FILES


@pytest.mark.parametrize("offline", [False, True])
def test_reproduce_goes_on_without_a_network(mirror, folder, nothing_to_run, capsys, monkeypatch, offline):
    monkeypatch.setenv("NBNAS_MIRROR", "http://127.0.0.1:1")
    if offline:
        monkeypatch.setenv("NBNAS_OFFLINE", "1")
    assert main(["reproduce"]) == 0
    out = capsys.readouterr().out
    reason = "NBNAS_OFFLINE is set; absent: " if offline else "no answer from http://127.0.0.1:1; "
    assert len(re.findall(rf"^not fetched: {reason}.*$", out, re.MULTILINE)) == 1
    assert "accuracies: AnalogNAS-Bench" in out
    assert not folder.exists()


def test_a_file_of_the_user_is_preferred_to_the_fetched_one(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("NBNAS_FETCHED", str(folder))
    monkeypatch.setenv("NBNAS_DATA", str(tmp_path))
    source = user_file("nasbench101_by_hash.csv.gz", lambda path: path)
    assert source.find() is None
    assert source.hint == (
        "run nbnas data fetch nasbench101_by_hash, or set NBNAS_DATA to a folder with nasbench101_by_hash.csv.gz"
    )
    folder.mkdir()
    (folder / "nasbench101_by_hash.csv.gz").touch()
    assert source.find() == folder / "nasbench101_by_hash.csv.gz"
    (tmp_path / "nasbench101_by_hash.csv.gz").touch()
    assert source.find() == tmp_path / "nasbench101_by_hash.csv.gz"
    assert user_file("x.csv.gz", lambda path: path).hint == "set NBNAS_DATA to a folder with x.csv.gz"


def test_fetched_tables_are_in_the_checkout_or_in_the_cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.delenv("NBNAS_FETCHED")
    assert paths.fetched_folder() == paths.project_root() / "data" / "fetched"
    ignored = ["git", "check-ignore", "--quiet", "data/fetched/nasbench301_subset.csv.gz"]
    assert subprocess.run(ignored, cwd=paths.project_root(), check=False).returncode == 0
    monkeypatch.setattr(paths, "_checkout", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert paths.fetched_folder() == tmp_path / "nbnas"


def test_status_says_of_every_table_whether_it_is_present(folder, capsys, monkeypatch):
    monkeypatch.setenv("NBNAS_FETCHED", str(folder))
    monkeypatch.delenv("NBNAS_DATA", raising=False)
    folder.mkdir()
    (folder / "accel_nasbench.csv.gz").touch()
    assert main(["data", "status"]) == 0
    out = capsys.readouterr().out
    assert "  fetched: absent; run nbnas data fetch nasbench201\n" in out
    assert "run nbnas data fetch nasbench301, or set NBNAS_DATA" in out
    assert f"accel_nasbench: present, {folder / 'accel_nasbench.csv.gz'}\n" in out
    assert "hw_nasbench201: absent; run nbnas data fetch hw_nasbench201\n" in out
    assert set(UPSTREAM) <= {line.partition(":")[0] for line in out.splitlines()} | {"nasbench201"}


# The real files


@pytest.fixture(scope="module")
def fetched(data_folder, tmp_path_factory):
    """All tables, fetched from a server that has the real files, and the mirror's count of requests."""
    listing = data_folder / "upstream" / "SOURCES.csv"
    if not listing.exists():
        pytest.skip("NBNAS_DATA names a folder without upstream")
    contents = {}
    for row in csv.DictReader(listing.read_text().splitlines()):
        content = (listing.parent / row["copy_for_tests"]).read_bytes()
        packed = row["copy_for_tests"].endswith(".gz") and not row["path"].endswith(".gz")
        contents[f"/{row['repository']}/{row['commit']}/{row['path']}"] = (
            gzip.decompress(content) if packed else content
        )
    server, folder = Mirror(contents), tmp_path_factory.mktemp("fetched")
    with pytest.MonkeyPatch.context() as patch:
        aim_at(server, folder, patch)
        written = fetching.fetch()
    server.close()
    assert {path.name for path in written} == {table.file for table in UPSTREAM.values()}
    assert {path.name for path in folder.iterdir()} - {"fetch.lock"} == {path.name for path in written}
    return folder


ONLY_MEASURED_BY_HAND = {"nasbench201": 28}
"""Table -> columns of the ready file that the public one lacks."""


@pytest.mark.parametrize("name", [name for name in UPSTREAM if name != "nasbench_macro"])
def test_fetched_tables_equal_the_ready_ones(fetched, data_folder, name):
    ours, ready = (pd.read_csv(folder / UPSTREAM[name].file) for folder in (fetched, data_folder))
    absent = [column for column in ready if column not in ours]
    assert len(absent) == ONLY_MEASURED_BY_HAND.get(name, 0)
    assert set(ours) <= set(ready)
    pd.testing.assert_frame_equal(ours, ready[list(ours)], check_exact=True)


def test_fetched_json_is_the_ready_one(fetched, data_folder):
    file = UPSTREAM["nasbench_macro"].file
    assert (fetched / file).read_bytes() == (data_folder / file).read_bytes()


def test_loaders_read_what_was_fetched(fetched, monkeypatch):
    monkeypatch.setenv("NBNAS_FETCHED", str(fetched))
    monkeypatch.delenv("NBNAS_DATA")
    for space, rows in {
        "nasbench301": 725,
        "nasbench_macro": 6_561,
        "transnasbench101_micro": 4_096,
        "transnasbench101_macro": 3_256,
        "nasbench201": 15_625,
    }.items():
        assert len(load_benchmark(space).archs) == rows
    assert load_benchmark("nasbench201").source == "fetched"
    with pytest.raises(NbnasError, match=r"no NAS-Bench-101 accuracies found: set NBNAS_DATA"):
        load_benchmark("nasbench101")


def test_fetched_cells_have_the_papers_accuracies_exact_flops_and_no_single_seeds(fetched, data_folder, monkeypatch):
    monkeypatch.setenv("NBNAS_FETCHED", str(fetched))
    monkeypatch.setenv("NBNAS_DATA", str(data_folder))
    ours, ready = load_benchmark("nasbench201", "fetched"), load_benchmark("nasbench201", "csv")
    assert ours.archs == ready.archs
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        np.testing.assert_array_equal(ours.accuracy(dataset), ready.accuracy(dataset))
    space = nbnas.get_space("nasbench201")
    assert ours.stored_flops("cifar10").tolist() == [space.flops_for(arch, "cifar10") / 1e6 for arch in space]
    with pytest.raises(NbnasError, match="are not in source 'fetched'; source 'csv' has them"):
        ours.single_seed_accuracy("cifar10", 777)
    assert ours.deviation == ""
