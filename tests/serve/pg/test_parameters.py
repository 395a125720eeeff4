"""Parameters where only the extended protocol can give them: LIMIT and OFFSET, SUBSCRIBE, cursors, COPY, EXPLAIN."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from tests.serve.pg.door import Door
from tests.serve.subscribe.ticking import Ticking


@pytest.mark.parametrize("limit", [0, 1, 3, None])
@pytest.mark.parametrize("offset", [0, 2, None])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM numbers WHERE id < 5 ORDER BY id LIMIT {} OFFSET {}",
        "SELECT id FROM (SELECT id FROM numbers WHERE id < 5 ORDER BY id DESC LIMIT {} OFFSET {}) t ORDER BY id",
        "WITH t AS (SELECT id FROM numbers WHERE id < 5 ORDER BY id LIMIT {} OFFSET {}) SELECT count(*), max(id) FROM t",
        "SELECT id FROM numbers WHERE id IN (SELECT id FROM numbers ORDER BY id LIMIT {} OFFSET {}) ORDER BY id",
        "SELECT id FROM numbers n WHERE id < 5 AND EXISTS (SELECT 1 FROM numbers m WHERE m.id > n.id AND m.id < 5 LIMIT {} "
        "OFFSET {}) ORDER BY id",
        "SELECT n.id, m.id FROM numbers n, LATERAL (SELECT id FROM numbers m WHERE m.id < n.id ORDER BY id LIMIT {} OFFSET {}) m"
        " WHERE n.id < 5 ORDER BY 1, 2",
    ],
)
def test_a_parameter_limits_as_the_number_does(door: Door, query: str, limit: int | None, offset: int | None) -> None:
    written = ["NULL" if one is None else str(one) for one in (limit, offset)]
    with door.connect() as client:
        expected = client.execute(query.format(*written)).fetchall()  # type: ignore[arg-type]
        assert client.execute(query.format("%s", "%s"), (limit, offset)).fetchall() == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(("clause", "code"), [("LIMIT", "2201W"), ("OFFSET", "2201X")])
def test_a_negative_number_is_refused_also_inside(door: Door, clause: str, code: str) -> None:
    with door.connect() as client:
        for query in (f"SELECT id FROM numbers {clause} %s", f"SELECT * FROM (SELECT id FROM numbers {clause} %s) t"):
            with pytest.raises(psycopg.Error, match=f"{clause} must not be negative") as failed:
                client.execute(query, (-1,))  # type: ignore[arg-type]
            assert failed.value.sqlstate == code


def test_a_cursor_a_copy_and_a_plan_take_parameters(door: Door) -> None:
    with door.connect(autocommit=False) as client:
        client.execute("DECLARE c CURSOR FOR SELECT square FROM numbers WHERE id = %s", (7,))
        assert client.execute("FETCH ALL c").fetchall() == [(49,)]
        with client.cursor("d") as cursor:
            assert cursor.execute("SELECT id FROM numbers WHERE id < %s ORDER BY id", (3,)).fetchall() == [
                (0,),
                (1,),
                (2,),
            ]
        plan = client.execute("EXPLAIN SELECT * FROM numbers WHERE id > %s LIMIT %s", (7, 2)).fetchall()
        assert any("Limit" in line for (line,) in plan)
        client.rollback()
        for statement in ("DECLARE c CURSOR FOR SELECT $1", "EXPLAIN SELECT $1", "SUBSCRIBE (SELECT $1 FROM numbers)"):
            with pytest.raises(psycopg.errors.UndefinedParameter, match=r"there is no parameter \$1"):
                client.execute(statement)  # type: ignore[arg-type]
            client.rollback()
        with pytest.raises(psycopg.errors.SyntaxError, match="a cursor reads a query"):
            client.execute("DECLARE c CURSOR FOR " * 1000 + "SELECT 1")  # type: ignore[arg-type]


@pytest.fixture
def ticking() -> Iterator[Ticking]:
    made = Ticking()
    made.tick([(("a", 1), 1), (("b", 2), 1), (("c", 3), 1)], 10)
    yield made
    made.hub.stop()


@pytest.fixture
def following(ticking: Ticking) -> Iterator[Door]:
    made = Door(ticking.house, hub=ticking.hub)
    ticking.hub._wake = lambda: ticking.tick([])
    yield made
    made.stop()


def test_two_subscribe_to_one_text_with_their_own_values(ticking: Ticking, following: Door) -> None:
    text = "DECLARE c CURSOR FOR SUBSCRIBE (SELECT k, v FROM pairs WHERE v >= %s)"
    with following.connect(autocommit=False) as one, following.connect(autocommit=False) as two:
        one.execute(text, (2,))
        two.execute(text, (3,))
        assert sorted(row[2:] for row in one.execute("FETCH 2 c")) == [("b", 2), ("c", 3)]
        assert [row[2:] for row in two.execute("FETCH 1 c")] == [("c", 3)]
        ticking.tick([(("b", 2), -1), (("d", 2), 1), (("e", 5), 1)], 100)
        assert sorted(row[1:] for row in one.execute("FETCH 3 c")) == [(-1, "b", 2), (1, "d", 2), (1, "e", 5)]
        assert [row[1:] for row in two.execute("FETCH 1 c")] == [(1, "e", 5)]


def test_a_subscription_follows_the_first_rows_and_has_no_session(following: Door) -> None:
    with following.connect(autocommit=False) as client:
        client.execute(
            "DECLARE c CURSOR FOR SUBSCRIBE (SELECT k FROM pairs WHERE k <> %s ORDER BY v DESC LIMIT %s)", ("c", 1)
        )
        assert [row[1:] for row in client.execute("FETCH 1 c")] == [(1, "b")]
        client.rollback()
        with pytest.raises(psycopg.Error, match="current_user"):
            client.execute("DECLARE c CURSOR FOR SUBSCRIBE (SELECT current_user FROM pairs WHERE v > %s)", (1,))
        client.rollback()
        with pytest.raises(psycopg.Error, match="LIMIT must not be negative"):
            client.execute("DECLARE c CURSOR FOR SUBSCRIBE (SELECT k FROM pairs LIMIT %s)", (-1,))


def test_subscribe_by_itself_takes_parameters(ticking: Ticking, following: Door) -> None:
    with following.connect() as client:
        stream = client.cursor(binary=True).stream("SUBSCRIBE (SELECT k, v FROM pairs WHERE v > %s)", (1,))
        assert sorted(next(stream)[2:] for _ in range(2)) == [("b", 2), ("c", 3)]
        ticking.tick([(("a", 1), -1), (("d", 9), 1)], 100)
        assert next(stream)[1:] == (1, "d", 9)
        # The other cancel waits with the interpreter lock, which the server needs here.
        threading.Timer(0.05, client.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            next(stream)
