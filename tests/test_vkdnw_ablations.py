"""VKDNW under eighteen choices of parameters: each as if computed alone; and what an ablation is in the list."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import nbnas
from nbnas.errors import NbnasError
from nbnas.machine.executors import Workers
from nbnas.networks.entry_jacobian import entry_jacobian
from nbnas.proxies import select_proxies
from nbnas.proxies.fisher_information import FisherSetting
from nbnas.scoring.architecture_scores import load_architecture_scores
from nbnas.scoring.score_many import score_many
from nbnas.scoring.setting import Setting
from nbnas.seeding import generator_for
from nbnas.testing import check_proxy

SPACE = nbnas.get_space("nasbench201")
ARCH = "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"
SEED = 3

SETTINGS = {
    **{f"m{count}": {"tensors": count} for count in (8, 16, 32, 64, 128, 256)},
    "last128": {"which": "last"},
    **{f"k{count}": {"tensors": 32, "entries_per_tensor": count} for count in (1, 2, 4, 8)},
    **{f"p{position}": {"position": position} for position in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)},
    "prandom": {"position": None},
}
"""Setting -> what differs from the published one, as the papers' tables describe them."""


@pytest.fixture(scope="module")
def network():
    # Six convolutions in a cell and three cells in a stage make 183 tensors: more than 128, fewer than 256.
    network = SPACE.build(ARCH, 10, channels=4, cells_per_stage=3).double().eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        scale = 1 if parameter.ndim == 1 else (2 / parameter[0].numel()) ** 0.5
        parameter.data = scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    assert len(list(network.parameters())) == 183
    return network


