"""Small image networks of every common kind, (N, 3, 8, 8) -> (N, 5), that know nothing of the package.

Each is one way of writing a network that could trip a method: in-place code, shared layers, attention, parameters
without a layer, and so on.
"""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

import nbnas

CLASSES = 5
SHAPE = (4, 3, 8, 8)
"""The batch has as many samples as the transformers have patches but for the class token, see ``TokenMixer``."""
CELL = "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_3x3~1|skip_connect~2|"


def nasbench201():
    return nbnas.get_space("nasbench201").build(CELL, num_classes=CLASSES, channels=4, cells_per_stage=1)


def mlp(activation=nn.ReLU):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 8), activation(), nn.Linear(8, 8), activation(), nn.Linear(8, 5))


def convnet(norm=None, *between):
    """Three convolutions with ReLU modules; ``norm`` makes the normalisation of a width."""
    layers = []
    for before, after, stride in ((3, 4, 1), (4, 6, 2), (6, 8, 1)):
        layers += [nn.Conv2d(before, after, 3, stride, 1), *([norm(after)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *between, nn.Linear(8, CLASSES))


class BasicBlock(nn.Module):
    """A residual block as in torchvision: one in-place ReLU module, called twice."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = None
        if stride > 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, inputs):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(inputs)))))
        out += inputs if self.downsample is None else self.downsample(inputs)
        return self.relu(out)


class FunctionalBlock(BasicBlock):
    """The same block by function calls that overwrite their arguments."""

    def forward(self, inputs):
        out = functional.relu_(self.bn1(self.conv1(inputs)))
        shortcut = inputs if self.downsample is None else self.downsample(inputs)
        out = self.bn2(self.conv2(out))
        out += shortcut
        return functional.relu_(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(BasicBlock(4, 4, 1), FunctionalBlock(4, 4, 1))
        self.layer2 = nn.Sequential(FunctionalBlock(4, 8, 2), BasicBlock(8, 8, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, inputs):
        out = self.layer2(self.layer1(self.relu(self.bn1(self.conv1(inputs)))))
        return self.fc(torch.flatten(self.avgpool(out), 1))


class ReliesOnInPlace(nn.Module):
    """Calls an in-place ReLU for its effect and drops what it returns."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 1, 1)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 6, 3, 2, 1)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, inputs):
        out = self.conv(inputs)
        self.relu(out)
        out = self.conv2(out)
        self.relu(out)
        return self.head(out.mean((2, 3)))


class ConvNormReLU6(nn.Sequential):
    def __init__(self, before, after, kernel=3, stride=1, groups=1):
        super().__init__(
            nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU6(inplace=True),
        )


class InvertedResidual(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        hidden = 2 * before
        self.conv = nn.Sequential(
            ConvNormReLU6(before, hidden, 1),
            ConvNormReLU6(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, after, 1, groups=2, bias=False),
            nn.BatchNorm2d(after),
        )
        self.adds = stride == 1 and before == after

    def forward(self, inputs):
        return inputs + self.conv(inputs) if self.adds else self.conv(inputs)


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            ConvNormReLU6(3, 4), InvertedResidual(4, 4, 1), InvertedResidual(4, 6, 2), ConvNormReLU6(6, 8, 1)
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, CLASSES))

    def forward(self, inputs):
        return self.classifier(self.features(inputs).mean((2, 3)))


class SharedLayers(nn.Module):
    """One convolution called twice, two linear layers with one weight, and a weight read through its transpose."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 1, 1)
        self.conv = nn.Conv2d(4, 4, 3, 1, 1)
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.embed = nn.Linear(4, CLASSES)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, inputs):
        out = functional.leaky_relu(self.stem(inputs))
        out = torch.tanh(self.conv(torch.relu(self.conv(out)))).mean((2, 3))
        out = self.second(functional.leaky_relu(self.first(out)))
        out = torch.tanh(self.embed(out)) @ self.embed.weight
        return self.head(out) + out @ self.head.weight.T


class KeywordArguments(nn.Module):
    """Calls its layers by keyword, and one layer with two inputs."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 1, 1)
        self.norm = nn.BatchNorm2d(4)
        self.conv = nn.Conv2d(4, 6, 3, 2, 1)
        self.both = nn.Bilinear(6, 6, 6)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, inputs):
        out = functional.relu(input=self.norm(input=self.stem(input=inputs)))
        out = functional.relu(input=self.conv(input=out)).mean((2, 3))
        return self.head(input=self.both(out, input2=out))


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, then LayerNorm and linear layers with the channels last, then a scale of its own."""

    def __init__(self, width):
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 3, 1, 1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)
        self.gamma = nn.Parameter(0.5 * torch.ones(width))

    def forward(self, inputs):
        out = self.norm(self.dwconv(inputs).permute(0, 2, 3, 1))
        out = self.gamma * self.contract(functional.gelu(self.expand(out)))
        return inputs + out.permute(0, 3, 1, 2)


class ChannelsFirstNorm(nn.LayerNorm):
    def forward(self, inputs):
        return super().forward(inputs.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 2, 2), ChannelsFirstNorm(4))
        self.blocks = nn.Sequential(ConvNeXtBlock(4), ConvNeXtBlock(4))
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, inputs):
        return self.head(self.norm(self.blocks(self.stem(inputs)).mean((2, 3))))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, tokens):
        samples, count, width = tokens.shape
        query, key, value = self.qkv(tokens).reshape(samples, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.project(mixed.transpose(1, 2).reshape(samples, count, width))


class AttentionBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width), nn.Sequential(nn.Linear(width, 12), nn.GELU(), nn.Linear(12, width))

    def forward(self, tokens):
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class VisionTransformer(nn.Module):
    """Four patches and a class token; ``blocks`` maps (N, 5, 8) to (N, 5, 8)."""

    def __init__(self, *blocks, final_norm=True):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.cls_token = nn.Parameter(0.1 * torch.ones(1, 1, 8))
        self.position = nn.Parameter(torch.linspace(-0.5, 0.5, 40).reshape(1, 5, 8))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(8) if final_norm else nn.Identity()
        self.head = nn.Linear(8, CLASSES)

    def forward(self, inputs):
        tokens = self.patches(inputs).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(inputs), -1, -1), tokens], 1) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens[:, 0]))


def torch_transformer():
    return VisionTransformer(
        nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True),
        nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=True),
    )


def written_transformer(final_norm=True):
    return VisionTransformer(AttentionBlock(8, 2), AttentionBlock(8, 2), final_norm=final_norm)


class TokenMixer(nn.Module):
    """LayerNorm and linear layers on as many tokens as ``SHAPE`` has samples.

    Args:
        samples_first: Tokens are (samples, tokens, channels), else (tokens, samples, channels).
    """

    def __init__(self, samples_first=True):
        super().__init__()
        self.samples_first = samples_first
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.norm = nn.LayerNorm(8)
        self.expand = nn.Linear(8, 12)
        self.contract = nn.Linear(12, 8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, inputs):
        tokens = self.patches(inputs).flatten(2)
        tokens = tokens.permute(0, 2, 1) if self.samples_first else tokens.permute(2, 0, 1)
        tokens = tokens + self.contract(torch.relu(self.expand(self.norm(tokens))))
        return self.head(tokens.mean(1 if self.samples_first else 0))


class Returns(nn.Module):
    """A network that wraps its logits into what ``wrap`` makes of them."""

    def __init__(self, wrap):
        super().__init__()
        self.network, self.wrap = convnet(nn.BatchNorm2d), wrap

    def forward(self, inputs):
        return self.wrap(self.network(inputs))


class NamesItsBlocks(nn.Module):
    """Keeps its layers where no heuristic finds them and says which are its blocks."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict({"head": nn.Linear(6, CLASSES)})
        self.layers["late"] = nn.Conv2d(4, 6, 3, 2, 1)
        self.layers["early"] = nn.Conv2d(3, 4, 3, 1, 1)

    def feature_blocks(self):
        return [self.layers["early"], self.layers["late"]]

    def forward(self, inputs):
        out = torch.relu(self.layers["late"](torch.relu(self.layers["early"](inputs))))
        return self.layers["head"](out.mean((2, 3)))


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.blocks = nn.Sequential(BasicBlock(4, 4, 1), BasicBlock(4, 8, 2))

    def forward(self, inputs):
        return self.blocks(self.stem(inputs)).mean((2, 3))


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.linear = nn.Dropout(0.0), nn.Linear(8, CLASSES)

    def forward(self, features):
        return self.linear(self.drop(features))


