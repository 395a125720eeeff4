"""Inserts that are written together, from their bytes, say and do what the messages one by one would have."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.e2e.service import Headwater, running
from tests.e2e.test_tables import settings
from tests.serve.pg.door import Wire, frame, startup

KINDS = {
    "flag": "boolean",
    "small": "smallint",
    "whole": "integer",
    "long": "bigint",
    "exact": "numeric",
    "money": "numeric(12,2)",
    "short": "real",
    "wide": "double precision",
    "word": "text",
    "day": "date",
    "local": "timestamp",
    "moment": "timestamptz",
    "doc": "jsonb",
    "raw": "bytea",
    "span": "interval",
    "clock": "time",
    "one": "uuid",
    "fixed": "char(3)",
    "short_word": "varchar(5)",
    "list": "integer[]",
    "needed": "integer NOT NULL",
}
COLUMNS = ", ".join(
    f"{name} {type_} DEFAULT 1" if name == "needed" else f"{name} {type_}" for name, type_ in KINDS.items()
)
TABLE = f"CREATE TABLE {{}} (id bigint PRIMARY KEY, {COLUMNS}, made timestamptz DEFAULT now(), who text DEFAULT current_user)"
TEXTS = (
    *("1", "-7", "t", "12.345", "40000", "99999999999", "99999999999999999999", "1e400", "NaN", "infinity", "", " 5 "),
    *("ab ", "abc  ", "abcdefgh", "ä\n\t'\"\\", "2020-02-29", "2020-02-29 01:02:03.5+01", "25:00", "23:59:59.999999"),
    *(
        '{"a": [1, null]}',
        "{",
        "\\x00ff",
        "1 day 02:03:04",
        "00000000-0000-0000-0000-000000000007",
        "{1,NULL,3}",
        "{x}",
    ),
)
CELLS = (
    *((text.encode(), 0) for text in TEXTS),
    *((cell, 0) for cell in (None, b"\xff", b"a\0b")),
    *((cell, 1) for cell in (None, b"\xff", b"a\0b", b"\1", b"\0\7", b"\0\0\0\5", b"\0" * 8, b"\x7f" + b"\xff" * 7)),
    *((cell, 1) for cell in (b"\0" * 16, b"\0\0\0\2\0\0\0\0\0\7\0\7", b'\1{"a": 2}', b"ab ", b"abcdefgh")),
)
DESCRIBE, EXECUTE, SYNC = frame(b"D", b"P\0"), frame(b"E", b"\0" + struct.pack("!i", 0)), frame(b"S")
AS_MESSAGES = frame(b"H")
"""A Flush behind Sync: it is answered by nothing, and no insert ends so."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headwater]:
    with running(tmp_path_factory.mktemp("inserts"), settings("inserts")) as service:
        yield service


@pytest.fixture
def client(house: Headwater) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(host="127.0.0.1", port=house.postgres, user="ada", autocommit=True) as connection:
        yield connection
        for name in ("quick", "usual"):
            connection.execute(f"DROP TABLE IF EXISTS {name}")


Dial = Callable[[], Wire]


@pytest.fixture
def dial(house: Headwater) -> Iterator[Dial]:
    """Makes connections that have started up; they end with the test."""
    made: list[Wire] = []

    def one() -> Wire:
        made.append(Wire(socket.create_connection(("127.0.0.1", house.postgres), timeout=60)))
        made[-1].send_raw(startup(user="ada"))
        made[-1].until(b"Z")
        return made[-1]

    yield one
    for wire in made:
        wire.close()


def prepare(on: Wire, name: str, sql: str, *types: int) -> None:
    on.send((b"P", f"{name}\0{sql}\0".encode() + struct.pack(f"!H{len(types)}i", len(types), *types)), (b"S", b""))
    assert on.kinds() == b"1Z"


def insert(name: str, described: bool, *cells: tuple[bytes | None, int]) -> bytes:
    """Bind, perhaps Describe, Execute and Sync."""
    codes = struct.pack(f"!H{len(cells)}h", len(cells), *(code for _, code in cells))
    sent = b"".join(struct.pack("!i", -1) if cell is None else struct.pack("!i", len(cell)) + cell for cell, _ in cells)
    body = b"\0" + name.encode() + b"\0" + codes + struct.pack("!H", len(cells)) + sent + b"\0\0"
    return frame(b"B", body) + (DESCRIBE if described else b"") + EXECUTE + SYNC


def told(messages: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(kind, body.replace(b"quick", b"usual")) for kind, body in messages]


def number(value: int) -> tuple[bytes, int]:
    return struct.pack("!q", value), 1


