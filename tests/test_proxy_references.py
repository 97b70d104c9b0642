"""Every method but VKDNW against a slow reference, and against what it must not depend on."""

import copy
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from references import features, gradients, kernels, newer, tcet
from torch import nn

import nbnas
from nbnas.networks.initialisation import kaiming_normal
from nbnas.proxies.az_nas import block_trainability, feature_entropy, random_signs, trainability
from nbnas.proxies.epe_nas import epe_nas_score
from nbnas.proxies.jacov import jacov_score
from nbnas.proxies.naswot import agreement, log_determinant
from nbnas.proxies.probe import Probe, ScoringSession
from nbnas.proxies.registry import select_proxies
from nbnas.proxies.tcet import layer_vectors, logarithm, signal_to_noise
from nbnas.proxies.te_nas import negative_condition_number
from nbnas.proxies.zen import zen_of_network
from nbnas.proxies.zico import zico_scores
from nbnas.seeding import generator_for

SAMPLES, CLASSES, SEED = 5, 4, 11


# ------------------------------------------------------------------------------------------------ networks and batches


def randomised(network, seed=0):
    """Float64; weights and running statistics drawn from the seed, small enough for a softmax that is not one-hot."""
    generator = torch.Generator().manual_seed(seed)
    network.double()
    for parameter in network.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        draws = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = draws / fan_in**0.5
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
        elif name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return network


def batches_of(shape, samples=SAMPLES, classes=CLASSES, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn((samples, *shape), generator=generator, dtype=torch.float64),
            torch.randint(classes, (samples,), generator=generator),
        )
        for _ in range(2)
    ]


def convolutions():
    """Every ReLU works in place."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, CLASSES),
    )


def convolutions_without_norm():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 3, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, CLASSES),
    )


def grouped():
    """Groups, strides, an uneven kernel, dilation, padding that is not zero."""
    return nn.Sequential(
        nn.Conv2d(2, 4, (3, 1), padding=(1, 0), groups=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, padding_mode="circular", bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 4, 2, dilation=2, padding="same"),
        nn.GroupNorm(2, 4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, CLASSES),
    )


class Block(nn.Module):
    """A sum of a shortcut, of one convolution applied twice, and of one that is multiplied by zero."""

    def __init__(self, width):
        super().__init__()
        self.twice = nn.Conv2d(width, width, 3, padding=1)
        self.dead = nn.Conv2d(width, width, 1)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, inputs):
        once = self.relu(self.twice(inputs))
        return self.relu(self.norm(inputs + self.twice(once) + 0 * self.dead(inputs)))


class Residual(nn.Module):
    """Two such blocks, and a layer that is never called."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3))
        self.blocks = nn.ModuleList([Block(3), Block(3)])
        self.unused = nn.Linear(3, 2)
        self.classifier = nn.Linear(3, CLASSES)

    def feature_blocks(self):
        return [self.stem, *self.blocks]

    def forward(self, inputs):
        inputs = self.stem(inputs)
        for block in self.blocks:
            inputs = block(inputs)
        return self.classifier(inputs.mean((2, 3)))


def perceptron():
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(8, 12),
        nn.LayerNorm(12),
        nn.ReLU(),
        nn.Linear(12, 9, bias=False),
        nn.ReLU(),
        nn.Linear(9, CLASSES),
    )


def perceptron_with_batch_norm():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(8, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, CLASSES)
    )


@dataclass(frozen=True)
class Case:
    build: Callable[[], nn.Module]
    shape: tuple[int, int, int]
    blocks: Callable | None = None
    """Network -> the callables that its feature maps come from; None if there are no feature maps."""
    seed: int = 0


CASES = {
    "convolutions": Case(convolutions, (2, 4, 4), lambda network: [network[:3], network[3:6]]),
    "no norm": Case(convolutions_without_norm, (2, 5, 4), lambda network: [network[:2], network[2:4]]),
    "grouped": Case(grouped, (2, 6, 6), lambda network: [network[:3], network[3:6], network[6:9]]),
    "residual": Case(Residual, (2, 4, 3), lambda network: [network.stem, *network.blocks], seed=1),
    "perceptron": Case(perceptron, (2, 2, 2)),
    "perceptron with BatchNorm": Case(perceptron_with_batch_norm, (2, 2, 2)),
}
WITH_MAPS = [name for name, case in CASES.items() if case.blocks is not None]


@cache
def setting(name):
    """The network of a case and its two batches; not to be changed."""
    case = CASES[name]
    return randomised(case.build(), case.seed), batches_of(case.shape), case.blocks


def score(network, proxies, batches):
    return nbnas.score(network, proxies, batches=batches, init=None, seed=SEED)


# ---------------------------------------------------------------------------------------------------- the references


def zen_moved(inputs):
    return inputs + 0.01 * torch.randn(inputs.shape, generator=generator_for(SEED, "zen")).double()


