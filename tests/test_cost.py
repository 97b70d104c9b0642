"""Measured costs: one row per network, whatever the clock says."""

import pytest

from nbnas.errors import NbnasError
from nbnas.scoring.setting import Setting
from nbnas.scoring.timing import measure_cost, share_of_cores

SMALL = Setting(dataset="ImageNet16-120", batch_size=2)


def test_every_network_is_timed(space):
    archs = [space[11], space[284], space[11]]
    table = measure_cost(SMALL, archs, ["flops", "snip"])
    assert table["arch"].tolist() == archs
    assert (table["status"] == "ok").all()
    assert (table["forward"] > 0).all()
    assert (table["seconds"] > 0).all()


def test_failed_scores_are_named(space):
    empty = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    table = measure_cost(SMALL, [empty], "synflow")
    assert table["status"].item() == "degenerate"


def test_no_networks_take_no_time():
    assert measure_cost(Setting(), [], "snip").empty


def test_unknown_proxy_is_refused(space):
    with pytest.raises(NbnasError, match="no proxy matches 'nothing'"):
        measure_cost(Setting(batch_size=1), [space[0]], "nothing")


def test_share_of_cores_is_cpu_time_over_what_all_threads_could_get(monkeypatch):
    walls, cpus = iter([10.0, 10.5, 11.0, 11.0]), iter([3.0, 3.6])
    monkeypatch.setattr("nbnas.scoring.timing.time.perf_counter", lambda: next(walls))
    monkeypatch.setattr("nbnas.scoring.timing.time.process_time", lambda: next(cpus))
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    assert share_of_cores() == pytest.approx(0.3)
