"""The population of a search: incremental ranks equal those computed anew from everything seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbnas.rankings import aggregate_ranks, lexicographic_rank
from nbnas.search.population import Population


def reference(rows, size, how):
    """Best ``size`` of all rows by ranks computed anew; of equal ones the older."""
    columns = [lexicographic_rank(*np.array(column, dtype=float).T) for column in zip(*rows, strict=True)]
    scores = aggregate_ranks(columns, how)
    best = np.sort(np.lexsort((np.arange(len(rows)), -scores))[:size])
    return best, scores[best]


def single(values):
    return [(value,) for value in values]


def assert_follows_reference(rows, size, how="log"):
    population = Population(size, how=how)
    returned = 0
    for number, keys in enumerate(rows):
        before = set(population.members.tolist())
        population.insert(number, keys)
        members, scores = reference(rows[: number + 1], size, how)
        assert population.members.tolist() == members.tolist(), number
        np.testing.assert_array_equal(population.scores, scores)
        returned += len(set(population.members.tolist()) - before - {number})
    return returned


@pytest.mark.parametrize("how", ["log", "sum"])
@pytest.mark.parametrize("terms", [1, 2, 5])
def test_members_and_scores_are_those_of_ranks_computed_anew(how, terms):
    rng = np.random.default_rng(terms)
    assert_follows_reference([single(row) for row in rng.normal(size=(400, terms))], 12, how)


def test_networks_that_left_come_back():
    rng = np.random.default_rng(0)
    # Later networks are better in one term and worse in the other, so ranks of old ones grow unevenly.
    drift = np.linspace(0, 3, 500)[:, None] * [1, -1, 0]
    rows = [single(row) for row in rng.normal(size=(500, 3)) + drift]
    assert assert_follows_reference(rows, 10) > 10


def test_many_ties():
    rng = np.random.default_rng(1)
    assert_follows_reference([single(row) for row in rng.integers(4, size=(300, 3))], 10)


def test_failed_networks_rank_last_together():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(200, 2))
    values[rng.random(values.shape) < 0.3] = -np.inf
    assert_follows_reference([single(row) for row in values], 8)


def test_lexicographic_terms():
    rng = np.random.default_rng(3)
    rows = [[(float(rng.integers(3)), float(rng.integers(5))), (float(rng.normal()),)] for _ in range(200)]
    assert_follows_reference(rows, 8)


@given(st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=60), st.integers(1, 8))
def test_any_sequence(rows, size):
    assert_follows_reference([single(row) for row in rows], size)


def test_newest_members_have_ranks_among_everything_seen():
    rng = np.random.default_rng(4)
    values = rng.integers(20, size=(150, 2)).astype(float)
    population = Population(7, keep="newest")
    for number, row in enumerate(values):
        population.insert(number, single(row))
        scores = aggregate_ranks(values[: number + 1].T) if number else np.zeros(1)
        expected = np.arange(number + 1)[-7:]
        assert population.members.tolist() == expected.tolist()
        np.testing.assert_array_equal(population.scores, scores[expected])


def test_numbers_may_have_gaps():
    population = Population(2)
    for number, value in ((3, 5.0), (10, 1.0), (11, 4.0)):
        population.insert(number, [(value,)])
    assert population.members.tolist() == [3, 11]


@pytest.mark.parametrize(("values", "terms"), [(None, 5), (3, 3)], ids=["untied", "tied"])
def test_few_networks_are_looked_at_again(values, terms):
    rng = np.random.default_rng(5)
    size = (4000, terms)
    rows = rng.normal(size=size) if values is None else rng.integers(values, size=size)
    population = Population(50)
    looked_at = []
    admit = population._admit
    population._admit = lambda entering: (looked_at.append(len(entering)), admit(entering))
    for number, row in enumerate(rows):
        population.insert(number, single(row))
    assert np.mean(looked_at[3000:]) < 20
    assert np.mean(looked_at[3000:]) <= np.mean(looked_at[500:1000])
