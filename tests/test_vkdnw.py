"""VKDNW: the fast Jacobian and the Fisher spectrum against slow references, on networks small enough to vary."""

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references.vkdnw import (
    reference_covariance,
    reference_entropy,
    reference_factor,
    reference_fisher,
    reference_jacobian,
    reference_probabilities,
    reference_vkdnw,
)
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

import nbnas
from nbnas.networks.entry_jacobian import UnsupportedModelError, entry_jacobian
from nbnas.proxies.fisher_information import FisherSetting, covariance_factor, entropy, spectrum_deciles

VARIANTS = {"official": "vkdnw", "paper": "vkdnw_paper"}


def randomised(network, seed=0):
    """Float64, eval mode, every parameter and running statistic drawn from the seed."""
    generator = torch.Generator().manual_seed(seed)
    network.double().eval()
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
        elif name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return network


def normal(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_entries(network, seed=2, per_tensor=2):
    """Distinct random flat indices into every parameter tensor, in random order."""
    rng = np.random.default_rng(seed)
    entries = [
        (name, int(index))
        for name, parameter in network.named_parameters()
        for index in rng.choice(parameter.numel(), size=min(per_tensor, parameter.numel()), replace=False)
    ]
    return [entries[position] for position in rng.permutation(len(entries))]


def assert_equals_reference(network, inputs, entries):
    given = inputs.clone()
    jacobian, logits = entry_jacobian(network, inputs, entries)
    assert torch.equal(inputs, given)
    expected = reference_jacobian(network, inputs, entries)
    with torch.no_grad():
        torch.testing.assert_close(logits, network(inputs.clone()))
    torch.testing.assert_close(jacobian, expected, rtol=1e-9, atol=1e-11 * float(expected.abs().max()))


# ---------------------------------------------------------------------------------------------- the Jacobian: layers


@st.composite
def convolution_cases(draw):
    """A convolution of any shape that torch accepts, and an input for it."""
    groups = draw(st.integers(1, 3))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    stride, dilation = draw(pair), draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    padding = draw(st.sampled_from(["valid", "same", (0, 0), (1, 0), (0, 1), (2, 1)]))
    arguments = {
        "in_channels": groups * draw(st.integers(1, 2)),
        "out_channels": groups * draw(st.integers(1, 3)),
        "kernel_size": draw(pair),
        # torch has no padding 'same' with a stride.
        "stride": 1 if padding == "same" else stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    resolution = draw(st.tuples(st.integers(5, 8), st.integers(5, 8)))
    return arguments, resolution


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=60)
@given(case=convolution_cases(), classes=st.integers(2, 9), batch=st.integers(1, 3), seed=st.integers(0, 2**16))
def test_jacobian_of_any_convolution(case, classes, batch, seed):
    arguments, resolution = case
    width = arguments["out_channels"]
    network = nn.Sequential(
        nn.Conv2d(**arguments),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * width, 3),
        nn.Tanh(),
        nn.Linear(3, classes),
    )
    inputs = normal(batch, arguments["in_channels"], *resolution, seed=seed)
    assert_equals_reference(randomised(network, seed), inputs, random_entries(network, seed))


@settings(max_examples=20)
@given(
    widths=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    classes=st.integers(2, 9),
    bias=st.booleans(),
    batch=st.integers(1, 4),
    seed=st.integers(0, 2**16),
)
def test_jacobian_of_any_mlp(widths, classes, bias, batch, seed):
    sizes = [3 * 4 * 4, *widths]
    layers = [nn.Flatten()]
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after, bias=bias), nn.BatchNorm1d(after), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(sizes[-1], classes, bias=bias))
    assert_equals_reference(randomised(network, seed), normal(batch, 3, 4, 4, seed=seed), random_entries(network, seed))


