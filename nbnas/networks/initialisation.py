"""Weight initialisations that the published methods start from.

Each changes a network in place. Numbers are drawn on the CPU in float32, from a CPU generator, whatever the device and
dtype of the network. Normalisation layers are reset: scales 1, shifts 0, fresh statistics. Parameters of layers other
than convolutions, linear layers and normalisations keep their values.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parametrize

from nbnas.networks.layers import NORMALISATIONS, WEIGHT_LAYERS, UnsupportedModelError


def kaiming_normal(model: nn.Module, generator: Generator) -> None:
    """Draw convolution and linear weights from N(0, 2 / fan_in); biases are 0: He et al., ICCV 2015.

    VKDNW, AZ-NAS and their baselines start from it.
    """
    draw_normal(model, generator, lambda weight: (2 / weight[0].numel()) ** 0.5)


def standard_normal(model: nn.Module, generator: Generator) -> None:
    """Draw convolution and linear weights from N(0, 1); biases are 0: Lin et al., ICCV 2021, for the Zen-score."""
    draw_normal(model, generator, lambda weight: 1.0)


def torch_default(model: nn.Module, generator: Generator) -> None:
    """Draw convolution and linear weights and biases from U(-b, b), b = 1 / sqrt(fan_in), as their constructors do.

    T-CET, ZiCo, TE-NAS and GradSign, whose code starts from a freshly built network, start from it.
    """
    for layer in _layers(model):
        for name in ("weight", "bias"):
            if getattr(layer, name) is not None:
                noise = torch.rand(getattr(layer, name).shape, generator=generator, dtype=torch.float32, device="cpu")
                _assign(layer, name, (2 * noise - 1) / layer.weight[0].numel() ** 0.5)


def draw_normal(model: nn.Module, generator: Generator, deviation: Callable[[Tensor], float]) -> None:
    """Draw convolution and linear weights from N(0, d^2), d = deviation(weight); biases are 0."""
    for layer in _layers(model):
        noise = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float32, device="cpu")
        _assign(layer, "weight", noise * deviation(layer.weight))
        if layer.bias is not None:
            _assign(layer, "bias", torch.zeros(layer.bias.shape))


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    """Yield convolutions and linear layers in registration order; reset normalisations."""
    for module in model.modules():
        if isinstance(module, WEIGHT_LAYERS):
            yield module
        elif isinstance(module, NORMALISATIONS):
            module.reset_parameters()


def _assign(layer: nn.Module, name: str, values: Tensor) -> None:
    """Set a parameter, or what a parametrisation such as weight norm makes of others."""
    with torch.no_grad():
        if name in layer._parameters:
            getattr(layer, name).copy_(values)
            return
        try:
            if not parametrize.is_parametrized(layer, name):
                raise NotImplementedError
            setattr(layer, name, values.to(getattr(layer, name)))
        except (NotImplementedError, RuntimeError) as error:
            found = f"the {name} of a {type(layer).__name__} is computed from others; init=None keeps it"
            raise UnsupportedModelError(f"needs weights that can be drawn: {found}") from error


def kept_parameters(model: nn.Module) -> list[str]:
    """Return the names of the parameters that no initialisation changes: of own layers, attention, tokens, scales."""
    names = []
    for prefix, module in model.named_modules():
        if not isinstance(module, (*WEIGHT_LAYERS, *NORMALISATIONS, parametrize.ParametrizationList)):
            names += [f"{prefix}.{name}".lstrip(".") for name, _ in module.named_parameters(recurse=False)]
    return names


INITIALISATIONS = {function.__name__: function for function in (kaiming_normal, standard_normal, torch_default)}
"""Name in a proxy's record -> function (model, generator)."""
