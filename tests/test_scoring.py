"""The contract of nbnas.score: what it leaves alone, what its result depends on, and what it does with failures."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

import nbnas
from nbnas.errors import NbnasError
from nbnas.proxies import DegenerateScoreError, ProxyInfo, register, registry, select_proxies

SHAPE = (4, 3, 8, 8)
BUILT_IN = ["flops", "params", "trainable_layers", "vkdnw"]


@pytest.fixture
def add_proxy(monkeypatch):
    """Register proxies that are gone after the test."""
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))

    def add(function, name="custom", **changes):
        record = {
            "name": name,
            "title": "A proxy of this test",
            "paper": "none",
            "formula": "none",
            "higher_is_better": True,
            "mode": "eval",
            "batches": 1,
            "needs_labels": False,
            "initialisation": None,
            "cost": "none",
            "scores": (name,),
        }
        register(ProxyInfo(**record | changes))(function)

    return add


def small_network():
    """Convolution, BatchNorm, in-place activation and classifier, with weights and statistics of their own."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    for tensor in (*network.parameters(), network[1].running_mean):
        tensor.data.copy_(torch.randn(tensor.shape, generator=generator))
    return network


def batch(seed=1, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=generator, dtype=dtype), torch.randint(5, (SHAPE[0],), generator=generator)


def raises(error):
    def function(network, batches, generator):
        raise error

    return function


def returns(values):
    return lambda network, batches, generator: values


def values_of(table):
    assert set(table.status) == {"ok"}
    return table.value.to_dict()


# ------------------------------------------------------------------------------------------------ the shape of a result


def test_result_is_a_table_indexed_by_score():
    table = nbnas.score(small_network(), BUILT_IN, input_shape=SHAPE)
    assert table.index.name == "score"
    assert table.columns.tolist() == ["value", "status", "seconds"]
    deciles = [f"decile_{k}" for k in range(1, 10)]
    assert table.index.tolist() == [
        "flops",
        "params",
        "trainable_layers",
        *(f"vkdnw_{name}" for name in ("entropy", *deciles, "trace")),
        *(f"vkdnw_paper_{name}" for name in ("entropy", *deciles, "trace")),
    ]
    assert table.value.dtype == float
    assert (table.seconds > 0).all()
    # One run of VKDNW returned its 22 scores.
    assert table.seconds[table.index.str.startswith("vkdnw")].nunique() == 1


def test_all_proxies_are_scored_unless_some_are_named():
    table = nbnas.score(small_network(), input_shape=SHAPE)
    assert table.index.tolist() == [score for scores in nbnas.list_proxies().scores for score in scores]


def test_list_of_proxies_has_a_row_per_proxy_and_a_column_per_question():
    table = nbnas.list_proxies()
    assert table.index.name == "name"
    assert table.index.is_unique
    assert table.columns.tolist() == [
        "title",
        "paper",
        "formula",
        "higher_is_better",
        "mode",
        "batches",
        "needs_labels",
        "initialisation",
        "cost",
        "scores",
    ]
    assert (table[["title", "paper", "formula", "cost"]].map(len) > 0).all(axis=None)
    table = table.loc[BUILT_IN]
    assert table.batches.tolist() == [1, 0, 0, 1]
    assert table.initialisation.isna().tolist() == [True, True, True, False]
    assert table.initialisation["vkdnw"] == "kaiming_normal"
    assert table.scores.map(len).tolist() == [1, 1, 1, 22]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ("*", ["alpha", "beta", "gamma", "alpine"]),
        ("beta", ["beta"]),
        ("al*", ["alpha", "alpine"]),
        (["gamma", "beta"], ["beta", "gamma"]),
        (["beta", "b*", "beta"], ["beta"]),
        ("[bg]*a", ["beta", "gamma"]),
        ("alp???", ["alpine"]),
    ],
)
def test_patterns_choose_each_proxy_once_in_order_of_registration(add_proxy, patterns, names):
    registry._REGISTRY.clear()
    for name in ("alpha", "beta", "gamma", "alpine"):
        add_proxy(returns({name: 1.0}), name)
    assert [proxy.info.name for proxy in select_proxies(patterns)] == names


