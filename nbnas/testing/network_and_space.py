"""Checks for a network and for a search space of your own."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nbnas.errors import NbnasError, first_line
from nbnas.networks.copying import copy_network
from nbnas.networks.layers import weight_layers
from nbnas.proxies.probe import LogitsSelector
from nbnas.seeding import seeded_global_generators


def check_network(
    network: nn.Module, input_shape: tuple[int, ...] = (4, 3, 32, 32), logits: int | str | LogitsSelector | None = None
) -> None:
    """Check that a network, which is left as it is, is one that :func:`nbnas.score` can make sense of.

    >>> check_network(nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), (4, 3, 8, 8))
    >>> check_network(nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.BatchNorm1d(10, track_running_stats=False)),
    ...     (4, 3, 8, 8))
    Traceback (most recent call last):
    AssertionError: in eval mode, the logits of a sample depend on the other samples of its batch

    ``input_shape`` is that of a batch of at least two samples; ``logits`` as for :func:`nbnas.score`. An
    AssertionError says which rule is broken:

    * It can be copied.
    * In train and in eval mode it maps a batch to logits (samples, classes), two classes or more, all of them finite.
    * In eval mode the same inputs give the same logits, and those of a sample do not depend on the others.
    * Different inputs give different logits, and some parameter has an influence on them.

    Not checked: which proxies apply; their status says that.
    """
    select = logits if logits is None or callable(logits) else lambda output: output[logits]
    reference = next(network.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    inputs, others = (torch.randn(input_shape, generator=generator).to(reference) for _ in range(2))

    def run(mode: str, batch: Tensor) -> Tensor:
        try:
            output = copy_network(network).train(mode == "train")(batch.clone())
            found = output if select is None else select(output)
        except Exception as error:
            raise AssertionError(f"in {mode} mode the network fails: {first_line(error)}") from error
        if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != len(batch) or found.shape[1] < 2:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise AssertionError(f"in {mode} mode the logits must be (samples, classes), for {len(batch)} got {shape}")
        if not found.isfinite().all():
            raise AssertionError(f"in {mode} mode some logits are not finite")
        return found

    with seeded_global_generators(0, reference.device):
        run("train", inputs)
        together, again = run("eval", inputs), run("eval", inputs)
        among_others = run("eval", torch.cat([inputs[:1], others[1:]]))
    if not torch.equal(together, again):
        raise AssertionError("in eval mode, the same inputs do not give the same logits")
    if not torch.allclose(together[0], among_others[0], rtol=1e-3, atol=1e-4 * float(together.detach().abs().max())):
        raise AssertionError("in eval mode, the logits of a sample depend on the other samples of its batch")
    if (together == together[0]).all():
        raise AssertionError("different inputs give the same logits")
    if not together.requires_grad:
        raise AssertionError("no parameter has an influence on the logits")


def check_space(space: Any, samples: int = 5, resolution: int = 32) -> None:
    """Check that a search space keeps the contract of :class:`~nbnas.spaces.SearchSpace`, as far as it has the methods.

    >>> import nbnas
    >>> check_space(nbnas.get_space("nats_sss"), samples=1, resolution=8)

    ``samples`` architectures are tried, on images of ``resolution`` pixels on a side. The space needs ``sample``,
    ``mutate`` and ``build``; rules about other methods count where these are there. An AssertionError says which rule
    is broken, and for which architecture:

    * ``sample`` and ``mutate`` draw from the given generator alone. They return valid architectures in their standard
      spelling; a mutated one differs from what it came from.
    * ``normalise`` raises :class:`~nbnas.NbnasError` for what is no architecture.
    * ``build`` gives a network that passes :func:`check_network`, with as many logits as classes are wanted, and with
      the same parameters each time.
    * ``params`` and ``flops`` are whole numbers above zero; how they count is up to the space. ``weight_layers`` and
      ``trainable_layers`` are those of the network.
    * Where the space can be listed, ``index`` finds what the list holds, and nothing is in it twice.
    """
    if hasattr(space, "normalise"):
        _check_malformed(space)
    for number in range(samples):
        drawn = [space.sample(np.random.default_rng([0, number])) for _ in range(2)]
        _require(drawn[0] == drawn[1], space, "sample gives another architecture with the same generator", drawn[0])
        mutated = [space.mutate(drawn[0], np.random.default_rng([0, number])) for _ in range(2)]
        _require(mutated[0] == mutated[1], space, "mutate gives another one with the same generator", drawn[0])
        _require(mutated[0] != drawn[0], space, "mutate returns what it was given", drawn[0])
        for arch in (drawn[0], mutated[0]):
            if hasattr(space, "normalise"):
                _require(space.is_valid(arch), space, "returns an architecture that it calls malformed", arch)
                _require(space.normalise(arch) == arch, space, "does not return the standard spelling", arch)
            if hasattr(space, "index"):
                _require(space[space.index(arch)] == arch, space, "has another architecture at its index", arch)
        _check_build(space, drawn[0], resolution)
    if hasattr(space, "index") and len(set(space)) < len(space):
        raise AssertionError(f"{_name(space)} lists an architecture twice")


def _name(space: Any) -> str:
    return f"space {getattr(space, 'name', type(space).__name__)!r}"


def _require(condition: bool, space: Any, sentence: str, arch: str) -> None:
    if not condition:
        raise AssertionError(f"{_name(space)} {sentence}: {arch!r}")


def _check_malformed(space: Any) -> None:
    for wrong in ("", "no architecture"):
        try:
            space.normalise(wrong)
        except NbnasError:
            continue
        except Exception as error:
            found = type(error).__name__
            raise AssertionError(f"{_name(space)} must raise NbnasError for {wrong!r}, not {found}") from error
        raise AssertionError(f"{_name(space)} takes {wrong!r} for an architecture")


def _check_build(space: Any, arch: str, resolution: int) -> None:
    network, again, other = (space.build(arch, classes) for classes in (10, 10, 7))
    shapes = [[(name, tuple(p.shape)) for name, p in built.named_parameters()] for built in (network, again)]
    _require(shapes[0] == shapes[1], space, "builds other parameters the second time", arch)
    for classes, built in ((10, network), (7, other)):
        try:
            check_network(built, (4, 3, resolution, resolution))
        except AssertionError as error:
            raise AssertionError(f"{_name(space)} builds a network of which {error}: {arch!r}") from None
        found = built.eval()(torch.zeros(2, 3, resolution, resolution)).shape[1]
        _require(found == classes, space, f"builds {found} logits for {classes} classes", arch)
    for name in ("params", "flops"):
        value = getattr(space, name)(arch) if hasattr(space, name) else 1
        whole = isinstance(value, int | np.integer) and value > 0
        _require(whole, space, f"has {value!r} for {name}, no whole number above zero", arch)
    counts = {"weight_layers": len(weight_layers(network)), "trainable_layers": len(list(network.parameters()))}
    for name, value in counts.items():
        right = not hasattr(space, name) or getattr(space, name)(arch) == value
        _require(right, space, f"has other {name} than its network, {value}", arch)
