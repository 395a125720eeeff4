"""A PostgreSQL door over views made from rows, and a socket that speaks the protocol's bytes."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import struct
import uuid
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa

from dataflow.types import (
    BIGINT,
    BOOLEAN,
    BYTEA,
    DATE,
    DOUBLE,
    INTEGER,
    INTERVAL,
    JSONB,
    NUMERIC,
    REAL,
    SMALLINT,
    TEXT,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    ColumnType,
)
from serve.pg.server import PgServer
from serve.sql.catalog import RELATIONS
from serve.sql.queries import Queries
from serve.sql.system import Relations
from serve.subscribe.hub import Hub
from tests.serve.published import Diff, House, view

MONEY = ColumnType.parse("numeric(12,2)")

KINDS: Mapping[str, ColumnType] = {
    "flag": BOOLEAN,
    "small": SMALLINT,
    "whole": INTEGER,
    "long": BIGINT,
    "exact": NUMERIC,
    "money": MONEY,
    "short": REAL,
    "wide": DOUBLE,
    "word": TEXT,
    "day": DATE,
    "local": TIMESTAMP,
    "moment": TIMESTAMPTZ,
    "doc": JSONB,
    "raw": BYTEA,
    "span": INTERVAL,
    "clock": TIME,
    "unique": UUID,
    "fixed": ColumnType.parse("char(3)"),
    "short_word": ColumnType.parse("varchar(5)"),
}
"""A column of every type."""

_MOMENT = dt.datetime(2020, 2, 29, 1, 2, 3, 4)
VALUES: tuple[tuple[Any, ...], ...] = (
    (
        *(
            True,
            1,
            2,
            3,
            Decimal("12.5"),
            Decimal("-0.05"),
            1.5,
            0.1,
            "ä\n\t\"'\\",
            dt.date(2020, 2, 29),
            _MOMENT,
            _MOMENT,
        ),
        *('{"a": [1, null]}', b"\x00\xff", pa.MonthDayNano([0, -3, 4_000_001])),
        *(dt.timedelta(hours=1, microseconds=5), uuid.UUID(int=7).bytes, "ab", "abc"),
    ),
    (None,) * 19,
    (
        *(False, -32768, -(1 << 31), -(1 << 63), Decimal("-1234567890123.0001"), Decimal("9999999999.99")),
        *(-1.0e30, float("-inf"), "", dt.date(1, 1, 1), dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31), '"x"', b""),
        *(pa.MonthDayNano([0, 0, 0]), dt.timedelta(0), uuid.UUID(int=(1 << 128) - 1).bytes, "", ""),
    ),
)


def standard(rows: int = 100) -> House:
    """Views to read: `revenue` by customer, `numbers` (id, square, word) by id, `kinds`, and `twice` with doubled rows."""
    house = House()
    money = {"customer": TEXT, "total": MONEY, "orders": BIGINT}
    revenue = [("ada", Decimal("12.50"), 3), ("grace", Decimal("7.00"), 1), ("linus", None, 2)]
    numbers = [(i, i * i, f"word {i % 7}") for i in range(rows)]
    house.publish(
        view("revenue", money, ["customer"], revenue[:2], revenue[2:]),
        view(
            "numbers",
            {"id": BIGINT, "square": INTEGER, "word": TEXT},
            ["id"],
            numbers[: rows // 2],
            numbers[rows // 2 :],
        ),
        view("kinds", KINDS, [], VALUES),
        view(
            "changed",
            {"id": BIGINT, **KINDS},
            ["id"],
            [(i, *VALUES[i % 3]) for i in range(9)],
            [(1, *VALUES[1], Diff(-1)), (2, *VALUES[2], Diff(1)), (3, *VALUES[0], Diff(-1)), (3, *VALUES[2])],
            [(4, *VALUES[0], Diff(1)), (1, *VALUES[1], Diff(1))],
        ),
        view("twice", {"n": INTEGER}, [], [(1, Diff(2)), (2, Diff(3))]),
        view("broken", {"n": INTEGER}, [], [(1,)], errors={"division by zero": 2}),
        view("late", {"n": INTEGER}, [], [(1,)], state="hydrating", reason="source orders: reading"),
    )
    return house


class Door:
    """A running server over a house's views."""

    def __init__(
        self,
        house: House,
        users: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        hub: Hub | None = None,
    ) -> None:
        """hub: one that runs already and is stopped by others; None: one whose ticks change nothing."""
        self.house = house
        relations = Relations(lambda: house.status, RELATIONS, "shop")
        self.queries = Queries(house.publication, lambda: house.status, relations)
        self.hub = hub or Hub(house.publication, relations, self._tick)
        self._own_hub = hub is None
        if self._own_hub:
            self.hub.start()
        self.server = PgServer("127.0.0.1", 0, self.queries, users or {}, tls, "shop", "0.0.0", self.hub)
        self.host, self.port = self.server.start()
        self._wires: list[Wire] = []

    def _tick(self) -> None:
        """What the tick loop does when it is woken and nothing has changed."""
        published = self.house.publication.current()
        if published is not None:
            self.hub.hand_over(published, {}, self.hub.wanted)

    def stop(self) -> None:
        self.server.stop()
        if self._own_hub:
            self.hub.stop()
        for wire in self._wires:
            wire.close()

    def connect(self, **more: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A psycopg connection, in autocommit unless said otherwise."""
        settings = {"host": self.host, "port": self.port, "user": "ada", "dbname": "shop", "autocommit": True, **more}
        return psycopg.connect(**settings)

    def dial(self) -> Wire:
        """A socket before start-up; closed with the door."""
        self._wires.append(Wire(socket.create_connection((self.host, self.port), timeout=30)))
        return self._wires[-1]

    def raw(self) -> Wire:
        """A socket behind start-up; closed with the door."""
        wire = self.dial()
        wire.send_raw(startup(user="ada"))
        wire.until(b"Z")
        return wire


def running(house: House, **more: Any) -> Iterator[Door]:
    """A door for the time of a fixture."""
    door = Door(house, **more)
    try:
        yield door
    finally:
        door.stop()


def startup(**parameters: str) -> bytes:
    body = struct.pack("!i", 3 << 16) + b"".join(f"{k}\0{v}\0".encode() for k, v in parameters.items()) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def frame(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


class Wire:
    """The protocol's bytes, by hand."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._buffer = b""

    def send_raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send(self, *messages: tuple[bytes, bytes]) -> None:
        self.socket.sendall(b"".join(frame(kind, body) for kind, body in messages))

    def next(self) -> tuple[bytes, bytes]:
        """The next message; `(b"", b"")` when the server closed the connection."""
        while len(self._buffer) < 5 or len(self._buffer) <= struct.unpack_from("!i", self._buffer, 1)[0]:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                return b"", b""
            self._buffer += data
        length = struct.unpack_from("!i", self._buffer, 1)[0]
        kind, body = self._buffer[:1], self._buffer[5 : length + 1]
        self._buffer = self._buffer[length + 1 :]
        return kind, body

    def until(self, last: bytes) -> list[tuple[bytes, bytes]]:
        """The messages up to one of type `last`, or to the end of the connection."""
        found: list[tuple[bytes, bytes]] = []
        while not found or found[-1][0] not in (last, b""):
            found.append(self.next())
        return found

    def kinds(self, last: bytes = b"Z") -> bytes:
        """The types of the messages up to `last`."""
        return b"".join(kind for kind, _ in self.until(last))

    def close(self) -> None:
        self.socket.close()


def error_fields(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}
