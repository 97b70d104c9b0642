"""Every proxy on every kind of network: either the right number or the name of what is missing."""

import copy
import random

import numpy as np
import pytest
import torch
from networks import NETWORKS, SHAPE, IgnoresItsInput, Returns, convnet
from references.vkdnw import reference_jacobian
from torch import nn
from torch.nn import functional

import nbnas
from nbnas.errors import NbnasError
from nbnas.networks.entry_jacobian import entry_jacobian
from nbnas.networks.recording import record

WEIGHT_LAYERS = (nn.Conv2d, nn.Linear)


@pytest.fixture(autouse=True)
def _same_weights_in_every_run():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def build(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return NETWORKS[name]()


def batches_of(count=2, samples=SHAPE[0], dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0, 1, 2, 0])[:samples]
    return [(torch.randn((samples, *SHAPE[1:]), generator=generator).to(dtype), labels) for _ in range(count)]


# ------------------------------------------------------------------------------------------------------ what is covered

NO_RELU = "error: UnsupportedModelError: needs ReLU activations"
NO_ACTIVATIONS = "error: UnsupportedModelError: needs ReLU, GELU or SiLU activations"
NO_RELU_MAPS = "error: UnsupportedModelError: needs ReLU activations on feature maps (N, C, H, W)"
NO_MAPS = "error: UnsupportedModelError: needs feature maps (N, C, H, W) with more than one pixel"
NO_BLOCKS = "error: UnsupportedModelError: needs at least two blocks that return feature maps (N, C, H, W), found "
NOT_LAST = "error: UnsupportedModelError: needs feature maps that only pooling and linear layers follow, found "
NOT_FIRST = "error: UnsupportedModelError: needs layers and activations whose dimension 0 is the samples, found "
NO_LAYERS = "error: UnsupportedModelError: needs convolutions or linear layers"
NO_PARAMETERS = "error: UnsupportedModelError: needs parameters"
NO_LOGITS = (
    "error: UnsupportedModelError: needs logits that depend on the input or on parameters, and not under no_grad"
)
ONE_TENSOR = (
    "error: UnsupportedModelError: the network must return one tensor of logits with shape (batch, classes); "
    "with a tuple or a dict, say which entry by logits="
)
SINGLE_VALUES = "error: UnsupportedModelError: the BatchNorm '11' needs more than one value per channel"
COMPUTED = "error: UnsupportedModelError: the weight of '2' is not a parameter but computed from others"

AZ = "az_expressivity az_progressivity az_trainability"
VKDNW = "vkdnw vkdnw_mobilenetv2"
BY_WEIGHT = "grad_norm_layerwise plain snip grasp synflow gradsign zico zico_bc ssnr_snip ssnr_synflow ssnr_grasp"
NEWER = "near meco dextr_s swap"
OF_LOGITS = (
    f"grad_norm fisher jacov epe_nas naswot te_nas_ntk te_nas_linear_regions nwot {AZ} {VKDNW} {BY_WEIGHT} "
    f"tcet_snip tcet_synflow {NEWER}"
)

