"""The conformance checks: the package's own proxies pass, and for every rule a proxy that breaks it fails."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

import nbnas
from nbnas.errors import NbnasError
from nbnas.proxies import DegenerateScoreError, UnsupportedModelError, forget, only, register
from nbnas.proxies.registry import find, registered
from nbnas.testing import check_proxy


@pytest.fixture
def add_proxy():
    """Register proxies that are gone after the test."""

    def add(function, **changes):
        record = {
            "name": "custom",
            "title": "A proxy of this test",
            "family": "size",
            "paper": "none",
            "formula": "none",
            "mode": "train",
            "batches": 1,
            "needs_labels": False,
            "inputs": "noise",
            "initialisation": "kaiming_normal",
            "requires": "nothing",
            "cost": "F",
            "scores": ("custom",),
        }
        return register(**record | changes)(function)

    with only(*registered()):
        yield add


def spread(probe):
    """A proxy that keeps all rules."""
    value = probe.forward().logits.detach().double().std()
    probe.degenerate_if(value == 0, "all logits are equal")
    return {"custom": value.log()}


@pytest.mark.parametrize("name", nbnas.list_proxies().index)
def test_proxies_of_the_package_keep_the_rules(name):
    check_proxy(name)


def test_proxy_is_named_or_given_as_its_function(add_proxy):
    function = add_proxy(spread)
    check_proxy("custom")
    check_proxy(function)
    for unknown in ("custm", len):
        with pytest.raises(NbnasError, match="no proxy is registered as"):
            check_proxy(unknown)


def test_checks_leave_registered_proxies_and_random_states_alone(add_proxy):
    add_proxy(spread)
    before = registered()
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    check_proxy("custom")
    assert registered() == before
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert random.getstate() == states[2]


def test_forgotten_name_is_free_again(add_proxy):
    add_proxy(spread)
    forget("custom")
    assert "custom" not in nbnas.list_proxies().index
    add_proxy(spread)
    with pytest.raises(NbnasError, match="no proxy is registered as 'other'"):
        forget("other")


# Proxies that keep the rules in less obvious ways


def only_with_batch_norm(probe):
    if not any(isinstance(module, torch.nn.BatchNorm2d) for module in probe.network.modules()):
        raise UnsupportedModelError("needs BatchNorm")
    return spread(probe)


def only_linear(probe):
    if any(isinstance(module, torch.nn.Conv2d) for module in probe.network.modules()):
        raise DegenerateScoreError("convolutions")
    return spread(probe)


def noisy_from_its_generator(probe):
    noise = torch.randn(3, generator=probe.generator)
    return {"custom": spread(probe)["custom"] + noise.sum()}


def destroys_what_is_its_own(probe):
    scores = spread(probe)
    with torch.no_grad():
        for tensor in (*probe.network.parameters(), *probe.batches[0]):
            tensor.zero_()
    torch.rand(1)  # Seeded for this proxy.
    return scores


@pytest.mark.parametrize(
    "function", [only_with_batch_norm, only_linear, noisy_from_its_generator, destroys_what_is_its_own]
)
def test_proxy_that_keeps_the_rules_passes(add_proxy, function):
    check_proxy(add_proxy(function))


def test_labels_and_batches_may_matter_where_the_record_says_so(add_proxy):
    def custom(probe):
        return {"custom": sum(probe.batches[number][1].double().sum() for number in range(2))}

    check_proxy(add_proxy(custom, needs_labels=True, batches=2))


# The record


RECORDS = {
    "title": ({"title": ""}, "has nothing in the field 'title'"),
    "family": ({"family": " "}, "has nothing in the field 'family'"),
    "paper": ({"paper": None}, "has nothing in the field 'paper'"),
    "formula": ({"formula": ""}, "has nothing in the field 'formula'"),
    "requires": ({"requires": ""}, "has nothing in the field 'requires'"),
    "cost": ({"cost": ""}, "has nothing in the field 'cost'"),
    "labels": ({"needs_labels": "no"}, "has neither True nor False in the field 'needs_labels'"),
    "inputs": ({"inputs": "pictures"}, "has none of 'noise', 'images', 'none' in the field 'inputs'"),
    "initialisation": (
        {"initialisation": "he"},
        "has none of 'kaiming_normal', 'standard_normal', 'torch_default', None in the field 'initialisation'",
    ),
    "batches": ({"batches": -1}, "has no whole number in the field 'batches'"),
    "labels of no batch": ({"batches": 0, "needs_labels": True}, "needs labels but reads no batch"),
    "no scores": ({"scores": ()}, "has no names in the field 'scores'"),
    "one score instead of a tuple": ({"scores": "custom"}, "has no names in the field 'scores'"),
}


@pytest.mark.parametrize(("changes", "message"), RECORDS.values(), ids=RECORDS)
def test_incomplete_record_is_found(add_proxy, changes, message):
    add_proxy(spread, **changes)
    with pytest.raises(AssertionError) as caught:
        check_proxy("custom")
    assert str(caught.value) == f"proxy 'custom' {message}"


def test_unknown_mode_in_a_record_is_found(add_proxy):
    add_proxy(spread)
    proxy = find("custom")
    message = r"^proxy 'custom' has none of 'train', 'eval' in the field 'mode'$"
    # register() refuses it.
    with only(replace(proxy, info=replace(proxy.info, mode="both"))), pytest.raises(AssertionError, match=message):
        check_proxy("custom")


# What a proxy does


def raising(error):
    def function(probe):
        raise error

    return function


def changing(change):
    """Score properly, then change the user's model, to which there is no public way."""

    def function(probe):
        scores = spread(probe)
        change(probe._session.model)
        return scores

    return function