def az_signs(maps):
    generator = generator_for(SEED, "az_trainability")
    return [reference_signs(feature.shape, generator) for feature in maps[1:]]


def reference_signs(shape, generator):
    """Bit k modulo 64 of number k // 64, lowest first, is the k-th sign; channels are counted first, samples last."""
    samples, channels, height, width = shape
    signs = torch.empty(shape, dtype=torch.float64)
    positions = itertools.product(range(samples), range(height), range(width), range(channels))
    for count, (n, y, x, c) in enumerate(positions):
        if count % 64 == 0:
            number = int(torch.empty(1, dtype=torch.int64).random_(-(2**63), None, generator=generator)) % 2**64
        signs[n, c, y, x] = 1 if number >> count % 64 & 1 else -1
    return signs


def expected_gradsign(network, batches, blocks):
    mean, total = gradients.gradsign(network, batches[0])
    return {"gradsign": mean, "gradsign_sum": total}


def expected_az_trainability(network, batches, blocks):
    inputs = batches[0][0]
    signs = az_signs(features.features(network, blocks, inputs))
    return {"az_trainability": np.mean(features.trainability(network, blocks, inputs, signs))}


def entropies(network, batches, blocks):
    return [features.feature_entropy(feature) for feature in features.features(network, blocks, batches[0][0])]


def expected_epe_nas(network, batches, blocks):
    inputs, labels = batches[0]
    return {"epe_nas": kernels.epe_nas(kernels.input_gradients(network, inputs), labels.tolist(), CLASSES)}


def expected_nwot(network, batches, blocks):
    expected = {"lnwot": kernels.lnwot(network, batches[0][0]), "nwot": kernels.nwot(network, batches[0][0])}
    # Both are degenerate where one of them is.
    return dict.fromkeys(expected) if None in expected.values() else expected


def expected_near(network, batches, blocks):
    generator = generator_for(SEED, "near")

    def draw(choices):
        return int(torch.randint(choices, (1,), generator=generator))

    return dict(zip(("near", "near_plain"), newer.near(network, batches[0][0], draw), strict=True))


def expected_meco(network, batches, blocks):
    generator = generator_for(SEED, "meco")
    expected = newer.meco(
        network, batches[0][0], lambda channels: torch.randperm(channels, generator=generator)[:8].tolist()
    )
    # A perceptron has no maps.
    return expected if blocks else dict.fromkeys(expected)


def expected_swap(network, batches, blocks):
    return dict(zip(("swap", "swap_layerwise"), newer.swap(network, batches[0][0]), strict=True))


def expected_zico_bc(network, batches, blocks):
    zico = gradients.zico(network, batches, "official")
    return {"zico_bc": zico - newer.zico_bc_penalty(network, batches[0][0])}


def saliency_references(kind):
    reference = cache(getattr(gradients, f"{kind}_saliency"))

    def ssnr(network, batches, blocks):
        saliencies = reference(network, batches[0])
        return {f"ssnr_{kind}": tcet.ssnr(saliencies), f"ssnr_{kind}_log": tcet.ssnr(saliencies, log=True)}

    def product(network, batches, blocks):
        saliencies = reference(network, batches[0])
        determinants = kernels.layer_log_determinants(network, batches[0][0])
        return {
            f"tcet_{kind}": tcet.tcet(saliencies, determinants),
            f"tcet_{kind}_log": tcet.tcet(saliencies, determinants, log=True),
        }

    def total(network, batches, blocks):
        return {kind: math.fsum(value for values in reference(network, batches[0]).values() for value in values)}

    return {kind: total, f"ssnr_{kind}": ssnr} | ({} if kind == "grasp" else {f"tcet_{kind}": product})


