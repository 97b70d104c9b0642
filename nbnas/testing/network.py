"""Checks for a network of your own."""

import torch
from torch import Tensor, nn

from nbnas.errors import first_line
from nbnas.networks.copying import copy_network
from nbnas.proxies.session import LogitsSelector
from nbnas.testing.random_state import global_generators


def check_network(
    network: nn.Module, input_shape: tuple[int, ...] = (4, 3, 32, 32), logits: int | str | LogitsSelector | None = None
) -> None:
    """Check that a network is one that :func:`nbnas.score` can make sense of.

    >>> check_network(nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), (4, 3, 8, 8))
    >>> check_network(nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.BatchNorm1d(10, track_running_stats=False)),
    ...     (4, 3, 8, 8))
    Traceback (most recent call last):
    AssertionError: in eval mode, the logits of a sample depend on the other samples of its batch

    The rules:

    * It can be copied.
    * In train and in eval mode it maps a batch to logits (samples, classes), two classes or more, all of them finite.
    * In eval mode the same inputs give the same logits, and those of a sample do not depend on the others.
    * Different inputs give different logits, and some parameter has an influence on them.

    Not checked: which proxies apply; their status says that.

    Args:
        network: Left as it is.
        input_shape: Of a batch of at least two samples.
        logits: As for :func:`nbnas.score`.

    Raises:
        AssertionError: If a rule is broken; one sentence says which.
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

    with global_generators(0):
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
