"""The NAS-Bench-201 network as a torch module.

Source: Dong & Yang, ICLR 2020 (key ``dong2020nasbench201``). The order in which parameters are
registered is part of the contract: VKDNW reads the first 128 parameter tensors.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from nbnas.spaces.four_node_cell import Cell, relu_conv_bn

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""Edge operations, in the order in which NATS-Bench numbers them."""


class Zero(nn.Module):
    """The ``none`` edge: multiplies by zero, so that gradients are zeros rather than missing."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.mul(0.0)


def make_operation(name: str, channels: int) -> nn.Module:
    """Build one edge operation; input and output have ``channels`` channels and the same resolution."""
    match name:
        case "none":
            return Zero()
        case "skip_connect":
            return nn.Identity()
        case "nor_conv_1x1":
            return relu_conv_bn(channels, channels, 1)
        case "nor_conv_3x3":
            return relu_conv_bn(channels, channels, 3)
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    raise ValueError(f"unknown operation {name!r}")


class ReductionBlock(nn.Module):
    """Residual block that halves the resolution; no activation after the sum."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_a = relu_conv_bn(in_channels, out_channels, 3, stride=2)
        self.conv_b = relu_conv_bn(out_channels, out_channels, 3)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, stride=2), nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.conv_b(self.conv_a(inputs)) + self.downsample(inputs)


class NasBench201Network(nn.Module):
    """Stem, three stages of cells with two reduction blocks between them, classifier.

    Args:
        operations: Six operation names in the order of :data:`EDGES`.
        num_classes: Number of logits K.
        channels: Width C of the first stage; the stages have C, 2C and 4C channels.
        cells_per_stage: Number of cells N in each stage.

    Shapes: inputs (batch, 3, R, R) with R divisible by 4; logits (batch, K).
    """

    def __init__(self, operations: Sequence[str], num_classes: int, channels: int, cells_per_stage: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.stages = nn.Sequential()
        for stage in range(3):
            width = channels * 2**stage
            if stage > 0:
                self.stages.append(ReductionBlock(width // 2, width))
            for _ in range(cells_per_stage):
                self.stages.append(Cell(make_operation(name, width) for name in operations))
        self.last_activation = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.last_activation(self.stages(self.stem(inputs)))
        return self.classifier(self.pooling(features).flatten(1))
