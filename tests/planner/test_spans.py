"""tumble, hop and session equal what they stand for: PostgreSQL's date_bin, and sessions found row by row in Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from planner import PlanErrors, plan_views
from tests.planner import oracle
from tests.planner.test_sql_oracle import STEPS, maintain
from tests.servers.postgres import PostgresServer

PAUSE = timedelta(hours=8)


def sessions(rows: Sequence[tuple[int, Any, datetime | None]], by_key: bool) -> Counter[oracle.Row]:
    """(id, key, time) with the beginning and the end of the session that each is in."""
    groups = defaultdict(list)
    for row in rows:
        if row[2] is not None:
            groups[row[1] if by_key else 0].append(row)
    found: list[tuple[Any, ...]] = []
    for group in groups.values():
        group.sort(key=lambda row: row[2])
        now: list[tuple[Any, ...]] = []
        for row in [*group, None]:
            if now and (row is None or row[2] - now[-1][2] > PAUSE):
                found += [(*one, now[0][2], now[-1][2] + PAUSE) for one in now]
                now = []
            if row is not None:
                now.append(row)
    return oracle.multiset(found)


@pytest.mark.parametrize("by_key", [True, False])
def test_sessions(by_key: bool) -> None:
    steps = oracle.random_steps(seed=11, count=8)
    columns = [column.name for column in oracle.TABLES["orders"]]
    places = [columns.index(name) for name in ("id", "customer", "placed")]
    keys = ", customer" if by_key else ""
    query = (
        f"SELECT id, customer, placed, window_start, window_end FROM session(orders, placed, INTERVAL '8 hours'{keys})"
    )
    history = maintain(plan_views(oracle.TABLES, {"v": query}), steps)
    merged = 0
    for tables, now in zip(oracle.accumulated(steps), history, strict=True):
        rows = [tuple(row[place] for place in places) for row in tables["orders"]]
        assert now["v"] == sessions(rows, by_key)
        merged += len({row[2] for row in rows if row[2]}) - len({row[3] for row in now["v"]})
    assert merged > 0, "no session of several rows was seen"


PAIRS = [
    (
        "SELECT id, window_start, window_end FROM tumble(orders, placed, INTERVAL '1 day')",
        "SELECT id, date_bin('1 day', placed, 'epoch'), date_bin('1 day', placed, 'epoch') + interval '1 day' "
        "FROM orders WHERE placed IS NOT NULL",
    ),
    (
        "SELECT t.id, t.window_start, t.window_end FROM tumble(customers, since, INTERVAL '30 days') AS t WHERE t.region = 'eu'",
        "SELECT id, date_bin('30 days', since, 'epoch'), date_bin('30 days', since, 'epoch') + interval '30 days' "
        "FROM customers WHERE since IS NOT NULL AND region = 'eu'",
    ),
    (
        "SELECT window_start, count(*) AS n FROM hop(orders, placed, INTERVAL '1 day', INTERVAL '3 days') GROUP BY window_start",
        "SELECT w, count(*) FROM (SELECT date_bin('1 day', placed, 'epoch') - n * interval '1 day' AS w "
        "FROM orders, generate_series(0, 2) n WHERE placed IS NOT NULL) h GROUP BY w",
    ),
    (
        "SELECT c.id, w.window_start FROM customers c JOIN tumble((SELECT id, placed FROM orders WHERE qty > 1), placed, '6 h') w "
        "ON w.id = c.id",
        "SELECT c.id, date_bin('6 h', placed, 'epoch') FROM customers c JOIN orders o ON o.id = c.id WHERE qty > 1 "
        "AND placed IS NOT NULL",
    ),
    (
        "WITH big AS (SELECT id, placed FROM orders WHERE amount > 5) "
        "SELECT big.a, big.c FROM tumble(big, placed, '1 d') big (a, b, c)",
        "SELECT id, date_bin('1 d', placed, 'epoch') FROM orders WHERE amount > 5 AND placed IS NOT NULL",
    ),
]


@pytest.mark.postgres
@pytest.mark.parametrize(("query", "same"), PAIRS)
def test_postgres(query: str, same: str, postgres: PostgresServer) -> None:
    history = maintain(plan_views(oracle.TABLES, {"v": query}), STEPS)
    with postgres.connect() as database:
        for tables, now in zip(oracle.accumulated(STEPS), history, strict=True):
            oracle.load_postgres(database, tables)
            assert now["v"] == oracle.multiset(database.execute(same).fetchall())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("tumble(orders, placed)", "column 15: tumble takes 3 arguments, not 2 (write tumble(relation, time column"),
        ("hop(orders, placed, '1 h')", "hop takes 4 arguments, not 3"),
        ("tumble(orders, placed, '1 h', customer)", "tumble takes 3 arguments, not 4"),
        ("tumble(1, placed, '1 h')", "tumble takes a relation first"),
        ("tumble(nothing, placed, '1 h')", 'relation "nothing" does not exist'),
        ("tumble(orders, nothing, '1 h')", 'column 30: column "nothing" does not exist'),
        ("tumble(orders, placed + '1 h', '1 h')", "tumble takes columns of the relation as time and keys"),
        ("session(orders, placed, '1 h', qty + 1)", "session takes columns of the relation as time and keys"),
        ("tumble(orders, qty, '1 h')", "function date_bin("),
    ],
)
def test_mistakes(call: str, said: str) -> None:
    with pytest.raises(PlanErrors) as raised:
        plan_views(oracle.TABLES, {"v": f"SELECT 1 FROM {call}"})
    assert said in str(raised.value)
