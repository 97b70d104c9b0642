"""Scores made of feature maps, the slow way: Zen-score and the parts of AZ-NAS.

A network is given with its blocks, callables that are applied one after the other: f_0 = blocks[0](x), f_1 =
blocks[1](f_0), ...; the last one gives the features before global pooling.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from references.common import calls, fresh

Blocks = Callable[[nn.Module], Sequence[Callable[[Tensor], Tensor]]]
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def zen(network: nn.Module, blocks: Blocks, inputs: Tensor, moved: Tensor) -> dict[str, float]:
    """``zen`` (running variances after two forward passes) and ``zen_paper`` (variances of the batch x)."""
    network = fresh(network, "train")
    norms = [module for module in network.modules() if isinstance(module, NORMS)]
    before = [norm.running_var.tolist() for norm in norms]
    _, first = calls(fresh(network, "train"), inputs, NORMS)
    _, second = calls(fresh(network, "train"), moved, NORMS)
    f, g = inputs, moved
    for block in blocks(network):
        f = block(f)
    for block in blocks(fresh(network, "train")):
        g = block(g)
    per_sample = [sum(abs(d) for d in (a - b).flatten().tolist()) for a, b in zip(f, g, strict=True)]
    official = paper = math.log(sum(per_sample) / len(per_sample))
    for norm, old, (_, _, x, _), (_, _, y, _) in zip(norms, before, first, second, strict=True):
        running, batch = [], []
        for channel in range(norm.num_features):
            a, b = x[:, channel].detach().flatten().numpy(), y[:, channel].detach().flatten().numpy()
            once = (1 - norm.momentum) * old[channel] + norm.momentum * np.var(a, ddof=1)
            running.append((1 - norm.momentum) * once + norm.momentum * np.var(b, ddof=1))
            batch.append(np.var(a))
        official += math.log(math.sqrt(sum(running) / len(running)))
        paper += math.log(math.sqrt(sum(batch) / len(batch)))
    return {"zen": official, "zen_paper": paper}


def features(network: nn.Module, blocks: Blocks, inputs: Tensor) -> list[Tensor]:
    """f_0, f_1, ..., in train mode, detached."""
    found, value = [], inputs
    for block in blocks(fresh(network, "train")):
        value = block(value).detach()
        found.append(value)
    return found


def feature_entropy(feature: Tensor) -> float:
    """Entropy of the normalised spectrum of the channel covariance over samples and positions."""
    samples, channels, height, width = feature.shape
    rows = [
        [float(feature[n, c, h, w]) for c in range(channels)]
        for n in range(samples)
        for h in range(height)
        for w in range(width)
    ]
    spectrum = np.linalg.svd(np.atleast_2d(np.cov(np.array(rows).T, bias=True)), compute_uv=False)
    return -sum(p * math.log(p + 1e-8) for p in spectrum / spectrum.sum())


def block_trainability(block: Callable[[Tensor], Tensor], feature: Tensor, signs: Tensor) -> float:
    """2 - s - 1 / (s + 1e-6), from the dense Jacobian of the block."""
    dense = jacobian(block, feature)
    flat = dense.reshape(signs.numel(), feature.numel())
    entering = (flat.T @ signs.flatten()).reshape(feature.shape).numpy()
    leaving = signs.numpy()
    samples, channels, height, width = leaving.shape
    factor = entering.shape[2] // height
    rows_in, rows_out = [], []
    for n in range(samples):
        for h in range(height):
            for w in range(width):
                # All pixels of the input that lie under one pixel of the output become channels.
                patch = entering[n, :, factor * h : factor * (h + 1), factor * w : factor * (w + 1)]
                rows_in.append(patch.flatten())
                rows_out.append([leaving[n, c, h, w] for c in range(channels)])
    product = sum(np.outer(a, b) for a, b in zip(rows_in, rows_out, strict=True)) / len(rows_in)
    largest = np.linalg.svd(product, compute_uv=False)[0]
    return 2 - largest - 1 / (largest + 1e-6)


def trainability(network: nn.Module, blocks: Blocks, inputs: Tensor, signs: Sequence[Tensor]) -> list[float]:
    """The value of every block after the stem."""
    maps = features(network, blocks, inputs)
    later = blocks(fresh(network, "train"))[1:]
    return [block_trainability(block, f, s) for block, f, s in zip(later, maps[:-1], signs, strict=True)]