# Name of a proxy -> function (network, batches, blocks) -> its scores; None stands for degenerate.
REFERENCES = {
    "l2_norm": lambda network, batches, blocks: {"l2_norm": gradients.l2_norm(network)},
    "grad_norm": lambda network, batches, blocks: {"grad_norm": gradients.grad_norm(network, batches[0])},
    "grad_norm_layerwise": lambda network, batches, blocks: {
        "grad_norm_layerwise": gradients.grad_norm_layerwise(network, batches[0])
    },
    "plain": lambda network, batches, blocks: {"plain": gradients.plain(network, batches[0])},
    "fisher": lambda network, batches, blocks: {"fisher": gradients.fisher(network, batches[0])},
    "gradsign": expected_gradsign,
    "zico": lambda network, batches, blocks: {
        "zico": gradients.zico(network, batches, "official"),
        "zico_paper": gradients.zico(network, batches, "paper"),
    },
    "zico_bc": expected_zico_bc,
    "near": expected_near,
    "meco": expected_meco,
    "swap": expected_swap,
    "dextr_s": lambda network, batches, blocks: {"dextr_s": newer.dextr_s(network, batches[0][0])},
    "jacov": lambda network, batches, blocks: {"jacov": kernels.jacov(kernels.input_gradients(network, batches[0][0]))},
    "epe_nas": expected_epe_nas,
    "naswot": lambda network, batches, blocks: {"naswot": kernels.naswot(network, batches[0][0])},
    "nwot": expected_nwot,
    "te_nas_ntk": lambda network, batches, blocks: {
        "te_nas_ntk": -kernels.condition_number(kernels.tangent_kernel(network, batches[0][0]))
    },
    **saliency_references("snip"),
    **saliency_references("synflow"),
    **saliency_references("grasp"),
}
# Of these, what needs feature maps.
REFERENCES_ON_MAPS = {
    "te_nas_linear_regions": lambda network, batches, blocks: {
        "te_nas_linear_regions": kernels.linear_regions(network, batches[0][0])
    },
    "zen": lambda network, batches, blocks: features.zen(network, blocks, batches[0][0], zen_moved(batches[0][0])),
    "az_expressivity": lambda network, batches, blocks: {"az_expressivity": sum(entropies(network, batches, blocks))},
    "az_progressivity": lambda network, batches, blocks: {
        "az_progressivity": min(np.diff(entropies(network, batches, blocks)))
    },
    "az_trainability": expected_az_trainability,
}
ALL = [*REFERENCES, *REFERENCES_ON_MAPS]


@cache
def scored(name):
    network, batches, _ = setting(name)
    return score(network, ALL, batches)


def assert_equal_scores(table, expected, proxy, network, batches):
    tolerance = {"rel": 1e-9}
    if proxy == "te_nas_ntk":
        # The smallest eigenvalue carries the rounding of the largest.
        tolerance = {"rel": 1e-13 * max(1e3, -expected[proxy])}
    elif proxy == "plain":
        # In front of a train-mode BatchNorm the terms cancel; SNIP is the sum of their moduli.
        moduli = [value for values in gradients.snip_saliency(network, batches[0]).values() for value in values]
        tolerance = {"abs": 1e-12 * sum(moduli)}
    for name, value in expected.items():
        row = table.loc[name]
        if value is None:
            assert row.status == "degenerate", name
        elif math.isnan(value):
            assert row.status == "non_finite", name
        else:
            assert row.status == "ok", name
            assert row.value == pytest.approx(value, **tolerance), name


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("proxy", REFERENCES)
def test_score_equals_the_reference(proxy, case):
    if proxy in ("gradsign", "meco", "dextr_s") and case == "perceptron with BatchNorm":
        pytest.skip("batches of one have no statistics there; see the test of the error")
    network, batches, blocks = setting(case)
    assert_equal_scores(scored(case), REFERENCES[proxy](network, batches, blocks), proxy, network, batches)


@pytest.mark.parametrize("case", WITH_MAPS)
@pytest.mark.parametrize("proxy", REFERENCES_ON_MAPS)
def test_score_of_feature_maps_equals_the_reference(proxy, case):
    network, batches, blocks = setting(case)
    assert_equal_scores(scored(case), REFERENCES_ON_MAPS[proxy](network, batches, blocks), proxy, network, batches)


def test_cases_reach_numbers_and_not_only_statuses():
    statuses = {(case, name): status for case in CASES for name, status in scored(case).status.items()}
    degenerate = {key for key, status in statuses.items() if status == "degenerate"}
    assert degenerate == {("perceptron", name) for name in ("naswot", "meco", "meco_paper", "meco_opt")}
    assert {name for (_, name), status in statuses.items() if status == "non_finite"} == {"ssnr_grasp_log"}


def test_what_a_network_lacks_is_said():
    table = scored("perceptron with BatchNorm")
    errors = {name: status for name, status in table.status.items() if status.startswith("error: ")}
    on_maps = ("te_nas_linear_regions", "zen", "zen_paper", "az_expressivity", "az_progressivity", "az_trainability")
    alone = {"meco", "meco_paper", "meco_opt", "dextr_s"}
    assert set(errors) == {"gradsign", "gradsign_sum", *alone, *on_maps}
    assert all("the BatchNorm '2' needs more than one value per channel" in errors[name] for name in alone)
    assert "one value per sample and channel" in errors["gradsign"]
    assert all("feature maps" in errors[name] for name in on_maps)
    # torch itself refuses such a batch of one.
    network, batches, _ = setting("perceptron with BatchNorm")
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        gradients.gradsign(network, batches[0])


# ------------------------------------------------------------------------------------------------- generated networks


