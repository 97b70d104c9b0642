"""The file that holds every scored candidate of a search, from which it can be resumed."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from nbnas.errors import NbnasError
from nbnas.machine.append_log import AppendLog, read_log


class Checkpoint:
    """An append-only log: first the configuration of the search, then a row per candidate, as it is scored.

    Each row reaches the operating system at once, so a killed search loses the candidates in flight and nothing else.
    There is no other state: a search that finds a candidate here inserts it as if it had just been scored.

    Args:
        path: The file; it is created where it is missing.
        configuration: Plain values that decide the trajectory.

    Raises:
        NbnasError: If the file is of a search with another configuration, is something else, or another search is
            writing it.
    """

    def __init__(self, path: Path, configuration: Mapping[str, Any]) -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        """Number of a candidate -> its row, for those that were there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{path}.lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise NbnasError(f"another search is writing {path}") from error
        try:
            wanted = json.loads(json.dumps(configuration))
            found = read_log(path) if _has_header(path) else []
            if len(found) > 1:
                _compare(path, found[0]["search"], wanted)
                self.rows = {row["number"]: row for row in found[1:]}
            elif found:  # There is nothing in it to keep.
                path.unlink()
            self._log = AppendLog(path)
            if not self.rows:
                self._log.append({"search": wanted})
        except BaseException:
            self._unlock()
            raise

    def append(self, number: int, row: Mapping[str, Any]) -> None:
        """Write a candidate's row; raises :class:`NbnasError` where the disk is full."""
        self._log.append({"number": number, **row})

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._log.close()
        self._unlock()

    def _unlock(self) -> None:
        Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()


def _has_header(path: Path) -> bool:
    """Whether there is anything; raises :class:`NbnasError` if it does not begin as a checkpoint does."""
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        if file.readline().partition(b" ")[2].startswith(b'{"search": {'):
            return True
    raise NbnasError(f"{path} is not the checkpoint of a search")


def _compare(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], parent: str = "") -> None:
    for name in dict.fromkeys([*wanted, *found]):
        there, here = found.get(name), wanted.get(name)
        if isinstance(there, dict) and isinstance(here, dict):
            _compare(path, there, here, f"{parent}{name} ")
        elif there != here:
            raise NbnasError(f"{path} holds a search with {parent}{name} {there!r}, not {here!r}; name another file")
