"""ASOF JOIN equals DuckDB's, and PostgreSQL's LATERAL with LIMIT 1, after every step."""

from __future__ import annotations

from collections import Counter

import pytest

from planner import PlanErrors, plan_views
from tests.planner import oracle
from tests.planner.test_sql_oracle import STEPS, maintain
from tests.servers.postgres import PostgresServer

MARKS = "(SELECT DISTINCT id AS k, v AS m FROM events)"
QUERIES = [
    f"SELECT o.id, o.placed, e.m FROM orders o ASOF {side}JOIN {MARKS} e ON {key}o.qty {sign} e.m"
    for sign in (">=", ">", "<=", "<")
    for side, key in (("", "o.customer = e.k AND "), ("LEFT ", "e.k = o.customer AND "), ("LEFT ", ""))
]
MORE = [
    "SELECT o.id, c.t FROM orders o ASOF JOIN (SELECT id, since::date AS t FROM customers) c ON o.id = c.id AND c.t <= o.day",
    "SELECT id, t, n FROM (SELECT id, day AS t, 1 AS n FROM orders) o "
    "ASOF LEFT JOIN (SELECT id, since::date AS t FROM customers) c USING (id, t)",
    "SELECT o.id, e.x, f.k FROM orders o ASOF JOIN (SELECT DISTINCT x FROM events WHERE x < 100) e ON o.price > e.x "
    "JOIN (SELECT DISTINCT id AS k FROM events) f ON f.k = o.id",
    "SELECT o.id, o.amount, e.w FROM orders o ASOF LEFT JOIN events e ON o.customer = e.id AND o.qty = e.v AND o.amount >= e.w",
]


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Counter[oracle.Row]]]:
    asked = [oracle.duckdb_answers(tables, [*QUERIES, *MORE]) for tables in oracle.accumulated(STEPS)]
    return {query: [answer[i] for answer in asked] for i, query in enumerate([*QUERIES, *MORE])}


@pytest.mark.parametrize("query", [*QUERIES, *MORE])
def test_duckdb(query: str, answers: dict[str, list[Counter[oracle.Row]]]) -> None:
    assert [now["v"] for now in maintain(plan_views(oracle.TABLES, {"v": query}), STEPS)] == answers[query]


@pytest.mark.postgres
def test_postgres(postgres: PostgresServer) -> None:
    """The nearest row is the first of those that match."""
    query = (
        "SELECT o.id, e.id AS e, e.v, e.w FROM orders o ASOF LEFT JOIN events e ON o.customer = e.id AND o.qty >= e.v"
    )
    same = (
        "SELECT o.id, e.id, e.v, e.w FROM orders o LEFT JOIN LATERAL (SELECT * FROM events WHERE id = o.customer AND v <= o.qty "
        "ORDER BY v DESC, id, w NULLS LAST, x NULLS LAST LIMIT 1) e ON TRUE"
    )
    history = maintain(plan_views(oracle.TABLES, {"v": query}), STEPS)
    with postgres.connect() as database:
        for tables, now in zip(oracle.accumulated(STEPS), history, strict=True):
            oracle.load_postgres(database, tables)
            assert now["v"] == oracle.multiset(database.execute(same).fetchall())


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("ON o.id = e.id", "ASOF JOIN needs one comparison of times, and has 0"),
        ("ON o.id >= e.id AND o.qty > e.v", "ASOF JOIN needs one comparison of times, and has 2"),
        ("ON o.id >= e.id AND o.qty > 3", "this condition of an ASOF JOIN is not supported"),
        ("ON o.id >= e.id OR o.qty > e.v", "this condition of an ASOF JOIN is not supported"),
        ("ON o.ok >= (e.v > 3)", "ASOF JOIN by boolean is not supported"),
        ("ON o.day >= e.v", "does not exist: date >= integer"),
        ("", "ASOF JOIN without ON or USING"),
    ],
)
def test_mistakes(on: str, said: str) -> None:
    with pytest.raises(PlanErrors) as raised:
        plan_views(oracle.TABLES, {"v": f"SELECT o.id FROM orders o ASOF JOIN events e {on}"})
    assert said in str(raised.value)
