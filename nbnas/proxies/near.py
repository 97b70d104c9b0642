"""NEAR: effective ranks of activations.

With Z a square block of a layer's output, as many positions as channels,

    score = sum_l erank(Z_l) ,   erank(Z) = exp(-sum_k p_k ln p_k) ,   p_k = sigma_k / (sum of singular values) .

Layers are modules with an attribute ``weight``, normalisations too, and activation modules. Source: Husistein et al.,
ICLR 2025 (key ``husistein2025near``), and its released code, which counts normalisations where the paper speaks of what
enters and leaves each activation.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nbnas.networks.eigenvalues import in_stacks
from nbnas.networks.layers import NORMALISATIONS, UnsupportedModelError
from nbnas.networks.module_outputs import look_at_outputs
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def effective_rank(matrices: Tensor) -> Tensor:
    """Effective rank, 1 to min(P, Q), of matrices (..., P, Q): (...,) in float64; 0 where all entries are zero."""
    singular_values = torch.linalg.svdvals(matrices.double())
    total = singular_values.sum(-1)
    shares = singular_values / total.clamp(min=torch.finfo(torch.float64).tiny).unsqueeze(-1)
    return torch.where(total > 0, torch.special.entr(shares).sum(-1).exp(), 0)


def block(output: Tensor, draw: Callable[[int], int]) -> Tensor:
    """Cut the block of an output (N, C), (N, tokens, C) or (N, C, H, W): C rows, or fewer, and C columns.

    Rows are positions, of an image column by column. The first is ``draw(choices) * s`` with s the last dimension of
    the output, and choices such that the block may reach over the end of the batch, where it is cut short. An output
    with fewer positions than channels is taken as a whole. Released code knows no tokens.
    """
    if output.dim() not in (2, 3, 4):
        raise UnsupportedModelError(f"needs outputs of two to four dimensions, found {tuple(output.shape)}")
    maps = output.permute(0, 3, 2, 1) if output.dim() == 4 else output
    columns, per_sample = maps.shape[-1], maps[0].numel() // maps.shape[-1]
    rows, choices = len(maps) * per_sample, len(maps) * per_sample // output.shape[-1] - 1
    if rows < columns:
        return maps.reshape(rows, columns).clone()
    start = draw(choices) * output.shape[-1] if choices > 0 else 0
    first, last = start // per_sample, math.ceil((start + columns) / per_sample)  # Of the samples that are touched.
    offset = start - first * per_sample
    return maps[first:last].reshape(-1, columns)[offset : offset + columns].clone()


def layer_blocks(
    network: nn.Module, inputs: Tensor, draw: Callable[[int], int]
) -> tuple[Tensor, list[tuple[nn.Module, Tensor]]]:
    """Return the logits, and each layer with the block of its first output, in order of execution."""
    found: set[nn.Module] = set()

    def look(module: nn.Module, output: Tensor) -> tuple[nn.Module, Tensor] | None:
        is_activation = type(module).__module__ == nn.ReLU.__module__
        if module in found or not (is_activation or hasattr(module, "weight")):
            return None
        found.add(module)
        return module, block(output, draw)

    return look_at_outputs(network, inputs, look)


@register(
    title="NEAR",
    family="features",
    paper="Husistein et al., ICLR 2025",
    formula="sum_l exp(entropy of the normalised singular values of a square block of output l)",
    requires="modules with weights, or activation modules",
    cost="F",
    scores=("near", "near_plain"),
)
def near(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the effective ranks of its layers' outputs: ``near`` as released, from 0 to all channels.

    ``near_plain`` leaves out normalisations. Blocks are cut from the first batch alone, at positions that the proxy's
    generator draws. Activations that are called as functions do not count.
    """

    def draw(choices: int) -> int:
        return int(torch.randint(choices, (1,), generator=probe.generator, device="cpu"))

    logits, layers = layer_blocks(probe.network, probe.batches[0][0], draw)
    if not layers:
        raise UnsupportedModelError("needs modules with weights, or activation modules")
    probe.check_outputs(logits)
    ranks = in_stacks(effective_rank, [matrix for _, matrix in layers])
    plain = torch.tensor([not isinstance(layer, NORMALISATIONS) for layer, _ in layers])
    return {"near": ranks.sum(), "near_plain": ranks[plain].sum()}
