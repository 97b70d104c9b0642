"""Resamples computed at once against one after the other."""

import numpy as np
import pytest

from nbnas.rankings import bootstrap_estimate, bootstrap_interval, intervals, kendall_tau, spearman_rho

STATISTICS = [kendall_tau, spearman_rho]


def one_after_the_other(statistic, *columns, **options):
    return bootstrap_interval(lambda *drawn: statistic(*drawn), *columns, **options)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_interval_is_that_of_one_resample_after_the_other(statistic, grouped, seed):
    rng = np.random.default_rng(seed)
    scores, accuracy = rng.integers(12, size=90), rng.standard_normal(90).round(1)
    groups = rng.integers(25, size=90) if grouped else None
    slow = one_after_the_other(statistic, scores, accuracy, groups=groups, repeats=100, seed=seed)
    fast = bootstrap_interval(statistic, scores, accuracy, groups=groups, repeats=100, seed=seed)
    assert fast == pytest.approx(slow, abs=1e-12)
    assert fast[0] < fast[1]


@pytest.mark.parametrize("statistic", STATISTICS)
def test_infinite_scores_rank_at_the_ends_and_constant_resamples_are_left_out(statistic):
    scores, accuracy = np.array([-np.inf, 1.0, np.inf]), np.array([1.0, 2.0, 3.0])
    assert bootstrap_interval(statistic, scores, accuracy, repeats=200) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_parts_add_up(monkeypatch, statistic):
    x, y = np.random.default_rng(1).integers(9, size=(2, 30))
    whole = bootstrap_interval(statistic, x, y, repeats=50)
    monkeypatch.setattr(intervals, "_CHUNK", 100)
    assert bootstrap_interval(statistic, x, y, repeats=50) == pytest.approx(whole, abs=1e-12)


def test_an_estimate_is_a_value_with_its_interval():
    x, y = np.random.default_rng(2).standard_normal((2, 30))
    options = {"groups": np.arange(30) // 2, "repeats": 40, "seed": 7}
    estimate = bootstrap_estimate(kendall_tau, x, y, **options)
    assert estimate.value == kendall_tau(x, y)
    assert (estimate.low, estimate.high) == bootstrap_interval(kendall_tau, x, y, **options)
