"""Copies are those of copy.deepcopy, and share nothing with the original."""

import copy

import pytest
import torch
from torch import nn

from nbnas.networks.copying import copy_network
from nbnas.networks.layers import UnsupportedModelError
from tests.networks import NETWORKS, SHAPE


@pytest.mark.parametrize("name", NETWORKS)
def test_a_copy_computes_the_same_and_shares_no_memory(name):
    network = NETWORKS[name]().eval()
    inputs = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    ours, reference = copy_network(network), copy.deepcopy(network)
    assert type(ours) is type(network)
    assert ours.__dict__.keys() == reference.__dict__.keys()
    with torch.no_grad():
        expected, actual = reference(inputs.clone()), ours(inputs.clone())
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    own = {tensor.data_ptr() for tensor in [*network.parameters(), *network.buffers()] if tensor.numel()}
    copied = [*ours.named_parameters(), *ours.named_buffers()]
    assert [name for name, _ in copied] == [name for name, _ in [*network.named_parameters(), *network.named_buffers()]]
    assert not own & {tensor.data_ptr() for _, tensor in copied}
    frozen = [parameter.requires_grad for parameter in network.parameters()]
    assert [parameter.requires_grad for parameter in ours.parameters()] == frozen


def test_what_is_shared_within_a_network_is_shared_within_its_copy():
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.ReLU())
    network[1].weight = network[0].weight
    network.again = [network[0], {"layer": network[1]}]
    network.itself = (network,)
    network.options = {"self": network.again}
    twin = copy_network(network)
    assert twin[1].weight is twin[0].weight
    assert twin.again[0] is twin[0]
    assert twin.again[1]["layer"] is twin[1]
    assert twin.itself[0] is twin
    assert twin.options["self"] is twin.again
    assert not {id(module) for module in twin.modules()} & {id(module) for module in network.modules()}


class Counted(nn.Linear):
    """Copies itself in a way of its own."""

    def __deepcopy__(self, memo):
        twin = Counted(self.in_features, self.out_features)
        twin.generation = getattr(self, "generation", 0) + 1
        return twin


class Forgetful(nn.Linear):
    """Leaves an attribute out of its state."""

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "cache"}


class Slotted(nn.Linear):
    __slots__ = ("kept",)


class Restored(nn.Linear):
    """Makes an attribute when its state is set."""

    def __setstate__(self, state):
        super().__setstate__(state)
        self.restored = True


def test_modules_that_say_how_they_are_copied_are_copied_so():
    network = nn.Sequential(Counted(2, 2), Forgetful(2, 2), Slotted(2, 2), Restored(2, 2))
    network[1].cache = object()
    network[2].kept = "kept"
    twin = copy_network(network)
    assert twin[0].generation == 1
    assert not hasattr(twin[1], "cache")
    assert hasattr(twin[2], "kept") == hasattr(copy.deepcopy(network)[2], "kept")  # depends on the version of torch
    assert twin[3].restored


def test_hooks_and_sets_are_copied_too():
    network = nn.Sequential(nn.Linear(2, 2))
    calls, scale = [], nn.Parameter(torch.tensor(2.0))
    network.scale = scale
    network[0].register_forward_hook(lambda module, arguments, output: calls.append(1) or output * scale)
    network[0].register_buffer("passing", torch.zeros(2), persistent=False)
    twin = copy_network(network)
    twin.scale.data.fill_(3)
    inputs = torch.ones(1, 2)
    assert torch.equal(twin(inputs), 3 * nn.functional.linear(inputs, network[0].weight, network[0].bias))
    # What a hook closes over is copied with it: it works with the copy, and tells the caller nothing.
    assert calls == []
    twin[0].register_buffer("other", torch.zeros(2), persistent=False)
    assert "other" not in network[0]._non_persistent_buffers_set
    assert "passing" not in twin.state_dict()


def test_a_tensor_kept_from_an_earlier_pass_loses_its_graph():
    network = nn.Sequential(nn.Linear(2, 2))
    network.kept = network(torch.ones(1, 2))
    twin = copy_network(network)
    assert twin.kept.grad_fn is None
    assert torch.equal(twin.kept, network.kept)


def test_what_cannot_be_copied_is_one_clear_line():
    network = nn.Sequential(nn.Linear(2, 2))
    network.stream = (part for part in "abc")
    with pytest.raises(UnsupportedModelError, match=r"needs a network that copy\.deepcopy can copy: cannot pickle"):
        copy_network(network)


def test_buffers_that_share_memory_share_it_in_the_copy():
    network = nn.BatchNorm2d(4)
    network.register_buffer("whole", torch.arange(6.0))
    network.register_buffer("again", network.whole.view(2, 3))
    network.register_buffer("part", network.whole[2:4])
    network.register_buffer("transposed", torch.arange(6.0).view(2, 3).T)
    twin = copy_network(network)
    twin.whole += 1
    assert twin.again.flatten().tolist() == [1, 2, 3, 4, 5, 6]
    assert twin.part.tolist() == [3, 4]
    assert network.whole.tolist() == [0, 1, 2, 3, 4, 5]
    assert twin.transposed.stride() == (1, 3)
