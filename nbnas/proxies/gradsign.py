"""GradSign: do the gradients of single samples agree in sign?

With g_i,w the gradient of the cross-entropy of sample i, in train mode on a batch of that one sample, over convolution
and linear weights: ``gradsign`` is what the released code of VKDNW computes, ``gradsign_sum`` the paper's formula. The
mean correlates negatively with accuracy on NAS-Bench-201, which is why VKDNW quotes GradSign's own paper. Source: Zhang
& Jia, ICLR 2022 (key ``zhang2022gradsign``).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nbnas.networks.fast_norms import instance_norm
from nbnas.networks.layers import BATCH_NORMS, UnsupportedModelError, total, uses_batch_statistics, weight_layers
from nbnas.networks.per_sample_gradients import per_sample_gradients
from nbnas.networks.recording import record
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def normalise_each_sample(network: nn.Module) -> None:
    """Make every BatchNorm treat each sample as a batch of its own, as train mode does with batches of one."""
    for name, module in network.named_modules():
        if isinstance(module, BATCH_NORMS) and uses_batch_statistics(module):
            # The argument has the name that torch gives it: a network may pass it by keyword.
            def forward(input: Tensor, layer: nn.Module = module, name: str = name) -> Tensor:
                if input[0, 0].numel() < 2:
                    raise UnsupportedModelError(f"the BatchNorm {name!r} has one value per sample and channel")
                return instance_norm(input, layer.weight, layer.bias, layer.eps)

            module.forward = forward


def gradients_one_by_one(network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return layer name -> per-sample gradients (N, *weight.shape) by one backward pass per sample."""
    layers = weight_layers(network)
    weights = [layer.weight for layer in layers.values()]
    rows = []
    for sample, label in zip(inputs.split(1), labels.split(1), strict=True):
        loss = functional.cross_entropy(network(sample), label)
        rows.append(torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True))
    return {name: torch.stack(column) for name, column in zip(layers, zip(*rows, strict=True), strict=True)}


@register(
    title="GradSign",
    family="gradients",
    paper="Zhang & Jia, ICLR 2022",
    formula="mean_w |sum_i sign(dL_i/dw)|; gradsign_sum: the sum over w",
    needs_labels=True,
    requires="convolutions or linear layers; no BatchNorm of single values",
    cost="F + B, samples kept apart",
    scores=("gradsign", "gradsign_sum"),
)
def gradsign(probe: Probe) -> dict[str, Tensor]:
    """Score a network by how well the signs of single-sample gradients agree: ``gradsign`` is 0 to N."""
    probe.require_pair()
    network = probe.network
    normalise_each_sample(network)
    inputs, labels = probe.batches[0]
    layers = weight_layers(network)
    recording = record(network, inputs)
    loss = functional.cross_entropy(recording.logits, labels, reduction="sum")
    names = [f"{name}.weight".lstrip(".") for name in layers]
    gradients = None if recording.batch_statistics else per_sample_gradients(network, recording, loss, names)
    if gradients is None:
        gradients = gradients_one_by_one(network, inputs, labels)
    probe.check_outputs(recording.logits, recording.last_features)
    agreement = total([gradient.sign().sum(0).abs().sum() for gradient in gradients.values()])
    return {"gradsign": agreement / sum(layer.weight.numel() for layer in layers.values()), "gradsign_sum": agreement}