class Wrapper(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = Backbone(), Head()

    def forward(self, inputs):
        return self.head(self.backbone(inputs))


def weight_normalised():
    network = convnet()
    weight_norm(network[2])
    return network


def frozen():
    network = convnet(nn.BatchNorm2d)
    for parameter in network[:3].parameters():
        parameter.requires_grad_(False)
    return network


class UnderNoGrad(nn.Module):
    """A network whose first layers run without gradients."""

    def __init__(self):
        super().__init__()
        self.frozen = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), nn.ReLU())
        self.conv = nn.Conv2d(4, 6, 3, 2, 1)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, inputs):
        with torch.no_grad():
            features = self.frozen(inputs)
        return self.head(torch.relu(self.conv(features)).mean((2, 3)))


class UnusedParameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = convnet(nn.BatchNorm2d)
        self.spare = nn.Conv2d(3, 4, 3)
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, inputs):
        return self.network(inputs)


class IgnoresItsInput(nn.Module):
    """Logits made of parameters alone."""

    def __init__(self):
        super().__init__()
        self.constant = nn.Parameter(torch.linspace(-1, 1, 8))
        self.hidden = nn.Linear(8, 8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, inputs):
        return self.head(torch.relu(self.hidden(self.constant.expand(len(inputs), -1))))


