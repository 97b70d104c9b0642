"""The parts of VKDNW that its study changes, on cases small enough to work out by hand."""

import numpy as np
import pytest
import torch
from torch import nn

import nbnas
from nbnas.scoring.setting import Setting
from nbnas.studies.fisher_factor import (
    after_train_pass,
    compare_rankings,
    entropy_of,
    jacobian_and_logits,
    package_deciles,
    reference_deciles,
    released_deciles,
)

SPACE = nbnas.get_space("nasbench201")
COMPUTATIONS = {"released": released_deciles, "package": package_deciles, "reference": reference_deciles}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_sample_per_parameter(scales):
    """Two classes, equally likely, and parameters of which each moves the logits of one sample by +-scale.

    With p = 1/2, L = [[1/2, 0], [-1/2, 0]]. So sample n gives L^T J the one row (scale_n, 0), and L J the two rows
    +-scale_n / 2: the Fisher matrix is diagonal, with scale^2 / N in the paper's variant and half of it in the other.
    """
    diagonal = torch.diag(torch.as_tensor(scales, dtype=torch.float64))
    return torch.stack([diagonal, -diagonal], dim=1), torch.zeros(len(scales), 2, dtype=torch.float64)


def test_the_start_is_that_of_the_stored_scores():
    stored = nbnas.load_score_matrix("vkdnw", nbnas.Setting(), "filtered-unique", seed=1)
    own = jacobian_and_logits(*Setting().start(SPACE[stored.index[0]], seed=1))
    for variant, score in {"official": "vkdnw_entropy", "paper": "vkdnw_paper_entropy"}.items():
        assert entropy_of(*own, variant) == pytest.approx(stored[score].iloc[0], rel=1e-3)


def test_precisions_start_from_the_same_numbers():
    arch = SPACE[5727]
    setting = Setting(dataset="ImageNet16-120", batch_size=2)
    single, inputs = setting.start(arch)
    double, same_inputs = setting.start(arch, dtype=torch.float64)
    assert inputs.shape == (2, 3, 16, 16)
    assert torch.equal(inputs.double(), same_inputs)
    assert not single.training
    for parameter, twin in zip(single.parameters(), double.parameters(), strict=True):
        assert torch.equal(parameter.double(), twin)
    assert jacobian_and_logits(single, inputs)[1].shape == (2, 120)


def test_a_linear_layer_moves_the_first_logit_by_input_and_bias():
    inputs = torch.tensor([[[[2.0, 5.0]]], [[[-3.0, 7.0]]]])
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 3)).eval()
    jacobian, logits = jacobian_and_logits(network, inputs)
    expected = torch.zeros(2, 3, 2, dtype=torch.float64)
    expected[:, 0, 0] = torch.tensor([2.0, -3.0])  # the first weight
    expected[:, 0, 1] = 1  # the first bias
    torch.testing.assert_close(jacobian, expected)
    torch.testing.assert_close(logits, network(inputs).detach().double())


@pytest.mark.parametrize("momentum", [1.0, 0.25])
def test_a_train_pass_moves_the_statistics_by_its_momentum_and_nothing_else(momentum):
    inputs = normal(4, 3, 5, 5)
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)).double().eval()
    weights = [parameter.clone() for parameter in network.parameters()]
    channels = network[0](inputs).detach().movedim(1, 0).flatten(1)
    assert after_train_pass(network, inputs, momentum) is network
    kept = 1 - momentum  # of the mean 0 and the variance 1
    torch.testing.assert_close(network[1].running_mean, momentum * channels.mean(1))
    torch.testing.assert_close(network[1].running_var, kept + momentum * channels.var(1))
    assert not any(module.training for module in network.modules())
    assert all(map(torch.equal, weights, network.parameters()))


