"""The contract of nbnas.score: what it leaves alone, what its result depends on, and what it does with failures."""

import copy
import random
import time
import weakref

import numpy as np
import pytest
import torch
from torch import nn

import nbnas
from nbnas.errors import NbnasError
from nbnas.proxies import DegenerateScoreError, only, register, select_proxies
from nbnas.proxies.registry import find, registered

SHAPE = (4, 3, 8, 8)
BUILT_IN = ["flops", "params", "trainable_layers", "vkdnw"]


@pytest.fixture
def add_proxy():
    """Register proxies that are gone after the test."""

    def add(function, name="custom", **changes):
        record = {
            "name": name,
            "title": "A proxy of this test",
            "family": "size",
            "paper": "none",
            "formula": "none",
            "mode": "eval",
            "batches": 1,
            "needs_labels": False,
            "inputs": "none",
            "initialisation": None,
            "requires": "nothing",
            "cost": "none",
            "scores": (name,),
        }
        register(**record | changes)(function)

    with only(*registered()):
        yield add


def small_network():
    """Two convolutions, BatchNorm, in-place activation and classifier, with weights and statistics of their own."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 4, 3, padding=1),
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
    def function(probe):
        raise error

    return function


def returns(values):
    return lambda probe: values


def values_of(table):
    assert set(table.status.drop("ssnr_grasp_log", errors="ignore")) == {"ok"}
    # The logarithm of a negative ratio, which is no number, and not equal to itself.
    return table.value.drop("ssnr_grasp_log", errors="ignore").to_dict()


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
        "family",
        "paper",
        "formula",
        "mode",
        "batches",
        "needs_labels",
        "inputs",
        "initialisation",
        "sees_classifier",
        "requires",
        "cost",
        "scores",
    ]
    assert (table[["title", "paper", "formula", "requires", "cost"]].map(len) > 0).all(axis=None)
    assert set(table.family) == {"size", "saliency", "gradients", "activations", "kernel", "features", "Fisher"}
    assert set(table.inputs) == {"none", "noise", "images"}
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
    with only():
        for name in ("alpha", "beta", "gamma", "alpine"):
            add_proxy(returns({name: 1.0}), name)
        assert [proxy.info.name for proxy in select_proxies(patterns)] == names


@pytest.mark.parametrize(
    ("patterns", "names", "rows"),
    [
        ("size_log", ["size"], ["size_log"]),
        ("*_log", ["size", "depth"], ["size_log", "depth_log"]),
        # A proxy gives all its scores where it is named itself.
        (["depth_mean", "size"], ["size", "depth"], ["size_sum", "size_log", "depth_mean"]),
        (["depth", "depth_log", "depth_*"], ["depth"], ["depth_mean", "depth_log"]),
        ("*e*", ["size", "depth"], ["size_sum", "size_log", "depth_mean", "depth_log"]),
        ("width", ["width"], ["width"]),
    ],
)
def test_names_of_scores_are_patterns_too(add_proxy, patterns, names, rows):
    with only():
        add_proxy(returns({"size_sum": 1.0, "size_log": 0.0}), "size", scores=("size_sum", "size_log"))
        add_proxy(returns({"depth_mean": 2.0, "depth_log": 1.0}), "depth", scores=("depth_mean", "depth_log"))
        add_proxy(returns({"width": 3.0}), "width")
        assert [proxy.info.name for proxy in select_proxies(patterns)] == names
        assert nbnas.score(small_network(), patterns, input_shape=SHAPE).index.tolist() == rows


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


def vandal(probe):
    """Change all that can be changed, then fail."""
    network = probe.network
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
    network[6].weight.grad = torch.full_like(network[6].weight, 7)
    network[2].register_forward_hook(lambda *_: None)
    before = snapshot(network)
    table = nbnas.score(network, input_shape=SHAPE, init=init)
    assert table.status["vandal"] == "error: RuntimeError: after the damage"
    assert (table.status.drop(["vandal", "ssnr_grasp_log"]) == "ok").all()
    assert_same(before, snapshot(network))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_proxy_receives_a_copy_in_its_mode(add_proxy, mode):
    received = []
    other_mode = "eval" if mode == "train" else "train"

    def custom(probe):
        received.extend([probe.network, probe.new_network(), probe.shared_network(), probe.new_network(other_mode)])
        assert probe.network is received[0]
        return {"custom": 1.0}

    add_proxy(custom, mode=mode)
    network = small_network().train(mode == "eval")
    values_of(nbnas.score(network, "custom", input_shape=SHAPE))
    assert len({id(parameter) for copy in (network, *received) for parameter in copy.parameters()}) == 5 * 8
    for received_copy, expected in zip(received, (mode, mode, mode, other_mode), strict=True):
        assert {module.training for module in received_copy.modules()} == {expected == "train"}
        assert_equal_parameters(received_copy, network)


def assert_equal_parameters(first, second):
    for parameter, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(parameter, other)


def test_frozen_parameters_are_scored(add_proxy):
    def custom(probe):
        assert all(parameter.requires_grad for parameter in probe.network.parameters())
        return {"custom": sum(float(gradient.norm()) for gradient in probe.loss_gradients().values())}

    add_proxy(custom, mode="train", needs_labels=True)
    tables = []
    for frozen in (False, True):
        network = small_network().requires_grad_(not frozen)
        tables.append(nbnas.score(network, input_shape=SHAPE))
        assert {parameter.requires_grad for parameter in network.parameters()} == {not frozen}
    assert values_of(tables[0]) == values_of(tables[1])
    assert tables[0].value["custom"] > 0


FIRST_LAYERS = {
    "activation": lambda: nn.ReLU(inplace=True),
    "dropout": lambda: nn.Dropout(inplace=True),
}


@pytest.mark.parametrize("first_layer", FIRST_LAYERS.values(), ids=FIRST_LAYERS)
def test_batches_of_the_user_are_left_as_found(add_proxy, first_layer):
    # A network that starts in place writes into the inputs it gets.
    add_proxy(lambda probe: {"custom": probe.network(probe.batches[0][0]).sum().detach()}, mode="train")
    inputs, labels = batch()
    before = inputs.clone()
    network = nn.Sequential(first_layer(), small_network())
    table = nbnas.score(network, batches=[(inputs, labels), batch(2)], init=None)
    assert (table.status == "ok").sum() > 50
    assert torch.equal(inputs, before)


def test_asking_a_model_for_its_classes_leaves_the_drawn_inputs_alone(add_proxy):
    add_proxy(lambda probe: {"custom": probe.batches[0][0].double().sum()}, needs_labels=True)
    network = nn.Sequential(nn.LeakyReLU(0.5, inplace=True), small_network())
    asked, told = (
        values_of(nbnas.score(network, "custom", input_shape=SHAPE, num_classes=number)) for number in (None, 5)
    )
    assert asked == told


def test_proxies_do_not_see_what_others_did_to_the_batches(add_proxy):
    def total(probe):
        inputs, labels = probe.batches[0]
        result = float(inputs.abs().sum())
        inputs.zero_()
        labels.zero_()
        return {"total": result}

    def same_total(probe):
        return {"same_total": total(probe)["total"]}

    add_proxy(total, "total")
    add_proxy(same_total, "same_total")
    add_proxy(lambda probe: {"shared_total": float(probe.shared_batch()[0].abs().sum())}, "shared_total")
    values = values_of(nbnas.score(small_network(), "*total", input_shape=SHAPE))
    assert values["total"] == values["same_total"] == values["shared_total"] > 0


# ----------------------------------------------------------------------------------------- what a result depends on


def test_same_seed_gives_same_scores_and_another_seed_others():
    first, again, other = (values_of(nbnas.score(small_network(), input_shape=SHAPE, seed=s)) for s in (3, 3, 4))
    assert first == again
    counts = {"flops", "params", "trainable_layers", "te_nas_linear_regions", "swap", "swap_layerwise"}
    assert {name for name, value in first.items() if value == other[name]} == counts
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
    def output(probe):
        own, shared = (
            network.detach().sum() for network in (probe.network(probe.batches[0][0]), probe.forward().logits)
        )
        return {"own": own, "shared": shared}

    add_proxy(output, mode="train", scores=("own", "shared"))
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 5))
    values = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        before = global_random_state()
        values.append(values_of(nbnas.score(network, "custom", input_shape=SHAPE)))
        assert global_random_state() == before
    assert values[0] == values[1]
    other = values_of(nbnas.score(network, "custom", input_shape=SHAPE, init=None, batches=[batch()], seed=0))
    for seed in (0, 1):
        values.append(values_of(nbnas.score(network, "custom", init=None, batches=[batch()], seed=seed)))
    # Weights and inputs are given, so the masks alone make the difference between seeds.
    assert other == values[-2]
    assert other["own"] != values[-1]["own"]
    assert other["shared"] != values[-1]["shared"]


def test_dropout_that_is_active_in_eval_mode_draws_from_the_seed_too(add_proxy):
    class AlwaysDropout(nn.Module):
        def forward(self, inputs):
            return nn.functional.dropout(inputs, training=True)

    add_proxy(lambda probe: {"custom": probe.forward().logits.detach().sum()}, needs_labels=True)
    network = nn.Sequential(nn.Flatten(), AlwaysDropout(), nn.Linear(192, 5))
    before = global_random_state()
    first, again = (values_of(nbnas.score(network, ["custom", "vkdnw"], input_shape=SHAPE)) for _ in range(2))
    assert first == again
    # Nobody said how many classes there are, so the model was asked, too.
    assert global_random_state() == before


@pytest.mark.parametrize("name", nbnas.list_proxies().index)
def test_scores_do_not_depend_on_the_other_proxies(add_proxy, name):
    alone = values_of(nbnas.score(small_network(), name, input_shape=SHAPE))

    def draws(probe):
        torch.rand(100)
        return {"greedy": float(torch.rand(100, generator=probe.generator).sum())}

    add_proxy(draws, "greedy", batches=3, needs_labels=True)
    together = values_of(nbnas.score(small_network(), "*", input_shape=SHAPE))
    assert {score: together[score] for score in alone} == alone
    assert len(alone) > 0


def test_each_proxy_draws_from_a_stream_of_its_own(add_proxy):
    def first(probe):
        return {"first": float(torch.rand(1, generator=probe.generator))}

    def second(probe):
        return {"second": float(torch.rand(1, generator=probe.generator))}

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

    def keep(probe):
        networks.append(probe.network)
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
    add_proxy(lambda probe: received.extend(probe.batches) or {"custom": 1.0}, batches=2, needs_labels=True)
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
    add_proxy(lambda probe: received.extend(probe.batches) or {"custom": 1.0}, needs_labels=True)
    nbnas.score(small_network(), "custom", input_shape=(512, 3, 8, 8), num_classes=3)
    assert sorted(set(received[0][1].tolist())) == [0, 1, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_given_batches_are_cast_to_the_precision_of_the_model(add_proxy, dtype):
    received = []
    add_proxy(lambda probe: received.extend(probe.batches) or {"custom": 1.0})
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


# -------------------------------------------------------------------------------------------------- which output counts


class Wrapped(nn.Module):
    """Returns the logits of a network in some structure."""

    def __init__(self, network, wrap):
        super().__init__()
        self.network, self.wrap = network, wrap

    def forward(self, inputs):
        return self.wrap(self.network(inputs))


WRAPPERS = {
    "index": (lambda logits: (logits.exp(), logits), 1),
    "index from the end": (lambda logits: [logits.exp(), logits], -1),
    "key": (lambda logits: {"features": logits.exp(), "logits": logits}, "logits"),
    "function": (lambda logits: {"heads": [logits, logits.exp()]}, lambda output: output["heads"][0]),
    "function of a tensor": (lambda logits: logits.unsqueeze(1), lambda output: output[:, 0]),
}


@pytest.mark.parametrize(("wrap", "logits"), WRAPPERS.values(), ids=WRAPPERS)
def test_logits_say_which_output_is_scored(wrap, logits):
    expected = values_of(nbnas.score(small_network(), input_shape=SHAPE))
    # Where the selected logits are no layer's output, VKDNW computes the same in another order.
    expected = {name: pytest.approx(value, rel=1e-4, abs=1e-5) for name, value in expected.items()}
    network = Wrapped(small_network(), wrap)
    before = snapshot(network)
    # The number of classes is counted on the selected output as well.
    found = values_of(nbnas.score(network, input_shape=SHAPE, logits=logits))
    # Released code of Dextr counts modules, and the wrapper is one more, whose single column of logits has condition 1.
    assert np.expm1(found.pop("dextr_s")) == pytest.approx(np.expm1(expected.pop("dextr_s").expected) + 1)
    assert found == expected
    assert_same(before, snapshot(network))


UNUSABLE_LOGITS = {
    "tuple, nothing said": (
        lambda logits: (logits, logits),
        None,
        "UnsupportedModelError: the network must return one",
    ),
    "no such index": (lambda logits: (logits,), 1, "IndexError: tuple index out of range"),
    "no such key": (lambda logits: {"logits": logits}, "scores", "KeyError: 'scores'"),
    "not a tensor": (lambda logits: (logits, [logits]), 1, "UnsupportedModelError: the network must return one tensor"),
    "not a matrix": (lambda logits: (logits.sum(1),), 0, "UnsupportedModelError: the network must return one tensor"),
    "another batch size": (
        lambda logits: (logits[:2],),
        0,
        "UnsupportedModelError: the network must return one tensor",
    ),
}


@pytest.mark.parametrize(("wrap", "logits", "message"), UNUSABLE_LOGITS.values(), ids=UNUSABLE_LOGITS)
def test_unusable_logits_are_an_error_of_the_proxies_that_read_them(wrap, logits, message):
    names = ["params", "l2_norm", "snip", "jacov", "vkdnw"]
    network = Wrapped(small_network(), wrap)
    status = nbnas.score(network, names, input_shape=SHAPE, num_classes=5, logits=logits).status
    assert (status[["params", "l2_norm"]] == "ok").all()
    assert status.drop(["params", "l2_norm"]).str.startswith(f"error: {message}").all()


@pytest.mark.parametrize(
    ("wrap", "logits"),
    [(lambda logits: (logits,), None), (lambda logits: (logits,), 1), (lambda logits: (logits.sum(),), 0)],
    ids=["tuple, nothing said", "no such index", "a scalar"],
)
def test_classes_that_cannot_be_counted_are_an_error_that_says_what_to_do(wrap, logits):
    with pytest.raises(NbnasError, match=r"must return logits \(batch, classes\); .* say which entry by logits="):
        nbnas.score(Wrapped(small_network(), wrap), "snip", input_shape=SHAPE, logits=logits)


# -------------------------------------------------------------------------------------------------------- shared passes


class Counting(nn.Module):
    """Passes its input on, and counts how often, over all copies."""

    def __init__(self, events=None, on_pass=lambda: None):
        super().__init__()
        self.events, self.on_pass = [] if events is None else events, on_pass

    def __deepcopy__(self, memo):
        return Counting(self.events, self.on_pass)

    def forward(self, inputs):
        self.events.append("train" if self.training else "eval")
        self.on_pass()
        return inputs


def counting_network(on_pass=lambda: None):
    return small_network().insert(0, counter := Counting(on_pass=on_pass)), counter.events


def passes_of(names, **options):
    network, events = counting_network()
    values_of(nbnas.score(network, names, input_shape=SHAPE, num_classes=5, **options))
    first_try, *passes = events
    assert first_try == "eval"
    return passes


@pytest.mark.parametrize(
    ("names", "passes"),
    [
        # Alone, each makes the passes that its record says.
        ("snip", ["train"]),
        ("zico", ["train"] * 2),
        ("tcet_snip", ["eval", "train"]),
        # One pass for those that start from the same weights (first kaiming_normal, then torch_default) in one mode.
        (["grad_norm", "snip", "grasp", "jacov", "naswot", "az_*"], ["train"]),
        (["plain", "fisher", "te_nas_ntk", "epe_nas", "ssnr_snip"], ["train"]),
        (["nwot", "tcet_snip", "ssnr_snip", "ssnr_grasp"], ["eval", "train"]),
        # Different weights, or another batch, take a pass of their own.
        (["snip", "plain"], ["train"] * 2),
        (["plain", "zico"], ["train"] * 2),
    ],
    ids=str,
)
def test_proxies_of_one_initialisation_and_mode_share_one_forward_pass(names, passes):
    assert sorted(passes_of(names)) == passes


def test_without_initialisation_all_proxies_share_passes():
    assert passes_of(["snip", "plain", "zico", "epe_nas"], init=None) == ["train"] * 2


def test_another_mode_and_another_batch_are_passes_of_their_own(add_proxy):
    def custom(probe):
        recordings = [
            probe.forward(),
            probe.forward(mode="train"),
            probe.forward(1),
            probe.forward(),
            probe.forward(0, "eval"),
        ]
        assert recordings[0] is recordings[3] is recordings[4]
        assert not torch.equal(recordings[0].logits, recordings[1].logits)
        assert not torch.equal(recordings[0].logits, recordings[2].logits)
        return {"custom": 1.0}

    add_proxy(custom, batches=2)
    assert passes_of("custom") == ["eval", "train", "eval"]


def test_shared_pass_is_the_same_whoever_asks_first(add_proxy):
    orders = {"first": (0, 1), "second": (1, 0)}

    def custom(name):
        def function(probe):
            for number in orders[name]:
                probe.forward(number)
            gradients = [probe.loss_gradients(number)["0.weight"] for number in (0, 1)]
            return {name: float(gradients[0].norm() + 2 * gradients[1].norm())}

        return function

    for name in orders:
        add_proxy(custom(name), name, mode="train", needs_labels=True, batches=2)
    # Alone, each makes both passes in its own order.
    values = [
        values_of(nbnas.score(small_network(), names, input_shape=SHAPE)) for names in ("first", "second", [*orders])
    ]
    assert values[0]["first"] == values[1]["second"] == values[2]["first"] == values[2]["second"] > 0


def test_results_of_a_proxys_own_are_shared_by_name_and_details(add_proxy):
    computed = []

    def custom(name, details):
        def function(probe):
            return {name: probe.share("sum", lambda: computed.append(name) or float(len(computed)), *details)}

        return function

    add_proxy(custom("a", (1,)), "a")
    add_proxy(custom("b", (1,)), "b")
    add_proxy(custom("c", (2,)), "c")
    add_proxy(custom("d", (1,)), "d", initialisation="kaiming_normal")
    values = values_of(nbnas.score(small_network(), ["a", "b", "c", "d"], input_shape=SHAPE))
    assert computed == ["a", "c", "d"]
    assert values == {"a": 1, "b": 1, "c": 2, "d": 3}


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but for what a test adds."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_seconds_are_those_of_the_proxy_scored_alone(clock):
    def second_passes():
        clock[0] += 1.0

    network, events = counting_network(second_passes)
    table = nbnas.score(network, ["snip", "naswot", "grad_norm", "zico", "params"], input_shape=SHAPE, num_classes=5)
    assert events == ["eval"] + ["train"] * 3  # A first try, which is nobody's time, and the passes.
    # Only the first of snip, naswot and grad_norm waited for the pass, but each needs it; zico needs two of its own.
    assert table.seconds[["snip", "naswot", "grad_norm", "zico", "params"]].tolist() == [1, 1, 1, 2, 0]


def test_seconds_count_every_part_of_nested_passes_once(add_proxy, clock):
    def takes(seconds, value=1.0):
        clock[0] += seconds
        return value

    def inner(probe):
        return probe.share("inner", lambda: takes(1))

    def outer(probe):
        return probe.share("outer", lambda: inner(probe) + takes(10))

    def custom(name, *steps):
        add_proxy(lambda probe: {name: sum(step(probe) for step in steps) + takes(100)}, name)

    # Seconds in company are those alone, whether a part was paid for by this proxy, by another, or twice over.
    custom("outer", outer)
    custom("inner", inner)
    custom("outer_again", outer)
    custom("both", inner, outer, inner)
    names = ["outer", "inner", "outer_again", "both"]
    expected = {"outer": 111, "inner": 101, "outer_again": 111, "both": 111}
    assert nbnas.score(small_network(), names, input_shape=SHAPE).seconds.to_dict() == expected
    for name in names:
        assert nbnas.score(small_network(), name, input_shape=SHAPE).seconds.to_dict() == {name: expected[name]}


@pytest.mark.parametrize("order", [("inner", "outer"), ("outer", "inner")])
def test_seconds_do_not_depend_on_the_order_of_nested_passes(add_proxy, clock, order):
    def takes(seconds):
        clock[0] += seconds
        return 1.0

    def inner(probe):
        return {"inner": probe.share("inner", lambda: takes(1))}

    def outer(probe):
        return {"outer": probe.share("outer", lambda: inner(probe)["inner"] + takes(10))}

    for name in order:
        add_proxy({"inner": inner, "outer": outer}[name], name)
    seconds = nbnas.score(small_network(), ["inner", "outer"], input_shape=SHAPE).seconds
    assert seconds.to_dict() == {"inner": 1, "outer": 11}


class SlowBackward(nn.Module):
    """Passes its input on; its backward pass takes a second of the given clock."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def __deepcopy__(self, memo):
        return SlowBackward(self.clock)

    def forward(self, inputs):
        def wait(gradient):
            self.clock[0] += 1

        output = inputs * 1
        output.register_hook(wait)
        return output
        return output