def counting():
    """Another value at every call, whatever the seed."""
    calls = itertools.count()
    return lambda probe: {"custom": float(next(calls))}


def read_numpy(probe):
    return {"custom": float(np.random.get_state()[1][0])}  # noqa: NPY002


def draw(generator):
    def function(probe):
        return {"custom": spread(probe)["custom"] + float(generator())}

    return function


def all_batches(probe):
    return {"custom": sum(inputs.double().mean() for inputs, _ in probe.batches)}


def second_batch(probe):
    return {"custom": probe.forward(1).logits.detach().double().std()}


def writes_into_given_batches(probe):
    scores = spread(probe)
    probe.shared_batch()[0].add_(1)
    return scores


def writes_into_logits(probe):
    scores = spread(probe)
    probe.forward().logits.data.mul_(2)
    return scores


def writes_into_gradients(probe):
    gradient = next(iter(probe.loss_gradients().values()))
    gradient.data.mul_(2)
    return spread(probe)


def writes_into_shared_weights(probe):
    scores = spread(probe)
    probe.shared_network()[-1].weight.data.mul_(2)
    return scores


def shares_what_depends_on_it(probe):
    noise = probe.share("noise of this test", lambda: torch.rand(1, generator=probe.generator))
    return {"custom": noise.sum()}


def cancels(probe):
    logits = probe.forward().logits.detach()
    return {"custom": (logits + 1e6 - logits.abs() - 1e6).sum()}


BROKEN = {
    "no number anywhere": (
        raising(DegenerateScoreError("nothing to see")),
        "gives no number on any network; on the first, its status is 'degenerate'",
    ),
    "not a number anywhere": (
        lambda probe: {"custom": float("nan")},
        "gives no number on any network; on the first, its status is 'non_finite'",
    ),
    "error": (raising(IndexError("broken")), "fails for 'custom' with error: IndexError: broken, on the network"),
    "other names": (
        lambda probe: {"other": 1.0},
        "fails for 'custom' with error: NbnasError: returned the scores ['other'], but",
    ),
    "weights": (
        changing(lambda model: model[-1].weight.data.zero_()),
        "changes the weights or statistics of the model, on the network 'convolutions'",
    ),
    "statistics": (
        changing(lambda model: model[1].running_mean.add_(1) if hasattr(model[1], "running_mean") else None),
        "changes the weights or statistics of the model",
    ),
    "gradient removed": (changing(lambda model: model.zero_grad()), "changes the gradients of the model"),
    "gradient added": (
        changing(lambda model: setattr(model[-1].bias, "grad", torch.ones(5))),
        "changes the gradients of the model",
    ),
    "modes": (changing(lambda model: model.train()), "changes the modes of the model"),
    "hooks": (
        changing(lambda model: model[0].register_forward_pre_hook(lambda *_: None)),
        "changes the hooks of the model",
    ),
    "frozen parameters": (
        changing(lambda model: model.requires_grad_(False)),
        "changes the frozen parameters of the model",
    ),
    "modules": (
        changing(lambda model: model.insert(len(model) - 1, torch.nn.Identity())),
        "changes the modules of the model",
    ),
    "tensors": (
        changing(lambda model: setattr(model[-1], "bias", torch.nn.Parameter(model[-1].bias.data.clone()))),
        "changes the tensors of the model",
    ),
    "given batches": (writes_into_given_batches, "writes into the given batches"),
    "same seed": (counting(), "gives other scores with the same seed: 'custom' is 0.0 and 1.0, on the network"),
    "all batches": (all_batches, "reads more batches than its record says, 1: 'custom' is "),
    "second batch": (second_batch, " and error: IndexError: list index out of range, on the network"),
    "labels": (
        lambda probe: {"custom": probe.batches[0][1].double().sum()},
        "reads labels, which its record says it does not need: 'custom' is ",
    ),
    "logits": (writes_into_logits, "writes into a pass or a network that it shares"),
    "gradients": (writes_into_gradients, "writes into a pass or a network that it shares"),
    "shared weights": (writes_into_shared_weights, "writes into a pass or a network that it shares"),
    "others": (shares_what_depends_on_it, "depends on the proxies that are scored with it: 'custom' is "),
    "precision": (cancels, " in float64 for 'custom', on the network 'convolutions'"),
}


@pytest.mark.parametrize(("function", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_rule_is_named(add_proxy, function, message):
    add_proxy(function)
    with pytest.raises(AssertionError) as caught:
        check_proxy("custom")
    sentence = str(caught.value)
    assert sentence.startswith("proxy 'custom' ")
    assert message in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "function", [read_numpy, draw(np.random.rand), draw(random.random), draw(lambda: torch.rand(1))]
)
def test_global_generators_are_seeded_for_a_proxy(add_proxy, function):
    before = np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    add_proxy(function)
    check_proxy("custom")
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before  # noqa: NPY002


def test_tolerance_is_a_share_of_the_score(add_proxy):
    def custom(probe):
        double = probe.forward().logits.dtype == torch.float64
        return {"custom": 1e6 * (1.01 if double else 1.0)}

    add_proxy(custom)
    check_proxy("custom", tolerance=0.011)
    with pytest.raises(AssertionError, match=r"gives 1000000.0 in float32 and 1010000.0 in float64 for 'custom'"):
        check_proxy("custom", tolerance=0.009)