@st.composite
def generated_networks(draw):
    """Two convolutions of any shape and a classifier; the first convolution is the varied one."""
    groups = draw(st.integers(1, 2))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    padding = draw(st.sampled_from(["same", 0, 1, (1, 0)]))
    first = nn.Conv2d(
        groups * draw(st.integers(1, 2)),
        groups * draw(st.integers(1, 3)),
        draw(pair),
        # torch has no padding 'same' with a stride.
        stride=1 if padding == "same" else draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        padding=padding,
        dilation=draw(st.integers(1, 2)),
        groups=groups,
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "circular"])),
    )
    width, classes = draw(st.integers(2, 4)), draw(st.integers(2, 6))
    norms = draw(st.sampled_from([nn.BatchNorm2d, lambda channels: nn.GroupNorm(1, channels), None]))
    network = nn.Sequential(
        first,
        *([norms(first.out_channels)] if norms else []),
        nn.ReLU(),
        nn.Conv2d(first.out_channels, width, 3, padding=1),
        *([norms(width)] if norms else []),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, classes),
    )
    seed = draw(st.integers(0, 2**16))
    shape = (first.in_channels, draw(st.integers(7, 9)), draw(st.integers(7, 9)))
    return randomised(network, seed), batches_of(shape, draw(st.integers(2, 5)), classes, seed + 1)


def is_well_conditioned(network, batches):
    """Whether logits depend on the input, together and one by one, and no gradient is a rounding error.

    Some gradients are zero in theory only, for example that of the only weight in front of a BatchNorm; signs and
    standard deviations of such rounding errors are arbitrary.
    """
    single = [(sample[None], label[None]) for sample, label in zip(*batches[0], strict=True)]
    evaluated = copy.deepcopy(network).eval()(batches[0][0])
    network = copy.deepcopy(network).train()
    trained, apart = [network(inputs) for inputs, _ in batches], torch.cat([network(inputs) for inputs, _ in single])
    moduli = [torch.from_numpy(kernels.input_gradients(network, batches[0][0])).abs()]
    for batch in (*batches, *single):
        every = gradients.loss_gradients(network, batch)
        moduli.append(torch.cat([every[f"{name}.weight"].flatten().abs() for name, _ in gradients.layers(network)]))
    return all(bool((logits != logits[0]).any()) for logits in (evaluated, *trained, apart)) and not any(
        ((values > 0) & (values < max(1e-10 * values.max(), 1e-12))).any() for values in moduli
    )


CHEAP = [
    *("grad_norm", "plain", "fisher", "gradsign", "zico", "jacov", "naswot", "nwot"),
    *("snip", "tcet_snip", "synflow", "tcet_synflow", "te_nas_linear_regions"),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=15)
@given(case=generated_networks())
def test_scores_of_any_small_network_equal_the_references(case):
    network, batches = case
    assume(is_well_conditioned(network, batches))
    table = score(network, CHEAP, batches)
    for proxy in CHEAP:
        expected = (REFERENCES | REFERENCES_ON_MAPS)[proxy](network, batches, None)
        if proxy in ("tcet_snip", "tcet_synflow") and expected[proxy] == 0:
            expected = dict.fromkeys(expected)
        assert_equal_scores(table, expected, proxy, network, batches)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=25)
@given(case=generated_networks())
def test_tangent_kernel_of_any_small_network_equals_the_reference(case):
    network, batches = case
    table = score(network, "te_nas_ntk", batches)
    kernel = kernels.tangent_kernel(network, batches[0][0])
    eigenvalues = np.linalg.eigvalsh(kernel)
    if table.status["te_nas_ntk"] == "degenerate":
        # Up to five samples times the precision of float32, 1.2e-7.
        assert eigenvalues[0] <= 1e-6 * eigenvalues[-1]
    else:
        assert_equal_scores(table, {"te_nas_ntk": -kernels.condition_number(kernel)}, "te_nas_ntk", network, batches)


def test_epe_nas_of_a_network_with_more_than_100_classes():
    network = perceptron()
    network[-1] = nn.Linear(9, 101)
    inputs = batches_of((2, 2, 2), samples=9)[0][0]
    labels = torch.tensor([3, 100, 3, 7, 100, 3, 7, 50, 3])
    randomised(network)
    expected = kernels.epe_nas(kernels.input_gradients(network, inputs), labels.tolist(), 101)
    table = score(network, "epe_nas", [(inputs, labels)])
    assert table.value["epe_nas"] == pytest.approx(expected, rel=1e-9)


# ------------------------------------------------------------------------------------------------------ pure functions

seeds = st.integers(0, 2**16)