@pytest.mark.parametrize("name", ["grad_norm", "snip", "jacov", "grasp", "naswot"])
def test_seconds_of_a_backward_pass_do_not_depend_on_the_other_proxies(clock, name):
    network = small_network()
    network.insert(4, SlowBackward(clock))
    names = ["grad_norm", "snip", "jacov", "grasp", "naswot"]
    together, alone = (nbnas.score(network, chosen, input_shape=SHAPE, num_classes=5) for chosen in (names, name))
    assert (together.status == "ok").all()
    together, alone = together.seconds, alone.seconds
    assert together[name] == alone[name] == {"grasp": 2, "naswot": 0}.get(name, 1)


@pytest.mark.parametrize(
    ("error", "status"), [(DegenerateScoreError("none"), "degenerate"), (ValueError("no"), "error: ValueError: no")]
)
def test_seconds_of_a_proxy_that_fails_count_shared_passes_too(add_proxy, clock, error, status):
    def pays(probe):
        def compute():
            clock[0] += 5

        probe.share("slow", compute)
        return {"pays": 1.0}

    def fails(probe):
        pays(probe)
        raise error

    add_proxy(pays, "pays")
    add_proxy(fails, "fails")
    table = nbnas.score(small_network(), ["pays", "fails"], input_shape=SHAPE)
    assert table.status.to_dict() == {"pays": "ok", "fails": status}
    assert table.seconds.to_dict() == {"pays": 5, "fails": 5}


