"""The MobileNetV2-like space in which VKDNW searches on ImageNet, for networks of about 450 million operations.

Sources: Lin et al., ICCV 2021 (``lin2021zennas``); VKDNW (CVPR 2025), Table 2. Networks are structure strings, see
:mod:`nbnas.spaces.block_structure`.
"""

from collections.abc import Mapping
from typing import ClassVar

from nbnas.spaces.block_mutation import MutationRules
from nbnas.spaces.block_space import BlockSpace
from nbnas.spaces.block_structure import INVERTED, LARGEST_NUMBER
from nbnas.spaces.datasets import IMAGENET, DatasetShape

MULTIPLICITIES = (12, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2)
"""How often the list of candidates of the published code holds each name: kernels ascend, then expansions."""


class MobileNetV2Space(BlockSpace):
    """Super blocks ``SuperResIDWE{e}K{k}``, e = 1, 2, 4 or 6 and k = 3, 5 or 7; see :func:`nbnas.get_space`.

    Every tail puts out 2,048 channels. Published widths have no limit; ours is that of numbers in a structure string.
    VKDNW's search allows 450e6 counted operations at 224 pixels, and limits the counted layers.
    """

    name = "mobilenetv2"
    datasets: ClassVar[Mapping[str, DatasetShape]] = {"imagenet": IMAGENET}
    start = (
        "SuperConvK3BNRELU(3,8,2,1)SuperResIDWE6K3(8,32,2,8,1)SuperResIDWE6K3(32,48,2,32,1)"
        "SuperResIDWE6K3(48,96,2,48,1)SuperResIDWE6K3(96,128,2,96,1)SuperConvK1BNRELU(128,2048,1,1)"
    )
    rules = MutationRules(
        names=dict(zip(INVERTED, MULTIPLICITIES, strict=True)),
        widest=LARGEST_NUMBER // 8 * 8,
        tail_changes=False,
    )
    tail_outputs = 2048