def drawn(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(rows=st.integers(2, 8), columns=st.integers(3, 12), seed=seeds)
def test_jacov_of_any_gradients(rows, columns, seed):
    # With fewer columns than rows the smallest eigenvalues are 0, and the score is of the order 1e5.
    given = drawn(rows, columns, seed=seed)
    assert float(jacov_score(given)) == pytest.approx(kernels.jacov(given.numpy()), rel=1e-9)


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=10),
    classes=st.sampled_from([2, 100, 101, 1000]),
    seed=seeds,
)
def test_epe_nas_of_any_gradients_and_labels(labels, classes, seed):
    given = drawn(len(labels), 3, 4, seed=seed)
    expected = kernels.epe_nas(given.flatten(1).numpy(), labels, classes)
    assert float(epe_nas_score(given, torch.tensor(labels), classes)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_constant_gradients_have_no_correlation():
    given = drawn(4, 6, seed=0)
    given[1] = 2.0
    assert jacov_score(given).isnan()
    labels = torch.tensor([0, 0, 1, 1])
    # The first class is left out.
    rest = kernels.epe_nas(given[2:].numpy(), [1, 1], 10)
    assert float(epe_nas_score(given, labels, 10)) == pytest.approx(rest, rel=1e-12)
    assert epe_nas_score(given[:2], labels[:2], 10).isnan()


@given(samples=st.integers(1, 6), units=st.integers(1, 12), scale=st.sampled_from([0.0, 1.0]), seed=seeds)
def test_agreement_counts_and_its_determinant_is_exact(samples, units, scale, seed):
    # Values at zero are not positive.
    activations = drawn(samples, units, 2, seed=seed).round() * scale
    kernel = agreement(activations)
    codes = kernels.codes_of(activations)
    counted = kernels.count_agreements(codes)
    assert kernel.tolist() == counted
    assert kernel.diagonal().tolist() == samples * [2 * units]
    exact = kernels.determinant(counted)
    expected = pytest.approx(math.log(abs(exact)), rel=1e-9, abs=1e-9) if exact else -math.inf
    assert float(log_determinant(kernel)) == expected


@given(size=st.integers(2, 6), seed=seeds)
def test_negative_condition_number(size, seed):
    root = drawn(size, size + 2, seed=seed)
    kernel = root @ root.T
    value, singular = negative_condition_number(kernel)
    assert not singular
    assert float(value) == pytest.approx(-kernels.condition_number(kernel.numpy()), rel=1e-9)
    assert negative_condition_number(root[:, :1] @ root[:, :1].T)[1]


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(2, 4)),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    seed=seeds,
)
def test_feature_entropy_of_any_feature(shape, scale, seed):
    feature = scale * drawn(*shape, seed=seed) + 1
    assert float(feature_entropy(feature)) == pytest.approx(features.feature_entropy(feature), rel=1e-9, abs=1e-12)


def test_feature_entropy_of_known_spectra():
    for channels in (1, 2, 5):
        # Every channel is 1 in a sample of its own.
        feature = torch.eye(channels + 1, dtype=torch.float64)[:, :channels, None, None]
        rows = torch.cat([feature, -feature])
        assert float(feature_entropy(rows)) == pytest.approx(math.log(channels), abs=1e-7)
    same = torch.arange(6.0, dtype=torch.float64).reshape(6, 1, 1, 1).expand(6, 3, 1, 1)
    assert float(feature_entropy(same)) == pytest.approx(0, abs=1e-6)
    assert feature_entropy(torch.ones(2, 3, 4, 4)).isnan()


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, inputs):
        return inputs * self.factor


def test_signs_are_fair_and_independent():
    """Means of 2^20 signs and of the products of neighbours in every direction lie within four standard deviations."""
    generator = torch.Generator().manual_seed(5)
    signs = random_signs(torch.empty(64, 16, 32, 32), generator)
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    means = [signs.mean()] + [(signs * signs.roll(1, dim)).mean() for dim in range(4)]
    assert max(abs(float(mean)) for mean in means) < 4 / 1024


def test_signs_do_not_depend_on_the_memory_format():
    feature = torch.empty(3, 5, 2, 7)
    drawn = [
        random_signs(maps, torch.Generator().manual_seed(1))
        for maps in (feature, feature.to(memory_format=torch.channels_last), feature.double())
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2].float())
    assert drawn[1].is_contiguous(memory_format=torch.channels_last)


def test_trainability_is_largest_for_a_block_that_keeps_the_size_of_gradients():
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64).reshape(2, 2, 1, 1)
    values = [float(block_trainability(factor * signs, signs)) for factor in (0.5, 1 - 1e-9, 2.0)]
    assert values == pytest.approx([2 - 0.5 - 2, 0, 2 - 2 - 0.5], abs=1e-5)
    assert float(block_trainability(signs, signs)) == -math.inf


@pytest.mark.parametrize("case", WITH_MAPS)
def test_trainability_with_given_signs(case):
    network, batches, blocks = setting(case)
    inputs = batches[0][0].clone().requires_grad_()
    maps = [inputs]
    for block in blocks(copy.deepcopy(network).train()):
        maps.append(block(maps[-1]).clone())
    signs = [drawn(*feature.shape, seed=number).sign() for number, feature in enumerate(maps[2:])]
    expected = features.trainability(network, blocks, batches[0][0], signs)
    assert trainability(maps[1:], signs).tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("case", WITH_MAPS)