def test_passes_of_another_initialisation_are_dropped(add_proxy):
    alive = {}

    def custom(name):
        def function(probe):
            recording, gradients = probe.forward(), probe.loss_gradients()
            alive[name] = [weakref.ref(recording), weakref.ref(gradients["0.weight"]), weakref.ref(probe.network)]
            others = {other: [ref() is not None for ref in refs] for other, refs in alive.items() if other != name}
            seen.append((name, others))
            return {name: 1.0}

        return function

    seen = []
    # Interleaved on purpose: scoring brings proxies of one start together.
    add_proxy(custom("a"), "a", needs_labels=True, initialisation="torch_default")
    add_proxy(custom("b"), "b", needs_labels=True, initialisation="kaiming_normal")
    add_proxy(custom("c"), "c", needs_labels=True, initialisation="torch_default")
    table = nbnas.score(small_network(), ["a", "b", "c"], input_shape=SHAPE)
    assert table.index.tolist() == ["a", "b", "c"]
    assert (table.status == "ok").all()
    gone, shared = [False, False, False], [True, True, False]
    assert seen == [("b", {}), ("a", {"b": gone}), ("c", {"b": gone, "a": shared})]
    assert not any(ref() for refs in alive.values() for ref in refs)


def test_failing_shared_pass_is_an_error_of_each_proxy_that_needs_it_and_of_no_other():
    class FailsInTraining(nn.Module):
        def forward(self, inputs):
            if self.training:
                raise RuntimeError("not in train mode")
            return inputs

    network = small_network().append(FailsInTraining())
    table = nbnas.score(network, input_shape=SHAPE)
    info = nbnas.list_proxies()
    for name, record in info.iterrows():
        status = table.status[list(record.scores)]
        # SynFlow, whatever mode the rest is in, runs a network of its own in eval mode; the L2 norm runs none.
        if record["mode"] == "eval" or name in ("l2_norm", "ssnr_synflow", "tcet_synflow"):
            assert (status == "ok").all(), name
        else:
            assert (status == "error: RuntimeError: not in train mode").all(), name


