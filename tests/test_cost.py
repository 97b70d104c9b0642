"""Measured costs: one row per network, whatever the clock says."""

import pytest

from nbnas.errors import NbnasError
from nbnas.scoring.setting import Setting
from nbnas.scoring.timing import measure_cost

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
