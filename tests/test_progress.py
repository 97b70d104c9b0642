"""What a long run says while it works."""

import time
from types import SimpleNamespace

import pytest

from nbnas.errors import NbnasError
from nbnas.reproduce import command
from nbnas.reproduce.progress import Progress


def job(item, minutes, alone=False):
    return SimpleNamespace(item=item, minutes=minutes, notebook=SimpleNamespace(alone=alone))


JOBS = [job("vkdnw/table1", 8.0), job("tcet/table2", 2.0), job("tcet/tableB1", 3.0, alone=True)]


@pytest.fixture
def clock():
    now = SimpleNamespace(seconds=0.0)
    return SimpleNamespace(
        wait=lambda minutes: setattr(now, "seconds", now.seconds + 60 * minutes), read=lambda: now.seconds
    )


def test_it_says_what_runs_for_how_long_and_what_is_left(clock):
    progress = Progress(JOBS, 2, clock=clock.read)
    assert progress.minutes_left() == 8 + 3
    progress.start(JOBS[0])
    clock.wait(1)
    progress.start(JOBS[1])
    clock.wait(2)
    line = "running vkdnw/table1 (3 of about 8 min), tcet/table2 (2 of about 2 min); about 8 min left"
    assert progress.line() == line
    progress.end(JOBS[1])
    clock.wait(10)  # overdue
    assert progress.line() == "running vkdnw/table1 (13 of about 8 min); about 3 min left"
    progress.end(JOBS[0])
    progress.start(JOBS[2])
    clock.wait(2)
    assert progress.line() == "running tcet/tableB1 (2 of about 3 min); about 1 min left"


def test_one_worker_runs_one_after_the_other():
    assert Progress(JOBS, 1).minutes_left() == 8 + 2 + 3
    assert Progress([], 2).minutes_left() == 0


def test_it_prints_until_the_block_ends(capsys):
    with Progress(JOBS, 2, every=0.01) as progress:
        time.sleep(0.1)
        assert capsys.readouterr().out == ""  # nothing runs yet
        progress.start(JOBS[0])
        deadline = time.monotonic() + 10
        while not (printed := capsys.readouterr().out) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert printed.startswith("running vkdnw/table1 (0 of about 8 min); about 11 min left\n")
    time.sleep(0.1)
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("found", [True, False])
def test_the_report_opens_in_a_browser_or_says_that_there_is_none(monkeypatch, tmp_path, capsys, found):
    opened = []
    monkeypatch.setattr("nbnas.reproduce.report.build.build_report", lambda reports, profile: tmp_path / "index.html")
    monkeypatch.setattr(command.webbrowser, "open", lambda address: opened.append(address) or found)
    options = SimpleNamespace(profile="smoke", open=True)
    if found:
        command._report(options)
    else:
        with pytest.raises(NbnasError, match=r"no browser was found; open .*index.html by hand"):
            command._report(options)
    assert opened == [(tmp_path / "index.html").as_uri()]
    assert "index.html" in capsys.readouterr().out
