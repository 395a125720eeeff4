"""Tables: rows that clients write, in a log of their own, as sources that ticks take from.

One file `tables.log` in the state folder for all tables: a header, then frames: payload length, CRC-32 of the payload, payload
(MessagePack: table, number, Arrow IPC stream of the columns and the diffs). A frame is what one tick changed in one table; its
number counts that table's frames from 0 and is its offset, so that the remap log binds tables as it binds topics.
Always true: a frame is durable before it is bound; a frame that is not bound was never visible, and is cut off at the next
start; what is bound and cannot be read is an error, never a shorter table. Only the tick thread stages and takes; `append` runs
in the thread of the remap log. Deliberately unknown: SQL, constraints, times.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import pyarrow as pa
import structlog

from dataflow.delta import Delta
from dataflow.rows import concat_deltas, consolidate
from dataflow.types import TEXT, Schema
from ingest.chunks import Taken
from ingest.durable import replace
from ingest.ranges import Range
from ingest.remap import RemapError
from ingest.source import PartitionStatus, SourceStatus, State

log = structlog.get_logger(__name__)

FILE = "tables.log"
HEADER = b"headwater tables log 1\n"
_HEAD = struct.Struct(">II")
NO_ERRORS = Delta.empty((TEXT,))


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """What one tick changed in one table."""

    table: str
    number: int
    rows: bytes


@dataclass(frozen=True, slots=True)
class Staged:
    """A frame that is not written yet."""

    table: str
    number: int
    delta: Delta


class TableLog:
    """The log of one state folder, whose lock the remap log holds."""

    def __init__(self, folder: Path, bound: Mapping[str, Mapping[int, int]]) -> None:
        """Open or create the log. bound: by table, partition 0 to the number of frames that the remap log binds.

        RemapError when a bound frame is missing or damaged; OSError when the file cannot be used.
        """
        self._path = folder / FILE
        self._places: dict[str, list[tuple[int, int]]] = {}
        self._staged: list[Staged] = []
        self._lock = threading.Lock()
        if not self._path.exists():
            replace(self._path, HEADER)
        self._file: IO[bytes] = self._path.open("r+b", buffering=0)
        end = self._scan({name: ends.get(0, 0) for name, ends in bound.items()})
        if end < self._path.stat().st_size:
            log.warning("cut off what was written to tables and never acknowledged", file=str(self._path), offset=end)
            self._file.truncate(end)
            os.fsync(self._file.fileno())
        self._end = end

    def stage(self, frame: Staged) -> None:
        """Have a frame written with the coming tick."""
        self._staged.append(frame)

    def staged(self) -> list[Staged]:
        """The frames to be written now."""
        frames, self._staged = self._staged, []
        return frames

    def append(self, frames: Sequence[Staged]) -> None:
        """Write frames behind the others: one write, one fsync. OSError when the disk refuses; then none of them counts."""
        data = bytearray()
        places = []
        for frame in frames:
            payload = msgspec.msgpack.encode(Frame(frame.table, frame.number, _encode(frame.delta)))
            data += _HEAD.pack(len(payload), zlib.crc32(payload))
            places.append((frame.table, self._end + len(data), len(payload)))
            data += payload
        view, written = memoryview(data), 0
        self._file.seek(self._end)
        while written < len(view):
            written += self._file.write(view[written:])
        os.fsync(self._file.fileno())
        self._end += len(data)
        with self._lock:
            for table, at, length in places:
                self._places.setdefault(table, []).append((at, length))

    def count(self, table: str) -> int:
        """How many frames of a table are durable."""
        with self._lock:
            return len(self._places.get(table, ()))

    def read(self, table: str, number: int) -> Delta:
        """What a frame changed. RemapError when it can no longer be read. Any thread."""
        with self._lock:
            at, length = self._places[table][number]
        head = os.pread(self._file.fileno(), _HEAD.size, at - _HEAD.size)
        payload = os.pread(self._file.fileno(), length, at)
        if len(head) < _HEAD.size or _HEAD.unpack(head) != (length, zlib.crc32(payload)):
            raise self._damaged(at)
        return _decode(msgspec.msgpack.decode(payload, type=Frame).rows)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def _scan(self, bound: Mapping[str, int]) -> int:
        """Find the bound frames; where they end."""
        size = self._path.stat().st_size
        if os.pread(self._file.fileno(), len(HEADER), 0) != HEADER:
            raise RemapError(f"{self._path} is not a log of this version; restore the state folder from a copy")
        at = len(HEADER)
        while at + _HEAD.size <= size:
            length, crc = _HEAD.unpack(os.pread(self._file.fileno(), _HEAD.size, at))
            payload = os.pread(self._file.fileno(), length, at + _HEAD.size) if at + length <= size else b""
            if len(payload) != length or zlib.crc32(payload) != crc or not length:
                break
            frame = msgspec.msgpack.decode(payload, type=Frame)
            if frame.number >= bound.get(frame.table, 0):
                break
            self._places.setdefault(frame.table, []).append((at + _HEAD.size, length))
            at += _HEAD.size + length
        for table, count in bound.items():
            if len(self._places.get(table, ())) < count and table.startswith(PREFIX):
                raise self._damaged(at)
        return at

    def _damaged(self, at: int) -> RemapError:
        return RemapError(f"{self._path} is damaged at offset {at}: rows that were acknowledged cannot be read; restore the "
                          "state folder from a copy")  # fmt: skip


PREFIX = "table "
"""What the names of tables begin with where sources are named; no name in the file has a blank."""


@dataclass(frozen=True, slots=True)
class _Settings:
    topic: str


class TableSource:
    """One table as a source: `ingest.source.Source`'s contract, over a log."""

    topic_id = ""

    def __init__(self, name: str, shown: str, schema: Schema, log: TableLog) -> None:
        self.name, self.settings = name, _Settings(shown)
        self._types = tuple(column.type for column in schema)
        self._log = log
        self._pending: list[Delta] = []
        self._at = self._end = log.count(name)
        self._rows = 0
        self.changed_after = 0
        """Rows of this time, and of earlier ones, are not those of now."""

    def start(self, positions: Mapping[int, int]) -> None:
        """Go on from this frame."""
        self._at = positions.get(0, 0)

    def replay_to(self, ends: Mapping[int, int], _topic_id: str = "") -> None:
        """Nothing to do: what is bound is in the log."""

    @property
    def hydrated(self) -> bool:
        """Whether every bound frame was taken."""
        return self._at >= self._end

    def write(self, delta: Delta, now: int) -> None:
        """Have a change taken by the coming tick; `now` is the time before that."""
        self._pending.append(delta)
        self.changed_after = now

    def reached(self, until: Mapping[int, int]) -> bool:
        """Whether every frame before these numbers was taken."""
        return all(self._at >= end for end in until.values())

    def take(self, limit_rows: int, until: Mapping[int, int] | None = None) -> Taken | None:
        """Frames of the log that were not taken yet; when there are none, what was written since the last tick, as a new one."""
        start = self._at
        most = self._end if until is None else min(self._end, until.get(0, 0))
        parts: list[Delta] = []
        while self._at < most and sum(map(len, parts)) < limit_rows:
            parts.append(self._log.read(self.name, self._at))
            self._at += 1
        if not parts and until is None and self._pending:
            delta = consolidate(concat_deltas(self._pending)) if len(self._pending) > 1 else self._pending[0]
            self._pending = []
            self._log.stage(Staged(self.name, self._at, delta))
            self._at += 1
            self._end = self._at
            parts.append(delta)
        if self._at == start:
            return None
        delta = concat_deltas(parts)
        self._rows += len(delta)
        size = sum(int(column.nbytes) for column in delta.columns)
        return Taken(delta, NO_ERRORS, (Range(0, start, self._at, self._at - start, 0),), len(delta), size)

    def halt(self, reason: str) -> None:
        """A table's log is checked as a whole when it is opened."""
        raise RemapError(f"{self.name}: {reason}")

    def stop(self) -> None:
        """Nothing runs."""

    def status(self) -> SourceStatus:
        """How it is doing."""
        state: State = "running" if self.hydrated else "hydrating"
        return SourceStatus(state, "", {0: PartitionStatus(self._at, 0, self._end)}, self._rows, 0, 0)


def _encode(delta: Delta) -> bytes:
    names = [str(index) for index in range(len(delta.columns))]
    batch = pa.record_batch([*delta.columns, pa.array(delta.diffs)], names=[*names, "diff"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _decode(data: bytes) -> Delta:
    batch = pa.ipc.open_stream(data).read_next_batch()
    *columns, diffs = batch.columns
    return Delta(tuple(columns), np.asarray(diffs, np.int64))
