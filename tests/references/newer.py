"""NEAR, MeCo, SWAP, Dextr and ZiCo-BC, the slow way: loops over modules, positions, units and pairs of channels."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from references.common import fresh


def outputs(network: nn.Module, inputs: Tensor) -> list[tuple[nn.Module, Tensor]]:
    """Every module, containers too, with its output in train mode, in order of execution."""
    network, found = fresh(network, "train"), []
    for module in network.modules():
        module.register_forward_hook(lambda module, entered, left: found.append((module, left.detach())))
    network(inputs)
    return found


def effective_rank(matrix: np.ndarray) -> float:
    """e to the entropy of the normalised singular values."""
    values = np.linalg.svd(matrix, compute_uv=False)
    shares = [value / values.sum() for value in values if value > 0]
    return math.exp(-sum(share * math.log(share) for share in shares)) if shares else 0.0


def near(network: nn.Module, inputs: Tensor, draw: Callable[[int], int]) -> tuple[float, float]:
    """As released, and without normalisations."""
    total, plain, seen = 0.0, 0.0, []
    for module, output in outputs(network, inputs):
        counts = hasattr(module, "weight") or isinstance(module, nn.ReLU)
        if module in seen or not counts:
            continue
        seen.append(module)
        if output.dim() == 4:
            samples, _, height, width = output.shape
            rows = [output[n, :, h, w] for n in range(samples) for w in range(width) for h in range(height)]
        else:
            rows = list(output.reshape(-1, output.shape[-1]))
        columns, period = len(rows[0]), output.shape[-1]
        if len(rows) >= columns:
            start = draw(len(rows) // period - 1) * period if len(rows) // period > 1 else 0
            rows = rows[start : start + columns]
        rank = effective_rank(torch.stack(rows).numpy())
        total += rank
        plain += 0 if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d | nn.GroupNorm | nn.LayerNorm) else rank
    return total, plain


def correlation(rows: np.ndarray) -> np.ndarray:
    """Pearson's, pair by pair; 0 for a constant row, on the diagonal too."""
    matrix = np.zeros((len(rows), len(rows)))
    centred = [row - row.mean() for row in rows]
    constant = [np.abs(row - row.mean()).max() <= 1e-12 * np.abs(row).max() for row in rows]
    for i, first in enumerate(centred):
        for j, second in enumerate(centred):
            if not (constant[i] or constant[j]):
                matrix[i, j] = first @ second / math.sqrt((first @ first) * (second @ second))
    return matrix


def meco(network: nn.Module, inputs: Tensor, draw: Callable[[int], list[int]]) -> dict[str, float]:
    """Of the first sample, alone in its batch; ``draw`` gives the channels of a layer for ``meco_opt``."""
    scores = dict.fromkeys(("meco", "meco_paper", "meco_opt"), 0.0)
    for module, output in outputs(network, inputs[:1]):
        rows = output[0].reshape(output.shape[1], -1).numpy()
        least = np.linalg.eigvalsh(correlation(rows))[0]
        scores["meco"] += least
        scores["meco_paper"] += least if isinstance(module, nn.Conv2d) else 0
        chosen = draw(len(rows))
        scores["meco_opt"] += len(rows) / len(chosen) * np.linalg.eigvalsh(correlation(rows[chosen]))[0]
    return scores


def dextr_s(network: nn.Module, inputs: Tensor) -> float:
    """Of the first sample, alone in its batch."""
    total = 0.0
    for _, output in outputs(network, inputs[:1]):
        values = np.linalg.svd(output[0].reshape(output.shape[1], -1).numpy(), compute_uv=False)
        total += values[-1] / values[0] if values[0] > 0 else 0
    return math.log(1 + total)


def swap(network: nn.Module, inputs: Tensor) -> tuple[int, int]:
    """Patterns over all ReLUs, and summed over them."""
    every, layerwise = set(), 0
    for module, output in outputs(network, inputs[:16]):
        if isinstance(module, nn.ReLU):
            units = output.reshape(len(output), -1).T
            own = {tuple(bool(value > 0) for value in unit) for unit in units}
            every |= own
            layerwise += len(own)
    return len(every), layerwise


def zico_bc_penalty(network: nn.Module, inputs: Tensor) -> float:
    """Sum of ln(H W / sqrt(C)) over the layers that are called."""
    last = {module: output for module, output in outputs(network, inputs) if isinstance(module, nn.Conv2d | nn.Linear)}
    total = 0.0
    for output in last.values():
        channels = output.shape[1] if output.dim() == 4 else output.shape[-1]
        positions = output.shape[2] * output.shape[3] if output.dim() == 4 else 1
        total += math.log(positions / math.sqrt(channels))
    return total