@pytest.mark.parametrize("pattern", ["", "Beta", "bet", "beta?"])
def test_pattern_without_a_match_is_refused(add_proxy, pattern):
    add_proxy(returns({"beta": 1.0}), "beta")
    with pytest.raises(NbnasError, match=f"no proxy matches {pattern!r}; there are flops, ".replace("?", "\\?")):
        select_proxies(["beta", pattern])


# --------------------------------------------------------------------------------------------- the model is left alone


def snapshot(network):
    """Everything about a network that scoring could change."""
    return {
        "state": {name: tensor.clone() for name, tensor in network.state_dict().items()},
        "identities": [id(tensor) for tensor in (*network.parameters(), *network.buffers())],
        "requires_grad": [parameter.requires_grad for parameter in network.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in network.parameters()],
        "training": [module.training for module in network.modules()],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks), len(m._backward_pre_hooks))
            for m in network.modules()
        ],
        "modules": [id(module) for module in network.modules()],
        "devices": [(parameter.device, parameter.dtype) for parameter in network.parameters()],
    }


def assert_same(before, after):
    for name, tensor in before.pop("state").items():
        assert torch.equal(tensor, after["state"][name])
    del after["state"]
    for expected, actual in zip(before.pop("gradients"), after.pop("gradients"), strict=True):
        assert (expected is None) == (actual is None)
        assert expected is None or torch.equal(expected, actual)
    assert before == after


def vandal(network, batches, generator):
    """Change all that can be changed, then fail."""
    for parameter in network.parameters():
        parameter.requires_grad_(not parameter.requires_grad)
        parameter.grad = torch.ones_like(parameter)
        parameter.data.fill_(1)
    for buffer in network.buffers():
        buffer.fill_(1)
    network.train(not network.training)
    network.register_forward_hook(print)
    network.append(nn.Identity())
    raise RuntimeError("after the damage")


@pytest.mark.parametrize("init", ["published", None])
@pytest.mark.parametrize("training", [True, False])
def test_model_is_left_as_found(add_proxy, init, training):
    add_proxy(vandal, "vandal", mode="train", needs_labels=True, initialisation="kaiming_normal")
    network = small_network().train(training)
    network[1].train(not training)
    network[0].weight.requires_grad_(False)
    network[5].weight.grad = torch.full_like(network[5].weight, 7)
    network[2].register_forward_hook(lambda *_: None)
    before = snapshot(network)
    table = nbnas.score(network, input_shape=SHAPE, init=init)
    assert table.status["vandal"] == "error: RuntimeError: after the damage"
    assert (table.status.drop("vandal") == "ok").all()
    assert_same(before, snapshot(network))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_proxy_receives_a_copy_in_its_mode(add_proxy, mode):
    received = []
    add_proxy(lambda network, batches, generator: received.append(network) or {"custom": 1.0}, mode=mode)
    network = small_network().train(mode == "eval")
    nbnas.score(network, "custom", input_shape=SHAPE)
    assert received[0] is not network
    assert {module.training for module in received[0].modules()} == {mode == "train"}


FIRST_LAYERS = {
    "activation": lambda: nn.ReLU(inplace=True),
    "dropout": lambda: nn.Dropout(inplace=True),
}


@pytest.mark.parametrize("first_layer", FIRST_LAYERS.values(), ids=FIRST_LAYERS)
def test_batches_of_the_user_are_left_as_found(add_proxy, first_layer):
    # A network that starts in place writes into the inputs it gets.
    add_proxy(lambda network, batches, generator: {"custom": network(batches[0][0]).sum().detach()}, mode="train")
    inputs, labels = batch()
    before = inputs.clone()
    nbnas.score(nn.Sequential(first_layer(), small_network()), batches=[(inputs, labels)], init=None)
    assert torch.equal(inputs, before)


