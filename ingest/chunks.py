"""Decoded batches between the reader thread and the tick, and the cutting of them at exact offsets.

A `Chunk` is one decoded batch; `ReadAhead` is the bounded queue of them. Always true: records of one partition are taken in
offset order, each once; a cut never takes a record at or after its offset; `reached` covers offsets without visible records
(ends of transactions, aborted ones) as soon as everything before them is taken. Threads: one adds, one takes.
Deliberately unknown: brokers, formats, ticks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.delta import Delta
from dataflow.types import TEXT, Schema
from ingest.decode import Decoded
from ingest.messages import Messages
from ingest.ranges import Range

FEW_RUNS = 64
"""Runs of messages of one partition in a chunk that are added up one by one; beyond, messages are sorted by partition first."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One decoded batch of messages, in arrival order.

    partitions, offsets, digests, sizes: one entry for each message; sizes are bytes of key and value.
    columns, diffs, rows: the good messages' rows, and which message each came from (ascending).
    errors: of the bad messages: (message, text), ascending.
    ends: partition to the exclusive offset up to which nothing is missing once this chunk is taken.
    """

    partitions: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    digests: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.int64]
    columns: tuple[pa.Array, ...]
    diffs: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    errors: tuple[tuple[int, str], ...]
    ends: Mapping[int, int]

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def memory(self) -> int:
        """Bytes that the chunk holds, about."""
        return 44 * len(self) + sum(int(column.nbytes) for column in self.columns)

    def select(self, keep: Mask, ends: Mapping[int, int]) -> Chunk:
        """The messages where `keep` is set, with other ends."""
        rows = keep[self.rows]
        numbers = np.cumsum(keep) - 1
        mask = pa.array(rows)
        return Chunk(
            self.partitions[keep],
            self.offsets[keep],
            self.digests[keep],
            self.sizes[keep],
            tuple(column.filter(mask) for column in self.columns),
            self.diffs[rows],
            numbers[self.rows[rows]],
            tuple((int(numbers[message]), text) for message, text in self.errors if keep[message]),
            ends,
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """What one `take` took.

    delta: rows in arrival order. errors: one text column, one row for each bad message.
    ranges: one for each partition that moved. records, bytes: messages, good or bad, and the size of their keys and values.
    """

    delta: Delta
    errors: Delta
    ranges: tuple[Range, ...]
    records: int
    bytes: int


class ReadAhead:
    """The queue of chunks that were read and not taken, and the positions of both ends.

    schema: the columns' types. max_rows, max_bytes: beyond either the queue is full; one chunk may go over.
    """

    def __init__(self, schema: Schema, max_rows: int, max_bytes: int) -> None:
        self._types = tuple(column.type for column in schema)
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._lock = threading.Lock()
        self._chunks: deque[Chunk] = deque()
        self._rows = self._bytes = 0
        self._starved = self._closed = False
        self._bound: dict[int, int] = {}  # ends of the ranges given out
        self._reached: dict[int, int] = {}  # at least those: everything before is taken, or holds no records
        self._floor: dict[int, int] = {}

    def open(self, starts: Mapping[int, int]) -> None:
        """Begin partitions at these offsets."""
        with self._lock:
            self._bound.update(starts)
            self._reached.update(starts)

    def resume(self, floor: Mapping[int, int]) -> None:
        """Say where the ranges of an earlier run ended: ranges beyond start there, as they would have."""
        with self._lock:
            self._floor = dict(floor)
            self._settle()

    def add(self, chunk: Chunk) -> None:
        """Put a chunk behind the others. One without messages only moves the ends."""
        with self._lock:
            if self._closed:
                return
            if len(chunk):
                self._chunks.append(chunk)
                self._rows += len(chunk)
                self._bytes += chunk.memory
            elif self._chunks:
                last = self._chunks[-1]
                self._chunks[-1] = replace(last, ends={**last.ends, **chunk.ends})
            else:
                self._reach(chunk.ends)
                self._settle()

    def close(self) -> None:
        """Drop what waits, and whatever is added from now on: it is not of the topic whose offsets are bound."""
        with self._lock:
            self._chunks.clear()
            self._rows = self._bytes = 0
            self._closed = True

    @property
    def full(self) -> bool:
        """Whether reading should pause.

        Not while a cut waits for records of one partition and all that was read lies beyond the cut in others: the broker
        decides in which order partitions come, and waiting for each other would never end. Partitions come in turns, so what is
        read beyond the bound then is about what one turn of the others holds.
        """
        return (self._rows >= self._max_rows or self._bytes >= self._max_bytes) and not self._starved

    @property
    def reached(self) -> dict[int, int]:
        """Partition to the exclusive offset up to which everything was taken."""
        with self._lock:
            return dict(self._reached)

    @property
    def bound(self) -> dict[int, int]:
        """Partition to the exclusive end of the last range given out."""
        with self._lock:
            return dict(self._bound)

    def take(self, limit: int, until: Mapping[int, int] | None) -> Taken | None:
        """Up to `limit` messages; with `until` none at or after these offsets, nor of other partitions.

        Fewer, where one more would split a batch behind another. None when there is nothing to take. With `until`, ranges also
        cover offsets without records, up to the cut.
        """
        with self._lock:
            parts: list[Chunk] = []
            left: deque[Chunk] = deque()
            wanted = limit
            while self._chunks and wanted > 0:
                if wanted < limit and len(self._chunks[0]) > wanted:
                    break  # whole chunks are not copied
                chunk = self._chunks.popleft()
                part, rest = _cut(chunk, wanted, until)
                self._rows -= len(chunk)
                self._bytes -= chunk.memory
                if part is not None:
                    parts.append(part)
                    wanted -= len(part)
                if rest is not None:
                    left.append(rest)
                    self._rows += len(rest)
                    self._bytes += rest.memory
            self._chunks = left + self._chunks
            for part in parts:
                self._reach(part.ends)
            taken = self._make_taken(parts, until)
            self._starved = taken is None and until is not None and bool(self._chunks)
            self._settle()
            return taken

    def _reach(self, ends: Mapping[int, int]) -> None:
        for partition, end in ends.items():
            self._reached[partition] = max(end, self._reached.get(partition, 0))

    def _settle(self) -> None:
        """Offsets without records right before the floor were bound by the earlier run already. Not those before the floor is
        reached: what is taken again until then may be added up, and has no gaps."""
        for partition, floor in self._floor.items():
            if self._reached.get(partition, 0) >= floor and partition in self._bound:
                self._bound[partition] = max(self._bound[partition], floor)

    def _make_taken(self, parts: Sequence[Chunk], until: Mapping[int, int] | None) -> Taken | None:
        sums = _sums(parts)
        moved = set(sums)
        if until is not None:
            moved |= {p for p, end in until.items() if min(self._reached.get(p, 0), end) > self._bound.get(p, 0)}
        if not moved:
            return None
        ranges = []
        for partition in sorted(moved):
            count, digest = sums.get(partition, (0, 0))
            end = self._reached[partition]
            if until is not None:
                end = min(end, until[partition])
            ranges.append(Range(partition, self._bound[partition], end, count, digest))
            self._bound[partition] = end
        texts = [text for part in parts for _, text in part.errors]
        return Taken(
            self._delta(parts),
            Delta((pa.array(texts, type=TEXT.arrow),), np.ones(len(texts), np.int64)),
            tuple(ranges),
            sum(len(part) for part in parts),
            sum(int(part.sizes.sum()) for part in parts),
        )

    def _delta(self, parts: Sequence[Chunk]) -> Delta:
        if not parts:
            return Delta.empty(self._types)
        if len(parts) == 1:
            return Delta(parts[0].columns, parts[0].diffs)
        columns = zip(*(part.columns for part in parts), strict=True)
        return Delta(tuple(pa.concat_arrays(pieces) for pieces in columns), np.concatenate([p.diffs for p in parts]))


def make_chunk(topic: str, messages: Messages, decoded: Decoded, ends: Mapping[int, int]) -> Chunk:
    """The chunk of one batch of messages of `topic` and what they decoded to."""
    sizes = _lengths(messages.values) + _lengths(messages.keys)
    errors = tuple(
        (error.row, f"{topic}[{messages.partitions[error.row]}]@{messages.offsets[error.row]}: {error.reason}")
        for error in decoded.errors
    )
    return Chunk(
        messages.partitions,
        messages.offsets,
        messages.digests,
        sizes,
        decoded.columns,
        decoded.diffs,
        decoded.rows,
        errors,
        ends,
    )


def _cut(chunk: Chunk, wanted: int, until: Mapping[int, int] | None) -> tuple[Chunk | None, Chunk | None]:
    """Split a chunk into what may be taken and what stays; None for nothing.

    Even when no message may be taken, the first part carries the ends that may be.
    """
    ends = chunk.ends
    keep = np.ones(len(chunk), np.bool_)
    if until is not None:
        ends = {partition: min(end, until[partition]) for partition, end in ends.items() if partition in until}
        highest = int(chunk.partitions.max(initial=-1))
        bounds = np.array([until.get(partition, 0) for partition in range(highest + 1)], np.int64)
        keep = chunk.offsets < bounds[chunk.partitions]
    places = np.flatnonzero(keep)
    if len(places) > wanted:
        keep[places[wanted:]] = False
        ends = _ends(chunk.partitions[keep], chunk.offsets[keep])
    if not keep.any():
        part = chunk.select(keep, ends) if ends else None
        return part, (chunk if len(chunk) or ends != chunk.ends else None)
    if keep.all():
        if ends == chunk.ends:
            return chunk, None
        return replace(chunk, ends=ends), chunk.select(~keep, chunk.ends)
    return chunk.select(keep, ends), chunk.select(~keep, chunk.ends)


def _ends(partitions: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> dict[int, int]:
    """Partition to the offset after its last message."""
    return {int(p): int(offsets[partitions == p].max()) + 1 for p in np.unique(partitions)}


def _sums(parts: Iterable[Chunk]) -> dict[int, tuple[int, int]]:
    """Partition to number of messages and sum of digests modulo 2^64."""
    sums: dict[int, tuple[int, int]] = {}
    for part in parts:
        if not len(part):
            continue
        partitions, digests = part.partitions, part.digests
        starts = np.flatnonzero(np.diff(partitions, prepend=-1))
        if len(starts) > FEW_RUNS:
            order = np.argsort(partitions, kind="stable")
            partitions, digests = partitions[order], digests[order]
            starts = np.flatnonzero(np.diff(partitions, prepend=-1))
        counts = np.diff(starts, append=len(part))
        added = np.add.reduceat(digests, starts)
        for partition, count, digest in zip(partitions[starts].tolist(), counts.tolist(), added.tolist(), strict=True):
            before = sums.get(partition, (0, 0))
            sums[partition] = (before[0] + count, (before[1] + digest) & ((1 << 64) - 1))
    return sums


def _lengths(column: pa.LargeBinaryArray) -> npt.NDArray[np.int64]:
    """Bytes of each entry, 0 for NULL."""
    if column.null_count == len(column):
        return np.zeros(len(column), np.int64)
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    lengths = np.diff(offsets)
    if column.null_count:
        lengths[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return lengths
