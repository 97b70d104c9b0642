"""ZiCo: inverse coefficient of variation of gradients over batches.

    zico        = sum over layers of ln sum_w  mean_b |g_b,w| / std_b(g_b,w)       (released code: signed gradient)
    zico_paper  = the same with the standard deviation of |g_b,w|                  (the paper's formula)

over weights whose standard deviation over the batches b is not zero. Source: Li et al., ICLR 2023 (key ``li2023zico``).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nbnas.proxies.info import ProxyInfo
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def zico_score(gradients: Sequence[Mapping[str, Tensor]], variant: str = "official") -> Tensor:
    """Combine the gradients of several batches.

    Args:
        gradients: One mapping per batch, layer name -> gradient of its weight.
        variant: ``official`` takes the population standard deviation of the signed gradient, ``paper`` of its modulus.

    Returns:
        Sum over layers; a layer in which every standard deviation is zero is skipped, minus infinity if all are.

    Raises:
        ValueError: If ``variant`` is neither.
    """
    if variant not in ("official", "paper"):
        raise ValueError(f"variant must be 'official' or 'paper', got {variant!r}")
    parts, counted = [], []
    for name in gradients[0]:
        stacked = torch.stack([batch[name].flatten() for batch in gradients])
        moduli = stacked.abs()
        spread = (stacked if variant == "official" else moduli).std(0, correction=0)
        varies = spread != 0
        ratio = torch.where(varies, moduli.mean(0) / torch.where(varies, spread, 1), 0)
        parts.append(ratio.double().sum().log())
        counted.append(varies.any())
    layers, counted = torch.stack(parts), torch.stack(counted)
    return torch.where(counted.any(), torch.where(counted, layers, 0).sum(), -torch.inf)


@register(
    ProxyInfo(
        name="zico",
        title="ZiCo",
        family="gradients",
        paper="Li et al., ICLR 2023",
        formula="sum_l ln sum_w mean_b |g| / std_b(g) over two batches b",
        higher_is_better=True,
        mode="train",
        batches=2,
        needs_labels=True,
        inputs="images",
        initialisation="torch_default",
        requires="convolutions or linear layers",
        cost="2 F + 2 B",
        scores=("zico", "zico_paper"),
    )
)
def zico(probe: Probe) -> dict[str, Tensor]:
    """Score a network by ZiCo on two batches, in both variants.

    Args:
        probe: Network in train mode and two labelled batches.

    Returns:
        ``zico`` and ``zico_paper``, dimensionless; degenerate if no gradient varies. In float32 the score depends on
        which standard deviations round to exactly zero.
    """
    gradients = [
        {name: gradient for name, (_, gradient) in probe.weight_gradients(batch).items()} for batch in range(2)
    ]
    scores = {"zico": zico_score(gradients), "zico_paper": zico_score(gradients, "paper")}
    probe.degenerate_if(torch.stack(list(scores.values())).isneginf().all(), "no gradient varies over the batches")
    return scores