COVERAGE = {
    "NAS-Bench-201": {},
    "MLP": {NO_RELU_MAPS: "te_nas_linear_regions", NO_MAPS: "zen", NO_BLOCKS: AZ, "degenerate": "meco"},
    "MLP without ReLU": {
        NO_RELU: "naswot te_nas_linear_regions",
        NO_ACTIVATIONS: "swap",
        NO_MAPS: "zen",
        NO_BLOCKS: AZ,
        "degenerate": "meco",
    },
    "ResNet": {},
    "relies on in-place ReLU": {},
    "MobileNet": {},
    # Four samples of four features before the last shared weights: the kernel is singular in float32.
    "shared layers": {"degenerate": "te_nas_ntk"},
    "keyword arguments": {NOT_LAST + "Bilinear": "zen"},
    "frozen": {},
    "layers under no_grad": {
        "degenerate": "jacov synflow ssnr_synflow tcet_synflow",
        "error: UnsupportedModelError: the output of block 1 does not depend on that of the block before": (
            "az_trainability"
        ),
    },
    "no BatchNorm": {},
    "GroupNorm": {},
    "ConvNeXt": {NO_RELU: "naswot te_nas_linear_regions", NOT_LAST + "LayerNorm": "zen"},
    "dropout": {},
    "BatchNorm without statistics": {
        "error: UnsupportedModelError: the BatchNorm '1' must be in eval mode with running statistics": VKDNW,
    },
    "BatchNorm of single values": {
        "error: UnsupportedModelError: the BatchNorm '11' has one value per sample and channel": "gradsign",
        SINGLE_VALUES: "meco dextr_s",
        # Over the batch, the sums of gradients cancel.
        "degenerate": "te_nas_ntk",
        NOT_LAST + "BatchNorm1d": "zen",
    },
    "torch transformer": {
        NO_RELU_MAPS: "te_nas_linear_regions",
        NOT_LAST + "MultiheadAttention": "zen",
        NO_BLOCKS: AZ,
    },
    "written transformer": {
        NO_RELU: "naswot te_nas_linear_regions",
        NOT_LAST + "Linear on tokens": "zen",
        NO_BLOCKS: AZ,
    },
    "transformer without final norm": {
        NO_RELU: "naswot te_nas_linear_regions",
        NOT_LAST + "Linear on tokens": "zen",
        NO_BLOCKS: AZ,
    },
    "as many tokens as samples": {
        NO_RELU_MAPS: "te_nas_linear_regions",
        NOT_LAST + "LayerNorm": "zen",
        NO_BLOCKS: AZ,
    },
    "tokens first": {
        NOT_FIRST: "swap fisher naswot te_nas_linear_regions nwot tcet_snip tcet_synflow",
        NOT_LAST + "LayerNorm": "zen",
        NO_BLOCKS: AZ,
    },
    "names its blocks": {},
    "wrapper": {},
    "weight norm": {COMPUTED: f"l2_norm {BY_WEIGHT} tcet_snip tcet_synflow"},
    "unused parameters": {},
    "ignores its input": {
        "degenerate": f"grad_norm fisher jacov epe_nas naswot te_nas_ntk nwot {VKDNW} {BY_WEIGHT} "
        f"tcet_snip tcet_synflow {NEWER}",
        NO_RELU_MAPS: "te_nas_linear_regions",
        NO_MAPS: "zen",
        NO_BLOCKS: AZ,
    },
    "no parameters": {
        NO_PARAMETERS: f"grad_norm fisher te_nas_ntk {VKDNW}",
        NO_LAYERS: f"l2_norm nwot {BY_WEIGHT} tcet_snip tcet_synflow",
        NO_MAPS: "zen",
        NO_BLOCKS: AZ,
    },
    "constant": {
        NO_LOGITS: f"swap grad_norm fisher jacov epe_nas naswot te_nas_ntk te_nas_linear_regions {AZ} nwot tcet_snip "
        "tcet_synflow",
        NO_LAYERS: f"l2_norm {BY_WEIGHT}",
        "error: UnsupportedModelError: needs modules with weights, or activation modules": "near",
        "degenerate": "meco dextr_s",
        NO_MAPS: "zen",
        NO_PARAMETERS: VKDNW,
    },
    "tuple": {ONE_TENSOR: OF_LOGITS},
    "dict": {ONE_TENSOR: OF_LOGITS},
}
"""Network -> beginning of the status -> proxies; all others are ok."""


def scores_of(proxy):
    return nbnas.list_proxies().loc[proxy, "scores"]


def test_coverage_names_every_network_and_only_proxies_that_exist():
    assert set(COVERAGE) == set(NETWORKS)
    for statuses in COVERAGE.values():
        named = [proxy for proxies in statuses.values() for proxy in proxies.split()]
        assert len(named) == len(set(named))
        assert set(named) <= set(nbnas.list_proxies().index)


@pytest.mark.parametrize("name", NETWORKS)
def test_coverage(name):
    table = nbnas.score(build(name), batches=batches_of())
    expected = {proxy: status for status, proxies in COVERAGE[name].items() for proxy in proxies.split()}
    for proxy in nbnas.list_proxies().index:
        for score in scores_of(proxy):
            status = table.status[score]
            if score == "ssnr_grasp_log" and status == "non_finite":
                # The logarithm of a layer's negative sum; says nothing about the kind of network.
                status = "ok"
            assert status.startswith(expected.get(proxy, "ok")), (score, status)
            assert np.isfinite(table.value[score]) == (table.status[score] == "ok"), score
    # An error states a requirement; anything else would be a torch error that nobody expected.
    errors = table.status[table.status.str.startswith("error")]
    assert errors.str.startswith("error: UnsupportedModelError: ").all()