def test_every_value_of_every_type_is_taken_or_refused_alike(dial: Dial, client: psycopg.Connection[Any]) -> None:
    chance, good, names = random.Random(7), 0, ("quick", "usual")
    for name in names:
        client.execute(TABLE.format(name))
    wires: list[tuple[Wire, Wire, list[bytes]]] = []
    for at, column in enumerate((*KINDS, "declared")):
        declared = column == "declared"
        quick, usual = dial(), dial()
        for name, on in zip(names, (quick, usual), strict=True):
            sql = f"INSERT INTO {name} (id, {'small' if declared else column}) VALUES ($1, $2)"
            prepare(on, "s", sql, *((21, 20) if declared else ()))
        described = chance.random() < 0.5
        cells = sorted(chance.sample(CELLS, len(CELLS)), key=lambda cell: cell[1])  # what is learned once is used on
        rows = [
            insert("s", described, (struct.pack("!h", i), 1) if declared else number(at * 1000 + i // 2), cell)
            for i, cell in enumerate([cells[0], *cells])
        ]
        usual.send_raw(b"".join(row + AS_MESSAGES for row in rows))
        wires.append((quick, usual, rows))
    for place in range(len(CELLS) + 1):
        for quick, _, rows in wires:
            quick.send_raw(rows[place])
        for quick, usual, rows in wires:
            answer = told(quick.until(b"Z"))
            assert answer == usual.until(b"Z"), rows[place]
            good += answer[-2][0] == b"C"
    assert good > len(KINDS) * 2
    found = [written(client, f"SELECT {', '.join(('id', *KINDS, 'who'))}, made IS NULL FROM {name}") for name in names]
    assert found[0] == found[1]
    assert len(found[0]) == good


def written(client: psycopg.Connection[Any], sql: str) -> list[bytes]:
    with client.cursor().copy(f"COPY ({sql}) TO STDOUT") as copy:
        return sorted(bytes(line) for line in copy)


def test_many_clients_that_insert_at_once(dial: Dial, client: psycopg.Connection[Any]) -> None:
    client.execute("CREATE TABLE quick (id integer PRIMARY KEY, n integer NOT NULL)")
    wires = [dial() for _ in range(24)]
    for on in wires:
        prepare(on, "s", "INSERT INTO quick VALUES ($1, $2)")
    chance, there = random.Random(3), dict[int, int]()
    for _ in range(12):
        rows = [(chance.randrange(200), None if chance.random() < 0.05 else chance.randrange(9)) for _ in wires]
        for on, (key, n) in zip(wires, rows, strict=True):
            on.send_raw(insert("s", False, (str(key).encode(), 0), (None if n is None else str(n).encode(), 0)))
        fresh = dict[int, list[int]]()
        for on, (key, n) in zip(wires, rows, strict=True):
            kinds = on.kinds()
            assert kinds in (b"2CZ", b"2EZ")
            if kinds == b"2CZ":
                assert n is not None
                fresh.setdefault(key, []).append(n)
        wanted = {key for key, n in rows if n is not None and key not in there}
        assert fresh.keys() == wanted
        assert all(len(one) == 1 for one in fresh.values())
        there |= {key: one[0] for key, one in fresh.items()}
    assert dict(client.execute("SELECT id, n FROM quick").fetchall()) == there


def test_what_changes_the_session_or_the_table_counts_for_the_next_insert(
    dial: Dial, client: psycopg.Connection
) -> None:
    client.execute("CREATE TABLE quick (id integer, word text DEFAULT 'a')")
    on = dial()
    prepare(on, "s", "INSERT INTO quick (id) VALUES ($1)")
    row = insert("s", True, (b"1", 0))
    for _ in range(3):
        on.send_raw(row)
        assert on.kinds() == b"2nCZ"
    on.send((b"Q", b"BEGIN\0"))
    on.until(b"Z")
    on.send_raw(row)
    assert on.until(b"Z")[-1] == (b"Z", b"T")
    on.send((b"Q", b"ROLLBACK\0"))
    on.until(b"Z")
    assert client.execute("SELECT count(*) FROM quick").fetchone() == (3,)
    on.send_raw(row + row[:9])  # the rest of the second comes while the first is written, or later
    on.send_raw(row[9:] + row)
    assert on.kinds() + on.kinds() + on.kinds() == b"2nCZ" * 3
    client.execute("CREATE VIEW besides AS SELECT 1")
    for _ in range(3):
        on.send_raw(row)
        assert on.kinds() == b"2nCZ"
    client.execute("DROP VIEW besides")
    client.execute("DROP TABLE quick")
    for _ in range(2):
        on.send_raw(row)
        assert on.kinds() == b"2nEZ"
    client.execute("CREATE TABLE quick (id integer, word text)")
    on.send_raw(row)
    assert on.kinds() == b"2nEZ"  # it is another table
    on.send((b"Q", b"DEALLOCATE s\0"))
    on.until(b"Z")
    on.send_raw(row)
    assert on.kinds() == b"EZ"
    prepare(on, "s", "INSERT INTO quick (word) VALUES ($1)")
    for _ in range(2):
        on.send_raw(row)
        assert on.kinds() == b"2nCZ"
    assert client.execute("SELECT id, word FROM quick").fetchall() == [(None, "1")] * 2


def test_clients_that_vanish_while_their_row_is_written_leave_nothing(
    house: Headwater, dial: Dial, client: psycopg.Connection[Any]
) -> None:
    client.execute("CREATE TABLE quick (id integer PRIMARY KEY)")
    wires = [dial() for _ in range(20)]
    for on in wires:
        prepare(on, "s", "INSERT INTO quick VALUES ($1)")
        on.send_raw(insert("s", False, (b"0", 0)))
        on.until(b"Z")
    for key, on in enumerate(wires, 1):
        on.send_raw(insert("s", False, (str(key).encode(), 0)) * (1 + key % 2))
        on.close()
    left = "SELECT count(*) FROM headwater.sessions"
    house.until(lambda: client.execute(left).fetchone() == (1,), what="sessions end with their clients")
    keys = {row[0] for row in client.execute("SELECT id FROM quick").fetchall()}
    assert keys <= set(range(len(wires) + 1))
