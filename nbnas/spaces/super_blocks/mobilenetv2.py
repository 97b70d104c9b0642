"""The MobileNetV2-like space in which VKDNW searches on ImageNet, for networks of about 450 million operations.

Sources: Lin et al., ICCV 2021 (``lin2021zennas``); VKDNW (CVPR 2025), Table 2. Networks are structure strings, see
:mod:`nbnas.spaces.super_blocks.structure`.
"""

from typing import ClassVar

from nbnas.datasets.shapes import IMAGENET
from nbnas.spaces.super_blocks.mutation import MutationRules
from nbnas.spaces.super_blocks.space import BlockSpace
from nbnas.spaces.super_blocks.structure import INVERTED, LARGEST_NUMBER

MULTIPLICITIES = (12, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2)
"""How often the list of candidates of the published code holds each name: kernels ascend, then expansions."""

VKDNW_CANDIDATES = {
    "480M, 14 layers": (
        "SuperConvK3BNRELU(3,48,2,1)SuperResIDWE1K7(48,40,2,40,1)SuperResIDWE1K3(40,96,2,96,2)"
        "SuperResIDWE4K7(96,96,2,96,5)SuperResIDWE2K7(96,224,2,224,5)SuperConvK1BNRELU(224,2048,1,1)"
    ),
    "480M, 17 layers": (
        "SuperConvK3BNRELU(3,32,2,1)SuperResIDWE1K7(32,40,2,40,1)SuperResIDWE1K3(40,56,2,64,5)"
        "SuperResIDWE4K7(56,96,2,96,5)SuperResIDWE2K7(96,224,2,224,5)SuperConvK1BNRELU(224,2048,1,1)"
    ),
    "480M of a 520M run, first": (
        "SuperConvK3BNRELU(3,32,2,1)SuperResIDWE1K3(32,40,2,32,1)SuperResIDWE2K7(40,72,2,64,2)"
        "SuperResIDWE4K7(72,96,2,96,5)SuperResIDWE2K7(96,224,2,224,5)SuperConvK1BNRELU(224,2048,1,1)"
    ),
    "480M, entropy": (
        "SuperConvK3BNRELU(3,32,2,1)SuperResIDWE1K3(32,40,2,24,1)SuperResIDWE1K3(40,96,2,40,1)"
        "SuperResIDWE2K5(96,120,2,192,3)SuperResIDWE1K7(120,152,1,240,3)SuperResIDWE6K5(152,112,2,112,5)"
        "SuperConvK1BNRELU(112,2048,1,1)"
    ),
    "450M, 14 layers": (
        "SuperConvK3BNRELU(3,40,2,1)SuperResIDWE1K3(40,40,2,32,1)SuperResIDWE1K5(40,80,2,72,2)"
        "SuperResIDWE4K7(80,96,2,96,5)SuperResIDWE2K7(96,224,2,224,5)SuperConvK1BNRELU(224,2048,1,1)"
    ),
    "450M, 17 layers": (
        "SuperConvK3BNRELU(3,24,2,1)SuperResIDWE2K3(24,64,2,40,1)SuperResIDWE2K3(64,96,2,80,2)"
        "SuperResIDWE1K3(96,80,2,96,3)SuperResIDWE4K3(80,80,1,56,5)SuperResIDWE1K7(80,112,2,144,1)"
        "SuperResIDWE6K5(112,112,1,112,4)SuperConvK1BNRELU(112,2048,1,1)"
    ),
    "520M run, fourth": (
        "SuperConvK3BNRELU(3,32,2,1)SuperResIDWE2K3(32,56,2,48,2)SuperResIDWE1K3(56,96,2,128,1)"
        "SuperResIDWE2K5(96,112,2,120,3)SuperResIDWE4K5(112,112,2,112,3)SuperResIDWE4K5(112,112,1,112,4)"
        "SuperConvK1BNRELU(112,2048,1,1)"
    ),
}
"""Structures that the authors of VKDNW recorded; the label is the budget and a number of layers, or how it was chosen.

One of those of 480 million operations is the network of Table 2; which one is not recorded.
"""


class MobileNetV2Space(BlockSpace):
    """Super blocks ``SuperResIDWE{e}K{k}``, e = 1, 2, 4 or 6 and k = 3, 5 or 7; see :func:`nbnas.get_space`.

    Every tail puts out 2,048 channels. Published widths have no limit; ours is that of numbers in a structure string.
    VKDNW's search allows 450e6 counted operations at 224 pixels, and limits the counted layers.
    """

    name = "mobilenetv2"
    datasets: ClassVar = {"imagenet": IMAGENET}
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
