"""What sizes alone predict of T-CET, and the measurements beside it."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
import torch

import nbnas
from nbnas import compressibility
from nbnas.errors import NbnasError
from nbnas.proxies.agreement import agreement, log_determinant
from nbnas.proxies.tcet import layer_vectors, signal_to_noise

CELLS = nbnas.get_space("nasbench201")
MACRO = nbnas.get_space("nasbench_macro")
SMALL = "00000000"


@pytest.fixture(scope="module")
def batch():
    return compressibility.draw_batch(4)


@pytest.mark.parametrize("initialisation", ["torch_default", "kaiming_normal"])
@pytest.mark.parametrize("saliency", ["snip", "synflow"])
def test_ideal_shape_is_that_of_independent_draws(saliency, initialisation):
    generator = torch.Generator().manual_seed(0)
    size = (1_000_000,)
    uniform, normal = 2 * torch.rand(size, generator=generator) - 1, torch.randn(size, generator=generator)
    weights = uniform if initialisation == "torch_default" else normal
    factors = torch.randn(size, generator=generator) if saliency == "snip" else torch.ones(size)
    measured = float(signal_to_noise((3 * weights * 7 * factors).abs())) / len(weights)
    assert compressibility.ideal_shape(saliency, initialisation) == pytest.approx(measured, rel=5e-3)


def test_ideal_log_determinant_is_that_of_the_expected_kernel():
    kernel = 50 * (torch.eye(6, dtype=torch.float64) + torch.ones(6, 6, dtype=torch.float64))
    assert compressibility.ideal_log_determinant(100, 6) == pytest.approx(float(torch.logdet(kernel)))


def test_many_independent_signs_come_close_to_it():
    outputs = torch.randn(16, 20_000, generator=torch.Generator().manual_seed(0))
    measured = float(log_determinant(agreement(outputs).kernel))
    assert compressibility.ideal_log_determinant(20_000, 16) == pytest.approx(measured, abs=0.05)


@pytest.mark.parametrize("space", [CELLS, MACRO], ids=lambda space: space.name)
def test_forecasts_add_up_the_layers_of_the_network(space):
    arch = "".join("20110212") if space is MACRO else space[6123]
    layers = compressibility.layer_sizes(space.name, arch)
    assert len(layers) == space.weight_layers(arch)
    weights, determinants = layers["weights"], []
    for units, linear in zip(layers["units"], layers["linear"], strict=True):
        determinants.append(0 if linear else 8 * np.log(units / 2) + np.log(9))
    ratio, determinants = weights * compressibility.ideal_shape("synflow"), np.array(determinants)
    expected = {
        "layers": len(layers),
        "weights": weights.sum(),
        "log_weights": np.log(weights).sum(),
        "ssnr": ratio.sum(),
        "ssnr_log": np.log(ratio).sum(),
        "lnwot": determinants.sum(),
        "tcet": (ratio * determinants).sum(),
        "tcet_log": (np.log(ratio) * determinants).sum(),
    }
    forecast = compressibility.size_forecasts(space.name, [space[0], arch], batch_size=8, saliency="synflow").loc[arch]
    assert forecast.to_dict() == pytest.approx(expected)


def test_sizes_are_those_of_the_running_network():
    network = MACRO.build(SMALL).eval()
    outputs = {}
    for name, layer in network.named_modules():
        if hasattr(layer, "weight") and layer.weight is not None and layer.weight.dim() > 1:
            layer.register_forward_hook(lambda module, given, output, name=name: outputs.update({name: output[0]}))
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    layers = compressibility.layer_sizes("nasbench_macro", SMALL)
    assert layers["units"].to_dict() == {name: output.numel() for name, output in outputs.items()}
    assert layers.index[layers["linear"]].tolist() == ["classifier"]


def test_other_spaces_have_no_forecasts():
    with pytest.raises(NbnasError, match="not for 'nasbench101'"):
        compressibility.size_forecasts("nasbench101", [])


def test_live_cells_are_those_without_dead_edges():
    filtered = set(CELLS.subset("filtered"))
    for index in range(0, len(CELLS), 7):
        live = compressibility.live_cell(CELLS[index])
        assert (live == CELLS[index]) == (index in filtered)
        assert not CELLS.has_dead_edges(live)
        assert CELLS.network_form(live) == CELLS.network_form(CELLS[index])


def test_effects_of_choices_are_recovered():
    archs = [MACRO[index] for index in range(0, len(MACRO), 50)]
    values = [10 + 3 * arch.count("1") - 2 * arch.count("2") for arch in archs]
    assert compressibility.choice_effects("nasbench_macro", archs, values, ("1", "2")) == pytest.approx([3, -2])


def test_shares_of_positions_are_those_of_an_additive_quantity():
    archs = ["".join(digits) for digits in product("012", repeat=3)]
    values = [int(arch[0]) + 2 * int(arch[2]) for arch in archs]
    assert compressibility.main_effect_shares(archs, values) == pytest.approx([1 / 5, 0, 4 / 5])


def test_smaller_batches_begin_larger_ones(batch):
    inputs, labels = compressibility.draw_batch(2)
    assert torch.equal(inputs, batch[0][:2])
    assert torch.equal(labels, batch[1][:2])
    assert not torch.equal(compressibility.draw_batch(2, seed=1)[0], inputs)
    assert compressibility.draw_batch(2, "ImageNet16-120")[0].shape == (2, 3, 16, 16)


def test_profiles_are_the_vectors_of_tcet_beside_sizes(batch):
    profile = compressibility.layer_profile("nasbench_macro", SMALL, batch)
    network = compressibility.draw_network("nasbench_macro", SMALL)
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
    network = compressibility.draw_network("nasbench_macro", SMALL)
    names = ["ssnr_snip", "nwot", "tcet_snip"]
    rows = nbnas.score(network, names, batches=[batch], init=None).value
    scores = compressibility.scores_of_profile(layer_vectors(network, batch))
    expected = {name: rows[name.replace("ssnr", "ssnr_snip").replace("tcet", "tcet_snip")] for name in scores}
    assert scores == pytest.approx(expected)


def test_dead_layers_count_nothing():
    profile = pd.DataFrame({"signal_to_noise": [0.0, np.e], "log_determinant": [5.0, 3.0]})
    expected = {"ssnr": np.e, "ssnr_log": 1, "lnwot": 8, "tcet": 3 * np.e, "tcet_log": 3}
    assert compressibility.scores_of_profile(profile) == pytest.approx(expected)


def test_power_laws_are_fitted_to_logarithms():
    sizes = np.array([1.0, 10.0, 100.0])
    assert compressibility.power_law(sizes, 3 * sizes**0.5) == pytest.approx((3, 0.5, 0), abs=1e-9)
    factor, exponent, scatter = compressibility.power_law([1, 1, 4, 4], np.exp([1, -1, 1, -1]))
    assert (factor, exponent, scatter) == pytest.approx((1, 0, 1))


@pytest.mark.parametrize(("sizes", "values"), [([1, 2], [0, 1]), ([-1, 2], [1, 1]), ([2, 2], [1, 3])])
def test_there_is_no_power_law_of_zeros_or_of_one_size(sizes, values):
    with pytest.raises(NbnasError, match="power law"):
        compressibility.power_law(sizes, values)


def test_sensitivity_scores_the_first_samples_of_every_batch(batch):
    few = tuple(part[:2] for part in compressibility.draw_batch(2, seed=1))
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

    assert compressibility.ordered_alike(scores, sizes) == pytest.approx(right(scores, sizes, pairs)[0])
    equals = [(i, j) for i, j in pairs if sizes[i] == sizes[j]]
    expected = right(scores, accuracy, equals)
    assert compressibility.right_among_equals(scores, accuracy, sizes) == pytest.approx(expected)
    share, count = compressibility.right_among_equals([1, 2], [1, 2], [1, 2])
    assert (np.isnan(share), count) == (True, 0)