@pytest.mark.parametrize("wrap", [lambda z: (z.exp(), z), lambda z: {1: z, "features": z.exp()}], ids=["tuple", "dict"])
@pytest.mark.parametrize("logits", [1, lambda output: output[1]], ids=["entry", "function"])
def test_selected_logits_are_scored(wrap, logits):
    plain = Returns(lambda logits: logits)
    wrapped = copy.deepcopy(plain)
    wrapped.wrap = wrap
    expected = nbnas.score(plain, batches=batches_of())
    table = nbnas.score(wrapped, batches=batches_of(), logits=logits)
    assert (table.status == expected.status).all()
    np.testing.assert_allclose(table.value, expected.value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["tuple", "dict"])
def test_classes_of_several_outputs_cannot_be_counted(name):
    with pytest.raises(NbnasError, match="say which entry by logits="):
        nbnas.score(build(name), input_shape=SHAPE)


def test_inputs_that_the_network_does_not_accept_are_an_error_in_plain_words():
    with pytest.raises(NbnasError, match=r"the network does not run on inputs \(2, 1, 8, 8\): .*channels"):
        nbnas.score(convnet(), input_shape=(4, 1, 8, 8))


COVERAGE_OF = {
    name: {proxy: status for status, proxies in statuses.items() for proxy in proxies.split()}
    for name, statuses in COVERAGE.items()
}
COMPARES_SAMPLES = "swap gradsign jacov epe_nas naswot te_nas_ntk te_nas_linear_regions nwot tcet_snip tcet_synflow"


@pytest.mark.parametrize("name", ["NAS-Bench-201", "no BatchNorm", "torch transformer"])
def test_batch_of_one_sample(name):
    table = nbnas.score(build(name), batches=batches_of(samples=1))
    for proxy in nbnas.list_proxies().index:
        (status,) = set(table.status[list(scores_of(proxy))]) - {"non_finite"} or {"ok"}
        if proxy in COMPARES_SAMPLES.split():
            assert status == "error: NbnasError: needs a batch of two or more samples"
        else:
            assert status.startswith(COVERAGE_OF[name].get(proxy, "ok")), proxy


def test_batch_norm_that_needs_more_than_one_sample():
    table = nbnas.score(build("BatchNorm of single values"), batches=batches_of(samples=1))
    modes = nbnas.list_proxies()["mode"]
    for proxy in modes.index[modes == "train"].difference(["l2_norm", "ssnr_synflow", *COMPARES_SAMPLES.split()]):
        assert table.status[list(scores_of(proxy))].eq(SINGLE_VALUES).all(), proxy


# ---------------------------------------------------------------------------------------------------- the right numbers


def works(proxy, *, but=()):
    """Names of the networks on which a proxy is not refused."""
    return [name for name in NETWORKS if not COVERAGE_OF[name].get(proxy, "").startswith("error") and name not in but]


def deterministic(name):
    """A network in float64 whose dropout does nothing."""
    network = build(name).double()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def trained_copy(network):
    network = copy.deepcopy(network).train()
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    return network


def value_of(network, proxy, score=None, batches=None):
    table = nbnas.score(network, proxy, batches=batches or batches_of(dtype=torch.float64), init=None)
    return table.value[score or proxy], table.status[score or proxy]


def layers_of(network):
    """Convolutions and linear layers, one for each weight."""
    layers = {}
    for module in network.modules():
        if isinstance(module, WEIGHT_LAYERS) and module.weight not in layers:
            layers[module.weight] = module
    return list(layers.values())


def naive_gradients(network, wanted, inputs, labels):
    loss = functional.cross_entropy(network(inputs.clone()), labels)
    return torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("name", works("vkdnw"))
