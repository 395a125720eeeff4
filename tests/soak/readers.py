"""Readers of the soak: each a process that reads as fast as it goes and checks every answer.

Always true: an answer whose total is not 0, or that is older than one that had been given to any reader before it was asked for,
ends the reader with the reason. A service that is away, or says why it cannot answer yet, is asked again. Some answers are
kept, with their time, for the oracle. Both speak their protocol themselves: requests go out some at a time, since a driver
would need the cores that the service is to have.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

AT_ONCE = 32
"""Requests that are under way at a time on one connection."""
SAMPLED = 25
"""One batch of so many over HTTP asks for all balances and is kept for the oracle."""
LARGE = 200
"""One batch of so many over the PostgreSQL wire asks for what reads every row."""

QUERIES = (
    "SELECT total FROM total",
    "SELECT coalesce(sum(balance), 0) FROM balances",
    "SELECT (SELECT coalesce(sum(entries), 0) FROM balances) - 2 * (SELECT coalesce(sum(times), 0) FROM seen)",
)
"""Each is 0 at any time: of one view, of all of its rows, and of two views in one query."""


class Violation(Exception):
    """An answer that must not be."""


class Shared:
    """What the readers and the soak share: the reads of each door, the latest time that was answered, the end.

    Of the teller: writes that were acknowledged, those that were not and were looked for, times that were read again.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.http: Synchronized[int] = context.Value("q", 0)
        self.postgres: Synchronized[int] = context.Value("q", 0)
        self.written: Synchronized[int] = context.Value("q", 0)
        self.doubtful: Synchronized[int] = context.Value("q", 0)
        self.past: Synchronized[int] = context.Value("q", 0)
        self.latest: Synchronized[int] = context.Value("q", 0)
        self.stop = context.Event()
        self.violations = context.SimpleQueue()


class Wire:
    """A connection with a buffer; OSError when it ends."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """All of it."""
        self._socket.sendall(data)

    def until(self, mark: bytes) -> bytes:
        """Up to and with the mark."""
        while (end := self._buffer.find(mark)) < 0:
            self._receive()
        return self.exactly(end + len(mark))

    def exactly(self, count: int) -> bytes:
        """So many bytes."""
        while len(self._buffer) < count:
            self._receive()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def _receive(self) -> None:
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionResetError("the service closed the connection")
        self._buffer += data


def _read(shared: Shared, port: int, door: str, batches: Callable[[Wire], Iterator[int]]) -> None:
    """Count what batches of one connection after the other bring."""
    counter: Synchronized[int] = getattr(shared, door)
    while not shared.stop.is_set():
        wire = None
        try:
            wire = Wire(port)
            for reads in batches(wire):
                with counter.get_lock():
                    counter.value += reads
                if shared.stop.is_set():
                    break
                if not reads:
                    time.sleep(0.05)  # it says why it cannot answer yet
        except OSError:
            time.sleep(0.05)
        except Violation as violation:
            shared.violations.put(f"{door}, after {counter.value} reads: {violation}")
            return
        finally:
            if wire is not None:
                wire.close()


def read_http(shared: Shared, port: int, samples: Path | None) -> None:
    """Read `total` and now and then `balances`, of which `samples`, if any, keeps every answer."""
    batch = 0
    with (samples or Path(os.devnull)).open("w") as kept:

        def batches(wire: Wire) -> Iterator[int]:
            nonlocal batch
            while True:
                large = batch % SAMPLED == 0
                path = b"/views/balances?limit=1000" if large else b"/views/total"
                count = 1 if large else AT_ONCE
                before = shared.latest.value
                wire.send(b"GET %b HTTP/1.1\r\nHost: soak\r\n\r\n" % path * count)
                answers = [answer for answer in (_http_answer(wire) for _ in range(count)) if answer is not None]
                for answer in answers:
                    _check(answer, before)
                    if large:
                        kept.write(json.dumps(answer) + "\n")
                        kept.flush()
                latest = max((answer["timestamp"] for answer in answers), default=0)
                with shared.latest.get_lock():
                    shared.latest.value = max(shared.latest.value, latest)
                batch += len(answers) > 0
                yield len(answers)

        _read(shared, port, "http", batches)


def _http_answer(wire: Wire) -> Any:
    """The body of an answer with status 200, else None."""
    head = wire.until(b"\r\n\r\n").lower()
    body = json.loads(wire.exactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0])))
    return body if head.split(b" ", 2)[1] == b"200" else None


def _check(body: Any, before: int) -> None:
    if body["timestamp"] < before:
        raise Violation(f"time {body['timestamp']} was answered after {before}")
    if body["view"] == "total":
        total = Decimal(body["rows"][0]["total"])
    else:
        total = sum((Decimal(row["balance"]) for row in body["rows"]), Decimal(0))
    if total != 0:
        raise Violation(f"at {body['timestamp']} the total is {total}: {body}")


def read_postgres(shared: Shared, port: int) -> None:
    """Ask queries that are 0 at any time over the PostgreSQL wire."""
    batch = 0

    def batches(wire: Wire) -> Iterator[int]:
        nonlocal batch
        body = struct.pack(">I", 196_608) + b"user\0soak\0database\0soak\0\0"
        wire.send(struct.pack(">I", len(body) + 4) + body)
        if _pg_answer(wire) is None:
            yield 0
        while True:
            large = batch % LARGE == 0
            query = QUERIES[1 + batch // LARGE % 2] if large else QUERIES[0]
            count = 1 if large else AT_ONCE
            text = query.encode() + b"\0"
            wire.send((b"Q" + struct.pack(">I", len(text) + 4) + text) * count)
            answers = [answer for answer in (_pg_answer(wire) for _ in range(count)) if answer is not None]
            for answer in answers:
                if Decimal(answer) != 0:
                    raise Violation(f"{query} is {answer}")
            batch += len(answers) > 0
            yield len(answers)

    _read(shared, port, "postgres", batches)


def _pg_answer(wire: Wire) -> str | None:
    """The one value of one answer up to ReadyForQuery; None when it was an error."""
    value: str | None = ""
    while True:
        kind, length = struct.unpack(">cI", wire.exactly(5))
        body = wire.exactly(length - 4)
        if kind == b"D":
            (size,) = struct.unpack_from(">i", body, 2)
            value = body[6 : 6 + size].decode()
        elif kind == b"E":
            value = None
            if b"FATAL" in body:
                raise ConnectionResetError("the service refused the session")
        elif kind == b"Z":
            return value
