"""What a network is scored on: arguments are checked, batches read or drawn, and a copy of the network tried once."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nbnas.errors import NbnasError, first_line
from nbnas.networks.copying import copy_network
from nbnas.networks.exact_kernels import exact_kernels
from nbnas.networks.layers import UnsupportedModelError
from nbnas.proxies.probe import Batch, LogitsSelector, ScoringSession
from nbnas.proxies.registry import Proxy
from nbnas.seeding import generator_for, seeded_global_generators


@dataclass(frozen=True)
class GivenInputs:
    """What a network is scored on: the arguments of :func:`nbnas.score`."""

    batches: Iterable[Batch] | None = None
    input_shape: tuple[int, ...] | None = None
    num_classes: int | None = None
    init: str | None = "published"
    seed: int = 0
    device: str | torch.device | None = None
    logits: int | str | LogitsSelector | None = None

    def __post_init__(self) -> None:
        if self.init not in ("published", None):
            raise NbnasError(f"init must be 'published' or None, got {self.init!r}")
        if not _is_whole(self.seed):
            raise NbnasError(f"seed must be a whole number, got {self.seed!r}")
        if self.num_classes is not None and not (_is_whole(self.num_classes) and self.num_classes > 0):
            raise NbnasError(f"num_classes must be a positive whole number, got {self.num_classes!r}")

    @contextmanager
    def session(self, model: nn.Module, proxies: Sequence[Proxy]) -> Iterator[ScoringSession]:
        """Give proxies what :func:`nbnas.score` shows them of a network, under the kernels that it computes with."""
        if not isinstance(model, nn.Module):
            found = f"the class {model.__name__}: call it first" if isinstance(model, type) else type(model).__name__
            raise NbnasError(f"give a network, an instance of torch.nn.Module, not {found}")
        model = getattr(model, "_orig_mod", model)  # What torch.compile wraps computes the same, and shows its layers.
        reference = next(iter(model.parameters()), torch.empty(0, device="cpu"))
        device = reference.device
        if device.type != "meta":  # There, sizes can be counted.
            device = usable_device(device if self.device is None else self.device)
        count = max(proxy.info.batches for proxy in proxies)
        needs_labels = any(proxy.info.needs_labels for proxy in proxies)
        kernels = nullcontext() if device.type == "meta" else exact_kernels(device)
        with kernels, _own_default_device(device):
            session = ScoringSession(model, [], self.init, int(self.seed), device, _selector(self.logits))
            if self.batches is None:
                session.batches = self._draw(session, count, needs_labels)
            else:
                session.batches = [_read(pair) for pair in _first(self.batches, count)]
            session.batches = [_move(batch, reference, device) for batch in session.batches]
            if self.batches is not None and count and session.batches:
                logits = None
                try:
                    logits = _try_once(session, session.batches[0][0])
                except NbnasError as error:  # One of many networks: what it has of scores is of use.
                    session.refusal = str(error)
                if needs_labels and session.refusal is None:
                    _require_known_labels(session, logits)
            yield session

    def _draw(self, session: ScoringSession, count: int, needs_labels: bool) -> list[Batch]:
        shape, classes = self.input_shape, self.num_classes
        if not count:
            return []
        if not isinstance(shape, Sequence) or len(shape) != 4 or not all(_is_whole(n) and n > 0 for n in shape):
            raise NbnasError(f"give batches, or input_shape=(batch, channels, height, width); got input_shape={shape}")
        logits = _try_once(session, draw_batch(shape, 1, self.seed)[0])
        if needs_labels and classes is None and session.refusal is None:
            classes = _count_classes(session, logits)
        return [draw_batch(shape, classes or 1, self.seed, number) for number in range(count)]


def draw_batch(input_shape: tuple[int, ...], num_classes: int, seed: int, number: int = 0) -> Batch:
    """Return the standard normal inputs and uniform labels that :func:`nbnas.score` draws from a seed, on the CPU."""
    options = {"dtype": torch.float32, "device": "cpu"}
    inputs = torch.randn(tuple(input_shape), generator=generator_for(seed, "inputs", number), **options)
    generator = generator_for(seed, "labels", number)
    return inputs, torch.randint(num_classes, (len(inputs),), generator=generator, device="cpu")


def usable_device(device: str | torch.device) -> torch.device:
    """Return a device on which a tensor can be made; raises :class:`NbnasError` for any other."""
    try:
        found = torch.empty(0, device=device).device
        if found.type == "meta":
            raise ValueError("it holds no numbers")
        return found
    except Exception as error:
        raise NbnasError(f"device {str(device)!r} cannot be used: {first_line(error)}") from error


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _own_default_device(device: torch.device) -> Any:
    """Make tensors where the network is, if the caller makes them elsewhere; a network may make some in its forward."""
    return nullcontext() if torch.get_default_device().type == "cpu" else device


def _first(batches: Any, count: int) -> Iterable[Any]:
    """Return the batches of a list, and of a loader, which may never end, as many as are needed."""
    if isinstance(batches, Tensor | np.ndarray | dict) or not isinstance(batches, Iterable):
        raise NbnasError(f"batches must be a list of pairs (inputs, labels), got {type(batches).__name__}")
    return batches if isinstance(batches, Sequence) else islice(batches, count)


def _read(pair: Any) -> Batch:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        found = f"{len(pair)} entries" if isinstance(pair, tuple | list) else type(pair).__name__
        raise NbnasError(f"batches must be a list of pairs (inputs, labels), found {found} in place of a pair")
    try:
        inputs, labels = (torch.as_tensor(each) for each in pair)
    except Exception as error:
        raise NbnasError(f"batches must hold tensors or arrays: {first_line(error)}") from error
    if not (inputs.dim() and labels.dim()) or len(inputs) != len(labels):
        raise NbnasError(f"inputs {tuple(inputs.shape)} and labels {tuple(labels.shape)} are not of the same samples")
    if labels.dim() != 1 and not labels.is_floating_point():
        raise NbnasError(
            f"labels must be (samples,) whole numbers or (samples, classes) shares, got {tuple(labels.shape)}"
        )
    return inputs, labels


def _move(batch: Batch, reference: Tensor, device: torch.device) -> Batch:
    inputs, labels = batch
    tokens = inputs.dim() == 2 and inputs.dtype in (torch.int32, torch.int64)
    moved = inputs.to(device) if tokens else inputs.to(device, reference.dtype)
    moved = moved.contiguous() if device.type == "cuda" else moved  # As the network, see move_network.
    # Tensors made in inference mode cannot be differentiated, their copies can.
    return moved.clone() if moved.is_inference() else moved, labels.to(device)


def _selector(key: int | str | LogitsSelector | None) -> LogitsSelector:
    """Return what gives the logits among several outputs; a single tensor is the logits, if a key is asked for."""
    if callable(key):
        return key

    def select(output: Any) -> Any:
        name = "logits" if key is None else key
        if (isinstance(output, Tensor) and output.dim() == 2) or (key is None and not hasattr(output, name)):
            return output
        return getattr(output, name) if isinstance(name, str) and hasattr(output, name) else output[name]

    return select


def _try_once(session: ScoringSession, inputs: Tensor) -> Any:
    """Run a copy in eval mode on two samples, or on the whole batch if it takes no fewer; return what it returns.

    Sets ``refusal`` where the copy is not independent of the network. Raises :class:`NbnasError` if it does not run.
    """
    try:
        network = copy_network(session.model)
        network.eval()
        _require_equal_state(session.model, network)
        try:
            return _outputs(session.model, network, inputs[:2])
        except Exception as error:
            if isinstance(error, UnsupportedModelError) or len(inputs) <= 2:
                raise
            outputs = _outputs(session.model, network, inputs)
            session.fewest_samples = len(inputs)
            return outputs
    except UnsupportedModelError as error:
        session.refusal = str(error)
        return None
    except Exception as error:
        shape = tuple(inputs[:2].shape)
        raise NbnasError(f"the network does not run on inputs {shape}: {first_line(error)}") from error


def _outputs(model: nn.Module, network: nn.Module, inputs: Tensor) -> Any:
    reference = next(iter(network.parameters()), inputs)
    inputs = inputs.to(reference if inputs.is_floating_point() else reference.device).detach()
    leaf = inputs.requires_grad_() if inputs.is_floating_point() else inputs
    # Seeded, because dropout may be active in eval mode too; a copy, because the first layer may work in place.
    with seeded_global_generators(0, reference.device), _WithoutTensorsOf(model):
        return network(leaf.clone())


def _require_equal_state(model: nn.Module, network: nn.Module) -> None:
    pairs = zip(_state(model), _state(network), strict=False)
    kept = len(_state(model)) == len(_state(network)) and all(
        mine.shape == theirs.shape and (mine.is_meta or mine.layout != torch.strided or _same_numbers(mine, theirs))
        for mine, theirs in pairs
    )
    if not kept:
        raise UnsupportedModelError("needs a network whose copies by copy.deepcopy have its weights")


def _same_numbers(mine: Tensor, theirs: Tensor) -> bool:
    return torch.equal(mine, theirs) or bool(mine.isnan().any())


def _state(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


class _WithoutTensorsOf(TorchFunctionMode):
    """Refuses to compute with the weights of the original: whoever holds on to them scores, and changes, it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.tensors = {id(tensor) for tensor in _state(model)}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = (*args, *(kwargs or {}).values())
        nested = chain.from_iterable(each for each in given if isinstance(each, tuple | list))
        if any(id(each) in self.tensors for each in chain(given, nested)):
            raise UnsupportedModelError("needs a network whose copies use weights of their own: this one's share some")
        return function(*args, **(kwargs or {}))


def _require_known_labels(session: ScoringSession, output: Any) -> None:
    try:
        classes = int(session.logits(output).shape[1])
    except Exception:
        return  # No logits, of which each proxy will complain.
    for _, labels in session.batches:
        if labels.dim() == 1 and not labels.is_floating_point() and int(labels.max()) >= classes:
            raise NbnasError(f"labels must be 0 to {classes - 1}, for {classes} logits; got {int(labels.max())}")


def _count_classes(session: ScoringSession, output: Any) -> int:
    try:
        return int(session.logits(output).shape[1])
    except Exception as error:
        message = "the network must return logits (batch, classes); with a tuple or a dict, say which entry by logits="
        raise NbnasError(message) from error