def test_failing_result_of_a_proxys_own_is_tried_by_each_that_needs_it(add_proxy):
    tried = []

    def compute():
        tried.append(1)
        raise ValueError("no such thing")

    def custom(name):
        return lambda probe: {name: probe.share("outer", lambda: probe.share("inner", compute))}

    add_proxy(custom("a"), "a")
    add_proxy(custom("b"), "b")
    add_proxy(lambda probe: {"c": probe.share("other", lambda: 3.0)}, "c")
    table = nbnas.score(small_network(), ["a", "b", "c"], input_shape=SHAPE)
    assert table.status.to_dict() == {
        "a": "error: ValueError: no such thing",
        "b": "error: ValueError: no such thing",
        "c": "ok",
    }
    assert table.value["c"] == 3


def test_what_a_proxy_does_to_its_network_does_not_reach_the_shared_passes(add_proxy):
    expected = values_of(nbnas.score(small_network(), ["snip", "naswot", "grasp", "gradsign"], input_shape=SHAPE))

    def destroy(probe):
        network = probe.network
        with torch.no_grad():
            for tensor in (*network.parameters(), *network.buffers()):
                tensor.zero_()
        network[0].register_forward_hook(lambda *_: torch.zeros(4, 4, 8, 8))
        network.eval().requires_grad_(False)
        network[6].bias.grad = torch.ones(5)
        probe.new_network()[0].weight.data.zero_()
        return {"destroy": 1.0}

    others = registered()
    add_proxy(destroy, "destroy", mode="train", initialisation="kaiming_normal")
    names = ["destroy", "snip", "naswot", "grasp", "gradsign"]
    with only(find("destroy"), *others):
        assert values_of(nbnas.score(small_network(), names, input_shape=SHAPE)) == {"destroy": 1.0} | expected


