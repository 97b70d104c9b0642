"""The folder of a run, from which it goes on as if nothing had happened."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from filelock import FileLock, Timeout

from nbnas.errors import NbnasError, first_line
from nbnas.machine import provenance
from nbnas.machine.replace_file import replace_file
from nbnas.training.processes import Processes

LOCK_SECONDS = 10
"""For how long a run waits for the folder: processes that prepare images outlive a killed run by some seconds."""


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
