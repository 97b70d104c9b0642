"""What is computed another way on a GPU gives the same numbers; most of it is checked on a CPU."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import nbnas
from nbnas.machine import executors
from nbnas.networks import autograd, entry_jacobian, moving_to_gpu, per_sample_gradients
from nbnas.proxies import te_nas


def network(norm: bool = True, classes: int = 5) -> nn.Module:
    torch.manual_seed(0)
    first = nn.Conv2d(3, 4, 3, stride=2, padding=(1, 0), dilation=(1, 2))
    layers = [first, nn.BatchNorm2d(4) if norm else nn.Identity(), nn.ReLU(), nn.Conv2d(4, 4, 1, groups=2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)).double()


def values(table) -> torch.Tensor:
    return torch.tensor(table.value.to_numpy(copy=True))


class OwnDerivative(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs):
        return 2 * inputs

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class Doubling(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return OwnDerivative.apply(inputs)


@pytest.mark.parametrize("classes", [3, 5, 9])
@pytest.mark.parametrize("at_once", [2, 3, 16])
@pytest.mark.parametrize("proxy", ["vkdnw", "te_nas_ntk"])
@pytest.mark.parametrize("own_derivative", [False, True])
def test_scores_do_not_depend_on_how_many_directions_go_together(monkeypatch, classes, at_once, proxy, own_derivative):
    model = network(classes=classes)
    if own_derivative:
        model.insert(2, Doubling())
    expected = nbnas.score(model, proxy, input_shape=(4, 3, 8, 8))
    seen = []
    for module in (entry_jacobian, te_nas):
        monkeypatch.setattr(module, "directions_at_once", lambda inputs: seen.append(inputs.shape) or at_once)
    actual = nbnas.score(model, proxy, input_shape=(4, 3, 8, 8))
    assert seen == [(4, 3, 8, 8)]
    assert set(expected.status) == {"ok"}
    torch.testing.assert_close(values(actual), values(expected))


def test_directions_in_which_a_target_is_unused():
    inputs = torch.randn(3, 2, requires_grad=True)
    unused = torch.randn(2, requires_grad=True)
    for number in (1, 4):
        found, zeros = autograd.gradients_along(3 * inputs, [inputs, unused], torch.ones(number, 3, 2))
        assert torch.equal(found, torch.full((number, 3, 2), 3.0))
        assert torch.equal(zeros, torch.zeros(number, 2))


@pytest.mark.parametrize("proxy", ["gradsign", "te_nas_ntk"])
def test_gradients_of_all_samples_in_one_product(monkeypatch, proxy):
    expected = nbnas.score(network(norm=False), proxy, input_shape=(4, 3, 8, 8))
    seen = []
    monkeypatch.setattr(per_sample_gradients, "one_product_for_all_samples", lambda inputs: seen.append(1) or True)
    actual = nbnas.score(network(norm=False), proxy, input_shape=(4, 3, 8, 8))
    assert seen
    assert set(expected.status) == {"ok"}
    torch.testing.assert_close(values(actual), values(expected))


def test_tensors_moved_together_stay_independent():
    expected, moved = network(), network()
    tensors = [*moved.parameters(), *(buffer for buffer in moved.buffers() if buffer.is_floating_point())]
    moving_to_gpu._move_together(tensors, torch.device("cpu"))
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors}) == 1
    inputs = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    for model in (expected, moved):
        # Running statistics are written to between the forward pass and the backward pass, which reads weights.
        model(inputs).sum().backward()
    for (name, tensor), twin in zip(expected.state_dict().items(), moved.state_dict().values(), strict=True):
        assert torch.equal(tensor, twin), name
    for parameter, twin in zip(expected.parameters(), moved.parameters(), strict=True):
        assert torch.equal(parameter.grad, twin.grad)


@pytest.mark.parametrize("norm", [True, False])
def test_scores_do_not_depend_on_the_memory_format(norm):
    twins = [network(norm).to(memory_format=layout) for layout in (torch.contiguous_format, torch.channels_last)]
    contiguous, last = (nbnas.score(twin, "*", input_shape=(8, 3, 8, 8), seed=1) for twin in twins)
    assert last.status.equals(contiguous.status)
    torch.testing.assert_close(values(last), values(contiguous), rtol=1e-6, atol=1e-9, equal_nan=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_scores_on_cuda_are_those_of_the_cpu(norm, layout):
    model = network(norm).to(memory_format=layout)
    cpu, cuda = (nbnas.score(model, "*", input_shape=(8, 3, 8, 8), seed=1, device=device) for device in ("cpu", "cuda"))
    assert cuda.status.equals(cpu.status)
    torch.testing.assert_close(values(cuda), values(cpu), rtol=1e-6, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize(("gigabytes", "cores", "expected"), [(24, 8, 3), (7, 8, 1), (140, 8, 8)])
def test_no_more_processes_than_the_memory_of_the_gpu_holds(monkeypatch, gigabytes, cores, expected):
    properties = SimpleNamespace(total_memory=gigabytes * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(executors, "available_cores", lambda: cores)
    assert executors.default_workers("cuda") == expected
    assert executors.default_workers("cpu") == cores
