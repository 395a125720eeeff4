"""One run of state as a file: an Arrow IPC file of its columns and of the numbers beside them.

Always true: a file that `write` returned for never changes; `read` gives what was written, or says that the file is damaged,
naming it. Read runs are mapped: the system keeps of them in memory what is used and what there is room for.
Deliberately unknown: what the columns mean, which runs are written, and when files go away.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from isal.isal_zlib import crc32

from dataflow.memory import RunColumns

BESIDE = ("hash", "second", "diff")
"""Names of the numbers beside a run's columns, which are named by position. `diff` is left out where all of them are 1."""


class DamagedRunError(Exception):
    """A file is not the run that was written; the text names it and says what differs."""


@dataclass(frozen=True, slots=True)
class Written:
    """What identifies a file's content: its size, the CRC-32 of all of it, and its rows."""

    bytes: int
    crc: int
    rows: int


class _Counted:
    """A file that counts and checksums what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes = self.crc = 0
        self.closed = False

    def write(self, data: pa.Buffer) -> int:
        view = memoryview(data)
        self._file.write(view)
        self.crc = crc32(view, self.crc)
        self.bytes += view.nbytes
        return view.nbytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True


def write(path: Path, run: RunColumns, durable: bool) -> Written:
    """Write a run to `path`, which must be a new name; durable: fsync it (not its folder). OSError leaves no file behind."""
    beside = dict(zip(BESIDE, (run.hashes, run.seconds, run.diffs), strict=True))
    named = {str(i): column for i, column in enumerate(run.columns)}
    named |= {name: numbers for name, numbers in beside.items() if numbers is not None}
    batch = pa.record_batch(list(named.values()), names=list(named))
    try:
        with path.open("xb") as file:  # buffered: it writes on where the system took a part only
            counted = _Counted(file)
            with pa.PythonFile(counted, mode="w") as stream, pa.ipc.new_file(stream, batch.schema) as writer:
                writer.write_batch(batch)
            file.flush()
            if durable:
                os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return Written(counted.bytes, counted.crc, batch.num_rows)


def read(path: Path, columns: int, written: Written | None = None) -> RunColumns:
    """Map a run of so many columns; with `written`, only if the file is that one, which reads all of it once.

    DamagedRunError when it is not, or not a run; OSError when it cannot be opened.
    """
    if written is not None:
        check(path, written)
    try:
        mapped = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        diffs = mapped.column("diff") if "diff" in mapped.schema.names else None
        own = tuple(mapped.column(str(i)) for i in range(columns))
        return RunColumns(own, mapped.column("hash"), mapped.column("second"), diffs)
    except (pa.ArrowInvalid, KeyError) as error:
        raise DamagedRunError(f"{path} is not a run of {columns} columns ({error})") from error


def check(path: Path, written: Written) -> None:
    """DamagedRunError unless the file's size and checksum are those of what was written; OSError when it cannot be read."""
    size = path.stat().st_size
    if size != written.bytes:
        raise DamagedRunError(f"{path} has {size} bytes, and {written.bytes} were written")
    crc = 0
    if size:
        with pa.memory_map(str(path)) as file:
            crc = crc32(memoryview(file.read_buffer()))
    if crc != written.crc:
        raise DamagedRunError(f"{path} has the checksum {crc:08x}, and what was written has {written.crc:08x}")
