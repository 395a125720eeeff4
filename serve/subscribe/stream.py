"""The changes of one collection that some reader has not taken yet, and its readers.

Always true: entries stand in order of time, at most one for each; a reader's place is the last entry that it took; what is
added up as one entry lies between two places (and on one side of an UP TO), so that every reader's sum stays right. The bytes
that wait are bounded: `tidy` first adds up, then ends the reader that is furthest behind.
Any thread takes; only the hub's thread adds and tidies. Deliberately unknown: where changes come from and how they are written.
"""

from __future__ import annotations

import asyncio
import threading
from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from dataflow.delta import Delta
from dataflow.rows import concat_deltas, consolidate
from dataflow.snapshot import Snapshot
from serve.sql.errors import QueryError
from serve.subscribe.direct import Direct
from serve.subscribe.options import Options

MAX_WAITING_BYTES = 64 << 20
"""Bytes of changes, added up, that may wait for the slowest reader of a collection; then it is ended."""

LOOSE_ENTRIES = 64
"""Entries between two readers that are added up as one."""

LOOSE_BYTES = 1 << 20
"""Bytes of entries between two readers that are added up as one, even when they are few."""

APART_ENTRIES = 65_536
APART_BYTES = 32 << 20
"""Entries of a stream that began in the past, and their bytes, that are not added up: who asks for the past asks for its times."""

TAKE_BYTES = 1 << 20
"""Bytes of changes that a reader takes at a time; at least one entry."""


@dataclass(slots=True)
class Entry:
    """The changes of one time, consolidated. written: what doors made of it, by how, for the next reader who wants the same."""

    number: int
    time: int
    delta: Delta
    nbytes: int
    written: dict[Hashable, tuple[bytes, int]] = field(default_factory=dict)

    def bytes(self, how: Hashable, write: Callable[[int, Delta], tuple[bytes, int]]) -> tuple[bytes, int]:
        """The entry as bytes and how many rows they are, made once for each way of writing it."""
        found = self.written.get(how)
        if found is None:
            found = self.written[how] = write(self.time, self.delta)
        return found


@dataclass(frozen=True, slots=True)
class Part:
    """What a reader takes at once: a snapshot (the first time), entries, and the time before which nothing more will come."""

    start: int | None
    snapshot: Snapshot | None
    entries: list[Entry]
    upper: int
    last: bool = False


