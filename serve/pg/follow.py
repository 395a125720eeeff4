"""A client's subscriptions: COPY (SUBSCRIBE ...), SUBSCRIBE itself, and cursors over one that FETCH reads.

Always true: what is sent is in order of time; what several clients read in the same way is encoded once. A client that does not
read is waited for: what it misses is added up by `serve.subscribe`, which ends it when that is too much.
Deliberately unknown: SQL, and where changes come from.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from dataflow.delta import Delta
from dataflow.types import TEXT, ColumnType
from serve.pg import messages
from serve.pg.commands import Copy, Fetch
from serve.pg.frontend import Message
from serve.pg.rows import BINARY_END, BINARY_HEADER, copy_rows, text_batch
from serve.reads import pieces
from serve.sql.errors import QueryError
from serve.sql.results import Batch
from serve.subscribe.direct import INLINE_ROWS, Direct, Written
from serve.subscribe.envelopes import Shape
from serve.subscribe.hub import Hub
from serve.subscribe.options import Options, Subscribed
from serve.subscribe.stream import Entry, Part, Reader

Compute = Callable[[Callable[[], Any]], Awaitable[Any]]
Encode = Callable[[Batch], bytes]


class Client(Protocol):
    """Who is read to."""

    def send(self, data: bytes) -> None:
        """Put bytes behind those that wait to be sent."""
        ...

    async def drain(self) -> None:
        """Return when the client has taken enough. ConnectionError when it is gone."""
        ...

    @property
    def ready(self) -> bool:
        """Whether `drain` would return at once: the client is there and has room."""
        ...

    def push(self, data: bytes) -> None:
        """Send bytes now, behind those that wait to be sent."""
        ...

    def next(self) -> Message | None:
        """Its next message, taken from it by work that is under way; None when it is not there yet."""
        ...

    async def more(self) -> None:
        """Send what waits; return when more came since `next` found nothing. ConnectionError when it is gone."""
        ...

    def close(self) -> None:
        """End the connection now."""
        ...


@dataclass(frozen=True, slots=True)
class Following:
    """What a statement subscribes to, and how its changes look."""

    subscribed: Subscribed
    options: Options
    shape: Shape


@dataclass(frozen=True, slots=True)
class _Encoding:
    """A way of writing rows. name: the same for all who write the same."""

    name: str
    write: Encode


class Tail:
    """One subscription being read. `close` it."""

    def __init__(self, hub: Hub, following: Following, client: Client) -> None:
        self.shape = following.shape
        self._options = following.options
        self._hub = hub
        self.reader: Reader = hub.subscribe(
            following.subscribed, following.options, asyncio.get_running_loop(), client.close
        )
        self.snapshot: tuple[int, Iterator[Delta]] | None = None
        """The rows of the start that are still to come, and their time."""
        self.rest: Batch | None = None
        """Rows of a batch that FETCH did not want yet."""
        self.finished = False
        self._start: int | None = None
        self._waiting: deque[Entry | int] = deque()

    def next(self) -> Entry | int | None:
        """An entry, or a time before which nothing will come any more; None when there is nothing now, or a `snapshot` first."""
        while self.snapshot is None or self._start is not None:
            if self._start is not None:
                start, self._start = self._start, None
                return start
            if self._waiting:
                return self._waiting.popleft()
            if self.finished or (part := self.reader.take()) is None:
                return None
            self._take(part)
        return None

    def _take(self, part: Part) -> None:
        if part.start is not None and self._options.progress:
            self._start = part.start
        if part.start is not None and part.snapshot is not None:
            self.snapshot = part.start, pieces(part.snapshot)
        self._waiting.extend(part.entries)
        if self._options.progress and (part.entries or part.start is None):
            self._waiting.append(part.upper)
        self.finished = part.last

    def close(self) -> None:
        """Read no more."""
        self.reader.cancel()
        self._hub.leave(self.reader)


class Follower:
    """Sends subscriptions to one client. On the event loop, but for what `compute` hands to other threads."""

    def __init__(self, hub: Hub, client: Client, compute: Compute) -> None:
        self._hub = hub
        self._client = client
        self._compute = compute
        self._reading: Tail | None = None

    def cancel(self) -> None:
        """End what the client waits for, if it waits."""
        if self._reading is not None:
            self._reading.reader.cancel()

    def open(self, following: Following) -> Tail:
        """Begin to read. To be closed."""
        return Tail(self._hub, following, self._client)

    async def copy(self, following: Following, copy: Copy) -> None:
        """COPY (SUBSCRIBE ...) TO STDOUT."""
        columns = following.shape.columns
        types = [type_ for _, type_ in columns]
        self._client.send(messages.copy_out(len(columns), int(copy.format == "binary")))
        binary = copy.format == "binary"
        if binary:
            self._client.send(messages.copy_data(BINARY_HEADER))
        if copy.header:
            names = text_batch([[name for name, _ in columns]], len(columns))
            self._client.send(_copied([TEXT] * len(columns), copy, names))
        name = f"copy {copy.format} {copy.delimiter!r} {copy.null!r} {following.shape!r}"
        count = await self._stream(following, _Encoding(name, partial(_copied, types, copy)))
        end = messages.copy_data(BINARY_END) if binary else b""
        self._client.send(end + messages.COPY_DONE + messages.complete(f"COPY {count}"))

    async def rows(self, following: Following, formats: Sequence[int], encode: Encode) -> None:
        """SUBSCRIBE by itself: DataRows until somebody cancels, or UP TO is reached."""
        name = f"rows {tuple(formats)} {following.shape!r}"
        count = await self._stream(following, _Encoding(name, encode))
        self._client.send(messages.complete(f"SUBSCRIBE {count}"))

    async def _stream(self, following: Following, encoding: _Encoding) -> int:
        tail, count, shape = self.open(following), 0, following.shape

        def write(time: int, delta: Delta) -> Written:
            batch = shape.rows(time, delta)
            return encoding.write(batch), batch.rows

        def accept(data: bytes, rows: int) -> None:
            nonlocal count
            count += rows
            self._client.push(data)

        told = partial(_told, shape, encoding)
        direct = Direct(encoding.name, write, told, lambda: self._client.ready, accept)
        try:
            while True:
                await self._client.drain()
                async for data, rows in self._ready(tail, direct, encoding):
                    self._client.send(data)
                    count += rows
                    await self._client.drain()
                if tail.finished:
                    return count
                await self._wait(tail, None, direct)
        finally:
            tail.close()

    async def _ready(self, tail: Tail, direct: Direct, encoding: _Encoding) -> AsyncIterator[Written]:
        """What is there now, as bytes, with the number of rows."""
        while True:
            item = tail.next()
            if isinstance(item, int):
                yield direct.told(item)
            elif item is not None and len(item.delta) <= INLINE_ROWS:
                yield item.bytes(direct.how, direct.write)
            elif item is not None or tail.snapshot is not None:
                batch = await self._batch(tail, item)
                if batch is not None:
                    for part in _parts(batch):
                        yield await self._compute(partial(encoding.write, part)), part.rows
            else:
                return

    async def _batch(self, tail: Tail, entry: Entry | None) -> Batch | None:
        """An entry's rows, or the next ones of the snapshot: None at its end."""
        if entry is not None:
            whole: Batch = await self._compute(partial(tail.shape.rows, entry.time, entry.delta))
            return whole
        assert tail.snapshot is not None
        time, rows = tail.snapshot
        piece = await self._compute(lambda: next(rows, None))
        if piece is None:
            tail.snapshot = None
            return None
        batch: Batch = await self._compute(partial(tail.shape.rows, time, piece))
        return batch

    async def fetch(self, tail: Tail, fetch: Fetch, encode: Encode) -> None:
        """FETCH from a cursor: what there is; without a timeout at least one row, with one what comes until it is over."""
        loop = asyncio.get_running_loop()
        end = None if fetch.timeout is None else loop.time() + fetch.timeout
        count = 0
        while fetch.count is None or count < fetch.count:
            batch = await self._next(tail)
            if batch is not None:
                most = batch.rows if fetch.count is None else min(batch.rows, fetch.count - count)
                if most < batch.rows:
                    tail.rest = Batch(tuple(column.slice(most) for column in batch.columns), batch.rows - most)
                    batch = Batch(tuple(column.slice(0, most) for column in batch.columns), most)
                self._client.send(encode(batch))
                count += batch.rows
                await self._client.drain()
            elif tail.finished or (end is None and count):
                break
            else:
                left = None if end is None else end - loop.time()
                if left is not None and left <= 0:
                    break
                await self._wait(tail, left)
        self._client.send(messages.complete(f"FETCH {count}"))

    async def _next(self, tail: Tail) -> Batch | None:
        """The next rows, if there are any now."""
        if tail.rest is not None:
            batch, tail.rest = tail.rest, None
            return batch
        while True:
            item = tail.next()
            if isinstance(item, int):
                return tail.shape.told(item)
            if item is None and tail.snapshot is None:
                return None
            if (found := await self._batch(tail, item)) is not None and found.rows:
                return found

    async def _wait(self, tail: Tail, seconds: float | None, direct: Direct | None = None) -> None:
        self._reading = tail
        try:
            await tail.reader.wait(seconds, direct)
        finally:
            self._reading = None
        if tail.reader.cancelled:
            raise QueryError("57014", "canceling statement due to user request")


def _told(shape: Shape, encoding: _Encoding, time: int) -> Written:
    return encoding.write(shape.told(time)), 1


def _copied(types: Sequence[ColumnType], copy: Copy, batch: Batch) -> bytes:
    return copy_rows(batch.columns, batch.rows, types, copy)


def _parts(batch: Batch) -> Iterator[Batch]:
    for begin in range(0, batch.rows, INLINE_ROWS * 4):
        rows = min(INLINE_ROWS * 4, batch.rows - begin)
        yield Batch(tuple(column.slice(begin, rows) for column in batch.columns), rows)
