"""Frames: what a log of rows holds, one behind the other, and what several of them add up to.

    payload length | CRC-32 of the payload | payload (MessagePack of `Frame`)

Always true: frames that are added up have the rows of those that they stand for, in the same order of keys. Deliberately unknown:
files' names, what is bound, and when frames are folded.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.rows import concat_deltas, consolidate, group, take_delta
from ingest.ranges import Range, join

PIECE_BYTES = 64 << 20
"""Bytes of rows that a folded frame has, about."""

SUM_ROWS = 1 << 20
"""Rows that are read before they are added up, at least."""

HEAD = struct.Struct(">II")
"""The length of a payload, and its checksum."""


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """What one tick changed in one table; or, in a folded frame, a part of what several did.

    end: the number after the last that it covers; 0 where it covers its own only. time: of a folded frame, the one up to which the
    log is folded. ranges: of a topic, those that it and the frames before it, back to the last that names any, stand for. key,
    meaning: see `Kind`.
    """

    table: str
    number: int
    rows: bytes
    end: int = 0
    time: int = 0
    ranges: tuple[Range, ...] = ()
    key: tuple[int, ...] | None = None
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """How rows add up. key: the columns of which the last row counts, -1 that there is none; None: rows are changes of a
    Z-set. meaning: a hash of what the columns are; empty for a table's, which the catalog knows."""

    key: tuple[int, ...] | None = None
    meaning: str = ""


TABLE = Kind()


@dataclass(frozen=True, slots=True)
class Staged:
    """A frame that is not written yet."""

    table: str
    number: int
    delta: Delta
    ranges: tuple[Range, ...] = ()
    kind: Kind = TABLE


@dataclass(frozen=True, slots=True)
class Written:
    """A frame as it was read: what changed, up to which number, and of a topic the ranges and the meaning of its columns."""

    delta: Delta
    end: int
    ranges: tuple[Range, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame's payload is. end: the number after the last that it covers."""

    end: int
    at: int
    length: int


Places = dict[str, list[Place]]


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded log that is not in its place yet.

    until: where of the log before it ends; what came since is to follow. time: it is folded up to this one. sums: where the frames
    begin that are not folded. ends: by table, the number of those that are.
    """

    path: Path
    places: Places
    size: int
    until: int
    time: int
    sums: int
    ends: Mapping[str, int]


def summed(places: Sequence[Place], read: Callable[[Place], Frame]) -> list[Staged]:
    """What frames add up to, from the first on; the last one names their ranges."""
    parts: list[Delta] = []
    ranges: dict[int, Range] = {}
    limit = SUM_ROWS
    for place in places:
        frame = read(place)
        kind = Kind(frame.key, frame.meaning)
        join(ranges, frame.ranges)
        parts.append(delta_of(frame))
        if sum(map(len, parts)) > limit:
            parts = [_sum(parts, kind)]
            limit = max(SUM_ROWS, 2 * len(parts[0]))
    whole = _sum(parts, kind)
    rows = max(1, len(whole) * PIECE_BYTES // max(1, sum(int(column.nbytes) for column in whole.columns)))
    rows = max(rows, -(-len(whole) // places[-1].end))  # there are as many numbers as there were frames
    starts = range(0, max(1, len(whole)), rows)
    return [
        Staged(
            frame.table,
            number,
            Delta(tuple(column.slice(start, rows) for column in whole.columns), whole.diffs[start : start + rows]),
            tuple(ranges.values()) if start + rows >= len(whole) else (),
            kind,
        )
        for number, start in enumerate(starts)
    ]


def _sum(parts: Sequence[Delta], kind: Kind) -> Delta:
    """What changes from the first on add up to."""
    rows = concat_deltas(parts)
    if kind.key is None:
        return consolidate(rows)
    ids, first = group(tuple(rows.columns[column] for column in kind.key), len(rows))
    last = np.empty(len(first), np.int64)
    last[ids] = np.arange(len(rows), dtype=np.int64)  # numpy assigns in order: the last row of a key stays
    last.sort()
    return take_delta(rows, last[rows.diffs[last] > 0])


def write_folded(file: IO[bytes], table: str, parts: Sequence[Staged], end: int, time: int) -> Iterator[Place]:
    """Write the frames that stand for all before a number; the last of them covers what is left of the numbers."""
    for number, part in enumerate(parts or [Staged(table, 0, Delta((), np.zeros(0, np.int64)))]):
        behind = end if number + 1 >= len(parts) else number + 1
        kind = part.kind
        payload = msgspec.msgpack.encode(
            Frame(table, number, encoded(part.delta), behind, time, part.ranges, kind.key, kind.meaning)
        )
        file.write(head(payload))
        yield Place(behind, file.tell(), len(payload))
        file.write(payload)


def head(payload: bytes) -> bytes:
    """What stands before a payload."""
    return HEAD.pack(len(payload), zlib.crc32(payload))


def write_all(file: IO[bytes], data: bytes | bytearray) -> None:
    """Write all of it: the system may take a part at a time."""
    view, written = memoryview(data), 0
    while written < len(view):
        written += file.write(view[written:])


def encoded(delta: Delta) -> bytes:
    """Rows as an Arrow IPC stream."""
    names = [str(index) for index in range(len(delta.columns))]
    batch = pa.record_batch([*delta.columns, pa.array(delta.diffs)], names=[*names, "diff"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def delta_of(frame: Frame) -> Delta:
    """What a frame changed."""
    batch = pa.ipc.open_stream(frame.rows).read_next_batch()
    *columns, diffs = batch.columns
    return Delta(tuple(columns), np.asarray(diffs, np.int64))