@pytest.mark.parametrize("distance", [1e-3, 3.0])
def test_zen_with_a_given_second_input(case, distance):
    network, batches, blocks = setting(case)
    inputs = batches[0][0]
    moved = inputs + distance * drawn(*inputs.shape, seed=5)
    session = ScoringSession(network, batches, None, SEED, torch.device("cpu"))
    actual = zen_of_network(Probe(session, select_proxies("zen")[0].info), copy.deepcopy(network), inputs, moved)
    expected = features.zen(network, blocks, inputs, moved)
    assert {name: float(value) for name, value in actual.items()} == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shapes", [((5, 4), (3, 2)), ((4, 4), (2, 1))])
def test_trainability_needs_resolutions_that_divide(shapes):
    entering, leaving = (torch.ones(1, 2, *shape) for shape in shapes)
    with pytest.raises(ValueError, match="needs blocks whose resolutions divide"):
        block_trainability(entering, leaving)


def gradients_of_batches(seed, batches=2):
    """Two layers; a third of the entries is zero in all batches, a third is the same in all."""
    result = []
    for number in range(batches):
        layers = {}
        for name, shape in (("first", (4, 3)), ("second", (6,))):
            same, own = drawn(*shape, seed=seed), drawn(*shape, seed=seed + 1 + number)
            layers[name] = torch.where(same > 0.5, 0.0, torch.where(same > 0, same, own))
        result.append(layers)
    return result


@given(seed=seeds, batches=st.integers(2, 4))
def test_zico_variants(seed, batches):
    given = gradients_of_batches(seed, batches)
    official, paper = map(float, zico_scores(given).values())
    for variant, actual in (("official", official), ("paper", paper)):
        logs = []
        for name in ("first", "second"):
            entries = np.array([layer[name].flatten().tolist() for layer in given]).T
            used = [np.abs(row) if variant == "paper" else row for row in entries]
            ratios = [np.abs(row).mean() / u.std() for row, u in zip(entries, used, strict=True) if len(set(row)) > 1]
            logs += [math.log(sum(ratios))] if ratios else []
        assert actual == pytest.approx(sum(logs) if logs else math.nan, rel=1e-9, nan_ok=True)
    if not math.isnan(official):
        # Moduli vary no more than signed values, and as much where no sign changes.
        assert paper >= official - 1e-12
        positive = [{name: layer.abs() for name, layer in batch.items()} for batch in given]
        assert float(zico_scores(positive)["zico"]) == pytest.approx(paper, rel=1e-12)


def test_zico_variants_differ_where_a_sign_changes():
    given = [{"layer": torch.tensor([1.0, 2.0])}, {"layer": torch.tensor([3.0, -1.0])}]
    # Means of moduli 2 and 1.5; deviations 1 and 1.5, of moduli 1 and 0.5.
    assert float(zico_scores(given)["zico"]) == pytest.approx(math.log(2 + 1))
    assert float(zico_scores(given)["zico_paper"]) == pytest.approx(math.log(2 + 3))
    assert list(map(float, zico_scores([given[0], given[0]]).values())) == [-math.inf, -math.inf]


@given(values=st.lists(st.floats(-1e3, 1e3).filter(lambda value: value == 0 or abs(value) > 1e-3), min_size=1))
def test_signal_to_noise_variants(values):
    spread = max(values) - min(values)
    assume(spread == 0 or spread > 1e-6 * max(map(abs, values)))
    saliency = torch.tensor(values, dtype=torch.float64)
    official, paper = (float(signal_to_noise(saliency, variant)) for variant in ("official", "paper"))
    scale = sum(map(abs, values)) / spread if spread else sum(map(abs, values))
    for variant, actual in (("official", official), ("paper", paper)):
        assert actual == pytest.approx(tcet.signal_to_noise(values, variant), rel=1e-9, abs=1e-12 * scale)
    if spread:
        n = len(values)
        assert official == pytest.approx(paper * math.sqrt((n - 1) / n), rel=1e-9, abs=1e-12 * scale)


def test_layer_of_equal_saliencies_counts_with_its_sum():
    for size in (1, 3, 1000):
        for variant in ("official", "paper"):
            assert float(signal_to_noise(torch.full((size,), 0.1), variant)) == pytest.approx(0.1 * size)
    assert float(signal_to_noise(torch.zeros(3))) == 0


@pytest.mark.parametrize("variant", ["Official", "", None])
def test_unknown_variant_is_refused(variant):
    with pytest.raises(ValueError, match="variant must be 'official' or 'paper'"):
        signal_to_noise(torch.arange(3.0), variant)


def test_logarithm_of_a_ratio():
    ratios = torch.tensor([0.0, 1.0, math.e, -1.0])
    assert logarithm(ratios).tolist() == pytest.approx([0.0, 0.0, 1.0, math.nan], nan_ok=True)


