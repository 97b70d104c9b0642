"""Networks and arguments as people bring them: the right scores, or one line, and the network stays as it is."""

import copy
import math
import random
import threading
import warnings
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nbnas
from nbnas.errors import NbnasError

SHAPE, CLASSES = (4, 3, 8, 8), 5


def plain(classes=CLASSES):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU(),
        nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes),
    )  # fmt: skip


def with_activation(function):
    network = plain()
    for place in (2, 5, 8):
        network[place] = Wrapped(function)
    return network


class Wrapped(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, inputs):
        return self.function(inputs)


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = plain()

    def forward(self, inputs):
        return self.network(inputs)


@pytest.fixture(scope="module")
def expected():
    return nbnas.score(plain(), input_shape=SHAPE)


OF_MODULES = ["near", "near_plain", "meco", "meco_paper", "meco_opt", "dextr_s"]
"""Scores that by definition change when the same function is cut into other modules."""


def assert_same(table, expected):
    assert table.status.to_dict() == expected.status.to_dict()
    np.testing.assert_allclose(table.value, expected.value, rtol=2e-3, atol=1e-9)


def state_of(network):
    return [tensor.clone() for tensor in (*nn.Module.parameters(network), *network.buffers())]


# ------------------------------------------------------------------------------------- the same function, other clothes


def closure():
    network = plain()
    original = network.forward
    network.forward = lambda inputs: original(inputs)
    return network


def closure_that_cannot_be_copied_in_part():
    network, lock = plain(), threading.Lock()
    original = network.forward

    def forward(inputs):
        with lock:
            return original(inputs)

    network.forward = forward
    return network


class TrainReturnsNothing(Body):
    def train(self, mode=True):
        super().train(mode)


class ListOfParameters(Body):
    def parameters(self, recurse=True):
        return list(super().parameters(recurse))


class FourOnly(Body):
    def forward(self, inputs):
        assert inputs.shape == SHAPE
        return super().forward(inputs)


class Output(NamedTuple):
    logits: Tensor
    auxiliary: Tensor


class Named(Body):
    def forward(self, inputs):
        return Output(super().forward(inputs), inputs)


class NamedInTraining(Named):
    def forward(self, inputs):
        output = super().forward(inputs)
        return output if self.training else output.logits


SAME = {
    "forward is a closure": (closure, {}),
    "forward holds a lock": (closure_that_cannot_be_copied_in_part, {}),
    "train() returns nothing": (TrainReturnsNothing, {}),
    "parameters() is a list": (ListOfParameters, {}),
    "DataParallel": (lambda: nn.DataParallel(plain()), {}),
    "DataParallel inside": (lambda: nn.Sequential(nn.DataParallel(plain()[:9]), *plain()[9:]), {}),
    "torch.compile": (lambda: torch.compile(plain(), backend="eager"), {}),
    "one batch size": (FourOnly, {}),
    "named output": (Named, {}),
    "name of an output": (Named, {"logits": "logits"}),
    "index in train mode alone": (NamedInTraining, {"logits": 0}),
    "relu, in place": (lambda: with_activation(lambda inputs: functional.relu(inputs, inplace=True)), {}),
    "relu_": (lambda: with_activation(torch.relu_), {}),
}


@pytest.mark.parametrize(("build", "options"), SAME.values(), ids=SAME)
def test_the_same_function_has_the_same_scores(build, options, expected):
    network = build()
    before = state_of(network)
    table = nbnas.score(network, input_shape=SHAPE, **options)
    assert_same(table.drop(OF_MODULES), expected.drop(OF_MODULES))
    refused = {status for status in table.status[OF_MODULES] if status != "ok"}
    sentence = "error: UnsupportedModelError: needs a network that takes a batch of 1, not of 4 alone"
    assert refused == ({sentence} if build is FourOnly else set())
    assert all(map(torch.equal, before, state_of(network)))


@pytest.mark.parametrize("by_context", [True, False])
def test_default_device_of_the_caller_changes_nothing(by_context, expected):
    network = plain()
    if by_context:
        with torch.device("meta"):
            table = nbnas.score(network, input_shape=SHAPE)
    else:
        torch.set_default_device("meta")
        try:
            table = nbnas.score(network, input_shape=SHAPE)
        finally:
            torch.set_default_device(None)
    assert_same(table, expected)


def test_hooks_of_the_user_are_not_told_of_copies():
    network, seen = plain(), []
    network[0].register_forward_hook(lambda module, arguments, output: seen.append(output))
    nbnas.score(network, ["grad_norm", "vkdnw"], input_shape=SHAPE)
    assert not seen
    network(torch.zeros(SHAPE))
    assert len(seen) == 1