def test_proxies_do_not_see_what_others_did_to_the_batches(add_proxy):
    def total(network, batches, generator):
        inputs, _ = batches[0]
        result = float(inputs.abs().sum())
        inputs.zero_()
        return {"total": result}

    def same_total(network, batches, generator):
        return {"same_total": total(network, batches, generator)["total"]}

    add_proxy(total, "total")
    add_proxy(same_total, "same_total")
    values = values_of(nbnas.score(small_network(), "*total", input_shape=SHAPE))
    assert values["total"] == values["same_total"] > 0


# ----------------------------------------------------------------------------------------- what a result depends on


def test_same_seed_gives_same_scores_and_another_seed_others():
    first, again, other = (values_of(nbnas.score(small_network(), input_shape=SHAPE, seed=s)) for s in (3, 3, 4))
    assert first == again
    assert first["vkdnw_entropy"] != other["vkdnw_entropy"]
    assert first["params"] == other["params"]


def global_random_state():
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), (name, keys.tolist(), *rest), random.getstate()


@pytest.mark.parametrize("first_seed", [0, 1])
def test_global_random_state_is_neither_read_nor_changed(first_seed):
    expected = values_of(nbnas.score(small_network(), input_shape=SHAPE))
    network = small_network()
    torch.manual_seed(first_seed)
    np.random.seed(first_seed)  # noqa: NPY002
    random.seed(first_seed)
    before = global_random_state()
    assert values_of(nbnas.score(network, input_shape=SHAPE)) == expected
    assert global_random_state() == before


def test_generators_of_accelerators_that_are_not_scored_on_are_left_alone(monkeypatch):
    # torch.manual_seed seeds those of all accelerators; torch.random.fork_rng restores only the ones it is told.
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    nbnas.score(small_network(), "params", input_shape=SHAPE, device="cpu")
    assert seeded == []


def test_dropout_in_a_train_mode_proxy_draws_from_the_seed(add_proxy):
    def output(network, batches, generator):
        return {"custom": network(batches[0][0]).sum().detach()}

    add_proxy(output, mode="train")
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 5))
    values = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        before = global_random_state()
        values.append(values_of(nbnas.score(network, "custom", input_shape=SHAPE))["custom"])
        assert global_random_state() == before
    assert values[0] == values[1]


@pytest.mark.parametrize("name", BUILT_IN)
def test_scores_do_not_depend_on_the_other_proxies(add_proxy, name):
    alone = values_of(nbnas.score(small_network(), name, input_shape=SHAPE))

    def draws(network, batches, generator):
        return {"greedy": float(torch.rand(100, generator=generator).sum())}

    add_proxy(draws, "greedy", batches=3, needs_labels=True)
    together = values_of(nbnas.score(small_network(), "*", input_shape=SHAPE))
    assert {score: together[score] for score in alone} == alone


def test_each_proxy_draws_from_a_stream_of_its_own(add_proxy):
    def first(network, batches, generator):
        return {"first": float(torch.rand(1, generator=generator))}

    def second(network, batches, generator):
        return {"second": float(torch.rand(1, generator=generator))}

    add_proxy(first, "first")
    add_proxy(second, "second")
    both = values_of(nbnas.score(small_network(), ["first", "second"], input_shape=SHAPE))
    assert both["first"] != both["second"]
    assert values_of(nbnas.score(small_network(), "second", input_shape=SHAPE))["second"] == both["second"]


def other_weights(network):
    changed = copy.deepcopy(network)
    for parameter in changed.parameters():
        parameter.data.mul_(-1.5)
    changed[1].running_mean.add_(3)
    return changed


def test_published_initialisation_ignores_the_given_weights():
    network = small_network()
    assert values_of(nbnas.score(network, input_shape=SHAPE)) == values_of(
        nbnas.score(other_weights(network), input_shape=SHAPE)
    )


def test_without_initialisation_the_given_weights_are_scored():
    network = small_network()
    entropies = [
        values_of(nbnas.score(model, "vkdnw", batches=[batch()], init=None, seed=seed))["vkdnw_entropy"]
        for model, seed in [(network, 0), (network, 1), (other_weights(network), 0)]
    ]
    # The inputs are given too, so nothing is left for the seed.
    assert entropies[0] == entropies[1]
    assert entropies[0] != entropies[2]