@pytest.mark.parametrize("kind", ["snip", "synflow"])
@pytest.mark.parametrize("case", ["convolutions", "residual"])
def test_layer_vectors_are_the_two_halves_of_tcet(case, kind):
    network, batches, _ = setting(case)
    saliencies = getattr(gradients, f"{kind}_saliency")(network, batches[0])
    determinants = kernels.layer_log_determinants(network, batches[0][0])
    table = layer_vectors(network, batches[0], kind)
    assert table.index.tolist() == list(saliencies)
    assert table.weights.tolist() == [len(values) for values in saliencies.values()]
    expected = [tcet.signal_to_noise(values) for values in saliencies.values()]
    assert table.signal_to_noise.tolist() == pytest.approx(expected, rel=1e-9)
    expected = [determinants.get(name, math.nan) for name in saliencies]
    assert table.log_determinant.tolist() == pytest.approx(expected, rel=1e-9, nan_ok=True)
    product = (table.signal_to_noise * table.log_determinant.fillna(0)).sum()
    assert product == pytest.approx(scored(case).value[f"tcet_{kind}"], rel=1e-9)
    paper = layer_vectors(network, batches[0], kind, "paper").signal_to_noise
    expected = [tcet.signal_to_noise(values, "paper") for values in saliencies.values()]
    assert paper.tolist() == pytest.approx(expected, rel=1e-9)


# -------------------------------------------------------------------------------------------------------- invariances

SIZE = ["flops", "params", "trainable_layers"]
# Their random numbers belong to positions in the batch and to channels.
TIED_TO_POSITIONS = [
    *["zen", "zen_paper", "az_trainability", "near", "near_plain"],
    *["meco", "meco_paper", "meco_opt", "dextr_s"],  # Of the first sample.
]


def compared_scores(network, batches, proxies):
    table = score(network, proxies, batches)
    assert set(table.status) <= {"ok", "non_finite"}
    return table.value


@pytest.mark.parametrize("case", WITH_MAPS)
def test_order_of_the_samples_does_not_matter(case):
    network, batches, _ = setting(case)
    order = torch.tensor([3, 0, 4, 2, 1])
    permuted = [(inputs[order], labels[order]) for inputs, labels in batches]
    before, after = (compared_scores(network, given, [*SIZE, *ALL]) for given in (batches, permuted))
    free = before.index.difference(TIED_TO_POSITIONS)
    assert after[free].to_dict() == pytest.approx(before[free].to_dict(), rel=1e-9, nan_ok=True)
    tied = before.index.intersection(TIED_TO_POSITIONS)
    assert (after[tied] - before[tied]).abs().max() > 1e-6
    # Labels that stay behind change what depends on them.
    torn = compared_scores(
        network, [(inputs[order], labels) for inputs, labels in batches], ["snip", "jacov", "epe_nas"]
    )
    assert torn.jacov == pytest.approx(before.jacov, rel=1e-9)
    assert abs(torn.snip - before.snip) > 1e-6
    assert abs(torn.epe_nas - before.epe_nas) > 1e-6


def test_order_of_the_two_batches_of_zico_does_not_matter():
    network, batches, _ = setting("convolutions")
    before, after = (compared_scores(network, given, "zico") for given in (batches, batches[::-1]))
    assert after.to_dict() == pytest.approx(before.to_dict(), rel=1e-12)


def test_methods_read_as_many_batches_as_they_say():
    network, batches, _ = setting("convolutions")
    before, after = (score(network, ALL, given) for given in (batches, [batches[0], batches[0]]))
    changed = before.index[~np.isclose(after.value, before.value, rtol=1e-12, equal_nan=True)]
    assert set(changed) == {"zico", "zico_paper", "zico_bc"}
    # The gradients of equal batches do not vary.
    assert set(after.index[after.status == "degenerate"]) == {"zico", "zico_paper", "zico_bc"}
    short = score(network, ALL, batches[:1])
    assert set(short.index[short.status.str.contains("needs 2 batches, got 1")]) == set(changed)
    assert short.value.drop(changed).equals(before.value.drop(changed))


def rearrange(network, order):
    """The same function, with the channels of the first two convolutions and all that depends on them relabelled."""
    network = copy.deepcopy(network)
    weighted = [module for module in network if isinstance(module, nn.Conv2d | nn.Linear)]
    position = {module: number for number, module in enumerate(weighted)}
    current = None
    for module in network:
        if module in position:
            if current is not None:
                module.weight.data = module.weight.data[:, current]
            channels = module.weight.shape[0]
            current = order(channels) if module is not weighted[-1] else torch.arange(channels)
            module.weight.data = module.weight.data[current]
            if module.bias is not None:
                module.bias.data = module.bias.data[current]
        elif isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                tensor.data = tensor.data[current]
    return network


