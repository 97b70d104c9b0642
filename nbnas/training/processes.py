"""The processes that train together, as ``torchrun`` starts them; one alone where it did not."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nbnas.errors import NbnasError, first_line


class Processes(NamedTuple):
    """This process among those that train together."""

    rank: int
    """0 to count - 1; number 0 writes the files and shows the progress."""
    count: int
    device: torch.device

    def synchronise_gradients(self, module: nn.Module) -> nn.Module:
        """Return the module that averages gradients over all processes; its parameters start as those of number 0."""
        if self.count == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        # A static graph may leave parameters without gradient, as cells with dead edges do.
        return DistributedDataParallel(module, device_ids=devices, static_graph=True)

    def gather(self, values: Tensor) -> Tensor:
        """Return the tensors of all processes, stacked by rank."""
        if self.count == 1:
            return values[None]
        gathered = values.new_empty(self.count, *values.shape)
        distributed.all_gather(list(gathered), values)
        return gathered

    def from_first(self, function: Callable[[], object]) -> object:
        """Return in all processes what number 0 gets from a function; all raise its :class:`NbnasError`."""
        outcome = [None, None]
        if self.rank == 0:
            try:
                outcome[0] = function()
            # The others would wait for a process that has stopped.
            except NbnasError as error:
                outcome[1] = error
        if self.count > 1:
            distributed.broadcast_object_list(outcome, src=0, device=self.device)
        result, error = outcome
        if error is not None:
            raise error
        return result

    def share_buffers(self, module: nn.Module) -> None:
        """Set the buffers, such as running statistics, to those of process number 0."""
        if self.count > 1:
            for buffer in module.buffers():
                distributed.broadcast(buffer, src=0)


@contextmanager
def joined_processes(device: str) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, over NCCL on CUDA and gloo elsewhere, and leave them at the end.

    The device is ``cpu`` or ``cuda``, where each process of a machine gets a GPU of its own.
    """
    try:
        own = torch.device(device)
    except RuntimeError as error:
        raise NbnasError(f"unknown device {device!r}: {first_line(error)}") from error
    if own.type == "cuda":
        own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) if own.index is None else own.index)
        if own.index >= torch.cuda.device_count():
            raise NbnasError(f"no GPU number {own.index}: torch sees {torch.cuda.device_count()} on this machine")
    elif own.type != "cpu":
        raise NbnasError(f"training runs on cpu or cuda, not on {device!r}")
    if not distributed.is_torchelastic_launched():
        yield Processes(0, 1, own)
        return
    if own.type == "cuda":
        torch.cuda.set_device(own)
        distributed.init_process_group("nccl", device_id=own)
    else:
        distributed.init_process_group("gloo")
    yield Processes(distributed.get_rank(), distributed.get_world_size(), own)
    # Not after an error: the others may wait for this process, and torchrun stops them when it has ended.
    distributed.destroy_process_group()
