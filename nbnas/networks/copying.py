"""Copying a network as :func:`copy.deepcopy` does, in a fraction of its time: scoring leaves the original alone."""

import copy
from collections import OrderedDict
from functools import cache
from types import CellType, FunctionType

import torch
from torch import Tensor, nn

from nbnas.errors import first_line
from nbnas.networks.layers import UnsupportedModelError


def copy_network(model: nn.Module) -> nn.Module:
    """Return a deep copy; raises :class:`UnsupportedModelError` if something in the network cannot be copied.

    Tensors that the network keeps from an earlier pass lose their graph in the copy. A hook, or a forward method put
    in place of another, is copied with what it closes over: it then works with the copy. Wrappers that spread a batch
    over devices are left out. :func:`copy.deepcopy` takes a third of a forward pass for a network of narrow layers.
    """
    # torch refuses to copy a tensor that is part of a graph.
    memo = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise UnsupportedModelError("needs an eager network, not one made by torch.jit")
    if any(torch.nn.parameter.is_lazy(parameter) for parameter in nn.Module.parameters(model)):
        raise UnsupportedModelError("needs a network that has run once: its lazy layers have no weights yet")
    try:
        twin = _without_wrappers(_copy(model, memo))
    except Exception as error:
        raise UnsupportedModelError(f"needs a network that copy.deepcopy can copy: {first_line(error)}") from error
    if not set(map(id, model.parameters())).isdisjoint(map(id, twin.parameters())):
        raise UnsupportedModelError("needs a network whose copies by copy.deepcopy have weights of their own")
    return twin


def _without_wrappers(network: nn.Module) -> nn.Module:
    for module in list(network.modules()):
        for name, child in module._modules.items():
            if isinstance(child, _WRAPPERS):
                module._modules[name] = child.module
    return network.module if isinstance(network, _WRAPPERS) else network


_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)

_ATOMS = frozenset({type(None), bool, int, float, str, type})


def _copy(value: object, memo: dict) -> object:
    """Copy by the rules of deepcopy, without its general machinery where modules and what they hold allow it."""
    kind = type(value)
    if kind in _ATOMS or (kind is tuple and all(type(item) in _ATOMS for item in value)):
        return value
    if id(value) in memo:
        return memo[id(value)]
    if kind is set and all(type(item) in _ATOMS for item in value):
        return memo.setdefault(id(value), set(value))
    if kind in (dict, OrderedDict):
        twin = memo[id(value)] = kind()
        return _copy_items(value, twin, memo)
    if kind is Tensor and value.layout is torch.strided and not value.requires_grad and not vars(value):
        return _copy_plain_tensor(value, memo)
    if kind is FunctionType and value.__closure__:
        return _copy_closure(value, memo)
    if isinstance(value, nn.Module) and _copies_by_state(kind):
        twin = memo[id(value)] = kind.__new__(kind)
        twin.__setstate__(_copy_items(value.__getstate__(), {}, memo))
        return twin
    return copy.deepcopy(value, memo)


def _copy_items(original: dict, twin: dict, memo: dict) -> dict:
    """Fill the twin of a dict and return it."""
    for key, item in original.items():
        # Most keys are names, most items atoms or empty: a call for each would take longer than all the rest.
        twin_key = key if type(key) in _ATOMS else _copy(key, memo)
        kind = type(item)
        if kind in _ATOMS:
            twin[twin_key] = item
        elif kind is OrderedDict and not item and id(item) not in memo:
            twin[twin_key] = memo[id(item)] = OrderedDict()
        else:
            twin[twin_key] = _copy(item, memo)
    return twin


def _copy_closure(function: FunctionType, memo: dict) -> FunctionType:
    """Copy a function with what it closes over; what cannot be copied stays shared."""
    cells = tuple(CellType() for _ in function.__closure__)
    twin = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, cells)
    twin.__kwdefaults__ = function.__kwdefaults__
    memo[id(function)] = twin
    for cell, given in zip(cells, function.__closure__, strict=True):
        try:
            held = given.cell_contents
        except ValueError:  # Empty: the variable has no value yet.
            continue
        try:
            cell.cell_contents = _copy(held, memo)
        except Exception:
            cell.cell_contents = held
    return twin


def _copy_plain_tensor(value: Tensor, memo: dict) -> Tensor:
    """Copy a tensor that has its memory for itself; others keep in the copy what they share."""
    storage = value.untyped_storage()
    copied_storages = memo.setdefault("torch", {})  # As torch keeps them while it deep-copies tensors.
    if storage._cdata in copied_storages or storage.nbytes() != value.numel() * value.element_size():
        return copy.deepcopy(value, memo)
    twin = memo[id(value)] = value.clone()
    copied_storages[storage._cdata] = twin.untyped_storage()
    return twin


@cache
def _copies_by_state(kind: type) -> bool:
    """Whether deepcopy would copy the attributes of such a module and nothing else."""
    return (
        not hasattr(kind, "__deepcopy__")
        and all(getattr(kind, name) is getattr(object, name) for name in ("__new__", "__reduce__", "__reduce_ex__"))
        and kind.__getstate__ == nn.Module.__getstate__
        and not any(getattr(base, "__slots__", ()) for base in kind.__mro__)
    )
