"""The networks and inputs without randomness that tests/golden/nasbench201.json was computed on.

NumPy's legacy RandomState stream is frozen, so the same numbers come out on every machine.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import nbnas

GOLDEN_FILE = Path(__file__).parent / "golden" / "nasbench201.json"


@cache
def golden_records() -> list[dict]:
    """One record per (architecture, data set shape, dtype), with the values of the authors' released code."""
    return json.loads(GOLDEN_FILE.read_text())


def golden_id(record: dict) -> str:
    """Short name of a record: NATS-Bench index of the cell, data set, dtype."""
    return f"{nbnas.get_space('nasbench201').index(record['arch'])}-{record['dataset']}-{record['dtype']}"


def golden_normal(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal draws in float64."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(tuple(shape)))


def golden_network(record: dict) -> nn.Module:
    """Build the network in the record's dtype and give it the deterministic weights; it is in train mode."""
    network = nbnas.get_space("nasbench201").build(record["arch"], record["num_classes"])
    network.to(getattr(torch, record["dtype"]))
    for number, (name, parameter) in enumerate(network.named_parameters()):
        owner = network.get_submodule(name.rpartition(".")[0])
        draws = golden_normal(1000 + number, parameter.shape)
        if name.endswith(".bias"):
            draws = 0.1 * draws
        elif isinstance(owner, nn.BatchNorm2d):
            draws = 1 + 0.1 * draws
        else:
            draws = draws * np.sqrt(2 / (parameter.numel() / parameter.shape[0]))
        with torch.no_grad():
            parameter.copy_(draws)
    return network


def golden_batch(record: dict, number: int = 0) -> tuple[Tensor, Tensor]:
    """Batch ``number`` (0 or 1): inputs in the record's dtype and integer labels."""
    size, resolution = record["batch_size"], record["resolution"]
    inputs = golden_normal(7 + 10 * number, (size, 3, resolution, resolution)).to(getattr(torch, record["dtype"]))
    labels = np.random.RandomState(8 + 10 * number).randint(0, record["num_classes"], size)
    return inputs, torch.from_numpy(labels)
