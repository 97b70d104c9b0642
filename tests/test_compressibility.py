"""What T-CET measures layer by layer, against slow references and the proxies."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch

import nbnas
from nbnas.proxies.tcet import layer_vectors
from nbnas.scoring.setting import Setting
from nbnas.studies import compressibility

CELLS = nbnas.get_space("nasbench201")
MACRO = nbnas.get_space("nasbench_macro")
SMALL = "00000000"


def draw_batch(batch_size, seed=0, dataset=None):
    return Setting(dataset=dataset, batch_size=batch_size).batches(seed)[0]


@pytest.fixture(scope="module")
def batch():
    return draw_batch(4)


def test_smaller_batches_begin_larger_ones(batch):
    inputs, labels = draw_batch(2)
    assert torch.equal(inputs, batch[0][:2])
    assert torch.equal(labels, batch[1][:2])
    assert not torch.equal(draw_batch(2, seed=1)[0], inputs)
    assert draw_batch(2, dataset="ImageNet16-120")[0].shape == (2, 3, 16, 16)


def test_profiles_are_the_vectors_of_tcet_beside_sizes(batch):
    profile = compressibility.layer_profile("nasbench_macro", SMALL, batch)
    network = Setting("nasbench_macro").network(SMALL, seed=0)
    vectors = layer_vectors(network, batch)
    pd.testing.assert_frame_equal(profile[vectors.columns], vectors)
    assert profile["depth"].tolist() == list(range(1, len(vectors) + 1))
    assert (profile["shape"] * profile["weights"]).tolist() == pytest.approx(vectors["signal_to_noise"].tolist())
    first = profile.iloc[0]
    expected = 4 * np.log(first["units"] / 2) + np.log(5)
    assert first["ideal_log_determinant"] == pytest.approx(expected)
    assert first["log_determinant"] + 4 * first["deficit"] == pytest.approx(expected)
    assert profile["deficit"].isna().equals(profile["log_determinant"] == 0)


def test_scores_of_a_profile_are_the_proxies(batch):
    network = Setting("nasbench_macro").network(SMALL, seed=0)
    names = ["ssnr_snip", "nwot", "tcet_snip"]
    rows = nbnas.score(network, names, batches=[batch], init=None).value
    scores = compressibility.scores_of_profile(layer_vectors(network, batch))
    expected = {name: rows[name.replace("ssnr", "ssnr_snip").replace("tcet", "tcet_snip")] for name in scores}
    assert scores == pytest.approx(expected)


def test_dead_layers_count_nothing():
    profile = pd.DataFrame({"signal_to_noise": [0.0, np.e], "log_determinant": [5.0, 3.0]})
    expected = {"ssnr": np.e, "ssnr_log": 1, "lnwot": 8, "tcet": 3 * np.e, "tcet_log": 3}
    assert compressibility.scores_of_profile(profile) == pytest.approx(expected)


def test_sensitivity_scores_the_first_samples_of_every_batch(batch):
    few = tuple(part[:2] for part in draw_batch(2, seed=1))
    table = compressibility.sensitivity("nasbench_macro", [SMALL], {"a": batch, "b": few}, [2, 4])
    assert table[["arch", "inputs", "batch_size"]].to_numpy().tolist() == [
        [SMALL, "a", 2],
        [SMALL, "a", 4],
        [SMALL, "b", 2],
    ]
    profile = compressibility.layer_profile("nasbench_macro", SMALL, tuple(part[:2] for part in batch))
    scores = compressibility.scores_of_profile(profile)
    assert table.loc[0, list(scores)].to_dict() == pytest.approx(scores)
    assert table.loc[0, "deficit"] == profile["deficit"].median()


def test_few_classes_or_few_codes_make_a_kernel_singular():
    random = torch.randn(64, 10, generator=torch.Generator().manual_seed(0))
    found = compressibility.classifier_codes(random)
    assert (found["samples"], found["classes"]) == (64, 10)
    assert found["distinct"] == len({tuple(row) for row in (random > 0).tolist()})
    assert found["rank"] == 11 < found["distinct"]
    alike = torch.randn(2, 100, generator=torch.Generator().manual_seed(0)).repeat(32, 1)
    assert compressibility.classifier_codes(alike) == {"samples": 64, "classes": 100, "distinct": 2, "rank": 2}


def test_pairs_are_counted_one_by_one():
    rng = np.random.default_rng(0)
    scores, accuracy, sizes = rng.integers(6, size=40), rng.integers(9, size=40), rng.integers(5, size=40)
    pairs = list(combinations(range(40), 2))

    def right(first, second, chosen):
        signs = [np.sign((first[i] - first[j]) * (second[i] - second[j])) for i, j in chosen]
        return signs.count(1) / (signs.count(1) + signs.count(-1)), signs.count(1) + signs.count(-1)

    equals = [(i, j) for i, j in pairs if sizes[i] == sizes[j]]
    expected = right(scores, accuracy, equals)
    assert compressibility.right_among_equals(scores, accuracy, sizes) == pytest.approx(expected)
    share, count = compressibility.right_among_equals([1, 2], [1, 2], [1, 2])
    assert (np.isnan(share), count) == (True, 0)
