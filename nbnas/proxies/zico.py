"""ZiCo: inverse coefficient of variation of gradients over batches.

``zico`` is what the released code computes, ``zico_paper`` the paper's formula. Weights whose standard deviation over
the batches b is zero are left out. Source: Li et al., ICLR 2023 (key ``li2023zico``).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nbnas.errors import NbnasError
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def zico_score(gradients: Sequence[Mapping[str, Tensor]], variant: str = "official") -> Tensor:
    """Sum over layers of ln sum_w mean_b |g_b,w| / std_b(g_b,w).

    A layer in which every standard deviation is zero is skipped; minus infinity if all are.

    Args:
        gradients: One mapping per batch, layer name -> gradient of its weight.
        variant: ``official`` takes the population standard deviation of the signed gradient, ``paper`` of its modulus.
    """
    if variant not in ("official", "paper"):
        raise NbnasError(f"variant must be 'official' or 'paper', got {variant!r}")
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
    title="ZiCo",
    family="gradients",
    paper="Li et al., ICLR 2023",
    formula="sum_l ln sum_w mean_b |g| / std_b(g) over two batches b",
    batches=2,
    needs_labels=True,
    requires="convolutions or linear layers",
    cost="2 F + 2 B",
    scores=("zico", "zico_paper"),
)
def zico(probe: Probe) -> dict[str, Tensor]:
    """Score a network by ZiCo on two batches, in both variants; degenerate if no gradient varies.

    In float32 the score depends on which standard deviations round to exactly zero.
    """
    gradients = [{name: gradient for name, (_, gradient) in probe.weight_gradients(batch).items()} for batch in (0, 1)]
    scores = {"zico": zico_score(gradients), "zico_paper": zico_score(gradients, "paper")}
    probe.degenerate_if(torch.stack(list(scores.values())).isneginf().all(), "no gradient varies over the batches")
    return scores
