"""TE-NAS: condition number of the neural tangent kernel, and number of linear regions.

Source: Chen et al., ICLR 2021 (key ``chen2021tenas``). TE-NAS ranks by the sum of the two ranks.

In train mode BatchNorm makes every sample's logits depend on the whole batch, and exactly this coupling decides the
published condition number (it is several to several hundred times smaller than that of the kernel with statistics held
fixed). Each row of G then takes a backward pass through the whole batch. Without BatchNorm one pass gives all rows.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nbnas.networks.autograd import directions_at_once, gradients_along
from nbnas.networks.eigenvalues import eigenvalues
from nbnas.networks.layers import UnsupportedModelError
from nbnas.networks.per_sample_gradients import per_sample_gradients, samples_interact
from nbnas.networks.recording import Recording
from nbnas.proxies.naswot import relu_agreements
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def tangent_kernel(network: nn.Module, recording: Recording) -> Tensor:
    """Theta = G G^T, (N, N) in float64, of a network and its recorded forward pass.

    G_n is the gradient of the sum of the logits of sample n with respect to every parameter with "weight" in its name.
    """
    names = [name for name, _ in network.named_parameters() if "weight" in name]
    if not names:
        raise UnsupportedModelError("needs parameters with 'weight' in their names")
    sums = recording.logits.sum(1)
    if not samples_interact(network, recording):
        gradients = per_sample_gradients(network, recording, sums.sum(), names)
        if gradients is not None:
            return _gram(gradients.values())
    parameters = [network.get_parameter(name) for name in names if name in recording.used]
    if not parameters:
        return sums.new_zeros(len(sums), len(sums), dtype=torch.float64)
    # A direction per sample, and each goes through the whole batch.
    basis = torch.eye(len(sums), dtype=sums.dtype, device=sums.device)
    rows = [gradients_along(sums, parameters, part) for part in basis.split(directions_at_once(recording.inputs))]
    return _gram(torch.cat(column) for column in zip(*rows, strict=True))


def _gram(gradients: Iterable[Tensor]) -> Tensor:
    return sum((rows @ rows.T).double() for rows in (gradient.flatten(1) for gradient in gradients))


def negative_condition_number(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """- lambda_max / lambda_min of a symmetric matrix in float64, and whether it is singular in terms of float32."""
    values = eigenvalues(kernel)
    singular = values[0] <= values[-1] * len(kernel) * torch.finfo(torch.float32).eps
    return -values[-1] / values[0], singular


@register(
    title="TE-NAS, tangent kernel",
    family="kernel",
    paper="Chen et al., ICLR 2021",
    formula="-lambda_max / lambda_min of G G^T, G_n = d(sum of logits of sample n)/d(weights)",
    requires="parameters with 'weight' in their names",
    cost="F + N B with BatchNorm, F + B without",
)
def te_nas_ntk(probe: Probe) -> dict[str, Tensor]:
    """Score a network by minus the condition number of its empirical neural tangent kernel: at most -1.

    Where the kernel is singular at working precision released code returns rounding noise of either sign.
    """
    probe.require_pair()
    score, singular = negative_condition_number(tangent_kernel(probe.shared_network(), probe.forward()))
    probe.degenerate_if(singular, "the tangent kernel is singular at working precision")
    return {"te_nas_ntk": score}


@register(
    title="TE-NAS, linear regions",
    family="activations",
    paper="Chen et al., ICLR 2021",
    formula="number of distinct ReLU patterns in a batch",
    inputs="noise",
    sees_classifier=False,
    requires="ReLU activations on feature maps",
    cost="F",
)
def te_nas_linear_regions(probe: Probe) -> dict[str, Tensor]:
    """Count the linear regions that the samples fall into: 1 to N, which nearly every network reaches for N = 64."""
    pairs = zip(relu_agreements(probe), probe.forward().relu_inputs, strict=True)
    maps = [kernel for kernel, entered in pairs if entered.dim() == 4]
    if not maps:
        raise UnsupportedModelError("needs ReLU activations on feature maps (N, C, H, W)")
    # Two samples share a region if they agree in every unit of every layer, as each does with itself.
    same = torch.stack([kernel == kernel[0, 0] for kernel in maps]).all(0)
    first_of_its_kind = ~same.tril(-1).any(1)
    return {"te_nas_linear_regions": first_of_its_kind.sum()}
