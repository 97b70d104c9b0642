"""ZiCo: inverse coefficient of variation of gradients over batches.

    sum over layers of ln sum_w mean_b |g_b,w| / std_b(g_b,w)

``zico`` takes the population standard deviation of the signed gradient, as the released code does, ``zico_paper`` that
of its modulus, as the paper does. Weights whose deviation over the batches b is zero are left out. Source: Li et al.,
ICLR 2023 (key ``li2023zico``).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def zico_scores(gradients: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return ``zico`` and ``zico_paper`` of one mapping per batch, layer name -> gradient of its weight.

    A layer in which every standard deviation is zero is skipped; minus infinity if all are.
    """
    scores: dict[str, list[Tensor]] = {"zico": [], "zico_paper": []}
    for name in gradients[0]:
        signed = torch.stack([batch[name].flatten() for batch in gradients])
        moduli = signed.abs()
        for layers, values in zip(scores.values(), (signed, moduli), strict=True):
            spread = values.std(0, correction=0)
            varies = spread != 0
            ratio = torch.where(varies, moduli.mean(0) / torch.where(varies, spread, 1), 0)
            layers.append(ratio.double().sum().log())  # Minus infinity where nothing varies.
    return {name: _sum_of_those_that_vary(torch.stack(layers)) for name, layers in scores.items()}


def _sum_of_those_that_vary(layers: Tensor) -> Tensor:
    constant = layers.isneginf()
    return torch.where(constant.all(), -torch.inf, torch.where(constant, 0, layers).sum())


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
    scores = zico_scores(gradients)
    probe.degenerate_if(torch.stack(list(scores.values())).isneginf().all(), "no gradient varies over the batches")
    return scores
