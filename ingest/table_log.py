"""The log of all tables of one state, and of topics whose rows are kept: what clients wrote and what was decoded, by frames.

One file `tables.log` in the state folder: a header, then frames (`ingest.frames`). A frame is what one tick changed in one table,
an Arrow IPC stream of the columns and the diffs; its number counts that table's frames from 0 and is its offset, so that the
remap log binds tables as it binds topics. Frames up to a time from which on every start begins, or before which none stops, are
folded: fewer frames, which cover the same numbers, hold the rows that they add up to (`fold`, `put`): of an upsert topic, each
key's last one. A topic's frames also say which ranges of it they stand for (`ingest.kept`).
Always true: a frame is durable before it is bound; a frame that is not bound was never visible, and is cut off at the next
start; what is bound and cannot be read is an error, never a shorter table; a crash leaves the log as it was or folded.
Deliberately unknown: SQL, constraints, which time may be folded up to.
"""

from __future__ import annotations

import os
import threading
import zlib
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec
import structlog

from dataflow.delta import Delta
from ingest.durable import replace, sync_folder
from ingest.frames import (
    HEAD,
    PIECE_BYTES,
    Folded,
    Frame,
    Place,
    Places,
    Staged,
    Written,
    delta_of,
    encoded,
    head,
    summed,
    write_all,
    write_folded,
)
from ingest.ranges import FRAMES
from ingest.remap import RemapError

log = structlog.get_logger(__name__)

FILE = "tables.log"
HEADER = b"headwater tables log 3\n"
READABLE = (HEADER, b"headwater tables log 2\n", b"headwater tables log 1\n")
"""The headers of logs that can be read: the first version has no folded frames, the second none of topics."""

PREFIX = "table "
"""What the names of tables begin with where sources are named; no name in the file has a blank."""