def test_published_initialisation_is_kaiming_normal(add_proxy):
    networks = []

    def keep(network, batches, generator):
        networks.append(network)
        return {"custom": 1.0}

    add_proxy(keep, initialisation="kaiming_normal", batches=0)
    network = nn.Sequential(
        nn.Conv2d(8, 64, 3, groups=2), nn.BatchNorm2d(64), nn.GroupNorm(4, 64), nn.Flatten(), nn.Linear(256, 100)
    )
    for parameter in network.parameters():
        parameter.data.fill_(5)
    network[1].running_var.fill_(5)
    nbnas.score(network, "custom", input_shape=SHAPE)
    drawn = networks[0]
    # Fan-in of a grouped convolution: 4 input channels * 9; of the linear layer: 256.
    for layer, fan_in in ((drawn[0], 36), (drawn[4], 256)):
        standard = layer.weight.detach() / (2 / fan_in) ** 0.5
        assert abs(float(standard.mean())) < 4 / standard.numel() ** 0.5
        assert float(standard.std()) == pytest.approx(1, abs=0.05)
        assert layer.bias.abs().max() == 0
    for layer in (drawn[1], drawn[2]):
        assert (layer.weight == 1).all()
        assert (layer.bias == 0).all()
    assert (drawn[1].running_var == 1).all()
    assert (drawn[1].running_mean == 0).all()


def test_drawn_inputs_are_standard_normal_and_labels_uniform(add_proxy):
    received = []
    add_proxy(
        lambda network, batches, generator: received.extend(batches) or {"custom": 1.0}, batches=2, needs_labels=True
    )
    nbnas.score(small_network(), "custom", input_shape=(512, 3, 8, 8))
    assert len(received) == 2
    assert not torch.equal(received[0][0], received[1][0])
    for inputs, labels in received:
        assert inputs.shape == (512, 3, 8, 8)
        assert abs(float(inputs.mean())) < 0.02
        assert float(inputs.std()) == pytest.approx(1, abs=0.02)
        # The model has five classes; nobody said so.
        assert labels.shape == (512,)
        assert labels.dtype == torch.int64
        assert (torch.bincount(labels, minlength=5) > 60).all()
        assert int(labels.max()) == 4