class Residual(nn.Module):
    """Pre-activation residual block; the branch starts from a tensor that is needed again."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.head = nn.Linear(4, 5)

    def forward(self, inputs):
        skip = self.stem(inputs)
        out = skip + self.conv(torch.relu(self.norm(skip)))
        return self.head(out.mean((2, 3)))


class InPlace(nn.Module):
    """Overwrites the outputs of layers."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.mix = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 6)

    def forward(self, inputs):
        out = self.conv(inputs)
        out += 1
        normed = functional.relu_(self.norm(out))
        mixed = self.mix(normed)
        mixed += normed
        return self.head(mixed.mul_(2).mean((2, 3)))


class CalledTwice(nn.Module):
    """One convolution, one BatchNorm and one linear layer, each called twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, inputs):
        out = self.stem(inputs)
        for _ in range(2):
            out = torch.tanh(self.norm(self.conv(out)))
        out = out.mean((2, 3))
        return self.head(torch.tanh(self.linear(torch.tanh(self.linear(out)))))


class ClassifierCalledTwice(nn.Module):
    """More classes than features, and the features depend on an earlier call of the classifier."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(48, 3)
        self.head = nn.Linear(3, 7)
        self.back = nn.Linear(7, 3)

    def forward(self, inputs):
        out = self.stem(inputs.flatten(1))
        return self.head(torch.tanh(self.back(torch.tanh(self.head(out)))))


class Tokens(nn.Module):
    """Linear layers on three- and four-dimensional inputs."""

    def __init__(self):
        super().__init__()
        self.pixels = nn.Linear(3, 4)
        self.rows = nn.Linear(16, 2)
        self.head = nn.Linear(8, 3)

    def forward(self, inputs):
        tokens = torch.tanh(self.pixels(inputs.permute(0, 2, 3, 1)))
        return self.head(torch.tanh(self.rows(tokens.flatten(1, 2).transpose(1, 2))).flatten(1))


def more_classes_than_features(tail=()):
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3), nn.Tanh(), nn.Linear(3, 8), *tail)


class Scale(nn.Module):
    """Multiplies in place by two."""

    def forward(self, inputs):
        return inputs.mul_(2)


NETWORKS = {
    "residual": Residual,
    "in-place": InPlace,
    "called twice": CalledTwice,
    "classifier called twice": ClassifierCalledTwice,
    "tokens": Tokens,
    "linear only": lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 60)),
    "more classes than features": more_classes_than_features,
    "activation after the classifier": lambda: more_classes_than_features([nn.Sigmoid()]),
    "in-place operation after the classifier": lambda: more_classes_than_features([Scale()]),
    "starts with an in-place operation": lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(48, 3)),
    "dropout": lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.Dropout(0.5), nn.Linear(4, 3)),
    "three-dimensional BatchNorm": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.BatchNorm3d(1), nn.Flatten(), nn.Linear(48, 3)
    ),
    "BatchNorm of a sequence": lambda: nn.Sequential(nn.Flatten(2), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(48, 3)),
}


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_jacobian_of_network(build):
    network = randomised(build())
    assert_equals_reference(network, normal(3, 3, 4, 4), random_entries(network))


