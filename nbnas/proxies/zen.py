"""Zen-score: how much the features before pooling move when the input does, corrected for BatchNorm.

With weights and inputs x, e standard normal, x' = x + 0.01 e, and f the features before global pooling,

    zen = ln( mean over samples of sum |f(x) - f(x')| ) + sum over BatchNorms of ln sqrt( mean over channels of var )

Released code takes the running variance after the two forward passes, 0.81 + 0.09 v + 0.1 v' for (unbiased) batch
variances v, v' and torch's default momentum (``zen``); the paper means the batch variance itself (``zen_paper``).
Source: Lin et al., ICCV 2021 (key ``lin2021zennas``).
"""

import torch
from torch import Tensor, nn

from nbnas.networks.feature_maps import last_feature_map
from nbnas.networks.layers import BATCH_NORMS, total
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register


@register(
    title="Zen-score",
    family="features",
    paper="Lin et al., ICCV 2021",
    formula="ln E|f(x) - f(x + 0.01 e)| + sum_BN ln sqrt(mean_c var_c), f = features before pooling",
    inputs="noise",
    initialisation="standard_normal",
    sees_classifier=False,
    requires="feature maps (N, C, H, W) that only pooling and linear layers follow",
    cost="2 F",
    scores=("zen", "zen_paper"),
)
def zen(probe: Probe) -> dict[str, Tensor]:
    """Score a network by its Zen-score, one repeat, in nats; degenerate if the features do not depend on the input."""
    network, (inputs, _) = probe.network, probe.batches[0]
    noise = torch.randn(inputs.shape, generator=probe.generator, dtype=torch.float32, device="cpu").to(inputs)
    return zen_of_network(probe, network, inputs, inputs + 0.01 * noise)


def zen_of_network(probe: Probe, network: nn.Module, inputs: Tensor, moved_inputs: Tensor) -> dict[str, Tensor]:
    """Compute both scores of a network in train mode from x and x'; its BatchNorms are changed."""
    norms = [module for module in network.modules() if isinstance(module, BATCH_NORMS)]
    batch_variances: dict[nn.Module, list[tuple[Tensor, int]]] = {norm: [] for norm in norms}
    momenta = {norm: norm.momentum for norm in norms}
    running = {norm: 1.0 if norm.running_var is None else norm.running_var.clone() for norm in norms}

    def remember(norm: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        batch_variances[norm].append((norm.running_var.clone(), output.numel() // output.shape[1]))

    for norm in norms:
        # With momentum 1 the running variance is that of the batch, which the layer computes anyway.
        norm.momentum, norm.track_running_stats = 1.0, True
        for name in ("running_mean", "running_var"):
            norm.register_buffer(name, torch.zeros(norm.num_features).to(inputs))
        norm.register_forward_hook(remember)
    features = last_feature_map(network, inputs)
    # Running variances are unbiased; BatchNorm divides by the population's.
    population = [variance * (count - 1) / count for calls in batch_variances.values() for variance, count in calls]
    moved = last_feature_map(network, moved_inputs)
    for norm in norms:
        for number, (variance, _) in enumerate(batch_variances[norm], start=1):
            # Without a momentum, torch averages over all batches.
            momentum = 1 / number if momenta[norm] is None else momenta[norm]
            running[norm] = (1 - momentum) * running[norm] + momentum * variance
    probe.degenerate_if((features == moved).all(), "the features do not depend on the input")
    movement = (features - moved).abs().flatten(1).double().sum(1).mean().log()
    variances = {"zen": [running[norm] for norm in norms if batch_variances[norm]], "zen_paper": population}
    logs = {name: [variance.double().mean().log() / 2 for variance in found] for name, found in variances.items()}
    return {name: total([movement, *found]) for name, found in logs.items()}
