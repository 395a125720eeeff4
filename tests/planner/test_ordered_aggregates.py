"""max_by and min_by, which PostgreSQL has not, against DuckDB."""

from __future__ import annotations

import pytest

from planner import plan_views
from tests.planner import oracle
from tests.planner.test_sql_oracle import maintain

STEPS = oracle.random_steps(seed=5, count=5)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT customer, max_by(amount, amount) AS m, min_by(qty, qty) AS k, arg_max(id, id) AS i FROM orders GROUP BY customer",
        "SELECT max_by(id, id * 10) FILTER (WHERE qty > 1) AS m, arg_min(id, -id) AS i, count(*) AS n FROM orders",
        "SELECT c.id, (SELECT max_by(o.id, o.id) FROM orders o WHERE o.customer = c.id) AS m FROM customers c",
    ],
)
def test_duckdb(query: str) -> None:
    expected = [oracle.duckdb_answers(tables, [query])[0] for tables in oracle.accumulated(STEPS)]
    assert [now["v"] for now in maintain(plan_views(oracle.TABLES, {"v": query}), STEPS)] == expected
