"""Downloading public accuracies: files at fixed commits, checked by their SHA-256, converted to the tables we read."""

import os
import shutil
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pooch
import requests
from filelock import FileLock

from nbnas.benchmarks.converters import convert
from nbnas.benchmarks.upstream import UPSTREAM, UpstreamFile, UpstreamTable
from nbnas.errors import NbnasError
from nbnas.machine.paths import fetched_folder, user_or_fetched_file
from nbnas.machine.replace_file import replace_file

GITHUB = "https://raw.githubusercontent.com"
"""Where the files are, unless ``$NBNAS_MIRROR`` names another base."""

ANSWER_SECONDS, SILENT_SECONDS = 5.0, 20.0
"""How long to wait for the first answer, and how long a download may stand still."""


class _FileError(NbnasError):
    """One file is not to be had; the others may be."""


def fetch(names: Sequence[str] = ()) -> list[Path]:
    """Download and convert tables that are absent, all of :data:`UPSTREAM` or those named; returns the new files.

    What the folder ``$NBNAS_DATA`` has is not absent. Files are written to :func:`nbnas.machine.paths.fetched_folder`,
    whole or not at all. A rerun continues; several at once wait for each other.

    Raises:
        NbnasError: If a name is unknown, ``$NBNAS_OFFLINE`` is set, nobody answers within seconds, a file is gone or
            another one than ours, or the folder cannot be written. A missing file does not stop the other tables.
    """
    if unknown := [name for name in names if name not in UPSTREAM]:
        raise NbnasError(f"unknown table {', '.join(unknown)}; choose from {', '.join(UPSTREAM)}")
    tables = [UPSTREAM[name] for name in names or UPSTREAM]
    absent = [table for table in tables if user_or_fetched_file(table.file) is None]
    if not absent:
        return []
    what, megabytes = ", ".join(table.name for table in absent), sum(table.megabytes for table in absent)
    if os.environ.get("NBNAS_OFFLINE", "0") not in ("", "0"):
        raise NbnasError(f"NBNAS_OFFLINE is set; absent: {what}")
    base, folder = os.environ.get("NBNAS_MIRROR") or GITHUB, fetched_folder()
    print(f"fetching {what} ({megabytes:.1f} MB) from {base} to {folder}", flush=True)
    _require_answer(base)
    try:
        return _fetch_tables(absent, base, folder)
    except OSError as error:
        raise NbnasError(f"cannot write {folder}: {error.strerror or error}; rerun to continue") from error


def _require_answer(base: str) -> None:
    """Ask once, in a thread: a name is looked up, and each of its addresses tried, with a timeout of its own."""
    answers: list[requests.Response] = []

    def ask() -> None:
        with suppress(Exception):  # Whatever went wrong, there is no answer.
            answers.append(requests.head(base, timeout=ANSWER_SECONDS))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    if not answers:
        raise NbnasError(f"no answer from {base}; rerun with a network, or set NBNAS_OFFLINE=1 to never ask")


def _fetch_tables(absent: Sequence[UpstreamTable], base: str, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    written, failures = [], []
    with FileLock(folder / "fetch.lock"):  # That of a killed fetch is free.
        for partial in folder.glob("*.part"):  # Left by a fetch that was killed.
            partial.unlink()
        for table in absent:
            path = folder / table.file
            if path.exists():  # The other fetch wrote it.
                continue
            try:
                _fetch_table(table, base, folder)
            except _FileError as error:
                failures.append(f"{table.name}: {error}")
            else:
                written.append(path)
    if failures:
        raise NbnasError("; ".join(failures))
    return written


def _fetch_table(table: UpstreamTable, base: str, folder: Path) -> None:
    """Download all parts, which stay until the table is written."""
    first = table.parts[0]
    print(f"{table.name}: {table.megabytes:.1f} MB of {first.repository}, licence: {first.licence}", flush=True)
    downloads = folder / f"{table.name}.download"
    content = convert(table.name, [_download(part, base, downloads) for part in table.parts])
    replace_file(folder / table.file, lambda path: path.write_bytes(content))
    shutil.rmtree(downloads)


def _download(part: UpstreamFile, base: str, folder: Path) -> Path:
    """Return the path of a file with the right SHA-256, downloaded unless it is there already."""
    url = f"{base.rstrip('/')}/{part.repository}/{part.commit}/{part.path}"
    pooch.get_logger().setLevel("WARNING")  # We have said what is downloaded.
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(), chunk_size=2**16, timeout=(ANSWER_SECONDS, SILENT_SECONDS)
    )
    try:
        name = Path(part.path).name
        return Path(pooch.retrieve(url, f"sha256:{part.sha256}", fname=name, path=folder, downloader=downloader))
    except requests.HTTPError as error:
        status = error.response.status_code
        # Too many requests, or a failing server: the other files have the same one.
        kind = _FileError if 400 <= status < 500 and status != 429 else NbnasError
        raise kind(f"{url} answered {status} {error.response.reason}; rerun to continue") from error
    except requests.RequestException as error:
        raise NbnasError(f"{url} did not arrive ({type(error).__name__}); rerun to continue") from error
    except ValueError as error:
        raise _FileError(f"{url} is not the file that nbnas knows, its SHA-256 differs; rerun to try again") from error
