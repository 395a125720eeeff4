"""Files of runs: state that does not fit into the memory that the `memory` setting allows.

One Arrow IPC file for each run under `state/runs`, mapped back into memory, where the system keeps of it what is read and what
there is room for. Always true: a file never changes once it has its name; it is removed when its run is no longer part of the
state, while readers that still map it go on; a full disk keeps the run in memory. The files are scratch: all of them are swept at
every start, and none is synced. A file counts only once it was read back and is what was written (size, checksum, rows); a
damaged one is named and its run stays in memory. From then on the file system is trusted, as memory is.
Deliberately unknown: what the columns mean, which runs are chosen and when (`dataflow.memory`).
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from dataflow.memory import RunColumns, StoredRun
from headwater import runfile
from headwater.runfile import Written

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunFile:
    """A run in a file; removed by `release`."""

    path: Path
    run: RunColumns
    written: Written

    def link(self, path: Path) -> bool:
        """Give the file one more name, which `release` leaves; False where it cannot have one."""
        try:
            os.link(self.path, path)
        except OSError:  # another file system, one without such names, or the service has just ended
            return False
        return True

    def release(self) -> None:
        """Remove the file's name; its blocks go with the last mapping."""
        self.path.unlink(missing_ok=True)


class RunFiles:
    """The run files of one service, in a folder that nobody else writes. Writes happen in one thread of its own."""

    def __init__(self, folder: Path) -> None:
        """Make the folder and sweep what an earlier process left. OSError when it cannot be written."""
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.arrow"):
            left.unlink()
        self.folder = folder
        self._names = (folder / f"{number:08d}.arrow" for number in itertools.count(1))
        self._writer = ThreadPoolExecutor(1, "run-files")
        self._full = False

    def write(self, run: RunColumns) -> Future[StoredRun]:
        """Begin to write a run; the Future's OSError was logged."""
        return self._writer.submit(self._write, next(self._names), run)

    @contextmanager
    def scratch(self, nbytes: int) -> Iterator[int | None]:
        """A nameless file of this size with all its blocks, or None, logged, when the disk has no room."""
        with tempfile.TemporaryFile(dir=self.folder) as file:
            try:
                os.posix_fallocate(file.fileno(), 0, nbytes)
            except OSError as error:
                self._refused(error, nbytes)
                yield None
            else:
                yield file.fileno()

    def close(self) -> None:
        """Write nothing more and remove every file. Snapshots that are still held stay readable."""
        self._writer.shutdown(cancel_futures=True)
        for left in self.folder.glob("*.arrow"):
            left.unlink(missing_ok=True)

    def _write(self, path: Path, run: RunColumns) -> StoredRun:
        try:
            written = runfile.write(path, run, durable=False)
            stored = runfile.read(path, len(run.columns), written)
        except (OSError, runfile.DamagedRunError) as error:
            path.unlink(missing_ok=True)
            wanted = sum(column.nbytes for column in (*run.columns, run.hashes, run.seconds))
            raise self._refused(error, wanted) from error
        self._full = False
        return RunFile(path, stored, written)

    def _refused(self, error: Exception, wanted: int) -> OSError:
        """The error with what was wanted and what there is; logged once until a run can be written again."""
        reason = f"{self.folder} cannot take {_mebibytes(wanted)} ({_free(self.folder)}): {error}"
        if not self._full:
            self._full = True
            log.warning(
                "state stays in memory above the limit; make room for its files or raise `memory`", reason=reason
            )
        return OSError(reason)


def _free(folder: Path) -> str:
    try:
        return f"{_mebibytes(shutil.disk_usage(folder).free)} free"
    except OSError as error:
        return f"free space unknown, {error.strerror}"


def _mebibytes(nbytes: int) -> str:
    return f"{nbytes / (1 << 20):.1f} MiB"
