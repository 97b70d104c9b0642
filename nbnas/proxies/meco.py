"""MeCo: the least eigenvalue of the correlation of channels.

With f_i the feature map of module i for one sample, (C_i, positions), and P its Pearson correlation of channels,

    MeCo = sum_i lambda_min(P(f_i)) ,   MeCo_opt = sum_i C_i / n lambda_min(P of n = 8 channels drawn of f_i) .

Released code sums over the outputs of all modules, containers too, so that a tensor counts as often as modules return
it; the paper speaks of convolutions. Source: Jiang et al., NeurIPS 2023 (key ``jiang2023meco``).
"""

import torch
from torch import Tensor, nn

from nbnas.networks.eigenvalues import in_stacks
from nbnas.networks.layers import WEIGHT_LAYERS
from nbnas.networks.module_outputs import look_at_outputs
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register

CHANNELS = 8
"""n of MeCo_opt."""


def sample_maps(network: nn.Module, sample: Tensor) -> tuple[Tensor, list[tuple[nn.Module, Tensor]]]:
    """Run a network on a batch of one; return the logits, and each module with its output as (channels, positions)."""

    def look(module: nn.Module, output: Tensor) -> tuple[nn.Module, Tensor] | None:
        return (module, output[0].reshape(output.shape[1], -1).clone()) if output.dim() > 1 else None

    return look_at_outputs(network, sample, look)


def least_eigenvalue(maps: Tensor) -> Tensor:
    """Least eigenvalue of the correlation of channels, maps (S, C, positions) -> (S,), in float64.

    A channel whose spread is a rounding error is a row of zeros, with a zero on the diagonal.
    """
    if maps.shape[-1] <= maps.shape[-2]:  # Centred rows: the rank is at most positions - 1.
        return torch.zeros(len(maps), dtype=torch.float64)
    negligible = 1e-12 if maps.dtype == torch.float64 else 1e-6
    maps = maps.double()
    centred = maps - maps.mean(-1, keepdim=True)
    spread, modulus = centred.norm(dim=-1, keepdim=True), maps.norm(dim=-1, keepdim=True)
    unit = torch.where(spread > negligible * modulus, centred / spread, 0)
    return torch.linalg.eigvalsh(unit @ unit.mT)[:, 0]


def first_sample_maps(probe: Probe) -> list[tuple[nn.Module, Tensor]]:
    """Return :func:`sample_maps` of the first sample of the batch, shared; flags logits that ignore the input."""

    def compute() -> list[tuple[nn.Module, Tensor]]:
        probe.require_samples(1)
        network, (inputs, _) = probe.shared_network(), probe.shared_batch()
        logits, maps = sample_maps(network, inputs[:1])
        with torch.no_grad():
            probe.check_outputs(network(inputs[:2].clone()))
        probe.check_outputs(logits)
        return maps

    return probe.share("first sample", compute, probe.mode)


@register(
    title="MeCo",
    family="features",
    paper="Jiang et al., NeurIPS 2023",
    formula="sum_i lambda_min(correlation of channels of output i), one sample; of 8 channels, times C_i / 8",
    requires="feature maps",
    cost="F of three samples",
    scores=("meco", "meco_paper", "meco_opt"),
)
def meco(probe: Probe) -> dict[str, Tensor]:
    """Score a network by MeCo on the first sample: ``meco`` as released for searches, ``meco_opt``, ``meco_paper``.

    ``meco_paper`` sums over convolutions alone. Outputs of no more positions than channels contribute 0, so that in
    small images only ``meco_opt`` sees the last layers; one of fewer than 8 channels is taken as a whole. Degenerate
    if all outputs have one position, as in an MLP.
    """
    modules, maps = zip(*first_sample_maps(probe), strict=True)
    probe.degenerate_if(all(each.shape[1] == 1 for each in maps), "no output has more than one position")
    values = in_stacks(least_eigenvalue, maps)
    chosen = [
        torch.randperm(len(each), generator=probe.generator, device="cpu")[:CHANNELS].to(each.device) for each in maps
    ]
    weights = torch.tensor([len(each) / len(channels) for each, channels in zip(maps, chosen, strict=True)])
    drawn = in_stacks(least_eigenvalue, [each[channels] for each, channels in zip(maps, chosen, strict=True)])
    of_convolutions = [isinstance(module, WEIGHT_LAYERS) and not isinstance(module, nn.Linear) for module in modules]
    paper = values[torch.tensor(of_convolutions)].sum()
    return {"meco": values.sum(), "meco_paper": paper, "meco_opt": (weights * drawn).sum()}