def test_entry_jacobian_equals_one_sample_at_a_time(name):
    network = deterministic(name).eval()
    generator = np.random.default_rng(0)
    entries = [
        (parameter_name, int(index))
        for parameter_name, parameter in network.named_parameters()
        for index in generator.choice(parameter.numel(), size=min(2, parameter.numel()), replace=False)
    ]
    inputs = batches_of(dtype=torch.float64)[0][0]
    jacobian, _ = entry_jacobian(network, inputs, entries)
    expected = reference_jacobian(network, inputs, entries)
    torch.testing.assert_close(jacobian, expected, rtol=1e-8, atol=1e-11 * float(expected.abs().max()))
    assert expected.any()


def test_entry_jacobian_covers_parameters_of_every_kind():
    names = {name for network in works("vkdnw") for name, _ in build(network).named_parameters()}
    assert {
        "cls_token",
        "position",
        "blocks.0.self_attn.in_proj_weight",
        "blocks.0.norm1.weight",
        "both.weight",
    } <= names
    assert {"2.parametrizations.weight.original0", "blocks.0.gamma", "embed.weight"} <= names


@pytest.mark.parametrize("name", works("grad_norm", but=["ignores its input", "weight norm"]))
def test_gradient_norm_and_snip_equal_plain_autograd(name):
    network, (inputs, labels) = deterministic(name), batches_of(dtype=torch.float64)[0]
    reference = trained_copy(network)
    parameters = list(reference.parameters())
    gradients = naive_gradients(reference, parameters, inputs, labels)
    norm = float(sum((gradient**2).sum() for gradient in gradients).sqrt())
    assert value_of(network, "grad_norm") == (pytest.approx(norm, rel=1e-10), "ok")
    assert norm > 0
    by_parameter = dict(zip(parameters, gradients, strict=True))
    weights = [layer.weight for layer in layers_of(reference)]
    saliency = float(sum((weight.detach() * by_parameter[weight]).abs().sum() for weight in weights))
    assert value_of(network, "snip") == (pytest.approx(saliency, rel=1e-10), "ok")


@pytest.mark.parametrize("name", works("grasp", but=["ignores its input"]))
def test_grasp_equals_a_difference_of_gradients(name):
    network, (inputs, labels) = deterministic(name), batches_of(dtype=torch.float64)[0]
    reference = trained_copy(network)
    weights = [layer.weight for layer in layers_of(reference)]
    gradients = naive_gradients(reference, weights, inputs, labels)
    originals = [weight.detach().clone() for weight in weights]
    moved = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            for weight, original, gradient in zip(weights, originals, gradients, strict=True):
                weight.copy_(original + step * gradient)
        moved.append(naive_gradients(reference, weights, inputs, labels))
    terms = [
        (original * (ahead - behind)).sum() / 2e-6 for original, ahead, behind in zip(originals, *moved, strict=True)
    ]
    size = float(sum(term.abs() for term in terms))
    assert value_of(network, "grasp") == (pytest.approx(-float(sum(terms)), rel=1e-5, abs=1e-5 * size), "ok")


@pytest.mark.parametrize("name", works("gradsign", but=["ignores its input"]))
def test_gradsign_equals_batches_of_one(name):
    network, (inputs, labels) = deterministic(name), batches_of(dtype=torch.float64)[0]
    signs = []
    for sample, label in zip(inputs.split(1), labels.split(1), strict=True):
        reference = trained_copy(network)
        weights = [layer.weight for layer in layers_of(reference)]
        signs.append([gradient.sign() for gradient in naive_gradients(reference, weights, sample, label)])
    agreement = sum(float(sum(column).abs().sum()) for column in zip(*signs, strict=True))
    # Entries whose gradient is zero but for rounding may differ in sign.
    assert value_of(network, "gradsign", "gradsign_sum") == (pytest.approx(agreement, abs=0.005 * agreement), "ok")
    assert agreement > 0


@pytest.mark.parametrize("name", works("te_nas_ntk", but=["ignores its input"]))
def test_tangent_kernel_equals_one_backward_pass_per_sample(name):
    network, inputs = deterministic(name), batches_of(dtype=torch.float64)[0][0]
    reference = trained_copy(network)
    weights = [parameter for parameter_name, parameter in reference.named_parameters() if "weight" in parameter_name]
    sums = reference(inputs.clone()).sum(1)
    rows = [
        torch.cat(
            [
                gradient.flatten()
                for gradient in torch.autograd.grad(
                    value, weights, retain_graph=True, allow_unused=True, materialize_grads=True
                )
            ]
        )
        for value in sums
    ]
    eigenvalues = np.linalg.eigvalsh((torch.stack(rows) @ torch.stack(rows).T).detach().numpy())
    value, status = value_of(network, "te_nas_ntk")
    if status == "degenerate":
        assert eigenvalues[0] < 1e-6 * eigenvalues[-1]
    else:
        assert value == pytest.approx(-eigenvalues[-1] / eigenvalues[0], rel=1e-7)