def test_weights_may_be_normalised_by_batch_norm():
    class Standardised(nn.Conv2d):
        def forward(self, inputs):
            flat = self.weight.reshape(1, self.out_channels, -1)
            weight = functional.batch_norm(flat, None, None, training=True, eps=1e-6).reshape_as(self.weight)
            return functional.conv2d(inputs, weight, self.bias, self.stride, self.padding)

    class ByHand(nn.Conv2d):
        def forward(self, inputs):
            variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
            weight = (self.weight - mean) * torch.rsqrt(variance + 1e-6)
            return functional.conv2d(inputs, weight, self.bias, self.stride, self.padding)

    tables = []
    for kind in (Standardised, ByHand):
        torch.manual_seed(0)
        layers = [kind(3, 4, 3), nn.ReLU(), kind(4, 8, 3), nn.ReLU()]
        network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES))
        names = ["vkdnw", "grad_norm", "snip", "gradsign", "te_nas_ntk"]
        tables.append(nbnas.score(network, names, input_shape=SHAPE))
    assert_same(*tables)
    assert tables[0].status["vkdnw_entropy"] == "ok"


# ------------------------------------------------------------------------------------------------ no wrong number is ok

HELD = plain()


class NotCopied(Body):
    def __deepcopy__(self, memo):
        return self


class Redrawn(Body):
    def __setstate__(self, state):
        super().__setstate__(state)
        for parameter in self.parameters():
            nn.init.ones_(parameter)


class UsesAnother(Body):
    def forward(self, inputs):
        return HELD(inputs)


def uses_another():
    network = UsesAnother()
    network.held = HELD
    return network


def scripted():
    return torch.jit.script(plain())


def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(CLASSES))


REFUSED = {
    "not copied": (NotCopied, "a network whose copies by copy.deepcopy have weights of their own"),
    "redrawn": (Redrawn, "a network whose copies by copy.deepcopy have its weights"),
    "uses another": (uses_another, "a network whose copies use weights of their own"),
    "scripted": (scripted, "an eager network, not one made by torch.jit"),
    "lazy": (lazy, "a network that has run once: its lazy layers have no weights"),
}


@pytest.mark.parametrize(("build", "message"), REFUSED.values(), ids=REFUSED)
def test_a_network_whose_copies_are_not_itself_is_refused_and_untouched(build, message):
    network = build()
    is_lazy = build is lazy
    before = [] if is_lazy else state_of(network)
    names = ["grad_norm", "zen", "flops", "vkdnw", "synflow"]
    status = nbnas.score(network, names, input_shape=SHAPE, init=None).status
    assert status.str.startswith(f"error: UnsupportedModelError: needs {message}").all(), status.iloc[0]
    assert is_lazy or all(map(torch.equal, before, state_of(network)))


@pytest.mark.parametrize("choose", [random.randrange, np.random.randint], ids=["Python", "NumPy"])
def test_networks_that_draw_their_path_are_seeded(choose):
    class Supernet(nn.Module):
        def __init__(self):
            super().__init__()
            self.choices = nn.ModuleList(nn.Conv2d(3, 8, size) for size in (1, 3, 5))
            self.classifier = nn.Linear(8, CLASSES)

        def forward(self, inputs):
            return self.classifier(self.choices[choose(3)](inputs).relu().mean((2, 3)))

    network, tables = Supernet(), []
    for seed in range(4):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
        tables.append(nbnas.score(network, ["flops", "snip"], input_shape=SHAPE))
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
    assert all(table.value.equals(tables[0].value) for table in tables)


GRADIENTS = ["grad_norm", "snip", "grasp", "plain", "fisher", "gradsign"]


def test_a_loss_that_no_weight_changes_is_degenerate():
    # The cross-entropy of one logit is 0 whatever it is.
    assert set(nbnas.score(plain(classes=1), GRADIENTS, input_shape=SHAPE).status) == {"degenerate"}


def test_gradients_that_are_cut_off_are_degenerate():
    network = torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear}, dtype=torch.qint8)
    assert "ok" not in set(nbnas.score(network, [*GRADIENTS, "zico"], input_shape=SHAPE).status)


def test_weights_that_keep_their_values_are_named():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(4, 3, 3, 3))

        def forward(self, inputs):
            return functional.conv2d(inputs, self.kernel, padding=1)

    network = plain()
    network[0] = Own()
    with pytest.warns(UserWarning, match=r"the published initialisation does not know 1 parameters.*: 0\.kernel"):
        nbnas.score(network, "snip", input_shape=SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nbnas.score(network, "snip", input_shape=SHAPE, init=None)
        nbnas.score(plain(), "snip", input_shape=SHAPE)


# ----------------------------------------------------------------------------------------------- where a method applies


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs)

    def forward(self, inputs):
        return self.norm(self.convolution(inputs)).relu()


class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()

    def forward(self, inputs):
        return self.flatten(self.pool(inputs))


class OwnPool(Pool):
    """Pools by a module that no list knows."""

    def __init__(self):
        super().__init__()
        self.pool = Wrapped(lambda inputs: inputs.mean((2, 3)))


class OwnLinear(nn.Linear):
    pass


def staged(*tail):
    torch.manual_seed(0)
    return nn.Sequential(Block(3, 4), Block(4, 8, 2), Block(8, 8), *tail)


def head(linear):
    return nn.Sequential(nn.Sequential(nn.Dropout(0.0), linear))


