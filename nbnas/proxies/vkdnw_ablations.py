"""VKDNW under other choices of the parameters that the Fisher matrix is about, all from one Jacobian.

Source: Tybl & Neumann, CVPR 2025 (key ``tybl2025vkdnw``), the tables on the size of the Fisher matrix and on the
entries taken from each tensor. The Jacobian of single entries costs as many passes for a thousand entries as for one,
and the Fisher matrix of some of them is made from their columns.
"""

from torch import Generator, Tensor, nn

from nbnas.networks.entry_jacobian import entry_jacobian
from nbnas.proxies.fisher_information import select_entries, smoothed_probabilities, spectrum_scores
from nbnas.proxies.info import ProxyInfo
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register

TENSORS = (8, 16, 32, 64, 128, 256)
"""Numbers of parameter tensors, one entry each."""

ENTRIES_PER_TENSOR = (1, 2, 4, 8)
"""Numbers of entries of each of the first 32 tensors."""

POSITIONS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, None)
"""Relative positions of the one entry of each of the first 128 tensors; None is a random one."""


def ablation_entries(network: nn.Module, generator: Generator) -> dict[str, list[tuple[str, int]]]:
    """Choose the entries of every setting.

    Args:
        network: Any network.
        generator: CPU generator of the random positions.

    Returns:
        Name of the setting (``m8`` to ``m256``, ``last128``, ``k1`` to ``k8``, ``p0.0`` to ``p1.0``, ``prandom``) ->
        entries, see :func:`nbnas.proxies.fisher_information.select_entries`.
    """
    chosen = {f"m{tensors}": select_entries(network, tensors) for tensors in TENSORS}
    chosen["last128"] = select_entries(network, which="last")
    chosen |= {f"k{count}": select_entries(network, 32, entries_per_tensor=count) for count in ENTRIES_PER_TENSOR}
    for position in POSITIONS:
        entries = select_entries(network, position=position, generator=generator)
        chosen["prandom" if position is None else f"p{position}"] = entries
    return chosen


@register(
    ProxyInfo(
        name="vkdnw_ablations",
        title="VKDNW with other parameters in the Fisher matrix",
        family="Fisher",
        paper="Tybl & Neumann, CVPR 2025",
        formula="vkdnw_entropy of the first m tensors; of k entries of each of 32; of one entry at relative position p",
        higher_is_better=True,
        mode="eval",
        batches=1,
        needs_labels=False,
        inputs="noise",
        initialisation="kaiming_normal",
        requires="no BatchNorm on batch statistics",
        cost="F + min(classes, features) I",
        scores=(
            *(f"vkdnw_entropy_m{tensors}" for tensors in TENSORS),
            "vkdnw_entropy_last128",
            *(f"vkdnw_entropy_k{count}" for count in ENTRIES_PER_TENSOR),
            *(f"vkdnw_entropy_p{'random' if position is None else position}" for position in POSITIONS),
        ),
        ablation=True,
    )
)
def vkdnw_ablations(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the entropy of VKDNW, official variant, for 18 choices of parameters.

    Args:
        probe: Network in eval mode and one batch; labels are not used.

    Returns:
        ``vkdnw_entropy_<setting>`` in nats; ``m128`` and ``p0.0`` are the published choice,
        ``last128`` that of the authors' earlier runs. NaN where all deciles of
        that spectrum are zero.

    Raises:
        UnsupportedModelError: See :func:`nbnas.networks.entry_jacobian.entry_jacobian`.
    """
    network, (inputs, _) = probe.shared_network(), probe.shared_batch()
    chosen = ablation_entries(network, probe.generator)
    columns: dict[tuple[str, int], int] = {}
    for entries in chosen.values():
        for entry in entries:
            columns.setdefault(entry, len(columns))
    jacobian, logits = entry_jacobian(network, inputs, list(columns))
    probe.check_outputs(logits)
    probabilities = smoothed_probabilities(logits.double())
    scores = {}
    for setting, entries in chosen.items():
        own = jacobian[:, :, [columns[entry] for entry in entries]]
        scores[f"vkdnw_entropy_{setting}"] = spectrum_scores(own, probabilities)["entropy"]
    return scores
