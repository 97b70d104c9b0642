"""BatchNorm with the closed second derivative against torch's own."""

import copy

import pytest
import torch
from torch import nn

from nbnas.networks.fast_norms import use_cheap_second_derivative

CASES = {
    "images": (lambda: nn.BatchNorm2d(3), (4, 3, 2, 5)),
    "vectors": (lambda: nn.BatchNorm1d(3), (5, 3)),
    "sequences": (lambda: nn.BatchNorm1d(3), (4, 3, 6)),
    "volumes": (lambda: nn.BatchNorm3d(2), (3, 2, 2, 3, 2)),
    "without scale and shift": (lambda: nn.BatchNorm2d(3, affine=False), (4, 3, 2, 5)),
    "large epsilon": (lambda: nn.BatchNorm2d(3, eps=0.5), (4, 3, 2, 5)),
}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(params=CASES.values(), ids=CASES)
def pair(request):
    """Torch's layer, ours, and inputs."""
    build, shape = request.param
    layer = build().double()
    for number, parameter in enumerate(layer.parameters()):
        parameter.data = normal(*parameter.shape, seed=10 + number)
    cheap = copy.deepcopy(layer)
    use_cheap_second_derivative(cheap)
    return layer, cheap, normal(*shape, seed=1).requires_grad_()


def derivatives(layer, inputs, with_parameters):
    """Output, first derivatives of a curved function of it, and the derivatives of a curved function of those."""
    wanted = [inputs, *layer.parameters()]
    output = layer(inputs)
    first = torch.autograd.grad((output**3 * normal(*output.shape, seed=2)).sum(), wanted, create_graph=True)
    of = first if with_parameters else first[:1]
    scalar = sum((gradient**2 * normal(*gradient.shape, seed=3)).sum() for gradient in of)
    return [output, *first, *torch.autograd.grad(scalar, wanted, allow_unused=True)]


@pytest.mark.parametrize("with_parameters", [True, False])
def test_values_and_derivatives_are_those_of_torch(pair, with_parameters):
    layer, cheap, inputs = pair
    expected, actual = (derivatives(module, inputs, with_parameters) for module in (layer, cheap))
    for one, other in zip(expected, actual, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(other, one, rtol=1e-10, atol=1e-11)


def test_only_train_mode_is_replaced():
    layer = nn.BatchNorm2d(2).eval()
    use_cheap_second_derivative(layer)
    assert "forward" not in vars(layer)


def test_single_value_per_channel_is_refused():
    layer = nn.BatchNorm1d(3)
    use_cheap_second_derivative(layer)
    with pytest.raises(ValueError, match="more than one value per channel"):
        layer(torch.ones(1, 3))