# ---------------------------------------------------------------------------------------------------- degenerate scores


CONDITIONS = {
    "false": ([False, torch.tensor(False)], "ok"),
    "true": ([True], "degenerate"),
    "true tensor": ([torch.tensor(True)], "degenerate"),
    "one of several": ([False, torch.tensor(True), torch.tensor(False)], "degenerate"),
    "none": ([], "ok"),
}


@pytest.mark.parametrize(("conditions", "status"), CONDITIONS.values(), ids=CONDITIONS)
def test_degenerate_if_a_condition_holds(add_proxy, conditions, status):
    def custom(probe):
        for condition in conditions:
            probe.degenerate_if(condition, "no such quantity")
        return {"a": 1.0, "b": float("nan")}

    add_proxy(custom, scores=("a", "b"))
    table = nbnas.score(small_network(), ["custom", "params"], input_shape=SHAPE)
    assert table.status["params"] == "ok"
    if status == "ok":
        assert table.status[["a", "b"]].tolist() == ["ok", "non_finite"]
    else:
        assert table.status[["a", "b"]].tolist() == ["degenerate"] * 2
        assert table.value[["a", "b"]].isna().all()


def test_an_error_after_a_degenerate_condition_is_an_error(add_proxy):
    def custom(probe):
        probe.degenerate_if(True, "no such quantity")
        raise ValueError("broken")

    add_proxy(custom)
    assert nbnas.score(small_network(), "custom", input_shape=SHAPE).status["custom"] == "error: ValueError: broken"


