"""A query that is asked once gives what a view of the same SQL holds, in the order that it asks for."""

from __future__ import annotations

import time
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.types import BIGINT, INTEGER, TEXT, Column, ColumnType
from planner.scalar import Literal
from planner.views import build_dataflow, plan_views
from serve.sql.catalog import RELATIONS
from serve.sql.errors import QueryError
from serve.sql.queries import Queries
from serve.sql.system import Relations
from tests.serve.published import Diff, House, delta, view

LEFT = {"k": INTEGER, "v": BIGINT, "word": TEXT}
RIGHT = {"k": INTEGER, "amount": ColumnType.parse("numeric(6,2)")}

SQL = (
    "SELECT * FROM l",
    "SELECT word, v + 1 AS more FROM l WHERE k > 1 AND v IS NOT NULL",
    "SELECT k, sum(v) AS total, count(*) AS n FROM l GROUP BY k",
    "SELECT count(*) AS n, max(word) AS last FROM l WHERE k = 2",
    "SELECT l.k, word, amount FROM l LEFT JOIN r ON l.k = r.k",
    "SELECT l.k, amount FROM l JOIN r USING (k) WHERE l.k = 1",
    "SELECT DISTINCT k FROM l EXCEPT SELECT k FROM r",
    "SELECT k, v FROM l WHERE v = (SELECT max(v) FROM l)",
    "SELECT k FROM l WHERE k IN (SELECT k FROM r) UNION ALL SELECT k FROM r",
    "SELECT a.k, b.k AS other FROM l a, l b WHERE a.k = 1 AND b.k = 2",
    "SELECT DISTINCT ON (k) k, word FROM l ORDER BY k, word DESC",
    "SELECT k, v FROM (SELECT * FROM l ORDER BY v DESC, k, word LIMIT 3) AS first",
)

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.none() | st.integers(-5, 5), st.sampled_from(["a", "b", None]), st.integers(1, 3)),
    max_size=8,
)
OTHER = st.lists(st.tuples(st.none() | st.integers(0, 3), st.decimals(0, 9, places=2)), max_size=5)


def made(left: list[tuple[Any, ...]], right: list[tuple[Any, ...]]) -> House:
    house = House()
    rows = [(k, v, word, Diff(count)) for k, v, word, count in left]
    house.publish(view("l", LEFT, ["k"], rows[:3], rows[3:]), view("r", RIGHT, ["k"], right))
    return house


def asked(house: House, sql: str, *parameters: Literal, check: Any = lambda: None) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    queries = Queries(house.publication, lambda: house.status, Relations(lambda: house.status, RELATIONS, "shop"))
    prepared = queries.prepare(sql)
    values = {str(number): value for number, value in enumerate(parameters, 1)}
    found = queries.look_up(prepared, values, queries.current())
    batches = [found] if found is not None else list(queries.run(prepared, values, queries.current(), check))
    return [row for b in batches for row in zip(*(column.to_pylist() for column in b.columns), strict=True)]


@settings(max_examples=12)
@given(ROWS, OTHER)
def test_the_law(left: list[tuple[Any, ...]], right: list[tuple[Any, ...]]) -> None:
    house = made(left, right)
    sources = {"l": tuple(Column(n, t) for n, t in LEFT.items()), "r": tuple(Column(n, t) for n, t in RIGHT.items())}
    flow = build_dataflow(
        plan_views(sources, {f"v{i}": sql for i, sql in enumerate(SQL)}), sources, {}, {}, time.perf_counter
    )
    rows = {"l": delta(list(LEFT.values()), left, [row[3] for row in left]), "r": delta(list(RIGHT.values()), right)}
    flow.step(rows)
    for number, sql in enumerate(SQL):
        expected: Counter[tuple[Any, ...]] = Counter()
        held = flow.view(f"v{number}").snapshot().rows()
        for *row, diff in zip(*(column.to_pylist() for column in held.columns), held.diffs.tolist(), strict=True):
            expected[tuple(row)] += diff
        assert Counter(asked(house, sql)) == expected, sql


