"""The append-only log under cuts, flipped bits, full disks and reopening."""

import errno
import json
import math
import os
import resource
import warnings
from contextlib import contextmanager

import pytest

from nbnas.errors import NbnasError
from nbnas.machine.append_log import AppendLog, DamagedLogWarning, read_log

ROWS = [
    {"arch": "|a~0|", "seed": 0, "value": 0.1 + 0.2, "status": "ok"},
    {"arch": "|b~0|", "seed": 1, "value": 1e-300, "status": "error: two\nlines and é"},
    {"arch": "|c~0|", "seed": 2, "value": -7, "status": "ok"},
]


def write_rows(path, rows=ROWS):
    log = AppendLog(path)
    for row in rows:
        log.append(row)
    log.close()


def read_quietly(path):
    """Read a log that must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_log(path)


def read_expecting(path, damaged):
    """Read a log that must warn of one damaged line if ``damaged``, else of nothing."""
    if not damaged:
        return read_quietly(path)
    with pytest.warns(DamagedLogWarning, match="1 damaged lines left out"):
        return read_log(path)


@contextmanager
def file_size_limit(size):
    """Let the kernel refuse to grow any file of this process beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class FailingFile:
    """A file on a full disk: takes at most ``room`` bytes, or raises if ``room`` is None."""

    def __init__(self, file, room):
        self._file = file
        self._room = room

    def write(self, line):
        if self._room is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._file.write(line[: self._room])

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_rows_come_back_equal_and_in_order(tmp_path):
    write_rows(tmp_path / "log")
    assert read_quietly(tmp_path / "log") == ROWS


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, 2**63])
def test_special_numbers_survive_the_round_trip(tmp_path, value):
    write_rows(tmp_path / "log", [{"value": value}])
    (row,) = read_quietly(tmp_path / "log")
    assert type(row["value"]) is type(value)
    assert repr(row["value"]) == repr(value)


def test_each_row_is_in_the_file_before_append_returns(tmp_path):
    log = AppendLog(tmp_path / "log")
    for number, row in enumerate(ROWS, start=1):
        log.append(row)
        assert read_quietly(tmp_path / "log") == ROWS[:number]
        assert log.rows == number
    log.close()


def cut_last_line(path):
    """Yield after cutting the file at every byte of its last line: (last row is whole, part of a row is left)."""
    whole = path.read_bytes()
    start_of_last = whole[:-1].rindex(b"\n") + 1
    for size in range(start_of_last, len(whole) + 1):
        path.write_bytes(whole[:size])
        last_row_is_whole = size >= len(whole) - 1  # the line end alone may be missing
        yield last_row_is_whole, not last_row_is_whole and size > start_of_last


def test_cut_anywhere_in_the_last_line_loses_at_most_that_line(tmp_path):
    path = tmp_path / "log"
    write_rows(path)
    for last_row_is_whole, damaged in cut_last_line(path):
        assert read_expecting(path, damaged) == (ROWS if last_row_is_whole else ROWS[:-1])


def test_row_appended_after_reopening_a_cut_log_is_kept(tmp_path):
    path = tmp_path / "log"
    write_rows(path)
    added = {"arch": "|d~0|", "seed": 3}
    for last_row_is_whole, damaged in cut_last_line(path):
        write_rows(path, [added])
        assert read_expecting(path, damaged) == [*(ROWS if last_row_is_whole else ROWS[:-1]), added]


def test_flipping_any_bit_of_a_middle_line_never_yields_a_wrong_row(tmp_path):
    path = tmp_path / "log"
    write_rows(path)
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    for position in range(start, whole.index(b"\n", start)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        with pytest.warns(DamagedLogWarning, match=r"[12] damaged lines left out, 2 intact"):
            assert read_log(path) == [ROWS[0], ROWS[2]]


def test_losing_the_line_end_between_two_rows_spares_all_other_rows(tmp_path):
    path = tmp_path / "log"
    write_rows(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b" ", 1))
    with pytest.warns(DamagedLogWarning, match="1 damaged"):
        assert read_log(path) == ROWS[2:]


@pytest.mark.parametrize(
    "filler",
    [b"\0" * 100, b"\xff" * 100, b"not a row\n", b"null\n", b"00000000\n"],
    ids=["zeros", "ones", "words", "json", "checksum_of_nothing"],
)
def test_foreign_bytes_at_the_end_are_left_out(tmp_path, filler):
    path = tmp_path / "log"
    write_rows(path)
    path.write_bytes(path.read_bytes() + filler)
    with pytest.warns(DamagedLogWarning, match="1 damaged lines left out, 3 intact"):
        assert read_log(path) == ROWS


@pytest.mark.parametrize("room", [None, 0, 1, 20], ids=["raises", "writes_0", "writes_1", "writes_20"])
def test_failing_write_keeps_earlier_rows_and_works_again_with_space(tmp_path, room):
    path = tmp_path / "log"
    write_rows(path, ROWS[:1])
    log = AppendLog(path)
    log.append(ROWS[1])
    file = log._file
    log._file = FailingFile(file, room)
    with pytest.raises(NbnasError, match="No space left on device; earlier rows are safe") as caught:
        log.append({"lost": True})
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert read_quietly(path) == ROWS[:2]
    assert log.rows == 1
    log._file = file
    log.append(ROWS[2])
    log.close()
    assert read_quietly(path) == ROWS
    assert log.rows == 2


@pytest.mark.parametrize("room", [0, 1, 25])
def test_write_cut_short_by_the_kernel_keeps_earlier_rows(tmp_path, room):
    path = tmp_path / "log"
    log = AppendLog(path)
    log.append(ROWS[0])
    with file_size_limit(path.stat().st_size + room), pytest.raises(NbnasError, match="earlier rows are safe"):
        log.append(ROWS[1])
    assert read_quietly(path) == ROWS[:1]
    log.append(ROWS[2])
    log.close()
    assert read_quietly(path) == [ROWS[0], ROWS[2]]


def test_two_failures_in_a_row_do_no_more_harm_than_one(tmp_path):
    path = tmp_path / "log"
    log = AppendLog(path)
    log.append(ROWS[0])
    file, log._file = log._file, FailingFile(log._file, 9)
    for _ in range(2):
        with pytest.raises(NbnasError):
            log.append(ROWS[1])
    log._file = file
    log.append(ROWS[1])
    log.close()
    assert read_quietly(path) == ROWS[:2]


def test_reopening_on_a_full_disk_is_a_one_line_error(tmp_path):
    path = tmp_path / "log"
    write_rows(path)
    with file_size_limit(path.stat().st_size), pytest.raises(NbnasError, match="cannot write"):
        AppendLog(path)
    assert read_quietly(path) == ROWS


def test_row_that_json_cannot_hold_leaves_the_log_intact(tmp_path):
    path = tmp_path / "log"
    log = AppendLog(path)
    log.append(ROWS[0])
    with pytest.raises(TypeError):
        log.append({"value": object()})
    log.append(ROWS[1])
    log.close()
    assert read_quietly(path) == ROWS[:2]


def test_lines_are_plain_json_behind_a_checksum(tmp_path):
    write_rows(tmp_path / "log")
    bodies = [line.split(b" ", 1)[1] for line in (tmp_path / "log").read_bytes().splitlines()]
    assert [json.loads(body) for body in bodies] == ROWS


def test_empty_log_has_no_rows(tmp_path):
    AppendLog(tmp_path / "log").close()
    assert read_quietly(tmp_path / "log") == []