class Constant(nn.Module):
    """Logits that no input changes, with or without a graph from the input."""

    def __init__(self, connected):
        super().__init__()
        self.network, self.connected = small_network(), connected

    def forward(self, inputs):
        if self.connected:
            return self.network(inputs) * 0 + self.network[6].bias
        return self.network[6](torch.ones(len(inputs), 4).to(inputs))


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("name", ["grad_norm", "snip", "grasp", "fisher", "jacov", "epe_nas", "te_nas_ntk", "nwot"])
def test_network_that_ignores_its_input_is_degenerate(name, connected):
    table = nbnas.score(Constant(connected), name, input_shape=SHAPE)
    assert set(table.status) == {"degenerate"}


def test_finding_of_a_shared_pass_counts_for_each_proxy_that_uses_it(add_proxy):
    def determinant(probe):
        return probe.share("outer", lambda: probe.share("inner", lambda: float(probe.forward().logits.shape[1])))

    for name in ("a", "b"):
        add_proxy(lambda probe, name=name: {name: determinant(probe)}, name)
    add_proxy(returns({"c": 1.0}), "c")
    table = nbnas.score(Constant(True), ["a", "b", "c"], input_shape=SHAPE)
    assert table.status.to_dict() == {"a": "degenerate", "b": "degenerate", "c": "ok"}