def test_number_of_classes_can_be_given(add_proxy):
    received = []
    add_proxy(lambda network, batches, generator: received.extend(batches) or {"custom": 1.0}, needs_labels=True)
    nbnas.score(small_network(), "custom", input_shape=(512, 3, 8, 8), num_classes=3)
    assert sorted(set(received[0][1].tolist())) == [0, 1, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_given_batches_are_cast_to_the_precision_of_the_model(add_proxy, dtype):
    received = []
    add_proxy(lambda network, batches, generator: received.extend(batches) or {"custom": 1.0})
    given = [batch(seed, torch.float64) for seed in (1, 2)]
    nbnas.score(small_network().to(dtype), "custom", batches=given)
    for (inputs, labels), (given_inputs, given_labels) in zip(received, given, strict=True):
        assert inputs.dtype == dtype
        assert torch.equal(inputs, given_inputs.to(dtype))
        assert torch.equal(labels, given_labels)


def test_given_batches_are_what_is_scored():
    entropies = [
        values_of(nbnas.score(small_network(), "vkdnw", batches=[batch(seed)], init=None))["vkdnw_entropy"]
        for seed in (1, 1, 2)
    ]
    assert entropies[0] == entropies[1] != entropies[2]


# ------------------------------------------------------------------------------------------------------------ failures


FAILURES = {
    "number": (returns({"custom": 2}), "ok"),
    "tensor": (returns({"custom": torch.tensor(2.0)}), "ok"),
    "NaN": (returns({"custom": float("nan")}), "non_finite"),
    "infinity": (returns({"custom": torch.tensor(float("-inf"))}), "non_finite"),
    "degenerate": (raises(DegenerateScoreError("no spectrum")), "degenerate"),
    "exception": (raises(RuntimeError("first line\nsecond line")), "error: RuntimeError: first line"),
    "exception without a message": (raises(KeyError()), "error: KeyError: no message"),
    "missing score": (returns({}), "error: NbnasError: returned [], its record says ['custom']"),
    "other score": (returns({"other": 1.0}), "error: NbnasError: returned ['other'], its record says ['custom']"),
    "not a mapping": (returns(3), "error: TypeError: "),
    "None for a score": (returns({"custom": None}), "error: "),
    "two numbers for a score": (returns({"custom": torch.ones(2)}), "error: "),
}


@pytest.mark.parametrize(("function", "status"), FAILURES.values(), ids=FAILURES)
def test_status_says_what_happened_and_the_others_are_scored(add_proxy, function, status):
    add_proxy(function)
    table = nbnas.score(small_network(), ["params", "custom"], input_shape=SHAPE)
    assert table.status["params"] == "ok"
    if status == "ok":
        assert table.status["custom"] == "ok"
        assert table.value["custom"] == 2
    else:
        assert table.status["custom"].startswith(status)
        assert not np.isfinite(table.value["custom"])


def test_each_score_of_a_proxy_has_a_status_of_its_own(add_proxy):
    add_proxy(returns({"a": 1.0, "b": float("inf"), "c": float("nan")}), scores=("a", "b", "c"))
    table = nbnas.score(small_network(), "custom", input_shape=SHAPE)
    assert table.status.to_dict() == {"a": "ok", "b": "non_finite", "c": "non_finite"}
    assert table.value["b"] == float("inf")


def test_failure_fills_a_row_for_each_score_of_the_proxy(add_proxy):
    add_proxy(raises(ValueError("broken")), scores=("a", "b"))
    table = nbnas.score(small_network(), "custom", input_shape=SHAPE)
    assert table.status.to_dict() == dict.fromkeys(["a", "b"], "error: ValueError: broken")
    assert table.value.isna().all()


def test_unsupported_network_is_an_error_of_vkdnw_alone():
    network = nn.Sequential(nn.Flatten(), nn.LayerNorm(192), nn.Linear(192, 3))
    table = nbnas.score(network, input_shape=SHAPE)
    vkdnw = table.index.str.startswith("vkdnw")
    assert table.status[vkdnw].str.startswith("error: UnsupportedModelError: parameter '1.weight'").all()
    assert table.value[vkdnw].isna().all()
    assert (table.status[~vkdnw] == "ok").all()


def test_too_few_batches_are_an_error_of_the_proxy_that_needs_more(add_proxy):
    add_proxy(returns({"custom": 1.0}), batches=2)
    table = nbnas.score(small_network(), ["custom", "params"], batches=[batch()])
    assert table.status.to_dict() == {"custom": "error: NbnasError: needs 2 batches, got 1", "params": "ok"}


def test_keyboard_interrupt_is_not_swallowed(add_proxy):
    add_proxy(raises(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        nbnas.score(small_network(), "custom", input_shape=SHAPE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"proxies": "vkdnv", "input_shape": SHAPE}, "no proxy matches 'vkdnv'"),
        ({"proxies": ["params", "x*"], "input_shape": SHAPE}, "no proxy matches 'x\\*'"),
        ({"proxies": [], "input_shape": SHAPE}, "prox"),
        ({"input_shape": SHAPE, "init": "kaiming"}, "init must be 'published' or None, got 'kaiming'"),
        ({}, "give batches, or input_shape"),
        ({"input_shape": (3, 32, 32)}, "got input_shape=\\(3, 32, 32\\)"),
    ],
    ids=["unknown proxy", "unknown pattern", "no proxies", "unknown init", "no inputs", "shape without a batch"],
)
def test_unusable_arguments_are_refused(arguments, message):
    with pytest.raises(NbnasError, match=message):
        nbnas.score(small_network(), **arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "vkdnw", "scores": ("new",)}, "named 'vkdnw', or one of its scores, is already registered"),
        ({"name": "new", "scores": ("new", "vkdnw_trace")}, "'new', or one of its scores, is already registered"),
        ({"name": "new", "mode": "test"}, "mode of proxy 'new' must be 'train' or 'eval', got 'test'"),
    ],
    ids=["name", "score", "mode"],
)
def test_unusable_registration_is_refused_and_leaves_the_list_alone(add_proxy, changes, message):
    before = nbnas.list_proxies()
    with pytest.raises(NbnasError, match=message):
        add_proxy(returns({"new": 1.0}), **changes)
    assert nbnas.list_proxies().equals(before)


