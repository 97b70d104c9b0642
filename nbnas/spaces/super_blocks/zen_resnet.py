"""The ResNet-like space in which T-CET searches on CIFAR, for networks of at most a million parameters.

Sources: Lin et al., ICCV 2021 (``lin2021zennas``); T-CET (AutoML 2023), Table 5. Networks are structure strings, see
:mod:`nbnas.spaces.super_blocks.structure`.
"""

from typing import ClassVar

from nbnas.datasets.shapes import CIFAR10, CIFAR100
from nbnas.spaces.super_blocks.mutation import MutationRules
from nbnas.spaces.super_blocks.space import BlockSpace
from nbnas.spaces.super_blocks.structure import BASIC, BOTTLENECK

KERNEL_MULTIPLICITIES = {3: 3, 5: 3, 7: 2}
"""Kernel size -> how often the list of candidates of the published code holds each of its names."""


class ZenResNetSpace(BlockSpace):
    """Super blocks ``SuperResK{k}K{k}`` and ``SuperResK1K{k}K1`` with k = 3, 5 or 7; see :func:`nbnas.get_space`.

    Widths are at most 2,048. T-CET's search allows 1e6 counted parameters and 18 counted layers, at 100 classes.
    """

    name = "zen_resnet"
    datasets: ClassVar = {"cifar10": CIFAR10, "cifar100": CIFAR100}
    start = (
        "SuperConvK3BNRELU(3,8,1,1)SuperResK3K3(8,16,1,8,1)SuperResK3K3(16,32,2,16,1)"
        "SuperResK3K3(32,64,2,32,1)SuperResK3K3(64,64,2,32,1)SuperConvK1BNRELU(64,128,1,1)"
    )
    rules = MutationRules(
        names={name: KERNEL_MULTIPLICITIES[kind.kernel_size] for name, kind in (BASIC | BOTTLENECK).items()},
        widest=2048,
        tail_changes=True,
    )