# ------------------------------------------------------------------------------------------------------------ failures


FAILURES = {
    "number": (returns({"custom": 2}), "ok"),
    "tensor": (returns({"custom": torch.tensor(2.0)}), "ok"),
    "NaN": (returns({"custom": float("nan")}), "non_finite"),
    "infinity": (returns({"custom": torch.tensor(float("-inf"))}), "non_finite"),
    "degenerate": (raises(DegenerateScoreError("no spectrum")), "degenerate"),
    "exception": (raises(RuntimeError("first line\nsecond line")), "error: RuntimeError: first line"),
    "exception without a message": (raises(KeyError()), "error: KeyError: no message"),
    "missing score": (returns({}), "error: NbnasError: returned the scores [], but its record names ['custom']"),
    "other score": (
        returns({"other": 1.0}),
        "error: NbnasError: returned the scores ['other'], but its record names ['custom']",
    ),
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
    network = small_network()
    network[1] = nn.BatchNorm2d(4, track_running_stats=False)
    table = nbnas.score(network, input_shape=SHAPE).drop("ssnr_grasp_log")
    vkdnw = table.index.str.startswith("vkdnw")
    assert table.status[vkdnw].str.startswith("error: UnsupportedModelError: the BatchNorm '1'").all()
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
    # 64 pixels * 4 channels * (27 products and a bias, then 36 and a bias), classifier 4 * 5 + 5.
    assert values_of(table) == {"flops": 64 * 4 * (28 + 37) + 25}


# ---------------------------------------------------------------------------------- what the caller has switched on

SWITCHES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}
MANY = ["grad_norm", "snip", "grasp", "gradsign", "jacov", "naswot", "zen", "az_*", "vkdnw", "nwot", "tcet_*"]