class TiedWeights(nn.Module):
    """Two layers that share one weight tensor, which has one name."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(48, 48)
        self.second = nn.Linear(48, 48)
        self.second.weight = self.first.weight
        self.head = nn.Linear(48, 3)

    def forward(self, inputs):
        return self.head(torch.tanh(self.second(torch.tanh(self.first(inputs.flatten(1))))))


class DoubledLinear(nn.Linear):
    """A subclass that computes something else, as weight standardisation does."""

    def forward(self, inputs):
        return functional.linear(inputs, 2 * self.weight, self.bias)


class DoubledConvolution(nn.Conv2d):
    def forward(self, inputs):
        return self._conv_forward(inputs, 2 * self.weight, self.bias)


def test_jacobian_columns_follow_the_entries():
    network = randomised(Residual())
    entries = random_entries(network)
    forward, _ = entry_jacobian(network, normal(2, 3, 4, 4), entries)
    backward, _ = entry_jacobian(network, normal(2, 3, 4, 4), entries[::-1])
    torch.testing.assert_close(forward, backward.flip(2))


class CountedIdentity(torch.autograd.Function):
    """Counts forward and backward passes through one place of the network."""

    counts = None

    @staticmethod
    def forward(context, inputs):
        CountedIdentity.counts["forward"] += 1
        return inputs.clone()

    @staticmethod
    def backward(context, gradient):
        CountedIdentity.counts["backward"] += 1
        return gradient


class Counter(nn.Module):
    def forward(self, inputs):
        return CountedIdentity.apply(inputs)


@pytest.mark.parametrize(("features", "classes", "passes"), [(5, 3, 3), (4, 9, 4), (4, 4, 4)])
def test_cost_is_one_forward_and_as_many_backward_passes_as_the_smaller_of_features_and_classes(
    features, classes, passes, monkeypatch
):
    counts = {"forward": 0, "backward": 0}
    monkeypatch.setattr(CountedIdentity, "counts", counts)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(48, 6), Counter(), nn.Linear(6, features), nn.Linear(features, classes)
    )
    randomised(network)
    entry_jacobian(network, normal(2, 3, 4, 4), random_entries(network))
    assert counts == {"forward": 1, "backward": passes}


# ------------------------------------------------------------------------ the Jacobian: parameters without a formula


def with_layer(layer, *tail):
    return lambda: nn.Sequential(layer(), *tail, nn.Flatten(), nn.LazyLinear(3))


class NeverCalled(nn.Module):
    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(48, 3)

    def forward(self, inputs):
        return self.head(inputs.flatten(1))


class FunctionalUse(NeverCalled):
    """Reads the weight of a layer without calling it."""

    def forward(self, inputs):
        return functional.linear(super().forward(inputs)[:, :2], self.unused.weight)


class OwnParameter(NeverCalled):
    def __init__(self):
        super().__init__()
        del self.unused
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, inputs):
        return super().forward(inputs) * self.weight


class UsesTranspose(NeverCalled):
    """Reads the weight of a layer that it calls as well."""

    def forward(self, inputs):
        logits = super().forward(inputs)
        return logits + torch.tanh(logits) @ self.head.weight[:, :3].T


WITHOUT_FORMULA = {
    "LayerNorm": with_layer(lambda: nn.LayerNorm([3, 4, 4])),
    "GroupNorm": with_layer(lambda: nn.GroupNorm(1, 3)),
    "InstanceNorm": with_layer(lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True)),
    "PReLU": with_layer(nn.PReLU),
    "transposed convolution": with_layer(lambda: nn.ConvTranspose2d(3, 2, 2)),
    "one-dimensional convolution": with_layer(lambda: nn.Flatten(2), nn.Conv1d(3, 2, 2)),
    "circular padding": with_layer(lambda: nn.Conv2d(3, 2, 3, padding=1, padding_mode="circular")),
    "reflect padding": with_layer(lambda: nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect")),
    "parametrised weight": with_layer(lambda: weight_norm(nn.Conv2d(3, 2, 3))),
    "own parameter": OwnParameter,
    "layer never called": NeverCalled,
    "layer used through its weight only": FunctionalUse,
    "weight also read through its transpose": UsesTranspose,
    "tied weights": TiedWeights,
    "subclass of Linear": lambda: nn.Sequential(nn.Flatten(), DoubledLinear(48, 4), nn.Tanh(), nn.Linear(4, 3)),
    "subclass of Conv2d": lambda: nn.Sequential(DoubledConvolution(3, 2, 3), nn.Flatten(), nn.Linear(8, 3)),
}


@pytest.mark.parametrize("build", WITHOUT_FORMULA.values(), ids=WITHOUT_FORMULA)
def test_jacobian_of_parameters_without_a_formula(build):
    network, inputs = build().double().eval(), normal(3, 3, 4, 4)
    with torch.no_grad():
        network(inputs)  # Makes lazy layers.
    randomised(network)
    entries = random_entries(network)
    assert {name for name, _ in entries} == {name for name, _ in network.named_parameters()}
    assert_equals_reference(network, inputs, entries)


def test_layer_without_a_formula_may_have_no_chosen_entries():
    network = randomised(nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(16, 3)))
    entries = [(name, index) for name, index in random_entries(network) if not name.startswith("1.")]
    assert len(entries) == 8
    assert_equals_reference(network, normal(2, 3, 4, 4), entries)


# ------------------------------------------------------------------------------------ the Jacobian: what it refuses


class TwoOutputs(NeverCalled):
    def __init__(self):
        super().__init__()
        del self.unused

    def forward(self, inputs):
        logits = super().forward(inputs)
        return logits, logits


def norm_in_train_mode():
    network = randomised(Residual())
    network.norm.train()
    return network


class FunctionalBatchNorm(NeverCalled):
    def forward(self, inputs):
        return super().forward(functional.batch_norm(inputs, None, None, training=True))


REFUSED = {
    "BatchNorm without statistics": (
        with_layer(lambda: nn.BatchNorm2d(3, track_running_stats=False)),
        "the BatchNorm '0' must be in eval mode with running statistics",
    ),
    "BatchNorm in train mode": (norm_in_train_mode, "the BatchNorm 'norm' must be in eval mode"),
    "BatchNorm as a function": (FunctionalBatchNorm, "needs samples that do not interact"),
    "two outputs": (
        TwoOutputs,
        "must return one tensor of logits .*; with a tuple or a dict, say which entry by logits=",
    ),
    "logits with three dimensions": (
        lambda: nn.Sequential(nn.Flatten(2), nn.Linear(16, 3)),
        r"one tensor of logits with shape \(batch, classes\)",
    ),
    "no parameters": (nn.Flatten, "needs parameters"),
}


@pytest.mark.parametrize(("build", "message"), REFUSED.values(), ids=REFUSED)
def test_unsupported_network_is_refused(build, message):
    network, inputs = build().double(), normal(2, 3, 4, 4)
    with torch.no_grad():
        network(inputs)
    if message != REFUSED["BatchNorm in train mode"][1]:
        network.eval()
    with pytest.raises(UnsupportedModelError, match=message):
        entry_jacobian(network, inputs, [(name, 0) for name, _ in network.named_parameters()])


# --------------------------------------------------------------------------------- the Jacobian: leaves no trace


def hooks_of(network):
    return [
        (name, len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks))
        for name, module in network.named_modules()
    ]


class Breaks(nn.Module):
    def forward(self, inputs):
        raise RuntimeError("broken on purpose")


def extended(*extra):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 3), *extra
    )


@pytest.mark.parametrize(
    ("network", "error"),
    [
        (extended(), None),
        (extended(Breaks()), RuntimeError),
        (nn.ModuleDict({"unused": nn.Linear(2, 2)}), NotImplementedError),
        (NeverCalled(), None),
        (extended(nn.LayerNorm(3)), None),
        (nn.Sequential(nn.GroupNorm(1, 3), nn.Flatten(), nn.Linear(48, 3)), None),
        (TwoOutputs(), UnsupportedModelError),
        (extended(nn.Unflatten(1, (3, 1))), UnsupportedModelError),
    ],
    ids=[
        "success",
        "error in the forward pass",
        "no forward pass",
        "layer never called",
        "parameters without a formula",
        "frozen parameter without a formula",
        "two outputs",
        "logits with three dimensions",
    ],
)
def test_network_and_inputs_are_left_as_found(network, error):
    network, inputs = copy.deepcopy(network), normal(2, 3, 4, 4)
    randomised(network)
    parameters = list(network.parameters())
    parameters[0].requires_grad_(False)
    parameters[1].grad = torch.full_like(parameters[1], 7)
    seen = []
    network.register_forward_hook(lambda *_: seen.append(1))
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    hooks, inputs_before = hooks_of(network), inputs.clone()
    entries = [(name, 0) for name, _ in network.named_parameters()]
    if error is None:
        jacobian, logits = entry_jacobian(network, inputs, entries)
        assert not jacobian.requires_grad
        assert not logits.requires_grad
        assert seen == [1]
    else:
        with pytest.raises(error):
            entry_jacobian(network, inputs, entries)
    assert hooks_of(network) == hooks
    assert [parameter.requires_grad for parameter in parameters] == [False] + [True] * (len(parameters) - 1)
    assert [parameter.grad is None for parameter in parameters] == [True, False] + [True] * (len(parameters) - 2)
    assert (parameters[1].grad == 7).all()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name])
    assert torch.equal(inputs, inputs_before)
    assert not inputs.requires_grad
    assert inputs.grad is None


def test_jacobian_works_where_gradients_are_switched_off():
    network, inputs = randomised(Residual()), normal(2, 3, 4, 4)
    entries = random_entries(network)
    expected, _ = entry_jacobian(network, inputs, entries)
    with torch.no_grad():
        actual, _ = entry_jacobian(network, inputs, entries)
    assert torch.equal(actual, expected)
    assert expected.abs().max() > 0


# ------------------------------------------------------------------------------------------- the Fisher spectrum


def logits_of_scale(classes, scale, seed, rows=3):
    return scale * torch.randn((rows, classes), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=60)
@given(
    classes=st.integers(2, 12),
    scale=st.sampled_from([0.0, 1e-2, 1.0, 10.0, 1e3, 1e8]),
    smoothing=st.sampled_from([0.0, 0.05, 1.0]),
    seed=st.integers(0, 2**16),
)
def test_covariance_factor_squares_to_the_covariance(classes, scale, smoothing, seed):
    logits = logits_of_scale(classes, scale, seed)
    probabilities = FisherSetting(smoothing=smoothing, half_precision_constants=False).probabilities(logits)
    factor = covariance_factor(probabilities)
    assert factor.isfinite().all()
    assert (factor.triu(1) == 0).all()
    assert (factor[:, :, -1] == 0).all()
    assert (factor.diagonal(dim1=1, dim2=2) >= 0).all()
    covariance = np.stack([reference_covariance(row) for row in probabilities.tolist()])
    np.testing.assert_allclose((factor @ factor.mT).numpy(), covariance, rtol=0, atol=1e-13)


@pytest.mark.parametrize("half_precision_constants", [True, False])
@pytest.mark.parametrize("scale", [0.1, 3.0, 1e6])
@pytest.mark.parametrize("classes", [2, 10, 120])
def test_covariance_factor_equals_the_double_loop(classes, scale, half_precision_constants):
    logits = logits_of_scale(classes, scale, seed=classes)
    factor = covariance_factor(FisherSetting(half_precision_constants=half_precision_constants).probabilities(logits))
    for row, actual in zip(logits.tolist(), factor.numpy(), strict=True):
        expected = reference_factor(reference_probabilities(row, half_precision_constants))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("classes", "total", "smallest"),
    [
        (10, 1.000168, 0.00499725),
        (100, 1.000168, 0.00049973),
        (120, 1.000177, 0.00041652),
        (1000, 1.000204, 0.00005001),
    ],
)
def test_float16_constants_of_the_released_code(classes, total, smallest):
    one_hot = 1e6 * torch.eye(classes, dtype=torch.float64)[[0, classes // 2, classes - 1]]
    probabilities = FisherSetting().probabilities(one_hot)
    assert probabilities.sum(1).tolist() == pytest.approx([total] * 3, abs=6e-7)
    assert float(probabilities.min()) == pytest.approx(smallest, abs=5e-9)
    factor = covariance_factor(probabilities)
    # With 1,000 classes the released code has NaN here.
    assert factor.isfinite().all()
    covariance = torch.diag_embed(probabilities) - probabilities.unsqueeze(2) * probabilities.unsqueeze(1)
    error = float((factor @ factor.mT - covariance).abs().max())
    assert 1e-4 < error < 3.2e-4


@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.3, 1.0])
def test_exact_smoothing_mixes_with_the_uniform_distribution(smoothing):
    logits = logits_of_scale(7, 3.0, seed=0)
    probabilities = FisherSetting(smoothing=smoothing, half_precision_constants=False).probabilities(logits)
    exponentials = np.exp(logits.numpy())
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities.numpy(), (1 - smoothing) * softmax + smoothing / 7, rtol=1e-12)


@settings(max_examples=100)
@given(values=st.lists(st.floats(0, 1e12), min_size=9, max_size=9))
def test_entropy_lies_between_zero_and_log_nine(values):
    result = float(entropy(torch.tensor(values, dtype=torch.float64)))
    assert -1e-9 <= result <= np.log(9) + 1e-12
    assert result == pytest.approx(reference_entropy(values), abs=1e-12)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0] * 9, np.log(9)), ([1e7] * 9, np.log(9)), ([0.0] * 8 + [5.0], 0.0), ([0.0] * 7 + [3.0] * 2, np.log(2))],
)
def test_entropy_of_known_deciles(values, expected):
    assert float(entropy(torch.tensor(values, dtype=torch.float64))) == pytest.approx(expected, abs=1e-8)


@settings(max_examples=40)
@given(size=st.integers(1, 40), rank=st.integers(1, 40), seed=st.integers(0, 2**16))
def test_spectrum_deciles_are_numpy_quantiles_of_the_eigenvalues(size, rank, seed):
    root = np.random.default_rng(seed).standard_normal((size, rank))
    matrix = root @ root.T
    expected = np.quantile(np.linalg.eigvalsh(matrix).clip(min=0), np.arange(1, 10) / 10)
    deciles = spectrum_deciles(torch.from_numpy(matrix)).numpy()
    np.testing.assert_allclose(deciles, expected, rtol=1e-9, atol=1e-11 * np.trace(matrix))
    assert (deciles >= 0).all()
    assert (np.diff(deciles) >= 0).all()


@pytest.mark.parametrize("entry", [float("nan"), float("inf")])
def test_spectrum_of_a_matrix_that_is_not_finite_is_nan(entry):
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[1, 2] = entry
    assert spectrum_deciles(matrix).isnan().tolist() == [True] * 9


def test_spectrum_quantiles_can_be_chosen():
    matrix = torch.diag(torch.tensor([4.0, 0.0, 2.0, 6.0, 8.0]))
    assert spectrum_deciles(matrix, [0, 0.5, 0.625, 1]).tolist() == pytest.approx([0, 4, 5, 8])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_fisher_matrix_equals_the_explicit_loop(variant, scale):
    jacobian, logits = normal(4, 6, 5), logits_of_scale(6, scale, seed=3, rows=4)
    probabilities = FisherSetting(half_precision_constants=False).probabilities(logits)
    matrix = FisherSetting(variant=variant).matrix(jacobian, probabilities)
    expected = reference_fisher(jacobian.numpy(), probabilities.tolist(), variant)
    np.testing.assert_allclose(matrix.numpy(), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_variants_share_the_spectrum_of_the_covariance_and_nothing_else():
    probabilities = FisherSetting().probabilities(logits_of_scale(6, 1.0, seed=4, rows=1))
    identity = torch.eye(6, dtype=torch.float64)[None]
    official, paper = (FisherSetting(variant=variant).matrix(identity, probabilities) for variant in VARIANTS)
    torch.testing.assert_close(spectrum_deciles(official), spectrum_deciles(paper), rtol=1e-9, atol=1e-14)
    assert (official - paper).abs().max() > 0.01
    jacobian = normal(1, 6, 5)
    spectra = [spectrum_deciles(FisherSetting(variant=variant).matrix(jacobian, probabilities)) for variant in VARIANTS]
    assert (spectra[0] - spectra[1]).abs().max() > 0.01 * spectra[0].max()


@pytest.mark.parametrize("variant", ["Official", "", None])
def test_unknown_variant_is_refused(variant):
    with pytest.raises(ValueError, match="variant must be 'official' or 'paper'"):
        FisherSetting(variant=variant)


# ------------------------------------------------------------------------------------------------- the whole score

CELL = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_3x3~1|skip_connect~2|"


@pytest.fixture(scope="module")
def small_network(space):
    """48 parameter tensors."""
    network = randomised(space.build(CELL, num_classes=5, channels=4, cells_per_stage=1))
    for parameter in network.parameters():
        # Keep logits of order one, so that all probabilities matter.
        parameter.data.mul_(0.4)
    return network


def vkdnw_scores(network, inputs):
    labels = torch.zeros(len(inputs), dtype=torch.long)
    table = nbnas.score(network, "vkdnw", batches=[(inputs, labels)], init=None)
    assert set(table.status) == {"ok"}
    return table.value


@pytest.mark.parametrize(("variant", "tolerance"), [("official", 1e-9), ("paper", 2e-3)])
def test_score_equals_the_reference(small_network, variant, tolerance):
    # Float16 constants make L L^T differ from the covariance by up to 3e-4, hence the tolerance of the paper's form.
    inputs = normal(4, 3, 8, 8)
    expected = reference_vkdnw(small_network, inputs, variant)
    values, prefix = vkdnw_scores(small_network, inputs), VARIANTS[variant]
    deciles = [values[f"{prefix}_decile_{k}"] for k in range(1, 10)]
    np.testing.assert_allclose(deciles, expected["deciles"], rtol=0, atol=tolerance * expected["deciles"].max())
    assert values[f"{prefix}_entropy"] == pytest.approx(expected["entropy"], abs=tolerance)
    assert values[f"{prefix}_trace"] == pytest.approx(expected["trace"], rel=tolerance)
    assert 0.1 < expected["entropy"] < np.log(9)


def test_reference_variants_agree_with_the_package_exactly_without_float16_constants(small_network):
    inputs = normal(4, 3, 8, 8)
    jacobian, logits = entry_jacobian(small_network, inputs, FisherSetting().entries(small_network))
    probabilities = FisherSetting(half_precision_constants=False).probabilities(logits)
    for variant in VARIANTS:
        expected = reference_vkdnw(small_network, inputs, variant, half_precision_constants=False)
        deciles = spectrum_deciles(FisherSetting(variant=variant).matrix(jacobian, probabilities))
        assert float(entropy(deciles)) == pytest.approx(expected["entropy"], abs=1e-9)


@pytest.mark.parametrize(
    "arrange", [lambda x: x[[2, 0, 3, 1]], lambda x: torch.cat([x, x])], ids=["permuted", "doubled"]
)
def test_score_is_a_mean_over_the_batch(small_network, arrange):
    inputs = normal(4, 3, 8, 8)
    before, after = vkdnw_scores(small_network, inputs), vkdnw_scores(small_network, arrange(inputs))
    largest = max(before["vkdnw_decile_9"], before["vkdnw_trace"])
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-10 * largest)
    other = vkdnw_scores(small_network, normal(4, 3, 8, 8, seed=9))
    assert abs(other["vkdnw_entropy"] - before["vkdnw_entropy"]) > 1e-6


def test_first_128_tensors_are_selected_in_registration_order(space):
    network = space.build(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+" + "|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    )
    names = [name for name, _ in network.named_parameters()]
    assert len(names) == 291
    assert FisherSetting().entries(network) == [(name, 0) for name in names[:128]]
    assert FisherSetting(300).entries(network) == [(name, 0) for name in names]


@pytest.mark.parametrize(
    "arch",
    [
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_1x1~1|skip_connect~2|",
    ],
    ids=["empty", "dead end", "fed by nothing"],
)
@pytest.mark.parametrize("cells_per_stage", [1, 5])
def test_network_without_a_path_is_degenerate(space, arch, cells_per_stage):
    network = space.build(arch, channels=4, cells_per_stage=cells_per_stage)
    table = nbnas.score(network, "vkdnw", input_shape=(4, 3, 8, 8))
    assert set(table.status) == {"degenerate"}
    assert table.value.isna().all()