@pytest.fixture(scope="module")
def batch():
    # 24 samples of 9 free logits give the Fisher matrix a rank of 216, so that not all inner deciles are zero.
    inputs = torch.randn(24, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return inputs, torch.arange(24) % 10


@pytest.fixture(scope="module")
def scores(network, batch):
    return nbnas.score(network, ["vkdnw", "vkdnw_ablations"], batches=[batch], init=None, seed=SEED)


# -------------------------------------------------------------------------------------------------------------- values


def test_there_is_a_score_for_every_setting(scores):
    (proxy,) = select_proxies("vkdnw_ablations")
    assert proxy.info.scores == tuple(f"vkdnw_entropy_{setting}" for setting in SETTINGS)
    assert (scores.loc[list(proxy.info.scores), "status"] == "ok").all()


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_value_is_that_of_its_own_jacobian(network, batch, scores, setting):
    chosen = FisherSetting(**SETTINGS[setting])
    entries = chosen.entries(network, generator_for(SEED, "vkdnw_ablations"))
    expected = chosen.scores(*entry_jacobian(network, batch[0], entries))["entropy"]
    assert 0 < expected < math.log(9)
    assert scores.value[f"vkdnw_entropy_{setting}"] == pytest.approx(float(expected), abs=1e-9)


def test_published_choice_is_that_of_vkdnw(scores):
    for setting in ("m128", "p0.0"):
        assert scores.value[f"vkdnw_entropy_{setting}"] == pytest.approx(scores.value["vkdnw_entropy"], abs=1e-9)


def test_other_choices_differ(scores):
    """Of 18 values 16 are distinct: the published choice is there twice, and one entry of each of 32 tensors too."""
    values = scores.value[[f"vkdnw_entropy_{setting}" for setting in SETTINGS]]
    assert values["vkdnw_entropy_k1"] == pytest.approx(values["vkdnw_entropy_m32"], abs=1e-9)
    assert len(set(values.round(7))) == 16


def test_seed_decides_the_random_positions_alone(network, batch, scores):
    other = nbnas.score(network, "vkdnw_ablations", batches=[batch], init=None, seed=SEED + 1).value
    changed = {name for name in other.index if other[name] != pytest.approx(scores.value[name], abs=1e-9)}
    assert changed == {"vkdnw_entropy_prandom"}


def test_deciles_of_the_last_tensors_have_the_entropy_of_the_ablation(network, batch, scores):
    deciles = nbnas.score(network, "vkdnw_last128", batches=[batch], init=None, seed=SEED)
    assert (deciles.status == "ok").all()
    chosen = FisherSetting(which="last")
    entries = [(name, 0) for name, _ in list(network.named_parameters())[-128:]]
    expected = chosen.scores(*entry_jacobian(network, batch[0], entries))["quantiles"]
    values = deciles.value[[f"vkdnw_last128_decile_{k}" for k in range(1, 10)]].to_numpy()
    assert values == pytest.approx(expected.numpy(), rel=1e-9)
    weights = values / values.sum()
    entropy = -(weights * np.log(weights + 1e-10)).sum()
    assert entropy == pytest.approx(scores.value["vkdnw_entropy_last128"], abs=1e-6)


class UnusedFirst(nn.Module):
    """Eight parameters that the logits do not depend on, registered before those of a classifier."""

    def __init__(self):
        super().__init__()
        self.unused = nn.ParameterList([nn.Parameter(torch.ones(2)) for _ in range(8)])
        self.classifier = nn.Linear(12, 5)

    def forward(self, inputs):
        return self.classifier(inputs.flatten(1))


def test_zero_spectrum_of_one_choice_leaves_the_others(batch):
    inputs = batch[0][:, :, :2, :2]
    scores = nbnas.score(UnusedFirst().double(), "vkdnw_ablations", batches=[(inputs, batch[1] % 5)])
    zero = scores.index[scores.status == "non_finite"].tolist()
    # The last entries belong to the last logit, which the official variant multiplies by a column of zeros.
    assert zero == ["vkdnw_entropy_m8", "vkdnw_entropy_p1.0"]
    assert scores.value[zero].isna().all()
    assert (scores.status.drop(zero) == "ok").all()


@pytest.mark.parametrize("name", ["vkdnw_ablations", "vkdnw_last128"])
def test_ablations_keep_the_rules_of_proxies(name):
    check_proxy(name)


# ------------------------------------------------------------------------------------------------------------ the list


@pytest.mark.parametrize("pattern", ["*", "vkdnw*", "vkdnw_*", "vkdnw_entropy*", "?kdnw*"])
def test_wildcards_pass_over_ablations(pattern):
    chosen = [proxy.info.name for proxy in select_proxies(pattern)]
    assert "vkdnw" in chosen
    assert "vkdnw_ablations" not in chosen


@pytest.mark.parametrize("pattern", ["vkdnw_ablation?", "vkdnw_abl*", "vkdnw_entropy_m[8]", "vkdnw_entropy_k*"])
def test_wildcard_that_fits_an_ablation_alone_matches_nothing(pattern):
    with pytest.raises(NbnasError, match="no proxy matches"):
        select_proxies(pattern)


@pytest.mark.parametrize("name", ["vkdnw_ablations", "vkdnw_entropy_m8", "vkdnw_entropy_p0.2", "vkdnw_entropy_prandom"])
def test_full_name_of_an_ablation_or_of_its_score_chooses_it(name):
    assert [proxy.info.name for proxy in select_proxies(name)] == ["vkdnw_ablations"]
    chosen = [proxy.info.name for proxy in select_proxies(["*", name])]
    assert set(chosen) == {*(proxy.info.name for proxy in select_proxies("*")), "vkdnw_ablations"}


def test_ablations_are_not_listed():
    listed = nbnas.list_proxies()
    assert "vkdnw" in listed.index
    assert "vkdnw_ablations" not in listed.index
    assert "ablation" not in listed.columns


def test_score_many_stores_ablations(tmp_path):
    (cell,) = SPACE.sample_subset("filtered-unique", 1)
    small = Setting(batch_size=4)
    names = ["vkdnw_entropy_k4", "vkdnw"]
    with ThreadPoolExecutor(1) as executor:
        tables = score_many([SPACE[cell]], names, small, store=tmp_path, workers=Workers(executor), progress=False)
    assert set(tables) == {"vkdnw", "vkdnw_ablations"}
    row = tables["vkdnw_ablations"].iloc[0]
    assert row["status"] == "ok"
    assert {f"vkdnw_entropy_{setting}" for setting in SETTINGS} <= set(row.index)
    # Both from one network, whose Jacobian is in float32.
    assert row["vkdnw_entropy_m128"] == pytest.approx(tables["vkdnw"]["vkdnw_entropy"][0], rel=1e-4)
    loaded = load_architecture_scores(["vkdnw_entropy_m8", "vkdnw_entropy"], small, store=tmp_path).table
    assert loaded.loc[cell, "vkdnw_entropy_m8"] == row["vkdnw_entropy_m8"]
