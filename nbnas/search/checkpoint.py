"""The file that holds every scored candidate of a search, from which it can be resumed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nbnas.errors import NbnasError
from nbnas.machine.append_log import AppendLog, read_log


@contextmanager
def open_checkpoint(path: Path, configuration: Mapping[str, Any]) -> Iterator[tuple[dict[int, dict], AppendLog]]:
    """Open or create an append-only log: first the configuration of the search, then a row per candidate when scored.

    There is no other state: a search that finds a candidate here inserts it as if it had just been scored. Yields
    number of a candidate -> its row, for those that were there, and the log, for further rows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise NbnasError(f"another search is writing {path}") from error
    try:
        wanted = json.loads(json.dumps(configuration))
        path.touch()
        with path.open("rb") as file:
            first = file.readline()
        if first and not first.partition(b" ")[2].startswith(b'{"search": {'):
            raise NbnasError(f"{path} is not the checkpoint of a search")
        header, *rows = read_log(path) or [None]
        if rows:
            _compare(path, header["search"], wanted)
        elif header:  # There is nothing in it to keep.
            path.unlink()
        with closing(AppendLog(path)) as log:
            if not rows:
                log.append({"search": wanted})
            yield {row["number"]: row for row in rows}, log
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _compare(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], parent: str = "") -> None:
    for name in dict.fromkeys([*wanted, *found]):
        there, here = found.get(name), wanted.get(name)
        if isinstance(there, dict) and isinstance(here, dict):
            _compare(path, there, here, f"{parent}{name} ")
        elif there != here:
            raise NbnasError(f"{path} holds a search with {parent}{name} {there!r}, not {here!r}; name another file")