@pytest.mark.parametrize(
    "name", ["MLP", "MobileNet", "frozen", "no BatchNorm", "GroupNorm", "BatchNorm without statistics", "weight norm"]
)
@pytest.mark.parametrize("score", ["naswot", "naswot_eval"])
def test_naswot_equals_hooks_on_relu_modules(name, score):
    network, inputs = deterministic(name), batches_of(dtype=torch.float64)[0][0]
    reference, codes = trained_copy(network).train(score == "naswot"), []
    for module in reference.modules():
        if isinstance(module, nn.ReLU | nn.ReLU6):
            module.register_forward_pre_hook(lambda _, given: codes.append(given[0].flatten(1) > 0))
    reference(inputs.clone())
    assert len(codes) >= 2
    positive = torch.cat(codes, 1).numpy()
    kernel = [[(one == other).sum() for other in positive] for one in positive]
    assert value_of(network, score) == (pytest.approx(np.linalg.slogdet(kernel)[1], rel=1e-10), "ok")


@pytest.mark.parametrize("name", works("fisher", but=["ignores its input", "weight norm"]))
def test_fisher_equals_hooks_on_layers(name):
    network, (inputs, labels) = deterministic(name), batches_of(dtype=torch.float64)[0]
    reference, calls = trained_copy(network), []

    def keep(layer, _, output):
        # A copy for the rest of the network, which may work in place.
        calls.append((layer, output))
        return output.clone()

    for layer in reference.modules():
        if isinstance(layer, WEIGHT_LAYERS):
            layer.register_forward_hook(keep)
    loss = functional.cross_entropy(reference(inputs.clone()), labels)
    expected = 0.0
    for layer, output in calls:
        if output.requires_grad:
            (gradient,) = torch.autograd.grad(
                loss, output, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            product = (output * gradient).detach()
            product = product if isinstance(layer, nn.Linear) else product.movedim(1, -1)
            channels = product.reshape(len(inputs), -1, product.shape[-1]).sum(1).square().mean(0) / 2
            expected += float(channels.sum()) * layer.weight.numel() / len(channels)
    assert value_of(network, "fisher") == (pytest.approx(expected, rel=1e-10), "ok")
    assert expected > 0


def test_multiply_adds_do_not_depend_on_how_attention_is_written():
    # Patches; per block: query, key and value; products with keys and values; projection; two more linear layers; head.
    tokens, width, hidden = 5, 8, 12
    block = tokens * (3 * width * (width + 1) + 2 * tokens * width + width * (width + 1))
    block += tokens * (hidden * (width + 1) + width * (hidden + 1))
    expected = 4 * 8 * (3 * 16 + 1) + 2 * block + 5 * (width + 1)
    for name in ("torch transformer", "written transformer"):
        assert value_of(build(name), "flops", batches=batches_of()) == (expected, "ok")


def test_feature_maps_of_blocks():
    shapes = {
        "ResNet": [4, 4, 4, 8, 8],
        "MobileNet": [4, 4, 6, 8],
        "wrapper": [4, 4, 8],
        "names its blocks": [4, 6],
        "ConvNeXt": [4, 4, 4],
        "NAS-Bench-201": [4, 4, 8, 8, 16, 16],
    }
    for name, channels in shapes.items():
        network = build(name)
        blocks = nbnas.networks.feature_maps.feature_blocks(network)
        features = record(network, batches_of()[0][0], blocks).features
        assert [feature.shape[1] for feature in features] == channels, name


class CustomFunction(torch.autograd.Function):
    """A product whose backward pass torch does not see into."""

    @staticmethod
    def forward(ctx, inputs, weight):
        ctx.save_for_backward(inputs, weight)
        return inputs @ weight.T

    @staticmethod
    def backward(ctx, gradient):
        inputs, weight = ctx.saved_tensors
        return gradient @ weight, gradient.T @ inputs


class UsesCustomFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(192, 6), nn.Linear(6, 6)

    def forward(self, inputs):
        hidden = torch.tanh(self.first(inputs.flatten(1)))
        return CustomFunction.apply(torch.tanh(self.head(hidden)), self.head.weight)


class OnceDifferentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs, scale):
        ctx.save_for_backward(inputs, scale)
        return inputs * scale

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        inputs, scale = ctx.saved_tensors
        return gradient * scale, (gradient * inputs).sum(0)


