"""WITH MUTUALLY RECURSIVE, which neither PostgreSQL nor DuckDB has: limits, several variables, and what EXPLAIN says."""

from __future__ import annotations

from collections import Counter

import pytest

from planner import plan_views
from planner.views import build_dataflow
from tests.planner import oracle
from tests.planner.test_sql_oracle import maintain

STEPS = oracle.random_steps(seed=7, count=5)
REACH = "SELECT id, v FROM events UNION SELECT r.a, e.v FROM reach r JOIN events e ON e.id = r.b"


def _now(query: str) -> list[Counter[oracle.Row]]:
    return [now["v"] for now in maintain(plan_views(oracle.TABLES, {"v": query}), STEPS)]


def test_it_is_what_with_recursive_is() -> None:
    plain = _now(f"WITH RECURSIVE reach(a, b) AS ({REACH}) SELECT a, b FROM reach")
    assert _now(f"WITH MUTUALLY RECURSIVE reach (a bigint, b int) AS ({REACH}) SELECT a, b FROM reach") == plain
    assert any(plain)


def test_a_limit_where_it_returns_is_so_many_joins() -> None:
    twice = """WITH MUTUALLY RECURSIVE (RETURN AT RECURSION LIMIT 2) n (i bigint) AS
        (SELECT id FROM customers UNION SELECT i + 10 FROM n) SELECT i FROM n"""
    assert _now(twice) == _now("SELECT id FROM customers UNION SELECT id + 10 FROM customers")


def test_variables_see_those_before_them() -> None:
    both = """WITH MUTUALLY RECURSIVE
        even (n int) AS (SELECT 0 UNION SELECT n + 1 FROM odd WHERE n < 10), odd (n int) AS (SELECT n + 1 FROM even WHERE n < 10)
        SELECT 'even' AS kind, n FROM even UNION ALL SELECT 'odd', n FROM odd"""
    numbers = "SELECT CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END AS kind, n FROM generate_series(0, 10) AS n"
    assert _now(both) == _now(numbers)


@pytest.mark.parametrize("limit", ["ERROR AT RECURSION LIMIT 3", "RECURSION LIMIT 3"])
def test_no_end_within_the_limit_is_a_row_error(limit: str) -> None:
    planned = plan_views(
        oracle.TABLES,
        {"v": f"WITH MUTUALLY RECURSIVE ({limit}) n (i int) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT i FROM n"},
    )
    flow = build_dataflow(planned, oracle.TABLES, {}, {"v": (0,)}, lambda: 0.0)
    flow.step({})
    errors = flow.view("v").errors().rows().columns[0].to_pylist()
    assert errors == ["the recursion of n has no end within 3 iterations"]
    assert not len(flow.view("v").snapshot().rows())


def test_explain_says_when_it_is_computed_anew() -> None:
    planned = plan_views(oracle.TABLES, {"v": f"WITH RECURSIVE reach(a, b) AS ({REACH}) SELECT a, b FROM reach"})
    flow = build_dataflow(planned, oracle.TABLES, {}, {"v": (0,)}, lambda: 0.0)
    assert (
        "recursion of reach: iterates anew when an input changes, or goes on where rows are only added; "
        "error at 10,000 iterations" in flow.explain("v")
    )
