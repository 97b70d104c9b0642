"""EPE-NAS: correlation of input gradients within classes.

The rows of jacov are grouped by label. For each class c seen, with corr_c the correlation matrix of its rows,

    s_c = sum over entries of ln(|corr_c| + k),   k = 1e-5
    epe_nas = sum_c |s_c|                            for at most 100 classes
            = sum over ordered pairs |s_c - s_c'| / (number of classes seen), s_c divided by the rows of c,  for more

Source: Lopes et al., ICANN 2021 (key ``lopes2021epenas``).
"""

import torch
from torch import Tensor

from nbnas.proxies.jacov import correlation_matrix
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


def epe_nas_score(input_gradients: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Score from the input gradients (N, ...) of the sum of all logits, labels (N,), and the number of logits.

    A class whose correlation is undefined is left out; NaN if all are.
    """
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    sizes = same.sum(1).double()
    # A single sample correlates perfectly with itself, whatever it is.
    alone = same & (sizes == 1)
    correlation = torch.where(alone, 1.0, correlation_matrix(input_gradients.flatten(1)))
    entries = torch.where(same, (correlation.abs() + 1e-5).log(), 0)
    # s_c of the class of every sample; each class appears as often as it has samples.
    sums = torch.where(same, entries.sum(1), 0).sum(1)
    defined = ~sums.isnan()
    weights = torch.where(defined, 1 / sizes, 0)
    sums = torch.where(defined, sums, 0)
    if num_classes <= 100:
        score = (sums.abs() * weights).sum()
    else:
        sums = sums / sizes
        distances = (sums.unsqueeze(0) - sums.unsqueeze(1)).abs()
        score = weights @ distances @ weights / weights.sum()
    return torch.where(defined.any(), score, float("nan"))


@register(
    title="EPE-NAS",
    family="kernel",
    paper="Lopes et al., ICANN 2021",
    formula="sum_c |sum ln(|corr_c| + 1e-5)|, corr_c of the input gradients of class c",
    needs_labels=True,
    requires="logits differentiable with respect to the input",
    cost="F + I",
)
def epe_nas(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the correlation of its input gradients within each class of a batch, at least 0."""
    probe.require_pair()
    score = epe_nas_score(probe.input_gradients(), probe.shared_batch()[1], probe.forward().logits.shape[1])
    probe.degenerate_if(score.isnan(), "the input gradients of every class are constant")
    return {"epe_nas": score}
