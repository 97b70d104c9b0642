"""Weight initialisations that the published methods start from."""

import torch
from torch import Generator, nn


def kaiming_normal(model: nn.Module, generator: Generator) -> None:
    """Draw convolution and linear weights from N(0, 2 / fan_in); biases 0, normalisation scales 1 and shifts 0.

    Source: He et al., ICCV 2015; the initialisation of VKDNW, AZ-NAS and their baselines. Normalisation statistics
    are reset. Parameters of other layers keep their values.

    Args:
        model: Changed in place.
        generator: CPU generator; numbers are drawn on the CPU in float32 whatever the device and dtype of the model.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)):
            fan_in = module.weight[0].numel()
            noise = torch.randn(module.weight.shape, generator=generator)
            with torch.no_grad():
                module.weight.copy_(noise * (2 / fan_in) ** 0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)):
            module.reset_parameters()


INITIALISATIONS = {"kaiming_normal": kaiming_normal}
"""Name in a proxy's record -> function (model, generator)."""
