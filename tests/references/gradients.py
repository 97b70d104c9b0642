"""Scores made of weights and gradients of the loss, the slow way.

grad_norm, grad_norm_layerwise, l2_norm, plain, SNIP, GraSP, SynFlow, Fisher, GradSign, ZiCo. Batches are pairs
(inputs, labels); networks come in any mode and are not changed. Sources: the entries of the same names in the
bibliography of the package.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian
from torch.func import functional_call

from references.common import NORMS, calls, fresh, layers, mean_cross_entropy

Batch = tuple[Tensor, Tensor]


def loss_gradients(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Parameter name -> gradient of the mean cross-entropy in train mode; zeros where there is none."""
    network = fresh(network, "train")
    mean_cross_entropy(network(batch[0]), batch[1]).backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        for name, parameter in network.named_parameters()
    }


def grad_norm(network: nn.Module, batch: Batch) -> float:
    """Root of the sum of squares over all entries of all parameters."""
    squares = [g * g for gradient in loss_gradients(network, batch).values() for g in gradient.flatten().tolist()]
    return math.sqrt(math.fsum(squares))


def grad_norm_layerwise(network: nn.Module, batch: Batch) -> float:
    """Sum over convolutions and linear layers of the root of the sum of squares."""
    gradients = loss_gradients(network, batch)
    return sum(
        math.sqrt(math.fsum(g * g for g in gradients[f"{name}.weight"].flatten().tolist()))
        for name, _ in layers(network)
    )


def l2_norm(network: nn.Module) -> float:
    """Sum over layers of the Euclidean length of the weight."""
    return sum(math.sqrt(math.fsum(w * w for w in layer.weight.flatten().tolist())) for _, layer in layers(network))


def plain(network: nn.Module, batch: Batch) -> float:
    """Signed sum of w dL/dw."""
    gradients = loss_gradients(network, batch)
    return math.fsum(
        w * g
        for name, layer in layers(network)
        for w, g in zip(layer.weight.flatten().tolist(), gradients[f"{name}.weight"].flatten().tolist(), strict=True)
    )


def snip_saliency(network: nn.Module, batch: Batch) -> dict[str, list[float]]:
    """Layer name -> |dL/dm| for masks m of ones that multiply the weights."""
    network = fresh(network, "train")
    masks = {name: torch.ones_like(layer.weight, requires_grad=True) for name, layer in layers(network)}
    masked = {f"{name}.weight": layer.weight.detach() * masks[name] for name, layer in layers(network)}
    mean_cross_entropy(functional_call(network, masked, (batch[0],)), batch[1]).backward()
    for mask in masks.values():
        if mask.grad is None:  # Of a layer that is never called.
            mask.grad = torch.zeros_like(mask)
    return {name: [abs(g) for g in mask.grad.flatten().tolist()] for name, mask in masks.items()}


def grasp_saliency(network: nn.Module, batch: Batch) -> dict[str, list[float]]:
    """Layer name -> -w (H g), with the dense Hessian of the loss over the weights of all layers."""
    network = fresh(network, "train")
    weights = {f"{name}.weight": layer.weight.detach() for name, layer in layers(network)}
    flat = torch.cat([weight.flatten() for weight in weights.values()]).requires_grad_()

    def loss(flat: Tensor) -> Tensor:
        pieces = flat.split([weight.numel() for weight in weights.values()])
        replaced = {
            name: piece.reshape(weight.shape) for (name, weight), piece in zip(weights.items(), pieces, strict=True)
        }
        return mean_cross_entropy(functional_call(network, replaced, (batch[0],)), batch[1])

    (gradient,) = torch.autograd.grad(loss(flat), flat)
    saliency = (-flat.detach().numpy() * (hessian(loss, flat.detach()).numpy() @ gradient.numpy())).tolist()
    result = {}
    for name, layer in layers(network):
        result[name], saliency = saliency[: layer.weight.numel()], saliency[layer.weight.numel() :]
    return result


class _Nothing(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


def synflow_saliency(network: nn.Module, batch: Batch) -> dict[str, list[float]]:
    """Layer name -> |w dR/dw|, R the sum of the logits of the network of |parameters| without norms, for ones."""
    network = fresh(network, "eval").double()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, NORMS):
                setattr(module, name, _Nothing())
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(parameter.detach().abs()))
    network(torch.ones(1, *batch[0].shape[1:], dtype=torch.float64)).sum().backward()
    result = {}
    for name, layer in layers(network):
        gradient = torch.zeros_like(layer.weight) if layer.weight.grad is None else layer.weight.grad
        pairs = zip(layer.weight.flatten().tolist(), gradient.flatten().tolist(), strict=True)
        result[name] = [abs(w * g) for w, g in pairs]
    return result


def fisher(network: nn.Module, batch: Batch) -> float:
    """Sum over layers, channels and weights of a channel of 1/2 mean_n (sum over positions of a dL/da)^2."""
    network = fresh(network, "train")
    logits, found = calls(network, batch[0], tuple({type(layer) for _, layer in layers(network)}))
    for _, _, _, output in found:
        output.retain_grad()
    mean_cross_entropy(logits, batch[1]).backward()
    score = 0.0
    for _, layer, _, output in found:
        gradient = torch.zeros_like(output) if output.grad is None else output.grad
        for channel, weights in enumerate(layer.weight):
            # Of a linear layer the channels come last.
            dim = output.dim() - 1 if isinstance(layer, nn.Linear) else 1
            a, g = output.select(dim, channel), gradient.select(dim, channel)
            sums = [(a[n] * g[n]).sum().item() for n in range(len(a))]
            score += weights.numel() * sum(s * s for s in sums) / (2 * len(sums))
    return score


def gradsign(network: nn.Module, batch: Batch) -> tuple[float, int]:
    """Mean and sum over weights of |sum_i sign(g_i)|, every sample a batch of one in train mode."""
    agreement: list[int] = []
    for sample, label in zip(*batch, strict=True):
        gradients = loss_gradients(network, (sample.unsqueeze(0), label.unsqueeze(0)))
        signs = [
            (g > 0) - (g < 0) for name, _ in layers(network) for g in gradients[f"{name}.weight"].flatten().tolist()
        ]
        agreement = [a + s for a, s in zip(agreement or [0] * len(signs), signs, strict=True)]
    total = sum(abs(a) for a in agreement)
    return total / len(agreement), total


def zico(network: nn.Module, batches: list[Batch], variant: str) -> float:
    """Sum over layers of ln sum_w mean|g| / std, std over batches of g (``official``) or |g| (``paper``)."""
    gradients = [loss_gradients(network, batch) for batch in batches]
    score = 0.0
    for name, _ in layers(network):
        ratios = 0.0
        per_batch = [gradient[f"{name}.weight"].flatten().tolist() for gradient in gradients]
        for values in zip(*per_batch, strict=True):
            moduli = [abs(value) for value in values]
            deviation = float(np.std(values if variant == "official" else moduli))
            if deviation > 0:
                ratios += sum(moduli) / len(moduli) / deviation
        if ratios > 0:
            score += math.log(ratios)
    return score