class Reader:
    """One subscriber's place. `wait` and `take` are called on one event loop; `begin`, `end` and `wake` by the hub."""

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop, cut: Callable[[], None]) -> None:
        """cut: called on the loop when the reader is ended for being slow, as it may be waiting for its client."""
        self.options = options
        self.loop = loop
        self.stream: Stream | None = None
        self.place = -1
        """Number of the last entry that was taken, or that was there before the reader."""
        self.told = -1
        """The upper that was taken last."""
        self.cancelled = False
        self._cut = cut
        self._snapshot: Snapshot | None = None
        self._start: int | None = None
        self._ended: QueryError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.direct: Direct | None = None
        """How it is given what comes while it waits; None where it has to be woken."""

    # The hub's.

    def begin(self, stream: Stream, time: int, snapshot: Snapshot) -> None:
        """The reader's first time is there."""
        self.place, self._start = stream.newest, time
        self._snapshot = snapshot if self.options.snapshot else None
        self.stream = stream

    def end(self, error: QueryError, slow: bool = False) -> None:
        """Nothing more will come, for this reason."""
        self._ended = error
        if slow:
            self.call(self._cut)

    def call(self, function: Callable[[], None]) -> None:
        """Call a function on the reader's loop, soon; not when the door has closed."""
        try:
            self.loop.call_soon_threadsafe(function)
        except RuntimeError:  # the door's loop is closed: nobody waits any more
            self.cancelled = True

    @property
    def hungry(self) -> bool:
        """Whether it waits for something that is there."""
        if self._waiter is None:
            return False
        stream = self.stream
        if self._ended is not None or stream is None or stream.ended is not None or stream.complete:
            return stream is not None or self._ended is not None
        limit = self.options.up_to
        return (
            self._start is not None
            or stream.newest > self.place
            or (self.options.progress and stream.upper > self.told)
            or (limit is not None and stream.upper >= limit)
        )

    # The door's.

    def wake(self) -> None:
        """Let `wait` return. On the reader's loop."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def cancel(self) -> None:
        """Let `wait` return for good. On the reader's loop."""
        self.cancelled = True
        self.wake()

    @property
    def alike(self) -> Hashable | None:
        """The same for readers that may be given the same now, the same way; None for one that has to take by itself."""
        direct = self.direct
        if (
            direct is None
            or self.cancelled
            or self.stream is None
            or self._start is not None
            or self._ended is not None
        ):
            return None
        if self._waiter is None or self._waiter.done() or not direct.ready():
            return None
        return self.stream, self.place, self.told, self.options.up_to, self.options.progress, direct.how

    async def wait(self, seconds: float | None = None, direct: Direct | None = None) -> None:
        """Until there may be something to take, the time is over, or somebody cancels. direct: by whom it is taken meanwhile."""
        self._waiter, self.direct = self.loop.create_future(), direct
        waiter = self._waiter
        timer = None if seconds is None else self.loop.call_later(seconds, self.wake)
        try:
            if not (self.cancelled or self.hungry):
                await waiter
        finally:
            self._waiter = self.direct = None
            if timer is not None:
                timer.cancel()

    def take(self) -> Part | None:
        """What is new; None when nothing is. QueryError when the subscription was ended."""
        stream = self.stream
        if self._ended is not None:
            raise self._ended
        if stream is None:
            return None
        return stream.take(self)

    def first(self) -> tuple[int | None, Snapshot | None]:
        """The start and its rows, once."""
        found = self._start, self._snapshot
        self._start = self._snapshot = None
        return found


