"""Finding the feature maps between the blocks of a network, without asking it for a special forward method."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.overrides import TorchFunctionMode

from nbnas.networks.layers import WEIGHT_LAYERS, UnsupportedModelError

_CONTAINERS = (nn.Sequential, nn.ModuleList)
_POOLS = (nn.Flatten, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_AFTER_FEATURES = (*_POOLS, nn.Linear, nn.Bilinear, nn.BatchNorm1d, nn.Dropout, nn.Identity)


def feature_blocks(network: nn.Module) -> list[nn.Module]:
    """Return the modules whose outputs are the network's feature maps, stem first.

    A network may name them by a method ``feature_blocks()``. Otherwise the chain of modules below the network is read,
    containers opened. A module with children is a block, unless all its layers with weights are linear (a head). A run
    of plain layers that starts with a convolution, such as the stem of a ResNet, is one too; its last layer gives the
    feature map.
    """
    if callable(getattr(network, "feature_blocks", None)):
        return list(network.feature_blocks())
    chain = _children(network)
    while len(blocks := _group(chain)) < 2 and (composite := [module for module in chain if any(module.children())]):
        # A wrapper around the network proper.
        largest = max(composite, key=lambda module: sum(p.numel() for p in module.parameters()))
        position = chain.index(largest)
        chain[position : position + 1] = _children(largest)
    return blocks


def _children(module: nn.Module) -> list[nn.Module]:
    found = []
    for child in module.children():
        found += _children(child) if type(child) in _CONTAINERS else [child]
    return found


def _group(chain: list[nn.Module]) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    in_run = False
    for module in chain:
        if isinstance(module, nn.Conv2d):
            blocks.append(module)
            in_run = True
        elif isinstance(module, _AFTER_FEATURES):
            in_run = False
        elif any(module.children()):
            if not _is_head(module):
                blocks.append(module)
            in_run = False
        elif in_run:
            blocks[-1] = module
    return blocks


def _is_head(module: nn.Module) -> bool:
    """Whether all weights of a composite module are of linear layers, or it has none and only pools and flattens."""
    weighted = [layer for layer in module.modules() if isinstance(layer, WEIGHT_LAYERS)]
    if weighted:
        return all(isinstance(layer, nn.Linear) for layer in weighted)
    leaves = [layer for layer in module.modules() if not any(layer.children())]
    pools = any(isinstance(leaf, _POOLS) for leaf in leaves)  # A cell of nothing but skips is a block.
    return pools and all(isinstance(leaf, _AFTER_FEATURES) for leaf in leaves)


def require_feature_maps(features: list[Tensor]) -> list[Tensor]:
    """Return feature maps; raise :class:`UnsupportedModelError` unless there are two or more, all (N, C, H, W).

    Vectors (N, C) at the end are of pooling and the classifier, and left out.
    """
    maps = list(features)
    while maps and maps[-1].dim() == 2:
        maps.pop()
    if len(maps) < 2 or any(feature.dim() != 4 for feature in maps):
        shapes = ", ".join(str(tuple(feature.shape)) for feature in features) or "none"
        found = f"found {shapes}; a method feature_blocks() can name the modules"
        raise UnsupportedModelError(f"needs at least two blocks that return feature maps (N, C, H, W), {found}")
    return maps


def last_feature_map(network: nn.Module, inputs: Tensor) -> Tensor:
    """Run a network without gradients and return its features before pooling.

    That is the last tensor (N, C, H, W) with more than one pixel that it computes after its first convolution or linear
    layer. Raises :class:`UnsupportedModelError` if there is none, or if any layer with parameters follows but linear
    layers on vectors, which 1 x 1 convolutions after pooling are, too.
    """
    keeper = _LastFeatureMap()
    lists = [module for module in network.modules() if isinstance(module, ParametrizationList)]
    parts = {part for each in lists for part in each.modules()}
    watched = [module for module in network.modules() if module._parameters or isinstance(module, WEIGHT_LAYERS)]
    layers = [module for module in watched if module not in parts]
    handles = [layer.register_forward_pre_hook(keeper.enter, with_kwargs=True) for layer in layers]
    try:
        with torch.no_grad(), keeper:
            network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    if keeper.last is None:
        raise UnsupportedModelError("needs feature maps (N, C, H, W) with more than one pixel")
    if keeper.following:
        found = keeper.following[0]
        raise UnsupportedModelError(f"needs feature maps that only pooling and linear layers follow, found {found}")
    return keeper.last


class _LastFeatureMap(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.last: Tensor | None = None
        self.following: list[str] = []
        """Kinds of the layers entered since, but for linear ones on vectors."""
        self._started = False

    def enter(self, layer: nn.Module, arguments: tuple, kwargs: dict) -> None:
        self._started |= isinstance(layer, WEIGHT_LAYERS)
        entering = arguments[0] if arguments else next(iter(kwargs.values()))
        if isinstance(layer, nn.Conv2d) and entering.shape[2:].numel() == 1:
            return  # Linear on vectors.
        if not isinstance(layer, nn.Linear):
            self.following.append(type(layer).__name__)
        elif entering.dim() > 2:
            self.following.append(f"{type(layer).__name__} on tokens")

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if self._started and isinstance(result, Tensor) and result.dim() == 4 and result.shape[2] * result.shape[3] > 1:
            self.last = result
            self.following.clear()
        return result
