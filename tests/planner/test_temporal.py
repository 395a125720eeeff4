"""mz_now() filters equal PostgreSQL's answer with the time in the place of mz_now(), at every step, also where nothing comes in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from planner import PlanErrors, build_dataflow, plan_views
from planner.explain import explain
from tests.planner import oracle
from tests.servers.postgres import PostgresServer

STEPS = oracle.random_steps(seed=5, count=6)[:3]
START = datetime(2026, 1, 1, 9, tzinfo=UTC)
TIMES = [START + timedelta(minutes=m, milliseconds=m % 7) for m in (0, 400, 401, 907, 1500, 1501, 2600, 4000, 9000)]
TIMES = sorted([*TIMES, *(datetime(2026, 1, day, tzinfo=UTC) for day in (2, 3, 4))])
"""Data comes at the first ones; then time alone goes on."""

QUERIES = [
    "SELECT id FROM orders WHERE mz_now() <= placed + interval '1 hour'",
    "SELECT id, placed FROM orders WHERE mz_now() >= placed AND mz_now() < placed + interval '1 day' AND qty > 1",
    "SELECT id FROM orders WHERE placed + interval '2 hours' > mz_now()",
    "SELECT id FROM orders WHERE mz_now() BETWEEN day AND day + interval '1 day 3 hours'",
    "SELECT id FROM orders WHERE NOT mz_now() > placed",
    "SELECT id FROM orders WHERE mz_now() = date_trunc('day', placed)",
    "SELECT customer, count(*) AS n, sum(amount) AS s FROM orders WHERE mz_now() < placed + interval '1 day' GROUP BY customer",
    "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id WHERE mz_now() < o.placed + interval '1 day'",
    "SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id"
    " WHERE mz_now() < o.placed + c.id * interval '1 hour'",
    "SELECT id FROM orders WHERE ok OR mz_now() < placed",
    "SELECT id FROM orders WHERE qty > 3 OR ok OR (mz_now() < placed + interval '1 day' AND qty < 3)",
    "SELECT c.id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id AND mz_now() < o.placed)",
    "SELECT c.id FROM customers c WHERE c.id NOT IN (SELECT o.customer FROM orders o WHERE mz_now() < o.placed AND o.customer > 1)",
    "SELECT c.id, (SELECT max(o.qty) FROM orders o WHERE o.customer = c.id AND mz_now() < o.placed) AS m FROM customers c",
    "SELECT customer, max(placed) AS m FROM orders GROUP BY customer HAVING mz_now() < max(placed) + interval '1 hour'",
    "SELECT id FROM orders WHERE mz_now() < (SELECT max(since) FROM customers) - interval '200 days'",
    "SELECT DISTINCT customer FROM (SELECT * FROM orders WHERE mz_now() < placed UNION ALL SELECT * FROM orders WHERE ok) x",
    "SELECT o.id, x.v FROM orders o, LATERAL (SELECT e.v FROM events e WHERE e.id = o.customer AND mz_now() < o.placed LIMIT 1) x",
    "SELECT o.id, i FROM orders o, generate_series(1, o.qty) AS i WHERE mz_now() < o.placed + i * interval '10 hours'",
    "SELECT id FROM orders WHERE mz_now() < TIMESTAMPTZ '2026-01-02 00:00:00+00'",
    "SELECT id FROM orders WHERE mz_now() < (extract(epoch FROM placed) * 1000)::bigint + qty",
    "SELECT id FROM events WHERE mz_now() > v + 1767260000000",
]


@pytest.mark.postgres
@pytest.mark.parametrize("query", QUERIES)
def test_postgres(query: str, postgres: PostgresServer) -> None:
    planned = plan_views(oracle.TABLES, {"v": query})
    flow = build_dataflow(planned, oracle.TABLES, {}, {"v": (0,)}, lambda: 0.0)
    states = list(oracle.accumulated(STEPS))
    seen = set()
    with postgres.connect() as database:
        database.execute("CREATE SCHEMA IF NOT EXISTS temporal")
        database.execute("SET search_path = temporal")
        for number, time in enumerate(TIMES):
            step = STEPS[number] if number < len(STEPS) else {}
            flow.step(
                {name: oracle.delta_of(name, changes) for name, changes in step.items() if changes}, time=stamp(time)
            )
            if number < len(STEPS):
                oracle.load_postgres(database, states[number])
            rows = oracle.view_rows(flow.view("v").snapshot().rows())
            assert rows == oracle.multiset(database.execute(at(query, time)).fetchall()), time
            assert not len(flow.view("v").errors().rows())
            seen.add(sum(rows.values()))
    assert len(seen) > 1, "time changes something"


def stamp(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def at(query: str, time: datetime) -> Any:
    """The query with a time, or its milliseconds where it is compared with a number."""
    milliseconds = "::bigint" in query or "17672" in query
    return query.replace("mz_now()", f"{stamp(time)}::bigint" if milliseconds else f"TIMESTAMPTZ '{time.isoformat()}'")


@pytest.mark.parametrize(
    ("marked", "message"),
    [
        ("SELECT ^mz_now() AS n FROM orders", "mz_now() is not allowed in SELECT"),
        (
            "SELECT o.id FROM orders o JOIN customers c ON o.placed < ^mz_now()",
            "mz_now() is not allowed in JOIN conditions",
        ),
        ("SELECT id FROM orders WHERE ^mz_now() + interval '1 hour' > placed", "mz_now() in this condition"),
        ("SELECT id FROM orders WHERE ^mz_now() <> placed", "mz_now() in this condition"),
        ("SELECT id FROM orders WHERE date_trunc('hour', ^mz_now()) = placed", "mz_now() in this condition"),
        ("SELECT id FROM orders WHERE ^mz_now() < placed OR mz_now() > placed", "mz_now() in this condition"),
        ("SELECT id FROM orders WHERE CASE WHEN ok THEN ^mz_now() < placed END", "mz_now() in this condition"),
    ],
)
def test_refused(marked: str, message: str) -> None:
    with pytest.raises(PlanErrors) as caught:
        plan_views(oracle.TABLES, {"v": marked.replace("^", "")})
    error = caught.value.errors[0]
    assert message in error.message
    assert error.hint
    assert error.column == marked.index("^") + 1


def test_filters_lie_below_joins_and_groups() -> None:
    query = """SELECT c.name, count(*) AS n FROM orders o JOIN customers c ON o.customer = c.id
        WHERE mz_now() <= o.placed + interval '1 hour' GROUP BY c.name"""
    lines = explain(plan_views(oracle.TABLES, {"v": query}).plans["v"]).splitlines()
    join = next(i for i, line in enumerate(lines) if "Join" in line)
    assert any("TemporalFilter" in line for line in lines[join:])