class UsesOnceDifferentiable(UsesCustomFunction):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, inputs):
        return self.head(OnceDifferentiable.apply(torch.tanh(self.first(inputs.flatten(1))), self.scale))


def test_weight_used_by_a_custom_function_as_well_as_by_its_layer():
    network = UsesCustomFunction().double()
    (inputs, labels), *_ = batches_of(dtype=torch.float64)
    jacobian, _ = entry_jacobian(network, inputs, [("head.weight", 3)])
    rows = [torch.autograd.grad(z, network.head.weight, retain_graph=True)[0] for z in network(inputs).flatten()]
    torch.testing.assert_close(jacobian.flatten(), torch.stack(rows).flatten(1)[:, 3])
    weights = [network.first.weight, network.head.weight]
    signs = [
        [gradient.sign() for gradient in naive_gradients(network, weights, sample, label)]
        for sample, label in zip(inputs.split(1), labels.split(1), strict=True)
    ]
    agreement = sum(float(sum(column).abs().sum()) for column in zip(*signs, strict=True))
    assert value_of(network, "gradsign", "gradsign_sum") == (agreement, "ok")


def test_missing_second_derivative_is_named():
    table = nbnas.score(UsesOnceDifferentiable(), ["vkdnw", "grasp", "snip"], batches=batches_of())
    assert table.status["snip"] == "ok"
    for score in ("vkdnw_entropy", "grasp"):
        message = "error: UnsupportedModelError: needs operations that can be differentiated twice: "
        assert table.status[score].startswith(message)