@pytest.mark.parametrize("switch", SWITCHES.values(), ids=SWITCHES)
def test_switches_of_the_caller_change_nothing(switch):
    expected = values_of(nbnas.score(small_network(), MANY, input_shape=SHAPE))
    network = small_network()
    with switch():
        assert values_of(nbnas.score(network, MANY, input_shape=SHAPE)) == expected


def test_default_dtype_of_the_caller_changes_nothing():
    expected = values_of(nbnas.score(small_network(), MANY, input_shape=SHAPE))
    network = small_network()
    torch.set_default_dtype(torch.float64)
    try:
        assert values_of(nbnas.score(network, MANY, input_shape=SHAPE)) == expected
    finally:
        torch.set_default_dtype(torch.float32)


class LogarithmOfNegatives(nn.Module):
    def forward(self, inputs):
        return torch.log(-inputs.abs() - 1)


def test_network_with_logits_that_are_not_numbers_has_no_score():
    network = small_network()
    network.insert(3, LogarithmOfNegatives())
    names = ["grad_norm", "snip", "gradsign", "jacov", "epe_nas", "naswot", "nwot", "te_nas_*", "vkdnw*", "az_*"]
    table = nbnas.score(network, names, input_shape=SHAPE)
    assert set(table.status) == {"non_finite"}
    assert table.value.isna().all()
