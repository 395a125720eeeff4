"""Renamed relations in the text of queries: what follows, and what is refused."""

from __future__ import annotations

import pytest

from planner.errors import SqlError
from planner.renaming import renamed

NAMES = {"orders": "bills", "s.orders": "t.orders", "Big One": 'even "bigger"'}


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT orders.id FROM orders", "SELECT orders.id FROM bills AS orders"),
        ("SELECT o.id FROM Orders o", "SELECT o.id FROM bills o"),
        ("SELECT * FROM public . orders AS o (a)", "SELECT * FROM bills AS o (a)"),
        ("SELECT orders.id FROM s.orders -- s.orders", "SELECT orders.id FROM t.orders -- s.orders"),
        ("SELECT 'orders', orders FROM others", "SELECT 'orders', orders FROM others"),
        ('SELECT "Big One".x FROM "Big One"', 'SELECT "Big One".x FROM "even ""bigger""" AS "Big One"'),
        (
            "SELECT (SELECT max(id) FROM orders) FROM a JOIN orders ON a.id = orders.id",
            "SELECT (SELECT max(id) FROM bills AS orders) FROM a JOIN bills AS orders ON a.id = orders.id",
        ),
        ("WITH x AS (SELECT * FROM orders) TABLE x", "WITH x AS (SELECT * FROM bills AS orders) TABLE x"),
    ],
)
def test_names_follow_and_nothing_else_changes(sql: str, wanted: str) -> None:
    assert renamed("v", sql, NAMES) == wanted


def test_a_common_table_expression_of_the_same_name_is_refused() -> None:
    with pytest.raises(SqlError, match="cannot be told apart"):
        renamed("v", "WITH orders AS (SELECT 1 AS id) SELECT * FROM orders", NAMES)
