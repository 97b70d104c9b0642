"""RoBoT: released bookkeeping on given weights, and that its search beats a random one."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nbnas.errors import NbnasError
from nbnas.rankings.robot import order_by, robot, scale_scores


def golden():
    (record,) = (
        record
        for record in json.loads((Path(__file__).parent / "golden" / "newer_proxies.json").read_text())
        if record["network"] == "robot"
    )
    raw = np.random.RandomState(31).standard_normal((40, 3))
    raw[5, 1] = np.nan
    scores = pd.DataFrame(raw, columns=["first", "second", "third"])
    return scores, 100 * np.random.RandomState(33).rand(40), record["values"]


def test_released_bookkeeping_on_given_weights():
    scores, accuracies, values = golden()
    asked = []

    def accuracy(network):
        asked.append(network)
        return accuracies[network]

    weights = np.random.RandomState(32).uniform(-1, 1, (6, 3))
    found = robot(scores, accuracy, values["budget"], weights=weights)
    targets = [accuracies[order_by(scale_scores(scores), each)[0]] for each in weights]
    np.testing.assert_array_equal(targets, values["targets"])
    np.testing.assert_array_equal(found.weights, values["kept_weights"])
    assert found.ranking.tolist() == values["ranking"]
    assert found.queried == asked == values["queried"]
    assert (found.best, accuracies[found.best]) == (values["answer"], values["answer_value"])


def test_scaled_scores_by_hand():
    table = pd.DataFrame({"varies": [2.0, np.nan, 4.0, 3.0], "constant": [7.0, 7.0, 7.0, 7.0]})
    assert scale_scores(table).tolist() == [[0, 7], [0, 7], [1, 7], [0.5, 7]]


def test_of_equal_sums_the_last_network_comes_first():
    assert order_by(np.array([[1.0], [0.0], [1.0]]), np.ones(1)).tolist() == [2, 0, 1]


def test_optimisation_finds_the_score_that_ranks_right():
    rng = np.random.default_rng(0)
    accuracies = rng.uniform(0, 100, 200)
    scores = pd.DataFrame({"noise": rng.normal(size=200), "reversed": -accuracies, "more noise": rng.normal(size=200)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of a kernel whose length meets a bound.
        found = robot(scores, accuracies.__getitem__, 20)
        again = robot(scores, accuracies.__getitem__, 20)
    assert len(found.queried) == 20
    assert found.best in np.argsort(accuracies)[-3:]  # By chance 27 %.
    assert found.weights[1] < 0
    assert found.queried == again.queried


@pytest.mark.parametrize("budget", [0, 41])
def test_budget_that_makes_no_sense(budget):
    with pytest.raises(NbnasError, match="budget must be between 1 and 40"):
        robot(golden()[0], float, budget)