def test_registered_proxy_is_listed_and_scored(add_proxy):
    add_proxy(returns({"custom": 4.0}), title="Four")
    assert nbnas.list_proxies().title["custom"] == "Four"
    assert values_of(nbnas.score(small_network(), "c*", input_shape=SHAPE)) == {"custom": 4.0}
    with pytest.raises(NbnasError, match="'custom'"):
        add_proxy(returns({"custom": 5.0}))


# -------------------------------------------------------------------------------------------------------- size proxies


class Shared(nn.Module):
    """Calls one convolution twice and ties a second linear layer to the first."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, inputs):
        return self.second(self.first(self.conv(self.conv(inputs)).mean((2, 3))))


class Mixer(nn.Module):
    """Applies a linear layer to a transposed view, as MLP-Mixer does."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Linear(64, 2)
        self.head = nn.Linear(6, 5)

    def forward(self, inputs):
        return self.head(self.tokens(inputs.flatten(2).transpose(1, 2).contiguous().transpose(1, 2)).flatten(1))


SIZES = {
    # 192 * 10 + 10 biases, 10 * 5 + 5 biases; two weights, two biases.
    "MLP": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.ReLU(), nn.Linear(10, 5)), 1985, 1985, 4),
    # 192 * 5 without a bias.
    "no bias": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 5, bias=False)), 960, 960, 1),
    # 8 * 8 outputs of 6 channels, each 9 products of one input channel and a bias; 7 * 7 * 6 features * 2 + 2.
    # Weights 6 * 9 + 6, BatchNorm 6 + 6, classifier 590.
    "grouped convolution": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, groups=3),
            nn.BatchNorm2d(6),
            nn.MaxPool2d(2, stride=1),
            nn.Flatten(),
            nn.Linear(294, 2),
        ),
        8 * 8 * 6 * 10 + 590,
        60 + 12 + 590,
        6,
    ),
    # Twice 64 pixels * 3 * 27, twice 9 + 3. Weights 81 and 9, two biases of 3.
    "shared layers": (Shared, 2 * 64 * 3 * 27 + 2 * 12, 81 + 9 + 6, 4),
    # Each of 3 channels: 64 * 2 + 2; head 6 * 5 + 5.
    "linear layer on a view": (Mixer, 3 * 130 + 35, 130 + 35, 4),
    # Stride 2 of a transposed convolution: each of 64 pixels meets 3 * 2 * 4 weights; 16 * 16 * 2 biases.
    "transposed convolution": (
        lambda: nn.Sequential(nn.ConvTranspose2d(3, 2, 2, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        64 * 24 + 512,
        24 + 2,
        2,
    ),
}


@pytest.mark.parametrize(("build", "flops", "params", "tensors"), SIZES.values(), ids=SIZES)
def test_size_counted_by_hand(build, flops, params, tensors):
    table = nbnas.score(build(), ["flops", "params", "trainable_layers"], input_shape=SHAPE)
    assert values_of(table) == {"flops": flops, "params": params, "trainable_layers": tensors}


@pytest.mark.parametrize("batch_size", [1, 3])
def test_flops_are_those_of_one_image(batch_size):
    table = nbnas.score(small_network(), "flops", input_shape=(batch_size, 3, 8, 8))
    # 64 pixels * 4 channels * (27 products and a bias), classifier 4 * 5 + 5.
    assert values_of(table) == {"flops": 64 * 4 * 28 + 25}