@pytest.mark.parametrize("computation", COMPUTATIONS)
@pytest.mark.parametrize(("variant", "share"), [("paper", 1), ("official", 1 / 2)])
def test_deciles_of_a_diagonal_matrix_are_its_entries(computation, variant, share):
    jacobian, logits = one_sample_per_parameter(np.sqrt(np.arange(11.0)))
    expected = share * torch.arange(1, 10, dtype=torch.float64) / 11
    # The constants in float16 make p a little more than 1/2.
    torch.testing.assert_close(COMPUTATIONS[computation](jacobian, logits, variant), expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("computation", COMPUTATIONS)
@pytest.mark.parametrize("variant", ["official", "paper"])
def test_eigenvalues_beyond_the_rank_are_zero(computation, variant):
    jacobian, logits = one_sample_per_parameter([0.0, 0.0, 0.0, 2.0])
    deciles = COMPUTATIONS[computation](jacobian[-1:], logits[-1:], variant)
    largest = 4 if variant == "paper" else 2
    # Eigenvalues 0, 0, 0, largest: the quantile q lies at 3 q, between the last two from 2/3 on.
    expected = [0] * 6 + [0.1 * largest, 0.4 * largest, 0.7 * largest]
    assert deciles.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-12)


@pytest.mark.parametrize(("computation", "reach"), [("released", 1e-5), ("package", 1e-13), ("reference", 1e-24)])
def test_how_small_an_eigenvalue_each_computation_can_tell(computation, reach):
    """Eigenvalues 1, 1e-3, ... 1e-30 in a random basis: right above the reach, and some wrong below it."""
    eigenvalues = 10.0 ** -np.arange(0, 33, 3)
    jacobian, logits = one_sample_per_parameter(np.sqrt(11 * eigenvalues))
    basis, _ = torch.linalg.qr(normal(11, 11))
    expected = torch.tensor(np.sort(eigenvalues)[1:-1])
    right = ((COMPUTATIONS[computation](jacobian @ basis, logits, "paper") - expected).abs() < 0.1 * expected).numpy()
    assert right[expected.numpy() >= reach].all()
    assert computation == "reference" or not right[expected.numpy() < 1e-3 * reach].any()


@pytest.mark.parametrize("variant", ["official", "paper"])
def test_computations_agree_where_precision_suffices(variant):
    jacobian, logits = normal(6, 4, 5), normal(6, 4, seed=1)
    released, package, reference = (computed(jacobian, logits, variant) for computed in COMPUTATIONS.values())
    torch.testing.assert_close(package, reference)
    torch.testing.assert_close(released, reference, rtol=1e-3, atol=0)
    other = {"official": "paper", "paper": "official"}[variant]
    assert not torch.allclose(package_deciles(jacobian, logits, other), package, rtol=1e-3)


def test_entropy_is_that_of_the_deciles_whatever_their_scale():
    jacobian, logits = one_sample_per_parameter(np.sqrt(np.arange(11.0)))
    weights = np.arange(1, 10) / 45
    expected = -(weights * np.log(weights)).sum()
    for variant in ("official", "paper"):
        assert entropy_of(7 * jacobian, logits, variant) == pytest.approx(expected, rel=1e-6)


def test_smoothing_to_the_uniform_distribution_forgets_the_logits():
    jacobian, logits = normal(6, 4, 5), 9 * normal(6, 4, seed=1)
    forgotten = entropy_of(jacobian, logits, smoothing=1.0, half_precision_constants=False)
    assert forgotten == pytest.approx(entropy_of(jacobian, 0 * logits, half_precision_constants=False))
    assert forgotten != pytest.approx(entropy_of(jacobian, logits, half_precision_constants=False), rel=1e-2)


def test_without_deciles_there_is_no_entropy():
    assert np.isnan(entropy_of(torch.zeros(2, 3, 4).double(), torch.zeros(2, 3).double()))


def test_rankings_are_compared_with_accuracy_and_with_the_published_one():
    accuracy = np.arange(12.0)
    found = compare_rankings(accuracy + 1, -accuracy, 5 - accuracy // 3, accuracy, repeats=50)
    values = {quantity: value for quantity, (value, *_) in found.items()}
    # Of 66 pairs, 12 have equally many layers; the others are ordered by them, wrongly.
    assert values == pytest.approx(
        {
            "Kendall's τ with the tables' setting": -1,
            "Kendall's τ with accuracy": 1,
            "gain": 2,
            "Kendall's τ with accuracy, VKDNW_single": (12 - 54) / 66,
            "gain, VKDNW_single": 2 * 12 / 66,
        }
    )
    assert np.isnan(found["Kendall's τ with the tables' setting"][1:]).all()
    assert found["gain"][1:] == pytest.approx((2, 2))  # whichever networks are drawn
    _, low, high = found["gain, VKDNW_single"]
    assert low < values["gain, VKDNW_single"] < high