class Constant(nn.Module):
    """Logits without parameters, without a graph."""

    def forward(self, inputs):
        return torch.zeros(len(inputs), CLASSES)


NETWORKS = {
    "NAS-Bench-201": nasbench201,
    "MLP": mlp,
    "MLP without ReLU": lambda: mlp(nn.Tanh),
    "ResNet": ResNet,
    "relies on in-place ReLU": ReliesOnInPlace,
    "MobileNet": MobileNet,
    "shared layers": SharedLayers,
    "keyword arguments": KeywordArguments,
    "frozen": frozen,
    "layers under no_grad": UnderNoGrad,
    "no BatchNorm": convnet,
    "GroupNorm": lambda: convnet(lambda width: nn.GroupNorm(2, width)),
    "ConvNeXt": ConvNeXt,
    "dropout": lambda: convnet(nn.BatchNorm2d, nn.Dropout(0.5)),
    "BatchNorm without statistics": lambda: convnet(lambda width: nn.BatchNorm2d(width, track_running_stats=False)),
    "BatchNorm of single values": lambda: convnet(nn.BatchNorm2d, nn.BatchNorm1d(8)),
    "torch transformer": torch_transformer,
    "written transformer": written_transformer,
    "transformer without final norm": lambda: written_transformer(final_norm=False),
    "as many tokens as samples": TokenMixer,
    "tokens first": lambda: TokenMixer(samples_first=False),
    "names its blocks": NamesItsBlocks,
    "wrapper": Wrapper,
    "weight norm": weight_normalised,
    "unused parameters": UnusedParameters,
    "ignores its input": IgnoresItsInput,
    "no parameters": lambda: nn.Sequential(nn.AvgPool2d(4), nn.ReLU(), nn.Flatten()),
    "constant": Constant,
    "tuple": lambda: Returns(lambda logits: (logits.exp(), logits)),
    "dict": lambda: Returns(lambda logits: {"logits": logits}),
}
"""Name -> function that builds the network."""
