"""SUBSCRIBE over the wire: COPY, cursors and by itself, in every envelope; readers that stand still, leave or cancel."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql

from serve.pg.commands import Declare, Fetch, Subscribe
from serve.pg.parse import parse_command
from serve.sql.errors import QueryError
from serve.subscribe.options import Options, OrderTerm
from tests.serve.pg.door import Door
from tests.serve.subscribe.ticking import Ticking


@pytest.fixture
def ticking() -> Iterator[Ticking]:
    made = Ticking()
    made.tick([(("a", 1), 1), (("b", 2), 1)], 10)
    yield made
    made.hub.stop()


@pytest.fixture
def door(ticking: Ticking) -> Iterator[Door]:
    made = Door(ticking.house, hub=ticking.hub)
    ticking.hub._wake = lambda: ticking.tick([])
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("text", "query", "options"),
    [
        ("SUBSCRIBE pairs", "SELECT * FROM pairs", Options()),
        ('subscribe to public."Pairs" ;', 'SELECT * FROM public."Pairs"', Options()),
        ("SUBSCRIBE (SELECT (1)) WITH (SNAPSHOT = false, PROGRESS)", "SELECT (1)", Options(False, True)),
        ("SUBSCRIBE a AS OF 5 UP TO 9", "SELECT * FROM a", Options(as_of=5, up_to=9)),
        ("SUBSCRIBE a AS OF AT LEAST '1970-01-01 00:00:01+00'", "SELECT * FROM a", Options(as_of=1000, at_least=True)),
        ("SUBSCRIBE a AS OF now()", "SELECT * FROM a", Options()),
        (
            "SUBSCRIBE a ENVELOPE UPSERT (KEY (x, y)) WITH (PROGRESS true)",
            "SELECT * FROM a",
            Options(progress=True, envelope="upsert", key=("x", "y")),
        ),
        (
            "SUBSCRIBE a WITHIN TIMESTAMP ORDER BY x DESC NULLS LAST, mz_diff",
            "SELECT * FROM a",
            Options(order=(OrderTerm("x", True, False), OrderTerm("mz_diff"))),
        ),
    ],
)
def test_subscribe_is_read(text: str, query: str, options: Options) -> None:
    assert parse_command(text.rstrip("; ")) == Subscribe(query, options)
    declared = parse_command(f"DECLARE c CURSOR FOR {text.rstrip('; ')}")
    assert isinstance(declared, Declare)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SUBSCRIBE", "syntax error at end of input"),
        ("SUBSCRIBE (SELECT 1", "syntax error at end of input"),
        ("SUBSCRIBE a WITH (HISTORY)", 'no option "history"'),
        ("SUBSCRIBE a ENVELOPE NONE", 'at or near "NONE"'),
        ("SUBSCRIBE a AS OF 'soon'", '"soon" is no time'),
        ("FETCH c WITH (timeout = 'soon')", "invalid value for a timeout"),
    ],
)
def test_what_subscribe_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        parse_command(text)


def test_fetch_takes_a_timeout() -> None:
    assert parse_command("FETCH ALL c WITH (TIMEOUT = '500ms')") == Fetch("c", None, 0.5)


def test_a_cursor_reads_changes_as_they_come(ticking: Ticking, door: Door) -> None:
    with door.connect(autocommit=False) as client:
        client.execute("DECLARE c CURSOR FOR SUBSCRIBE (SELECT k, v FROM pairs) WITH (PROGRESS)")
        start, progressed, *rest = _fetch(client, "FETCH 1 c")[0]
        assert (progressed, rest) == (True, [None, None, None])
        rows = _fetch(client, "FETCH 2 c")
        assert sorted(rows) == [(start, False, 1, "a", 1), (start, False, 1, "b", 2)]
        rows = _fetch(client, "FETCH ALL c WITH (timeout = '0s')")
        assert all(row[1] for row in rows)
        ticking.tick([(("a", 1), -1), (("a", 7), 2)], 100)
        rows = _fetch(client, "FETCH 2 c") + _fetch(client, "FETCH 1 c")
        assert sorted(rows, key=str) == [
            (100, False, -1, "a", 1),
            (100, False, 2, "a", 7),
            (101, True, None, None, None),
        ]
        client.rollback()
    assert _gone(door)


def test_every_envelope(ticking: Ticking, door: Door) -> None:
    queries = {
        "upsert": "SUBSCRIBE pairs ENVELOPE UPSERT (KEY (k))",
        "debezium": "SUBSCRIBE pairs ENVELOPE DEBEZIUM (KEY (k)) WITH (SNAPSHOT = false)",
        "sorted": "SUBSCRIBE pairs WITHIN TIMESTAMP ORDER BY v DESC, k WITH (SNAPSHOT = false)",
    }
    clients = {name: door.connect(autocommit=False) for name in queries}
    for name, query in queries.items():
        clients[name].execute(sql.SQL("DECLARE c CURSOR FOR " + query))  # type: ignore[arg-type]
    first = _fetch(clients["upsert"], "FETCH 2 c")
    assert [row[1:] for row in sorted(first)] == [("upsert", "a", 1), ("upsert", "b", 2)]
    for name in ("debezium", "sorted"):  # from here on they have begun
        assert _fetch(clients[name], "FETCH ALL c WITH (timeout = '0s')") == []
    ticking.tick([], 50)
    ticking.tick(
        [(("a", 1), -1), (("a", 9), 1), (("b", 2), -1), (("c", 3), 1), (("d", 4), 1), (("d", 5), 1), (("e", 6), 2)], 100
    )
    assert sorted(_fetch(clients["upsert"], "FETCH 5 c")) == [
        (100, "delete", "b", None),
        (100, "key_violation", "d", None),
        (100, "key_violation", "e", None),
        (100, "upsert", "a", 9),
        (100, "upsert", "c", 3),
    ]
    assert sorted(_fetch(clients["debezium"], "FETCH 5 c"), key=str) == [
        (100, "delete", "b", 2, None),
        (100, "insert", "c", None, 3),
        (100, "key_violation", "d", None, None),
        (100, "key_violation", "e", None, None),
        (100, "upsert", "a", 1, 9),
    ]
    assert [row[1:] for row in _fetch(clients["sorted"], "FETCH 7 c")] == [
        (1, "a", 9),
        (2, "e", 6),
        (1, "d", 5),
        (1, "d", 4),
        (1, "c", 3),
        (-1, "b", 2),
        (-1, "a", 1),
    ]
    for client in clients.values():
        client.close()
    assert _gone(door)


def test_copy_streams_until_up_to(ticking: Ticking, door: Door) -> None:
    lines: list[str] = []
    with (
        door.connect() as client,
        client.cursor() as cursor,
        cursor.copy("COPY (SUBSCRIBE pairs UP TO 200) TO STDOUT") as copy,
    ):
        for number, data in enumerate(copy):
            lines += bytes(data).decode().splitlines()
            if number == 1:
                ticking.tick([(("a", 1), -1)], 150)
                ticking.tick([(("x", 1), 1)], 250)
    assert sorted(line.split("\t")[1:] for line in lines[:2]) == [["1", "a", "1"], ["1", "b", "2"]]
    assert lines[-1] == "150\t-1\ta\t1"
    assert len(lines) == 3
    assert _gone(door)


def test_subscribe_by_itself_streams_rows_and_cancel_ends_it(ticking: Ticking, door: Door) -> None:
    with door.connect() as client:
        cursor = client.cursor(binary=True)
        stream = cursor.stream("SUBSCRIBE (SELECT k, sum(v) AS total FROM pairs GROUP BY k)")
        assert sorted(next(stream)[1:] for _ in range(2)) == [(1, "a", Decimal(1)), (1, "b", Decimal(2))]
        ticking.tick([(("b", 5), 1)], 100)
        assert sorted(next(stream) for _ in range(2)) == [(100, -1, "b", Decimal(2)), (100, 1, "b", Decimal(7))]
        # The other cancel waits with the interpreter lock, which the server needs here.
        threading.Timer(0.05, client.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            next(stream)
    assert _gone(door)


def test_relations_of_the_service_and_constants_can_be_subscribed_to(ticking: Ticking, door: Door) -> None:
    with door.connect() as client:
        rows = client.execute("SUBSCRIBE (VALUES (1), (2))").fetchall()
        assert sorted(row[1:] for row in rows) == [(1, 1), (1, 2)]
        client.execute("BEGIN")
        client.execute("DECLARE c CURSOR FOR SUBSCRIBE (SELECT name FROM headwater.sources)")
        assert [row[1:] for row in _fetch(client, "FETCH c")] == [(1, "orders")]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SUBSCRIBE nope", "42P01"),
        ("SUBSCRIBE (SELECT 1/0)", "22012"),
        ("SUBSCRIBE pairs ENVELOPE UPSERT (KEY (nope))", "42703"),
        ("SUBSCRIBE pairs AS OF 3", "22023"),
        ("SUBSCRIBE pairs AS OF AT LEAST 3 UP TO 4", "22023"),
        ("SUBSCRIBE (SELECT now())", "0A000"),
    ],
)
def test_errors_have_their_code(ticking: Ticking, door: Door, query: str, code: str) -> None:
    with door.connect() as client, pytest.raises(psycopg.Error) as caught:
        client.execute(sql.SQL(query))  # type: ignore[arg-type]
    assert caught.value.sqlstate == code


def test_a_client_that_vanishes_leaves_nothing(ticking: Ticking, door: Door) -> None:
    wire = door.raw()
    wire.send((b"Q", b"COPY (SUBSCRIBE pairs) TO STDOUT\0"))
    wire.until(b"d")
    assert door.hub.readers == 1
    wire.close()
    assert _gone(door)


def test_a_client_that_does_not_read_is_cut_and_others_go_on(
    ticking: Ticking, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.subscribe.stream.Stream.__init__.__defaults__", (1 << 16,))
    stalled = door.raw()
    stalled.send((b"Q", b"COPY (SUBSCRIBE (SELECT k, v, repeat(k || v, 2000) FROM pairs)) TO STDOUT\0"))
    stalled.until(b"d")
    number = 0
    while door.hub.readers:
        number += 1
        ticking.tick([((f"k{number}", i), 1) for i in range(50)])
        assert number < 3000
    assert door.server.sessions == 0 or _gone(door)


def _fetch(client: psycopg.Connection[Any], text: str) -> list[Any]:
    return client.execute(sql.SQL(text)).fetchall()  # type: ignore[arg-type]


def _gone(door: Door) -> bool:
    """Whether no subscription is left, soon."""
    for _ in range(2000):
        if door.hub.readers == 0:
            return True
        threading.Event().wait(0.005)
    return False
