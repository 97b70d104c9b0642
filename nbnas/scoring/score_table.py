"""Score tables that survive crashes, full disks and two writers at once.

A table is three things side by side::

    vkdnw-gaussian-b64.parquet   merged rows, replaced atomically
    vkdnw-gaussian-b64.json      configuration, and provenance of every run that added rows
    vkdnw-gaussian-b64.shards/   one append-only log per writer, not merged yet
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from nbnas.errors import NbnasError
from nbnas.machine.append_log import AppendLog, read_log
from nbnas.machine.replace_file import replace_file

KEY = ["arch", "seed"]
"""Columns that identify a row within a table."""


class ScoreTable:
    """Rows of one proxy on one space, data set and setting; its parts are named after a path without suffix."""

    def __init__(self, path: Path) -> None:
        self.parquet, self.sidecar, self.shards = (
            path.with_name(path.name + suffix) for suffix in (".parquet", ".json", ".shards")
        )

    def read(self) -> pd.DataFrame:
        """Return all rows, merged or not; empty if there are none.

        Warns of damaged shards. Raises :class:`NbnasError` if the parquet file itself is damaged.
        """
        # Shards first: what another process merges in between is then in the parquet file.
        shards = [rows for _, rows in map(_read_shard, self._shard_paths())]
        return _join([self._read_parquet(), *shards])

    def provenance(self) -> dict[str, object]:
        """Return the sidecar: ``configuration``, and ``runs`` with versions, device, commit, time and rows of each."""
        record = self._read_sidecar()
        for run in record["runs"]:
            run.pop("shard", None)
        return record

    @contextmanager
    def writer(self, configuration: Mapping[str, object], run: Mapping[str, object]) -> Iterator[AppendLog]:
        """Open a shard for this process and merge it when the block ends, even with an exception such as Ctrl-C.

        After a kill the shard stays: :meth:`read` sees its rows and the next writer merges it. What defines the table
        goes into the sidecar, and so does the provenance of the run, with its number of rows.
        """
        path = self.shards / f"{uuid.uuid4().hex}.jsonl"
        try:
            self.shards.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NbnasError(f"cannot write to {self.shards}: {error.strerror}") from error
        try:
            with FileLock(f"{path}.lock"), closing(AppendLog(path)) as shard:
                shard.append({"configuration": dict(configuration), "run": dict(run)})
                yield shard
        finally:
            self.merge()

    def merge(self) -> None:
        """Fold every shard that no living writer holds into the parquet file, then delete those shards.

        Shards are deleted only after the merged table has replaced the old one, so an interruption at any point
        leaves each row in at least one place; a row in two places counts once, and so does a run. Raises
        :class:`NbnasError` if the merged table cannot be written, for example on a full disk.
        """
        # This lock file is never deleted: two mergers could each lock a file of that name.
        with FileLock(self.shards / "merge.lock"):
            finished = [path for path in self._shard_paths() if not _has_living_writer(path)]
            table, record = self._read_parquet(), self._read_sidecar()
            for path in finished:
                header, rows = _read_shard(path)
                if rows.empty:
                    continue
                table = _join([table.assign(added=False), rows.assign(added=True)])
                added = int(table.pop("added").sum())
                record["configuration"] = header.get("configuration", record["configuration"])
                if added and path.stem not in {run.get("shard") for run in record["runs"]}:
                    record["runs"].append({**header.get("run", {}), "rows": added, "shard": path.stem})
            if not table.empty and finished:
                try:
                    # The sidecar first: if the table does not follow, the shard's name tells that its run is listed.
                    replace_file(self.sidecar, lambda path: path.write_text(json.dumps(record, indent=1) + "\n"))
                    replace_file(self.parquet, lambda path: table.to_parquet(path, index=False, compression="zstd"))
                except OSError as error:
                    raise NbnasError(f"cannot merge {self.parquet}: {error.strerror}; its shards are kept") from error
            for path in finished:
                path.unlink()
                Path(f"{path}.lock").unlink(missing_ok=True)

    def _read_parquet(self) -> pd.DataFrame:
        try:
            return pd.read_parquet(self.parquet) if self.parquet.exists() else pd.DataFrame()
        except Exception as error:
            damage = f"is damaged ({type(error).__name__}); restore it from version control or delete it"
            raise NbnasError(f"{self.parquet} {damage}") from error

    def _read_sidecar(self) -> dict:
        try:
            return json.loads(self.sidecar.read_text()) if self.sidecar.exists() else {"configuration": {}, "runs": []}
        except ValueError as error:
            raise NbnasError(f"{self.sidecar} is damaged; restore it from version control or delete it") from error

    def _shard_paths(self) -> list[Path]:
        return sorted(self.shards.glob("*.jsonl"))


def _read_shard(path: Path) -> tuple[dict[str, dict], pd.DataFrame]:
    """Return header and rows."""
    try:
        lines = read_log(path)
    except FileNotFoundError:  # Another process has merged it since it was listed.
        lines = []
    header = next((line for line in lines if "run" in line), {})
    return header, pd.DataFrame([line for line in lines if "run" not in line])


def _has_living_writer(path: Path) -> bool:
    try:
        # The operating system releases a lock together with the process that holds it.
        with FileLock(f"{path}.lock", timeout=0):
            return False
    except Timeout:
        return True


def _join(frames: list[pd.DataFrame]) -> pd.DataFrame:
    frames = [frame for frame in frames if not frame.empty]
    if not frames:
        return pd.DataFrame(columns=[*KEY, "status", "seconds"])
    joined = pd.concat(frames, ignore_index=True)
    # A row that failed, perhaps because memory ran out, is replaced by one that did not.
    joined = joined.sort_values("status", key=lambda status: status.str.startswith("error"), kind="stable")
    return joined.drop_duplicates(KEY).sort_values(KEY, ignore_index=True)
