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


@pytest.mark.parametrize("limit", ["MOST_GROUPS", "MOST_ARCHITECTURES"])
def test_the_interval_does_not_depend_on_the_size_from_which_resamples_go_one_by_one(monkeypatch, limit):
    x, y = np.random.default_rng(0).standard_normal((2, 40))
    at_once = bootstrap_interval(kendall_tau, x, y, repeats=60)
    monkeypatch.setattr(intervals, limit, 39)
    monkeypatch.setattr(intervals, "kendall_taus", None)  # Must not be called.
    assert bootstrap_interval(kendall_tau, x, y, repeats=60) == pytest.approx(at_once, abs=1e-12)


def test_parts_of_the_resamples_add_up(monkeypatch):
    x, y = np.random.default_rng(1).standard_normal((2, 30))
    whole = bootstrap_interval(spearman_rho, x, y, repeats=50)
    monkeypatch.setattr(intervals, "_CHUNK", 100)
    assert bootstrap_interval(spearman_rho, x, y, repeats=50) == pytest.approx(whole, abs=1e-12)


def test_an_estimate_is_a_value_with_its_interval():
    x, y = np.random.default_rng(2).standard_normal((2, 30))
    options = {"groups": np.arange(30) // 2, "repeats": 40, "seed": 7}
    estimate = bootstrap_estimate(kendall_tau, x, y, **options)
    assert estimate.value == kendall_tau(x, y)
    assert (estimate.low, estimate.high) == bootstrap_interval(kendall_tau, x, y, **options)
