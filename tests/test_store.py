"""Score tables under crashes, damaged files, full disks and two writers at once."""

import errno
import json
import math
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest

from nbnas.errors import NbnasError
from nbnas.machine import replace_file
from nbnas.machine.append_log import DamagedLogWarning
from nbnas.scoring.score_table import ScoreTable

CONFIGURATION = {"proxy": "p", "batch_size": 4}
RUN = {"commit": "abc", "versions": {"torch": "2"}}


@pytest.fixture
def table(tmp_path):
    return ScoreTable(tmp_path / "space" / "cifar10" / "p-gaussian-b4")


def make_rows(numbers, seed=0, value=0.5):
    return [
        {"arch": f"arch{number:05d}", "seed": seed, "status": "ok", "seconds": 0.1, "p": value + number}
        for number in numbers
    ]


def write(table, rows, run=RUN, configuration=CONFIGURATION):
    with table.writer(configuration, run) as log:
        for row in rows:
            log.append(row)


def write_and_die(table, rows, run=RUN):
    """Leave a shard as a killed writer would: no merge, no lock held."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScoreTable, "merge", lambda self: None)
        write(table, rows, run)


def as_rows(frame):
    return frame.to_dict("records")


def shard_files(table):
    return sorted(path.name for path in table.shards.glob("*.jsonl*"))


def temporary_files(table):
    return [path for path in table.parquet.parent.rglob("*") if ".part" in path.name]


def disk_full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half_a_parquet(self, path, **_):
    Path(path).write_bytes(b"PAR1 and then nothing")
    disk_full()


# Reading, writing and the sidecar


def test_reading_nothing_gives_an_empty_frame_with_the_common_columns(table):
    rows = table.read()
    assert rows.empty
    assert {"arch", "seed", "status", "seconds"} <= set(rows.columns)
    assert table.provenance() == {"configuration": {}, "runs": []}
    assert not table.parquet.parent.exists()


def test_written_rows_are_merged_into_parquet_and_their_shard_is_gone(table):
    write(table, make_rows([2, 0, 1]))
    assert as_rows(table.read()) == make_rows([0, 1, 2])
    assert as_rows(pd.read_parquet(table.parquet)) == make_rows([0, 1, 2])
    assert shard_files(table) == []


def test_rows_are_readable_while_their_writer_still_writes(table):
    with table.writer(CONFIGURATION, RUN) as log:
        for number in range(3):
            log.append(make_rows([number])[0])
            assert as_rows(table.read()) == make_rows(range(number + 1))
        table.merge()
        assert not table.parquet.exists()
        log.append(make_rows([3])[0])
    assert as_rows(table.read()) == make_rows(range(4))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.1 + 0.2, 5e-324])
def test_values_keep_every_bit_through_shard_and_parquet(table, value):
    write_and_die(table, make_rows([0], value=value))
    before = table.read()["p"][0]
    table.merge()
    after = pd.read_parquet(table.parquet)["p"][0]
    assert repr(float(before)) == repr(float(after)) == repr(value)


def test_sidecar_holds_the_configuration_and_each_run_with_its_number_of_rows(table):
    write(table, make_rows(range(3)), run={"commit": "first"})
    write(table, make_rows(range(3, 5)), run={"commit": "second"})
    expected = {
        "configuration": CONFIGURATION,
        "runs": [{"commit": "first", "rows": 3}, {"commit": "second", "rows": 2}],
    }
    assert table.provenance() == expected
    assert json.loads(table.sidecar.read_text())["configuration"] == expected["configuration"]


def test_a_run_without_rows_leaves_no_trace_in_the_sidecar(table):
    write(table, make_rows([0]), run={"commit": "first"})
    write(table, [], run={"commit": "idle"})
    assert [run["commit"] for run in table.provenance()["runs"]] == ["first"]
    assert shard_files(table) == []


def test_the_first_of_two_rows_with_one_key_counts(table):
    write(table, make_rows([0, 1], value=0.0))
    write(table, [*make_rows([1, 2], value=100.0), *make_rows([2], value=200.0), *make_rows([1], seed=1)])
    rows = table.read().set_index(["arch", "seed"])["p"].to_dict()
    assert rows == {("arch00000", 0): 0.0, ("arch00001", 0): 1.0, ("arch00002", 0): 102.0, ("arch00001", 1): 1.5}


def test_rows_of_the_sidecar_add_up_to_the_table_when_two_runs_share_networks(table):
    write_and_die(table, make_rows([0, 1, 2]), run={"commit": "a"})
    write_and_die(table, make_rows([1, 2, 3]), run={"commit": "b"})
    table.merge()
    assert sum(run["rows"] for run in table.provenance()["runs"]) == len(table.read()) == 4


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_inside_the_block_passes_on_after_merging_what_was_written(table, error):
    def rows_and_then_failure():
        yield make_rows([0])[0]
        raise error

    with pytest.raises(error):
        write(table, rows_and_then_failure())
    assert as_rows(pd.read_parquet(table.parquet)) == make_rows([0])
    assert table.provenance()["runs"] == [{**RUN, "rows": 1}]
    assert shard_files(table) == []


def test_merging_again_changes_nothing(table):
    write(table, make_rows([0, 1]))
    before = table.parquet.read_bytes(), table.sidecar.read_bytes()
    table.merge()
    assert (table.parquet.read_bytes(), table.sidecar.read_bytes()) == before


def test_shards_of_killed_writers_are_read_and_then_merged_by_the_next(table):
    write_and_die(table, make_rows([0]), run={"commit": "killed"})
    write_and_die(table, make_rows([1]), run={"commit": "killed too"})
    assert len([name for name in shard_files(table) if name.endswith(".jsonl")]) == 2
    assert as_rows(table.read()) == make_rows([0, 1])
    write(table, make_rows([2]), run={"commit": "next"})
    assert as_rows(pd.read_parquet(table.parquet)) == make_rows([0, 1, 2])
    runs = {run["commit"]: run["rows"] for run in table.provenance()["runs"]}
    assert runs == {"killed": 1, "killed too": 1, "next": 1}
    assert shard_files(table) == []


def test_tables_side_by_side_do_not_see_each_others_rows(tmp_path):
    first, second = ScoreTable(tmp_path / "p-b4"), ScoreTable(tmp_path / "p-b4.5")
    write(first, make_rows([0]))
    write_and_die(second, make_rows([1]))
    assert as_rows(first.read()) == make_rows([0])
    assert as_rows(second.read()) == make_rows([1])


# Interrupted merges and full disks


@pytest.mark.parametrize("deletions", [0, 1, 2])
def test_merge_stopped_while_deleting_shards_loses_and_duplicates_no_row(table, monkeypatch, deletions):
    write_and_die(table, make_rows([0, 1]))
    write_and_die(table, make_rows([2, 3]))
    left = iter(range(deletions))
    original = Path.unlink

    def unlink(path, missing_ok=False):
        if ".jsonl" in path.name and next(left, None) is None:
            raise KeyboardInterrupt
        original(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            table.merge()
    assert as_rows(table.read()) == make_rows(range(4))
    write(table, make_rows([4]))
    assert as_rows(pd.read_parquet(table.parquet)) == make_rows(range(5))
    assert [name for name in shard_files(table) if name.endswith(".jsonl")] == []


def test_merge_stopped_before_deleting_shards_lists_no_run_twice(table, monkeypatch):
    write_and_die(table, make_rows([0, 1]))

    def unlink(path, missing_ok=False):
        if path.suffix == ".jsonl":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            table.merge()
    table.merge()
    assert table.provenance()["runs"] == [{**RUN, "rows": 2}]


@pytest.mark.parametrize(
    ("target", "name", "replacement"),
    [(replace_file.os, "replace", disk_full), (pd.DataFrame, "to_parquet", half_a_parquet)],
    ids=["moving_into_place", "writing_parquet"],
)
def test_full_disk_while_merging_keeps_shards_and_old_table(table, monkeypatch, target, name, replacement):
    write(table, make_rows([0]))
    write_and_die(table, make_rows([1]))
    old, shards = table.parquet.read_bytes(), shard_files(table)
    with monkeypatch.context() as patch:
        patch.setattr(target, name, replacement)
        with pytest.raises(NbnasError, match="No space left on device; its shards are kept") as caught:
            table.merge()
    assert "\n" not in str(caught.value)
    assert table.parquet.read_bytes() == old
    assert shard_files(table) == shards
    assert temporary_files(table) == []
    assert as_rows(table.read()) == make_rows([0, 1])
    table.merge()
    assert as_rows(pd.read_parquet(table.parquet)) == make_rows([0, 1])


def test_full_disk_between_table_and_sidecar_ends_with_each_run_once(table, monkeypatch):
    write(table, make_rows([0]), run={"commit": "first"})
    write_and_die(table, make_rows([1]), run={"commit": "second"})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", disk_full)
        with pytest.raises(NbnasError, match="No space left"):
            table.merge()
    assert temporary_files(table) == []
    assert len(table.provenance()["runs"]) == 1
    table.merge()
    assert [run["commit"] for run in table.provenance()["runs"]] == ["first", "second"]
    assert as_rows(table.read()) == make_rows([0, 1])


def test_merge_interrupted_while_writing_leaves_no_partial_file(table, monkeypatch):
    write_and_die(table, make_rows([0]))

    def interrupted(self, path, **_):
        Path(path).write_bytes(b"PAR1")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", interrupted)
        with pytest.raises(KeyboardInterrupt):
            table.merge()
    assert temporary_files(table) == []
    assert not table.parquet.exists()
    assert as_rows(table.read()) == make_rows([0])


def test_a_partial_file_left_by_a_kill_is_not_read(table):
    write(table, make_rows([0]))
    table.parquet.with_name(table.parquet.name + ".0123abcd.part").write_bytes(b"PAR1")
    assert as_rows(table.read()) == make_rows([0])


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB; yields its mount point."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_really_full_disk_keeps_every_row_and_recovers_with_space(small_disk):
    table = ScoreTable(small_disk / "p")
    write(table, make_rows([0]))
    written = 1

    def endless_rows():
        nonlocal written
        while True:
            # Padding that does not compress, so that the merged table does not fit either.
            yield make_rows([written])[0] | {"noise": os.urandom(256).hex()}
            written += 1

    with pytest.raises(NbnasError, match="No space left on device") as caught:
        write(table, endless_rows())
    assert "\n" not in str(caught.value)
    assert written > 20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = table.read()
    assert list(kept["arch"]) == [row["arch"] for row in make_rows(range(written))]
    assert temporary_files(table) == []
    with pytest.raises(NbnasError, match="No space left on device"):
        write(table, make_rows([written]))
    assert len(table.read()) == written
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    write(table, make_rows([written]))
    assert list(pd.read_parquet(table.parquet)["arch"]) == [row["arch"] for row in make_rows(range(written + 1))]
    assert shard_files(table) == []


def test_store_below_a_regular_file_is_a_one_line_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NbnasError, match="cannot write to") as caught:
        write(ScoreTable(tmp_path / "file" / "p"), make_rows([0]))
    assert "\n" not in str(caught.value)


# Damaged files


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 500 + b"PAR1", None], ids=repr)
def test_damaged_parquet_is_a_one_line_error_that_names_it(table, content):
    write(table, make_rows([0]))
    table.parquet.write_bytes(table.parquet.read_bytes()[:-20] if content is None else content)
    with pytest.raises(NbnasError, match="is damaged") as caught:
        table.read()
    assert str(table.parquet) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_parquet_does_not_cost_the_rows_just_written(table):
    write(table, make_rows([0]))
    table.parquet.write_bytes(b"PAR1")
    with pytest.raises(NbnasError, match="is damaged"):
        write(table, make_rows([1]))
    table.parquet.unlink()
    assert as_rows(table.read()) == make_rows([1])


def test_truncated_shard_warns_and_loses_its_last_row_only(table):
    write(table, make_rows([0]))
    write_and_die(table, make_rows([1, 2, 3]))
    (shard,) = table.shards.glob("*.jsonl")
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.warns(DamagedLogWarning, match=shard.name):
        assert as_rows(table.read()) == make_rows([0, 1, 2])
    with pytest.warns(DamagedLogWarning, match=shard.name):
        write(table, make_rows([3]))
    assert as_rows(pd.read_parquet(table.parquet)) == make_rows([0, 1, 2, 3])


def test_shard_that_lost_its_first_line_keeps_rows_and_configuration(table):
    write(table, make_rows([0]))
    write_and_die(table, make_rows([1]))
    (shard,) = table.shards.glob("*.jsonl")
    shard.write_bytes(shard.read_bytes()[5:])
    with pytest.warns(DamagedLogWarning, match="1 damaged"):
        table.merge()
    assert as_rows(table.read()) == make_rows([0, 1])
    assert table.provenance() == {"configuration": CONFIGURATION, "runs": [{**RUN, "rows": 1}, {"rows": 1}]}


@pytest.mark.parametrize("content", [b"", b'00000000 {"arch": "a"'], ids=["empty", "cut_in_first_line"])
def test_shard_killed_before_its_first_row_does_no_harm(table, content):
    write(table, make_rows([0]))
    (table.shards / "0123.jsonl").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedLogWarning)
        assert as_rows(table.read()) == make_rows([0])
        table.merge()
    assert shard_files(table) == []
    assert as_rows(table.read()) == make_rows([0])


# Several processes


@pytest.mark.parametrize("moment", ["_read_parquet", "_shard_paths"])
def test_reading_while_another_process_merges_misses_no_row(table, monkeypatch, moment):
    write(table, make_rows([0]))
    write_and_die(table, make_rows([1, 2]))
    original = getattr(ScoreTable, moment)

    def read_then_merge(self):
        result = original(self)
        with monkeypatch.context() as patch:
            patch.setattr(ScoreTable, moment, original)
            ScoreTable(table.parquet.with_suffix("")).merge()
        return result

    with monkeypatch.context() as patch:
        patch.setattr(ScoreTable, moment, read_then_merge)
        rows = table.read()
    assert list(table.shards.glob("*.jsonl")) == []
    assert as_rows(rows) == make_rows([0, 1, 2])


CHILD = """
import sys
from pathlib import Path

