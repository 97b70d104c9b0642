"""The processes that train together, and the folder of their run, from which it goes on as if nothing had happened."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from filelock import FileLock, Timeout
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nbnas.errors import NbnasError, first_line
from nbnas.machine import provenance
from nbnas.machine.replace_file import replace_file

LOCK_SECONDS = 10
"""For how long a run waits for the folder: processes that prepare images outlive a killed run by some seconds."""


class Processes(NamedTuple):
    """This process among those that train together, as ``torchrun`` starts them; one alone where it did not."""

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


@dataclass(frozen=True)
class RunFolder:
    """Files of a run, which process number 0 reads and writes; a kill leaves each as it was before or after."""

    path: Path
    settings: dict[str, object]
    """All that the run depends on: a run with other settings is refused."""
    processes: Processes

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder; processes may live on when the torchrun that started them is killed."""
        lock = FileLock(self.path / "run.lock")

        def acquire() -> None:
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=LOCK_SECONDS)
            except Timeout:
                message = f"another process trains in {self.path}; wait for it, end it or choose another folder"
                raise NbnasError(message) from None

        self.processes.from_first(acquire)
        try:
            yield
        finally:
            lock.release()

    def load(self) -> dict[str, object] | None:
        """Return the state of the run, on the CPU, to every process; None for a new run, whose record this writes."""
        state = self.processes.from_first(self._read)
        if state is None:
            record = {"settings": self.settings, **provenance.collect(str(self.processes.device))}
            self._write("run.json", lambda path: path.write_text(json.dumps(record, indent=2) + "\n"))
        return state

    def _read(self) -> dict[str, object] | None:
        path = self.path / "checkpoint.pt"
        if not path.exists():
            return None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            stored = state["settings"]
        except Exception as error:
            raise NbnasError(f"{path} is not a checkpoint: {first_line(error)}") from error
        for name in [*self.settings, *stored]:
            if stored.get(name) != self.settings.get(name):
                other = f"{name} {stored.get(name)} and not {self.settings.get(name)}"
                raise NbnasError(f"{self.path} holds a run with other settings, {other}; choose another folder")
        return state

    def save(self, name: str, state: dict[str, object]) -> None:
        """Write tensors, numbers, strings and containers of them; equal states make equal files."""

        def write(partial: Path) -> None:
            # Given a path, torch would write its name into the file.
            with partial.open("wb") as file:
                torch.save(dict(state), file)

        self._write(name, write)

    def save_metrics(self, history: list[dict[str, float]]) -> None:
        """Write a row per epoch."""
        if history:
            self._write("metrics.csv", lambda path: pd.DataFrame(history).to_csv(path, index=False))

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        if self.processes.rank == 0:
            replace_file(self.path / name, write)