class Stream:
    """The log of one collection."""

    def __init__(self, limit: int = MAX_WAITING_BYTES) -> None:
        self.lock = threading.Lock()
        self.readers: set[Reader] = set()
        self.upper = 0
        self.newest = -1
        self.complete = False
        """Whether no change will come ever."""
        self.apart = False
        """Whether times are told one by one, also where several wait, as long as they are not too many."""
        self.ended: QueryError | None = None
        self._limit = limit
        self._entries: list[Entry] = []

    @property
    def waiting_bytes(self) -> int:
        """Bytes of all entries."""
        with self.lock:
            return sum(entry.nbytes for entry in self._entries)

    def add(self, time: int, delta: Delta) -> None:
        """The changes of a time, consolidated; none when nobody reads."""
        with self.lock:
            if len(delta) and self.readers:
                self.newest += 1
                nbytes = sum(column.nbytes for column in delta.columns) + delta.diffs.nbytes
                self._entries.append(Entry(self.newest, time, delta, nbytes))
            self.upper = time + 1

    def join(self, reader: Reader, time: int, snapshot: Snapshot) -> None:
        """A reader that begins here, unless it has left meanwhile: then nobody else would let it go."""
        with self.lock:
            reader.begin(self, time, snapshot)
            if not reader.cancelled:
                self.readers.add(reader)

    def leave(self, reader: Reader) -> None:
        """The reader is gone; its entries are forgotten at the next `tidy`."""
        with self.lock:
            self.readers.discard(reader)

    def take(self, reader: Reader) -> Part | None:
        """See `Reader.take`."""
        with self.lock:
            if self.ended is not None:
                raise self.ended
            part, limit = self._part(reader), reader.options.up_to
            start, snapshot = reader.first()
            if start is not None and limit is not None and start >= limit:
                snapshot = None
                if start > limit:
                    raise QueryError("22023", f"UP TO {limit} is before the subscription's first time, {start}")
            if not (part.entries or part.last or start is not None or _progressed(reader, part)):
                return None
            part = replace(part, start=start, snapshot=snapshot)
            _moved(reader, part)
            return part

    def give(self, readers: Sequence[Reader], most: int) -> Part | None:
        """What all of these readers, which are alike, take now; None, and nothing is taken, when there is nothing, or it ends their
        subscription, or has an entry of more rows than `most`.
        """
        with self.lock:
            if self.ended is not None:
                return None
            part = self._part(readers[0])
            if part.last or any(len(entry.delta) > most for entry in part.entries):
                return None
            if not (part.entries or _progressed(readers[0], part)):
                return None
            for reader in readers:
                _moved(reader, part)
            return part

    def _part(self, reader: Reader) -> Part:
        """What is there for a reader, but for its beginning."""
        limit = reader.options.up_to
        begin = bisect_right(self._entries, reader.place, key=lambda entry: entry.number)
        taken: list[Entry] = []
        size, upper, last = 0, self.upper, self.complete
        for entry in self._entries[begin:]:
            if limit is not None and entry.time >= limit:
                break
            if taken and size + entry.nbytes > TAKE_BYTES:
                upper, last = taken[-1].time + 1, False
                break
            taken.append(entry)
            size += entry.nbytes
        if limit is not None and upper >= limit:
            upper, last = limit, True
        return Part(None, None, taken, upper, last)

    def tidy(self, limit: int | None = None) -> list[Reader]:
        """Forget what all readers took, add up what waits, let go of readers for whom too much waits; which ones.

        limit: bytes that may wait, where it is less than the stream's own limit.
        """
        limit = self._limit if limit is None else min(limit, self._limit)
        with self.lock:
            least = min((reader.place for reader in self.readers), default=self.newest)
            del self._entries[: bisect_right(self._entries, least, key=lambda entry: entry.number)]
            groups = self._groups()
        for group in groups:
            self._add_up(group)
        ended: list[Reader] = []
        with self.lock:
            while self.readers and sum(entry.nbytes for entry in self._entries) > limit:
                slowest = min(self.readers, key=lambda reader: reader.place)
                self.readers.discard(slowest)
                ended.append(slowest)
                least = min((reader.place for reader in self.readers), default=self.newest)
                del self._entries[: bisect_right(self._entries, least, key=lambda entry: entry.number)]
        return ended

    def _groups(self) -> list[list[Entry]]:
        """Entries that lie between the same two places, where they are many or large enough to be added up."""
        if len(self._entries) < 2:
            return []
        if self.apart and len(self._entries) <= APART_ENTRIES and sum(e.nbytes for e in self._entries) <= APART_BYTES:
            return []
        numbers = [entry.number for entry in self._entries]
        cuts = {bisect_right(numbers, reader.place) for reader in self.readers}
        for reader in self.readers:
            if (limit := reader.options.up_to) is not None:
                cuts.add(bisect_right(self._entries, limit - 1, key=lambda entry: entry.time))
        groups = [self._entries[a:b] for a, b in pairwise(sorted(cuts | {0, len(numbers)}))]
        return [group for group in groups if _worth_it(group)]

    def _add_up(self, group: list[Entry]) -> None:
        """Put one entry in the place of several, unless a reader has gone on into them meanwhile."""
        delta = consolidate(concat_deltas([entry.delta for entry in group]))
        nbytes = sum(column.nbytes for column in delta.columns) + delta.diffs.nbytes
        first, last = group[0].number, group[-1].number
        with self.lock:
            if any(first <= reader.place < last for reader in self.readers):
                return
            at = bisect_right(self._entries, first - 1, key=lambda entry: entry.number)
            if self._entries[at : at + len(group)] == group:
                self._entries[at : at + len(group)] = [Entry(last, group[-1].time, delta, nbytes)] if len(delta) else []


def _progressed(reader: Reader, part: Part) -> bool:
    return reader.options.progress and part.upper > reader.told


def _moved(reader: Reader, part: Part) -> None:
    """The reader takes a part."""
    if part.entries:
        reader.place = part.entries[-1].number
    reader.told = part.upper


def _worth_it(group: list[Entry]) -> bool:
    if len(group) < 2:
        return False
    return len(group) > LOOSE_ENTRIES or sum(entry.nbytes for entry in group[1:]) > max(LOOSE_BYTES, group[0].nbytes)