def test_order_limit_and_offset() -> None:
    house = made([(1, 2, "a", 1), (2, None, "b", 2), (3, -1, None, 1)], [])
    assert asked(house, "SELECT v FROM l ORDER BY v DESC") == [(None,), (None,), (2,), (-1,)]
    assert asked(house, "SELECT v FROM l ORDER BY v DESC NULLS LAST LIMIT 3") == [(2,), (-1,), (None,)]
    assert asked(house, "SELECT k FROM l ORDER BY word, k DESC OFFSET 1 LIMIT 2") == [(2,), (2,)]
    assert len(asked(house, "SELECT * FROM l LIMIT 3")) == 3
    assert asked(house, "SELECT * FROM l LIMIT 0") == []
    assert asked(house, "SELECT k FROM l ORDER BY 1 LIMIT $1 OFFSET $2", Literal(1, BIGINT), Literal(3, BIGINT)) == [
        (3,)
    ]
    assert asked(house, "SELECT word FROM l WHERE k = $1 OFFSET 1", Literal(2, INTEGER)) == [("b",)]
    with pytest.raises(QueryError, match="must not be negative"):
        asked(house, "SELECT k FROM l LIMIT $1", Literal(-1, BIGINT))


@pytest.mark.parametrize(
    ("sql", "reads_by_key"),
    [
        ("SELECT * FROM l WHERE k = 1", True),
        ("SELECT word, v FROM l WHERE 1 = k", True),
        ("SELECT word FROM l WHERE k = $1", True),
        ("SELECT word FROM l WHERE k = $1 LIMIT 1", True),
        ("SELECT word FROM l WHERE k = $1 ORDER BY word", False),
        ("SELECT word FROM l WHERE k = 1 AND v = 2", False),
        ("SELECT v + 1 FROM l WHERE k = 1", False),
        ("SELECT word FROM l WHERE k > 1", False),
    ],
)
def test_a_query_by_key_reads_the_index(sql: str, reads_by_key: bool) -> None:
    house = made([(1, 2, "a", 1), (1, 3, "b", 1)], [])
    queries = Queries(house.publication, lambda: house.status, Relations(lambda: house.status, RELATIONS, "shop"))
    assert (queries.prepare(sql).lookup is not None) == reads_by_key


def test_rows_by_key_come_in_the_order_asked_for() -> None:
    house = made([(1, 3, "b", 1), (1, 2, "a", 2), (2, 0, "c", 1)], [])
    assert asked(house, "SELECT v FROM l WHERE k = 1 ORDER BY word DESC") == [(3,), (2,), (2,)]
    assert sorted(asked(house, "SELECT v FROM l WHERE k = NULL::int")) == []


def test_a_row_that_fails_is_an_error() -> None:
    house = made([(0, 1, "a", 1)], [])
    with pytest.raises(QueryError, match="division by zero") as raised:
        asked(house, "SELECT v / k FROM l")
    assert raised.value.code == "22012"
    assert asked(house, "SELECT v / k FROM l WHERE k > 0") == []


def test_what_cannot_be_read_says_why() -> None:
    house = House()
    with pytest.raises(QueryError, match="no view can be read yet"):
        asked(house, "SELECT * FROM l")
    assert asked(house, "SELECT 1 + 1") == [(2,)]
    house.publish(view("l", LEFT, ["k"], [], state="hydrating", reason="source orders: reading"))
    for sql in ("SELECT * FROM l", "SELECT * FROM l WHERE k = 1"):
        with pytest.raises(QueryError, match="view l is hydrating") as raised:
            asked(house, sql)
        assert (raised.value.code, raised.value.detail) == ("57P03", "source orders: reading")
    with pytest.raises(QueryError, match='source "orders" is not kept') as raised:
        asked(house, "SELECT * FROM orders")
    assert raised.value.hint == "write CREATE INDEX ON orders (...), or read a view of it"


def test_a_check_ends_a_run() -> None:
    def check() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        asked(made([(1, 1, "a", 1)], []), "SELECT count(*) FROM l", check=check)


def test_a_row_that_is_there_very_often_takes_no_memory() -> None:
    house = House()
    house.publish(view("many", {"d": ColumnType.parse("numeric(6,2)")}, [], [(Decimal("1.5"), Diff(1 << 40))]))
    assert asked(house, "SELECT * FROM many ORDER BY d LIMIT 2") == [(Decimal("1.50"),)] * 2
    assert asked(house, "SELECT count(*) FROM many") == [(1 << 40,)]