class FunctionalNorm(nn.Module):
    """Normalises by the statistics of the batch without a module."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, inputs):
        normalised = functional.batch_norm(self.conv(inputs), None, None, training=True)
        return self.head(torch.relu(normalised).mean((2, 3)))


def test_batch_statistics_without_a_module(monkeypatch):
    monkeypatch.setitem(NETWORKS, "functional norm", FunctionalNorm)
    table = nbnas.score(FunctionalNorm(), VKDNW.split(), batches=batches_of())
    assert table.status.str.startswith("error: UnsupportedModelError: needs samples that do not interact").all()
    test_tangent_kernel_equals_one_backward_pass_per_sample("functional norm")
    test_gradsign_equals_batches_of_one("functional norm")


def test_kink_away_from_zero_is_no_relu():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Hardtanh(), nn.Linear(8, 5))
    assert value_of(network, "naswot", batches=batches_of())[1] == NO_RELU
    network[2] = nn.Hardtanh(0, 2)
    assert value_of(network, "naswot", batches=batches_of())[1] == "ok"


def test_pixels_of_the_input_are_no_features():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(192, 5))
    assert value_of(network, "zen", batches=batches_of())[1] == NO_MAPS


class Cached(nn.Module):
    """Keeps a tensor with its graph from the pass before, and a boolean buffer."""

    def __init__(self):
        super().__init__()
        self.network = convnet()
        self.register_buffer("mask", torch.tensor([True] * 5))

    def forward(self, inputs):
        self.kept = self.network(inputs) * self.mask
        return self.kept


def test_network_that_keeps_tensors_of_the_pass_before():
    network = Cached()
    network(batches_of()[0][0])
    kept, graph = network.kept, network.kept.grad_fn
    table = nbnas.score(network, batches=batches_of())
    assert set(table.status) <= {"ok", "non_finite"}
    assert network.kept is kept
    assert kept.grad_fn is graph


def test_network_that_cannot_be_copied_is_refused():
    network = convnet()
    network.stream = (number for number in range(3))
    table = nbnas.score(network, ["snip", "vkdnw"], batches=batches_of())
    assert table.status.str.startswith(
        "error: UnsupportedModelError: needs a network that copy.deepcopy can copy"
    ).all()


# ------------------------------------------------------------------------------------------------------ nothing is left


def snapshot(network):
    return {
        "state": {name: tensor.clone() for name, tensor in network.state_dict().items()},
        "gradients": {name: p.grad if p.grad is None else p.grad.clone() for name, p in network.named_parameters()},
        "trainable": {name: parameter.requires_grad for name, parameter in network.named_parameters()},
        "identities": [id(tensor) for tensor in (*network.parameters(), *network.buffers())],
        "modules": [
            (name, id(module), module.training, getattr(module, "inplace", None), sorted(vars(module)))
            for name, module in network.named_modules()
        ],
        "hooks": [
            [len(vars(module)[kind]) for kind in vars(module) if kind.endswith("_hooks")]
            for module in network.modules()
        ],
    }


def assert_same(before, after):
    for part in ("trainable", "identities", "modules", "hooks"):
        assert after[part] == before[part]
    for part in ("state", "gradients"):
        assert after[part].keys() == before[part].keys()
        for name, tensor in after[part].items():
            assert tensor is before[part][name] or torch.equal(tensor, before[part][name])


def bits(table):
    return {name: (value.hex(), status) for name, value, status in table[["value", "status"]].itertuples()}


@pytest.mark.parametrize("name", NETWORKS)
def test_scoring_leaves_no_trace_and_depends_on_nothing_else(name):
    network, batches = build(name), batches_of()
    for number, parameter in enumerate(network.parameters()):
        if number % 2:
            parameter.grad = torch.full_like(parameter, 7)
    for number, module in enumerate(network.children()):
        module.train(number % 2 == 0)
    network.register_forward_hook(lambda *_: None)
    before, given = snapshot(network), copy.deepcopy(batches)
    generators = torch.get_rng_state(), random.getstate()

    together = nbnas.score(network, batches=batches)

    assert torch.equal(torch.get_rng_state(), generators[0])
    assert random.getstate() == generators[1]
    assert_same(before, snapshot(network))
    for (inputs, labels), (inputs_given, labels_given) in zip(batches, given, strict=True):
        assert torch.equal(inputs, inputs_given)
        assert torch.equal(labels, labels_given)
        assert not inputs.requires_grad
        assert inputs.grad is None

    torch.rand(3)
    assert bits(nbnas.score(network, batches=batches)) == bits(together)
    for proxy in nbnas.list_proxies().index:
        alone = bits(nbnas.score(network, proxy, batches=batches))
        assert alone == {score: bits(together)[score] for score in alone}, proxy


class AlwaysRandom(nn.Module):
    """Dropout that is active in eval mode, too."""

    def __init__(self):
        super().__init__()
        self.network = convnet()

    def forward(self, inputs):
        return self.network(functional.dropout(inputs, 0.3))


def test_network_that_is_random_in_eval_mode(monkeypatch):
    monkeypatch.setitem(NETWORKS, "random", AlwaysRandom)
    test_scoring_leaves_no_trace_and_depends_on_nothing_else("random")


WELL_CONDITIONED = [
    "flops", "params", "trainable_layers", "l2_norm", "grad_norm", "grad_norm_layerwise", "snip", "synflow", "fisher",
    "az_expressivity", "vkdnw_trace",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in ("dropout", "MobileNet")])
def test_float32_and_float64_agree(name):
    network = build(name)
    single = nbnas.score(network, WELL_CONDITIONED, batches=batches_of())
    double = nbnas.score(network.double(), WELL_CONDITIONED, batches=batches_of(dtype=torch.float64))
    assert (single.status == double.status).all()
    expected = double.loc[WELL_CONDITIONED].query("status == 'ok'").value
    assert len(expected) >= 3
    np.testing.assert_allclose(single.value[expected.index], expected, rtol=1e-4)


def test_network_that_ignores_its_input_has_a_jacobian_but_no_score():
    # The matrix exists; as a score of how a network tells inputs apart it says nothing.
    network = IgnoresItsInput().double()
    jacobian, _ = entry_jacobian(network, batches_of(dtype=torch.float64)[0][0], [("head.bias", 0)])
    assert (jacobian[:, 0] == 1).all()
    assert value_of(network, "vkdnw", "vkdnw_entropy")[1] == "degenerate"