from nbnas.scoring.score_table import ScoreTable

table = ScoreTable(Path(sys.argv[1]))


def row(number):
    return {"arch": f"arch{number:05d}", "seed": 0, "status": "ok", "seconds": 0.1, "p": 0.5 + number}


def say_and_wait(word):
    print(word, flush=True)
    sys.stdin.readline()


with table.writer({"proxy": "p", "batch_size": 4}, {"commit": "child"}) as log:
    log.append(row(0))
    say_and_wait("open")
    log.append(row(1))
say_and_wait("merged")
for start in range(100, 200, 5):
    with table.writer({"proxy": "p", "batch_size": 4}, {"commit": "child"}) as log:
        for number in range(start, start + 5):
            log.append(row(number))
"""


def test_two_processes_write_one_table_at_once(table, tmp_path):
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    command = [sys.executable, str(script), str(table.parquet.with_suffix(""))]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def proceed():
        child.stdin.write("\n")
        child.stdin.flush()

    try:
        # The child holds a shard open: merging here takes our rows and leaves its shard.
        assert child.stdout.readline() == "open\n"
        write(table, make_rows([50]), run={"commit": "parent"})
        assert as_rows(pd.read_parquet(table.parquet)) == make_rows([50])
        assert len(list(table.shards.glob("*.jsonl"))) == 1
        assert as_rows(table.read()) == make_rows([0, 50])
        proceed()
        assert child.stdout.readline() == "merged\n"
        assert as_rows(pd.read_parquet(table.parquet)) == make_rows([0, 1, 50])
        # Both write and merge as fast as they can; half of the networks are the same.
        proceed()
        for start in range(150, 250, 5):
            write(table, make_rows(range(start, start + 5)), run={"commit": "parent"})
        assert child.wait(timeout=60) == 0
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    assert as_rows(pd.read_parquet(table.parquet)) == make_rows([0, 1, 50, *range(100, 250)])
    assert shard_files(table) == []
    assert temporary_files(table) == []
    rows_by = pd.DataFrame(table.provenance()["runs"]).groupby("commit")["rows"].sum()
    assert set(rows_by.index) == {"child", "parent"}
    assert rows_by.min() >= 51  # the networks that only one of them scored