TAILS = {
    "pooling module": lambda: (Pool(), nn.Linear(8, CLASSES)),
    "own pooling": lambda: (OwnPool(), nn.Linear(8, CLASSES)),
    "own linear layer": lambda: (Pool(), head(OwnLinear(8, CLASSES))),
    "parametrised": lambda: (Pool(), nn.utils.parametrizations.weight_norm(nn.Linear(8, CLASSES))),
}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_pooling_and_classifier_are_no_feature_maps(tail):
    names = ["az_*", "zen"]
    reference = staged(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES))
    expected = nbnas.score(reference, names, input_shape=SHAPE)
    assert set(expected.status) == {"ok"}
    assert_same(nbnas.score(staged(*tail()), names, input_shape=SHAPE), expected)


def test_convolutions_of_pooled_features_are_linear_layers_of_vectors():
    pooled = nn.AdaptiveAvgPool2d(1)
    by_convolution = staged(pooled, nn.Conv2d(8, 12, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, CLASSES))
    by_linear = staged(pooled, nn.Flatten(), nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, CLASSES))
    tables = [nbnas.score(network, "zen", input_shape=SHAPE) for network in (by_convolution, by_linear)]
    assert set(tables[0].status) == {"ok"}
    assert_same(*tables)


def test_sizes_are_counted_without_numbers():
    with torch.device("meta"):
        network = plain()
    table = nbnas.score(network, ["params", "trainable_layers", "flops", "snip"], input_shape=SHAPE)
    assert table.value[["params", "trainable_layers", "flops"]].tolist() == [
        sum(parameter.numel() for parameter in network.parameters()),
        len(list(network.parameters())),
        64 * 4 * 28 + 16 * 6 * 37 + 16 * 8 * 55 + 9 * CLASSES,
    ]
    assert table.status["snip"].startswith("error: UnsupportedModelError: needs weights with values")


def test_tokens_are_scored():
    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.classifier = nn.Embedding(10, 6), nn.Linear(6, CLASSES)

        def forward(self, tokens):
            return self.classifier(self.embedding(tokens).relu().mean(1))

    network, tokens, labels = Text(), torch.arange(28).view(4, 7) % 10, torch.tensor([0, 1, 2, 3])
    table = nbnas.score(network, ["grad_norm", "jacov", "synflow"], batches=[(tokens, labels)], init=None)
    gradients = torch.autograd.grad(functional.cross_entropy(network(tokens), labels), list(network.parameters()))
    assert table.value["grad_norm"] == pytest.approx(math.sqrt(sum(float((g**2).sum()) for g in gradients)), rel=1e-5)
    assert table.status[["jacov", "synflow"]].str.contains("whole").all()


# ------------------------------------------------------------------------------------------------------------ arguments


def batch():
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3])


def test_arrays_and_iterators_are_batches(expected):
    inputs, labels = batch()
    reference = nbnas.score(plain(), "snip", batches=[(inputs, labels)])
    for batches in ([(inputs.numpy(), labels.numpy())], iter([(inputs, labels)]), ([inputs, labels],)):
        assert nbnas.score(plain(), "snip", batches=batches).value.equals(reference.value)


INPUTS, LABELS = batch()
UNUSABLE = {
    "a pair": ({"batches": (INPUTS, LABELS)}, "found Tensor in place of a pair"),
    "inputs alone": ({"batches": INPUTS}, "got Tensor"),
    "dictionaries": ({"batches": [{"image": INPUTS}]}, "found dict in place of a pair"),
    "triples": ({"batches": [(INPUTS, LABELS, LABELS)]}, "found 3 entries in place of a pair"),
    "other samples": ({"batches": [(INPUTS, LABELS[:2])]}, "not of the same samples"),
    "columns of labels": ({"batches": [(INPUTS, LABELS[:, None])]}, r"labels must be \(samples,\)"),
    "labels beyond the logits": ({"batches": [(INPUTS, LABELS + 2)]}, "labels must be 0 to 4, for 5 logits; got 5"),
    "one number": ({"input_shape": 8}, "got input_shape=8"),
    "floats": ({"input_shape": (4.0, 3, 8, 8)}, "got input_shape"),
    "negative": ({"input_shape": (-4, 3, 8, 8)}, "got input_shape"),
    "no classes": ({"input_shape": SHAPE, "num_classes": 0}, "num_classes must be a positive whole number, got 0"),
    "no seed": ({"input_shape": SHAPE, "seed": None}, "seed must be a whole number, got None"),
    "other channels": ({"input_shape": (4, 1, 8, 8), "num_classes": 5}, "does not run on inputs"),
}


@pytest.mark.parametrize(("arguments", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_arguments_are_one_line(arguments, message):
    with pytest.raises(NbnasError, match=message) as caught:
        nbnas.score(plain(), "snip", **copy.copy(arguments))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("model", "message"), [(nn.Conv2d, "the class Conv2d: call it first"), (None, "not NoneType")])
def test_only_networks_are_scored(model, message):
    with pytest.raises(NbnasError, match=message):
        nbnas.score(model, "snip", input_shape=SHAPE)
