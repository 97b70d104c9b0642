"""VKDNW under other choices of the parameters that the Fisher matrix is about, all from one Jacobian.

Source: Tybl & Neumann, CVPR 2025 (key ``tybl2025vkdnw``), the tables on the size of the Fisher matrix and on the
entries taken from each tensor. The Jacobian of single entries costs as many passes for a thousand entries as for one,
and the Fisher matrix of some of them is made from their columns.
"""

from itertools import chain

from torch import Tensor

from nbnas.networks.entry_jacobian import entry_jacobian
from nbnas.proxies.fisher_information import FisherSetting
from nbnas.proxies.probe import Probe
from nbnas.proxies.registry import register
from nbnas.proxies.vkdnw import BASE

SETTINGS = {
    **{f"m{tensors}": FisherSetting(tensors) for tensors in (8, 16, 32, 64, 128, 256)},
    "last128": FisherSetting(which="last"),
    **{f"k{count}": FisherSetting(32, entries_per_tensor=count) for count in (1, 2, 4, 8)},
    **{f"p{position}": FisherSetting(position=position) for position in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)},
    "prandom": FisherSetting(position=None),
}
"""``m128`` and ``p0.0`` are the published choice, ``last128`` that of the authors' earlier runs."""


@register(
    title="VKDNW with other parameters in the Fisher matrix",
    formula="vkdnw_entropy of the first m tensors; of k entries of each of 32; of one entry at relative position p",
    mode="eval",
    requires="no BatchNorm on batch statistics",
    cost="F + min(classes, features) I",
    scores=tuple(f"vkdnw_entropy_{name}" for name in SETTINGS),
    ablation=True,
    **BASE,
)
def vkdnw_ablations(probe: Probe) -> dict[str, Tensor]:
    """Score a network by the entropy of VKDNW, official variant, for 18 choices of parameters.

    Returns:
        ``vkdnw_entropy_<setting>`` in nats, for the names in :data:`SETTINGS`; NaN where all deciles of that spectrum
        are zero.
    """
    network, (inputs, _) = probe.shared_network(), probe.shared_batch()
    chosen = {name: setting.entries(network, probe.generator) for name, setting in SETTINGS.items()}
    distinct = dict.fromkeys(chain.from_iterable(chosen.values()))
    columns = {entry: column for column, entry in enumerate(distinct)}
    jacobian, logits = entry_jacobian(network, inputs, list(columns))
    probe.check_outputs(logits)
    scores = {}
    for name, setting in SETTINGS.items():
        own = jacobian[:, :, [columns[entry] for entry in chosen[name]]]
        scores[f"vkdnw_entropy_{name}"] = setting.scores(own, logits)["entropy"]
    return scores
