"""Checks of networks and search spaces that users write: broken ones are found, those of the package pass."""

import numpy as np
import pytest
import torch
from torch import nn

import nbnas
from nbnas.search import Evolution, evolve
from nbnas.spaces import SPACES
from nbnas.testing import check_network, check_space
from tests.networks import CLASSES, NETWORKS, SHAPE, Constant, IgnoresItsInput
from tests.search_spaces import DigitSpace

BROKEN = {"constant", "ignores its input", "no parameters", "BatchNorm without statistics", "dict", "tuple"}
LOGITS = {"dict": "logits", "tuple": 1}


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - BROKEN - {"BatchNorm of single values", "dropout"}))
def test_networks_of_every_kind_pass_and_stay_as_they_are(name):
    network = NETWORKS[name]()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    mode = network.training
    state = torch.get_rng_state()
    check_network(network, SHAPE)
    assert network.training == mode
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", sorted(LOGITS))
def test_logits_may_be_part_of_what_is_returned(name):
    with pytest.raises(AssertionError, match=r"\(samples, classes\), for 4 got"):
        check_network(NETWORKS[name](), SHAPE)
    check_network(NETWORKS[name](), SHAPE, logits=LOGITS[name])


class AddsNoise(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(192, CLASSES)

    def forward(self, inputs):
        return self.linear(inputs.flatten(1) + torch.randn(1))


class InfiniteLogits(AddsNoise):
    def forward(self, inputs):
        return self.linear(inputs.flatten(1)) / 0


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Constant(), "different inputs give the same logits"),
        (IgnoresItsInput(), "different inputs give the same logits"),
        (nn.Sequential(nn.AvgPool2d(4), nn.Flatten()), "no parameter has an influence"),
        (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192, track_running_stats=False), nn.Linear(192, 5)), "depend on"),
        (nn.Sequential(nn.Flatten(), nn.Linear(10, 5)), "in train mode the network fails"),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 1)), r"for 4 got \(4, 1\)"),
        (nn.Conv2d(3, 5, 3), r"for 4 got \(4, 5, 6, 6\)"),
        (AddsNoise(), "the same inputs do not give the same logits"),
        (InfiniteLogits(), "some logits are not finite"),
    ],
)
def test_what_is_wrong_with_a_network_is_said(network, message):
    with pytest.raises(AssertionError, match=message):
        check_network(network, SHAPE)


@pytest.mark.parametrize("name", ["nasbench201", "nats_sss", "nasbench_macro", "nasbench301"])
def test_spaces_of_the_package_keep_the_contract(name):
    check_space(nbnas.get_space(name), samples=1, resolution=16)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SPACES))
def test_every_space_of_the_package_keeps_the_contract(name):
    check_space(nbnas.get_space(name), samples=1, resolution=32)


class Good(type(nbnas.get_space("nats_sss"))):
    name = "own"


def drawn_from_the_global_generator(space, rng):
    return space[np.random.randint(len(space))]  # noqa: NPY002


def two_logits_more(space, arch, num_classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, num_classes + 2))


def tensors_at_random(space, arch, num_classes=10):
    return nn.Sequential(nn.Flatten(), *(nn.Identity() for _ in range(2)), nn.Linear(192, num_classes, bias=flip()))


def flip(state=[False]):  # noqa: B006
    state[0] = not state[0]
    return state[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mutate": lambda space, arch, rng: arch}, "mutate returns what it was given"),
        ({"mutate": lambda space, arch, rng: "8:8"}, "calls malformed"),
        ({"mutate": lambda space, arch, rng: "8:8:8:8:16 "}, "does not return the standard spelling"),
        ({"sample": drawn_from_the_global_generator}, "sample gives another architecture"),
        ({"normalise": lambda space, arch: arch}, "takes '' for an architecture"),
        ({"normalise": lambda space, arch: int(arch)}, "must raise NbnasError for '', not ValueError"),
        ({"build": two_logits_more}, "builds 12 logits for 10 classes"),
        ({"build": tensors_at_random}, "builds other parameters the second time"),
        ({"build": lambda space, arch, num_classes=10: Constant()}, "of which different inputs give the same logits"),
        ({"params": lambda space, arch: 1.5}, "has 1.5 for params"),
        ({"trainable_layers": lambda space, arch: 3}, "has other trainable_layers than its network"),
        ({"weight_layers": lambda space, arch: 3}, "has other weight_layers than its network"),
        ({"index": lambda space, arch: 0}, "has another architecture at its index"),
        ({"_architectures": [*nbnas.get_space("nats_sss"), "8:8:8:8:8"]}, "lists an architecture twice"),
    ],
)
def test_what_is_wrong_with_a_space_is_said(changes, message):
    broken = type("Broken", (Good,), changes)()
    with pytest.raises(AssertionError, match=message):
        check_space(broken, samples=2, resolution=8)


def test_the_space_that_the_broken_ones_are_made_of_passes():
    check_space(Good(), samples=2, resolution=8)


def test_a_space_without_a_name_or_costs_works_in_checks_tables_and_searches(tmp_path):
    space = DigitSpace()
    check_space(space, samples=1, resolution=8)
    setting = nbnas.Setting(space, batch_size=4, resolution=8)
    archs = ["00000000", "12345012"]
    alone = [setting.score(arch, "naswot").loc["naswot", "value"] for arch in archs]
    found = evolve(space, "naswot", strategy=Evolution(population=2), steps=3, scoring=setting, progress=False).history
    assert set(found["status"]) == {"ok"}
    assert found["naswot"].tolist() == [setting.score(arch, "naswot").loc["naswot", "value"] for arch in found["arch"]]

    stored = nbnas.Setting(space, batch_size=4)
    options = {"store": tmp_path, "progress": False}
    tables = nbnas.score_many(archs, "naswot", stored, workers=nbnas.Workers(number=1), **options)
    again = [stored.score(arch, "naswot").loc["naswot", "value"] for arch in tables["naswot"]["arch"]]
    assert tables["naswot"]["naswot"].tolist() == again
    assert nbnas.load_scores("naswot", stored, tmp_path)["arch"].tolist() == archs
    assert alone != again
