"""Joins of several inputs as delta joins: when they are taken, and that their answers are DuckDB's."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from planner import build_dataflow, plan_views
from tests.planner import oracle
from tests.planner.test_sql_oracle import STEPS, maintain

ONE_KEY = "SELECT o.id, c.name, e.v FROM orders o JOIN customers c ON o.customer = c.id JOIN events e ON e.id = c.id"
TWO_KEYS = "SELECT o.id, c.name, e.v FROM orders o JOIN customers c ON o.customer = c.id JOIN events e ON e.v = o.qty"

TAKEN = [
    ONE_KEY,
    f"{ONE_KEY} WHERE o.qty > e.v AND c.region <> 'red'",
    # A cycle: the third equality is asked of what the other two let meet.
    f"{ONE_KEY} AND e.v = o.qty",
    "SELECT a.id, b.qty, c.note FROM orders a, orders b, orders c WHERE a.customer = b.customer AND b.customer = c.customer",
    "SELECT o.id, c.name FROM orders o, customers c, events e WHERE o.customer + 1 = c.id AND e.id = o.customer + 1",
    "SELECT c.region, sum(o.amount) AS s, count(*) AS n FROM orders o, (SELECT id, region FROM customers WHERE id > 1) c, "
    "events e WHERE o.customer = c.id AND c.id = e.id AND (o.ok OR e.w > 1) GROUP BY c.region",
]


def explained(views: Mapping[str, str], upsert_keys: Mapping[str, tuple[int, ...]] | None = None) -> str:
    planned = plan_views(oracle.TABLES, views)
    return build_dataflow(planned, oracle.TABLES, upsert_keys or {}, {}, lambda: 0.0).explain()


@pytest.fixture(scope="module")
def answers() -> list[list[object]]:
    return [oracle.duckdb_answers(tables, TAKEN) for tables in oracle.accumulated(STEPS)]


@pytest.mark.parametrize("number", range(len(TAKEN)))
def test_answers(number: int, answers: list[list[object]]) -> None:
    views = {"v": TAKEN[number]}
    assert "delta join of" in explained(views)
    assert [now["v"] for now in maintain(plan_views(oracle.TABLES, views), STEPS)] == [now[number] for now in answers]


def test_not_where_as_much_would_be_arranged() -> None:
    assert "delta join" not in explained({"v": TWO_KEYS})
    assert "delta join" not in explained({"v": f"{TWO_KEYS} WHERE o.id + e.id = 5"})
    # Five arrangements instead of six, but two of them of one input, which what is between two joins may be smaller than.
    text = explained({"v": f"{ONE_KEY} JOIN events f ON f.v = e.v"})
    assert "delta join of 3" in text
    assert "delta join of 4" not in text
    assert "delta join" not in explained({"v": "SELECT a.id FROM orders a, orders b, orders c WHERE a.id = b.id"})


def test_taken_where_other_views_have_arranged_the_inputs() -> None:
    """Of four arrangements of a join on two keys, two are there; joins of two would need what the first of them makes."""
    rows = "SELECT id, customer, qty FROM orders"
    others = {
        "by_customer": f"SELECT * FROM ({rows}) o JOIN (SELECT id AS c FROM customers) c ON c = customer",
        "by_qty": f"SELECT * FROM ({rows}) o JOIN (SELECT v FROM events) e ON v = qty",
    }
    query = TWO_KEYS.replace("c.name, e.v", "o.customer, o.qty")
    text = explained({**others, "v": query})
    assert "delta join of 3 inputs" in text[text.index("view v\n") :]
    assert "delta join" not in explained({"v": query})


def test_unique_keys_are_looked_up_first() -> None:
    text = explained({"v": f"{ONE_KEY} JOIN customers d ON d.id = o.customer"}, {"customers": (0,)})
    # A changed order meets both customers before the events, of which there may be many.
    assert "0 > 1 by (#0) > 3 by (#0) > 2 by" in text
