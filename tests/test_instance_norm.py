import pytest
import torch
from torch.nn import functional

from nbnas.networks.fast_norms import instance_norm

CASES = {
    "maps": ((3, 4, 5, 6), True),
    "without scale and shift": ((2, 3, 4, 4), False),
    "sequences": ((3, 2, 7), True),
    "volumes": ((2, 3, 2, 3, 4), True),
}


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_torch(case):
    shape, affine = CASES[case]
    generator = torch.Generator().manual_seed(3)
    inputs, flowing = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    scale = torch.randn(2, shape[1], generator=generator, dtype=torch.float64)
    arguments = [inputs.requires_grad_(), *(scale.requires_grad_() if affine else (None, None))]
    wanted = [inputs, scale] if affine else [inputs]
    ours = instance_norm(*arguments, 1e-3)
    expected = functional.instance_norm(arguments[0], weight=arguments[1], bias=arguments[2], eps=1e-3)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(
        torch.autograd.grad(ours, wanted, flowing), torch.autograd.grad(expected, wanted, flowing)
    )


def test_the_memory_format_is_kept_both_ways():
    inputs = torch.randn(3, 4, 5, 6).to(memory_format=torch.channels_last).requires_grad_()
    output = instance_norm(inputs, None, None, 1e-5)
    (gradient,) = torch.autograd.grad(output, inputs, torch.ones_like(output))
    assert output.is_contiguous(memory_format=torch.channels_last)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
