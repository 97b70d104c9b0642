"""An append-only file of JSON rows that survives kill -9 and full disks.

One row per line, with a checksum. Each row reaches the operating system before :meth:`AppendLog.append` returns: a
killed process loses what it was computing and nothing else. A damaged line is recognised and left out.
"""

import errno
import json
import os
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path

from nbnas.errors import NbnasError


class DamagedLogWarning(UserWarning):
    """Part of a log could not be read; its rows will be computed again."""


class AppendLog:
    """Writes rows to the end of a log, creating it if need be."""

    def __init__(self, path: Path) -> None:
        self.rows, self._path = 0, path
        self._file = path.open("ab", buffering=0)
        self._good_size = self._file.seek(0, os.SEEK_END)
        if self._good_size:
            # The last line may be cut short; without this, the next row would be lost with it.
            self._write(b"\n")

    def append(self, row: Mapping[str, object]) -> None:
        """Write one row; raises :class:`NbnasError` where that fails, on a full disk for example."""
        body = json.dumps(row).encode()
        self._write(b"%08x %s\n" % (zlib.crc32(body), body))
        self.rows += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._file.truncate(self._good_size)
            safe = "earlier rows are safe, rerun to continue"
            raise NbnasError(f"cannot write {self._path}: {error.strerror}; {safe}") from error
        self._good_size += len(line)


def read_log(path: Path) -> list[dict[str, object]]:
    """Return the intact rows of a log; warns with :class:`DamagedLogWarning` of the rest."""
    rows, damaged = [], 0
    for line in path.read_bytes().split(b"\n"):
        checksum, _, body = line.partition(b" ")
        if body and checksum == b"%08x" % zlib.crc32(body):
            rows.append(json.loads(body))
        elif line:
            damaged += 1
    if damaged:
        lost = f"{damaged} damaged lines left out, {len(rows)} intact ones kept; what is lost is computed again"
        warnings.warn(f"{path}: {lost}", DamagedLogWarning, stacklevel=2)
    return rows
