"""Directions sent through a graph one at a time or, as on a GPU, together."""

import pytest
import torch
from torch import nn

import nbnas
from nbnas.proxies import vector_jacobian
from nbnas.proxies.vector_jacobian import vector_jacobian_products


@pytest.mark.parametrize("at_once", [1, 2, 3, 16])
def test_products_are_those_of_the_dense_jacobian(monkeypatch, at_once):
    monkeypatch.setattr(vector_jacobian, "directions_at_once", lambda outputs: at_once)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(4, dtype=torch.float64, generator=generator).requires_grad_()
    unused = torch.ones(2, requires_grad=True)
    matrix = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    directions = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    outputs = matrix @ inputs.tanh()
    expected = directions @ torch.autograd.functional.jacobian(lambda given: matrix @ given.tanh(), inputs)
    seen = torch.zeros_like(expected)
    for chosen, (gradient, nothing) in vector_jacobian_products(outputs, [inputs, unused], directions):
        assert len(gradient) <= at_once
        assert nothing is None
        seen[chosen] = gradient
    torch.testing.assert_close(seen, expected)


def test_nothing_to_differentiate():
    outputs = torch.ones(2, requires_grad=True) * 2
    assert list(vector_jacobian_products(outputs, [], torch.eye(2))) == []


def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(4, 5)).double()


@pytest.mark.parametrize("proxy", ["vkdnw", "te_nas_ntk"])
def test_scores_do_not_depend_on_how_many_directions_go_together(monkeypatch, proxy):
    tables = []
    for at_once in (1, 3):
        monkeypatch.setattr(vector_jacobian, "directions_at_once", lambda outputs, at_once=at_once: at_once)
        tables.append(nbnas.score(network(), proxy, input_shape=(4, 3, 6, 6)))
    assert set(tables[0].status) == {"ok"}
    torch.testing.assert_close(
        torch.tensor(tables[0].value.to_numpy(copy=True)), torch.tensor(tables[1].value.to_numpy(copy=True))
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_scores_on_cuda_are_those_of_the_cpu():
    names = ["grad_norm", "snip", "synflow", "fisher", "jacov", "naswot", "zen", "az_*", "vkdnw", "nwot", "te_nas_*"]
    cpu, cuda = (nbnas.score(network(), names, input_shape=(8, 3, 8, 8), device=device) for device in ("cpu", "cuda"))
    assert cuda.status.equals(cpu.status)
    torch.testing.assert_close(
        torch.tensor(cuda.value.to_numpy(copy=True)), torch.tensor(cpu.value.to_numpy(copy=True)), rtol=1e-6, atol=1e-9
    )
