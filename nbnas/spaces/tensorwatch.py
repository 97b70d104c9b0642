"""Operations as tensorwatch 0.9.1 counts them, the convention of the records that NASLib publishes.

One image, leaf modules only, a module that runs several times counts once. Of an output of n elements: a convolution
counts its multiply-adds and n if it has a bias; BatchNorm 2 n, without scales n; ReLU n; pooling with kernel k counts
k^2 n; pooling to one pixel channels * (height + 1) * (width + 1), as released; a linear layer in * out. All else is
free.
"""

import torch
from torch import Tensor, nn


def count_operations(network: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Count the operations of a network for one image.

    Args:
        network: Nothing is computed if its parameters are on the device ``meta``.
        input_shape: (channels, height, width).
    """
    counts: dict[nn.Module, int] = {}

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts[module] = _operations(module, inputs[0], output)

    handles = [module.register_forward_hook(count) for module in network.modules() if not list(module.children())]
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *input_shape, device=next(network.parameters()).device))
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    return sum(counts.values())


def _operations(module: nn.Module, inputs: Tensor, output: Tensor) -> int:
    match module:
        case nn.Conv2d():
            per_output = module.weight[0].numel() + (module.bias is not None)
            return per_output * output.numel()
        case nn.BatchNorm2d():
            return (2 if module.affine else 1) * output.numel()
        case nn.ReLU():
            return output.numel()
        case nn.MaxPool2d() | nn.AvgPool2d():
            return module.kernel_size**2 * output.numel()
        case nn.AdaptiveAvgPool2d():
            return inputs.shape[1] * (inputs.shape[2] + 1) * (inputs.shape[3] + 1)
        case nn.Linear():
            return module.weight.numel()
    return 0