class TableLog:
    """The log of one state folder, whose lock the remap log holds.

    Only the thread of the remap log appends and puts; any thread reads.
    """

    def __init__(self, folder: Path, bound: Mapping[str, Mapping[int, int]]) -> None:
        """Open or create the log. bound: what the remap log binds: of a table partition 0 to its number of frames, of a source
        partition `FRAMES` to that.

        RemapError when a bound frame is missing or damaged; OSError when the file cannot be used.
        """
        self._path = folder / FILE
        self._places: Places = {}
        self._staged: list[Staged] = []
        self._lock = threading.Lock()
        self._tables: Collection[str] | None = None
        self._broken = ""
        self.folded_to = 0
        """The time up to which the log is folded: a start can tell none before it apart."""
        self._sums = 0
        self._folds: dict[str, int] = {}  # table to the number of frames that it has no longer by themselves
        self._path.with_suffix(".new").unlink(missing_ok=True)
        if not self._path.exists():
            replace(self._path, HEADER)
        self._file: IO[bytes] = self._path.open("r+b", buffering=0)
        try:
            self._end = self._scan(numbers(bound))
            if self._end < self._path.stat().st_size:
                log.warning("cut off what was written and never counted", file=str(self._path), offset=self._end)
                self._file.truncate(self._end)
                os.fsync(self._file.fileno())
            if (
                os.pread(self._file.fileno(), len(HEADER), 0) != HEADER
            ):  # an earlier version would misread what comes now
                os.pwrite(self._file.fileno(), HEADER, 0)
                os.fsync(self._file.fileno())
        except BaseException:
            self._file.close()
            raise

    @property
    def nbytes(self) -> int:
        """Size of the file."""
        return self._end

    @property
    def loose_bytes(self) -> int:
        """Bytes of frames that are not folded."""
        return self._end - self._sums

    def stage(self, frame: Staged) -> None:
        """Have a frame written with the coming tick."""
        self._staged.append(frame)

    def staged(self) -> list[Staged]:
        """The frames to be written now."""
        frames, self._staged = self._staged, []
        return frames

    def append(self, frames: Sequence[Staged]) -> None:
        """Write frames behind the others: one write, one fsync. OSError when the disk refuses; then none of them counts.

        RemapError after a folding that failed half-way.
        """
        if self._broken:
            raise RemapError(f"{self._path} cannot be written since {self._broken}; restart the service")
        data = bytearray()
        places = []
        for frame in frames:
            kind = frame.kind
            payload = msgspec.msgpack.encode(
                Frame(frame.table, frame.number, encoded(frame.delta), 0, 0, frame.ranges, kind.key, kind.meaning)
            )
            data += head(payload)
            places.append((frame.table, Place(frame.number + 1, self._end + len(data), len(payload))))
            data += payload
        self._file.seek(self._end)
        write_all(self._file, data)
        os.fsync(self._file.fileno())
        with self._lock:
            self._end += len(data)
            for table, place in places:
                self._places.setdefault(table, []).append(place)

    def count(self, table: str) -> int:
        """How many frames of a table are durable."""
        with self._lock:
            places = self._places.get(table)
            return places[-1].end if places else 0

    def read(self, table: str, number: int) -> tuple[Delta, int]:
        """What changed from a frame on, and the number up to which. RemapError when it cannot be read. Any thread.

        From 0 on, or from where `begins_at`, each from where the one before ended.
        """
        written = self.frame(table, number)
        return written.delta, written.end

    def frame(self, table: str, number: int) -> Written:
        """As `read`, with all that the frame says."""
        with self._lock:
            places = self._places.get(table, [])
            at = bisect_right(places, number, key=lambda place: place.end)
            frame = self._frame(self._file.fileno(), places[at])
            return Written(delta_of(frame), places[at].end, frame.ranges, frame.meaning)

    def frames(self, table: str, until: int) -> Iterator[Delta]:
        """What changed up to a frame where `begins_at`, as of now, whatever is folded meanwhile. Any thread."""
        with self._lock:
            places = [place for place in self._places.get(table, []) if place.end <= until]
            handle = os.dup(self._file.fileno())
        try:
            for place in places:
                yield delta_of(self._frame(handle, place))
        finally:
            os.close(handle)

    def begins_at(self, table: str, number: int) -> bool:
        """Whether what changed before this frame and what changed from it on can be told apart."""
        with self._lock:
            return number == 0 or number >= self._folds.get(table, 0)

    def keep(self, tables: Collection[str]) -> None:
        """Say which tables and sources of the catalog there are: of all others folding leaves nothing. The file's sources, whose
        names have no blank and no point, may come back with the file."""
        self._tables = tuple(tables)

    def fold(self, ends: Mapping[str, int], time: int) -> Folded:
        """Write beside the log a shorter one, in which each table up to some frame is what these frames add up to.

        ends: by table, the number of frames that are bound up to this time. A thread that is neither the ticks' nor the remap
        log's, one at a time. OSError when the disk refuses: the log is as it was.
        """
        with self._lock:
            handle, until, tables = os.dup(self._file.fileno()), self._end, self._tables
            before = {table: list(places) for table, places in self._places.items()}
        places: Places = {}
        path = self._path.with_suffix(".new")
        try:
            with path.open("wb") as file:
                file.write(HEADER)
                for table in sorted(ends.keys() & before.keys()):
                    whole = [place for place in before[table] if place.end <= ends[table]]
                    if whole:
                        there = tables is None or table in tables or not {" ", "."} & set(table)
                        parts = summed(whole, lambda place: self._frame(handle, place)) if there else []
                        places[table] = list(write_folded(file, table, parts, whole[-1].end, time))
                        before[table] = before[table][len(whole) :]
                sums, folds = file.tell(), {table: found[-1].end for table, found in places.items()}
                self._copy(handle, before, file, places)
                file.flush()
                os.fsync(file.fileno())
                return Folded(path, places, file.tell(), until, time, sums, folds)
        except OSError:
            path.unlink(missing_ok=True)  # there is no room for it
            raise
        finally:
            os.close(handle)

    def put(self, folded: Folded) -> None:
        """Put a folded log in the place of this one, with what was appended meanwhile. OSError when the disk refuses: the log is as
        it was, or takes nothing more. In the thread that appends."""
        if self._broken:
            raise RemapError(f"{self._path} cannot be written since {self._broken}; restart the service")
        file = folded.path.open("r+b", buffering=0)
        try:
            file.seek(folded.size)
            at = folded.until
            while at < self._end:
                data = os.pread(self._file.fileno(), min(PIECE_BYTES, self._end - at), at)
                write_all(file, data)
                at += len(data)
            os.fsync(file.fileno())
            folded.path.rename(self._path)
        except BaseException as error:
            file.close()
            if isinstance(error, OSError):
                folded.path.unlink(missing_ok=True)
            raise
        try:
            sync_folder(self._path.parent)
        except OSError as error:  # which of the two a power cut leaves nobody knows
            self._broken = str(error)
            file.close()
            raise
        moved = folded.size - folded.until
        with self._lock:
            for table, places in self._places.items():
                since = [Place(p.end, p.at + moved, p.length) for p in places if p.at >= folded.until]
                folded.places.setdefault(table, []).extend(since)
            before, self._file, self._places = self._file, file, folded.places
            self._end += moved
            self._sums, self.folded_to = folded.sums, folded.time
            self._folds |= folded.ends
        before.close()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def _copy(self, handle: int, rest: Places, file: IO[bytes], places: Places) -> None:
        """Write the frames that stay as they are, in their order."""
        ordered = sorted(((place, table) for table, some in rest.items() for place in some), key=lambda one: one[0].at)
        for place, table in ordered:
            payload = self._payload(handle, place)
            file.write(head(payload))
            places.setdefault(table, []).append(Place(place.end, file.tell(), place.length))
            file.write(payload)

    def _payload(self, handle: int, place: Place) -> bytes:
        before = os.pread(handle, HEAD.size, place.at - HEAD.size)
        payload = os.pread(handle, place.length, place.at)
        if len(before) < HEAD.size or HEAD.unpack(before) != (place.length, zlib.crc32(payload)):
            raise self._damaged(place.at)
        return payload

    def _frame(self, handle: int, place: Place) -> Frame:
        return msgspec.msgpack.decode(self._payload(handle, place), type=Frame)

    def _scan(self, bound: Mapping[str, int]) -> int:
        """Find the bound frames; where they end."""
        size = self._path.stat().st_size
        if os.pread(self._file.fileno(), len(HEADER), 0) not in READABLE:
            raise RemapError(f"{self._path} is not a log of this version; restore the state folder from a copy")
        at = len(HEADER)
        while at + HEAD.size <= size:
            length, crc = HEAD.unpack(os.pread(self._file.fileno(), HEAD.size, at))
            payload = os.pread(self._file.fileno(), length, at + HEAD.size) if at + length <= size else b""
            if len(payload) != length or zlib.crc32(payload) != crc or not length:
                break
            frame = msgspec.msgpack.decode(payload, type=Frame)
            if frame.number >= bound.get(frame.table, 0):
                break
            places = self._places.setdefault(frame.table, [])
            if frame.number != (places[-1].end if places else 0):
                raise self._damaged(at)
            places.append(Place(frame.end or frame.number + 1, at + HEAD.size, length))
            at += HEAD.size + length
            if frame.end:
                self._sums, self.folded_to = at, max(self.folded_to, frame.time)
                self._folds[frame.table] = frame.end
        for table, count in bound.items():
            if self.count(table) < count:
                raise self._damaged(at)
        return at

    def _damaged(self, at: int) -> RemapError:
        return RemapError(f"{self._path} is damaged at offset {at}: rows that were acknowledged cannot be read; restore the "
                          "state folder from a copy")  # fmt: skip


def numbers(bound: Mapping[str, Mapping[int, int]]) -> dict[str, int]:
    """By table and by source, how many frames of the log are bound. bound: the ends of what is."""
    return {name: ends.get(0 if name.startswith(PREFIX) else FRAMES, 0) for name, ends in bound.items()}