@pytest.mark.parametrize("case", ["convolutions", "no norm"])
def test_labels_of_hidden_channels_do_not_matter(case):
    network, batches, _ = setting(case)
    same = rearrange(network, torch.arange)
    relabelled = rearrange(network, lambda channels: torch.arange(channels).roll(1))
    assert not torch.equal(relabelled[0].weight, network[0].weight)
    for mode in (True, False):
        logits = [copy.deepcopy(n).train(mode)(batches[0][0]) for n in (network, same, relabelled)]
        assert torch.equal(logits[0], logits[1])
        torch.testing.assert_close(logits[2], logits[0], rtol=1e-12, atol=1e-12)
    everything = [*SIZE, *ALL, "vkdnw"]
    before, after = (compared_scores(n, batches, everything) for n in (network, relabelled))
    # The signs of AZ-NAS belong to channels, and VKDNW reads entry 0 of every tensor.
    bound = [name for name in before.index if name == "az_trainability" or name.startswith("vkdnw")]
    free = before.index.difference(bound)
    assert after[free].to_dict() == pytest.approx(before[free].to_dict(), rel=1e-9, nan_ok=True)
    assert abs(after.az_trainability - before.az_trainability) > 1e-6
    assert abs(after.vkdnw_entropy - before.vkdnw_entropy) > 1e-6


@given(
    seed=seeds,
    scale=st.sampled_from([1e-30, 1e-6, 0.1, 3.0, 1e6, 1e30]),
    variant=st.sampled_from(["official", "paper"]),
)
def test_signal_to_noise_does_not_depend_on_the_scale_of_the_saliency(seed, scale, variant):
    for saliency in (drawn(4, 3, seed=seed).abs(), drawn(7, seed=seed + 1)):
        before, after = (float(signal_to_noise(values, variant)) for values in (saliency, scale * saliency))
        assert after == pytest.approx(before, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("case", ["convolutions", "no norm"])
def test_scale_of_the_classifier_multiplies_synflow_but_changes_no_ratio(case):
    network, batches, _ = setting(case)
    scaled = copy.deepcopy(network)
    scaled[-1].weight.data *= 7
    proxies = ["synflow", "ssnr_synflow", "jacov"]
    before, after = (compared_scores(n, batches, proxies) for n in (network, scaled))
    assert after.synflow == pytest.approx(7 * before.synflow, rel=1e-9)
    rest = ["ssnr_synflow", "ssnr_synflow_log", "jacov"]
    assert after[rest].to_dict() == pytest.approx(before[rest].to_dict(), rel=1e-9)


def test_repeated_samples_share_a_linear_region_and_make_kernels_singular():
    network, batches, _ = setting("no norm")
    inputs, labels = batches[0]
    repeated = [(inputs[[0, 0, 1, 2, 2]], labels)] * 2
    table = score(network, ["te_nas_linear_regions", "naswot", "nwot", "te_nas_ntk"], repeated)
    assert table.value["te_nas_linear_regions"] == 3
    assert kernels.linear_regions(network, repeated[0][0]) == 3
    assert kernels.naswot(network, repeated[0][0]) is None
    assert set(table.status.drop("te_nas_linear_regions")) == {"degenerate"}


# ---------------------------------------------------------------------------------------- networks that see no input


class Blind(nn.Module):
    """A network whose input, features or logits are multiplied by zero."""

    def __init__(self, where):
        super().__init__()
        self.features, self.classifier, self.where = convolutions()[:6], convolutions()[6:], where

    def forward(self, inputs):
        values = self.features(inputs * (self.where != "input"))
        return self.classifier(values * (self.where != "features")) * (self.where != "logits")


@pytest.mark.parametrize("init", [None, "published"])
@pytest.mark.parametrize("where", ["input", "features", "logits"])
def test_network_that_ignores_its_input_is_degenerate(where, init):
    network = randomised(Blind(where))
    table = nbnas.score(network, [*SIZE, *ALL], batches=batches_of((2, 4, 4)), init=init)
    defined = {*SIZE, "l2_norm"}
    if where == "logits":
        # Its features see the input.
        defined |= {"zen", "zen_paper"}
    if where == "input":
        # Flow from biases, where there are any, reaches the logits: |biases| belong to the definition.
        defined |= {name for name in table.index if "synflow" in name and not name.startswith("tcet")}
        if init is not None:
            defined.remove("synflow")
    assert set(table.index[table.status == "ok"]) == defined
    rest = table[~table.index.isin(defined)]
    assert set(rest.status) == {"degenerate"}
    assert rest.value.isna().all()


def test_nwot_exists_where_only_the_sum_of_the_kernels_is_regular():
    generator = torch.Generator().manual_seed(0)
    layers = [layer for _ in range(10) for layer in (nn.Linear(12, 12), nn.ReLU())]
    network = nn.Sequential(nn.Flatten(), *layers, nn.Linear(12, 5)).double()
    kaiming_normal(network, generator)
    inputs = torch.randn(32, 3, 2, 2, generator=generator, dtype=torch.float64)
    table = nbnas.score(network, "nwot", batches=[(inputs, torch.zeros(32, dtype=torch.long))], init=None)
    assert table.status.to_dict() == {"lnwot": "non_finite", "nwot": "ok"}
