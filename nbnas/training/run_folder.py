"""The folder of a run: its results, and its state, from which it goes on as if nothing had happened."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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


class RunFolder:
    """Files of a run, which process number 0 reads and writes; a kill leaves each as it was before or after.

    ``settings`` is all that the run depends on: a run with other settings is refused.
    """

    def __init__(self, path: Path, settings: dict[str, object], processes: Processes) -> None:
        self._path, self._settings, self.processes = path, settings, processes

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder; processes may live on when the torchrun that started them is killed."""
        lock = FileLock(self._path / "run.lock")

        def acquire() -> None:
            self._path.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=LOCK_SECONDS)
            except Timeout:
                message = f"another process trains in {self._path}; wait for it, end it or choose another folder"
                raise NbnasError(message) from None

        self.processes.from_first(acquire)
        try:
            yield
        finally:
            lock.release()

    def load(self) -> dict[str, object] | None:
        """Return the state of the run, on the CPU, to every process; None for a new run, whose record this writes.

        Raises :class:`NbnasError` if the file is not a checkpoint, or one of a run with other settings.
        """
        state = self.processes.from_first(self._read)
        if state is None:
            record = {"settings": self._settings, **provenance.collect(str(self.processes.device))}
            self._write("run.json", lambda path: path.write_text(json.dumps(record, indent=2) + "\n"))
        return state

    def _read(self) -> dict[str, object] | None:
        path = self._path / "checkpoint.pt"
        if not path.exists():
            return None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            stored = state["settings"]
        except Exception as error:
            raise NbnasError(f"{path} is not a checkpoint: {first_line(error)}") from error
        for name in [*self._settings, *stored]:
            there, here = stored.get(name), self._settings.get(name)
            if there != here:
                other = f"{self._path} holds a run with other settings, {name} {there} and not {here}"
                raise NbnasError(f"{other}; choose another folder")
        return state

    def save(self, state: Mapping[str, object]) -> None:
        """Write a checkpoint."""
        self.save_tensors("checkpoint.pt", {"settings": self._settings, **state})

    def save_tensors(self, name: str, state: Mapping[str, object]) -> None:
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
            replace_file(self._path / name, write)
