"""What is proved append-only, and that every query of the corpus gives DuckDB's answer with the operators chosen by the proof."""

from __future__ import annotations

from collections import Counter

import pytest

from planner import build_dataflow, plan_views
from planner.monotonic import append_only
from tests.planner import oracle
from tests.planner.test_views import SOURCES

CORPUS = [query for query, in_duckdb in oracle.corpus() if in_duckdb]
STEPS = [
    {name: [(row, diff) for row, diff in changes if diff > 0] for name, changes in step.items()}
    for step in oracle.random_steps(seed=11, count=4)
]


@pytest.mark.parametrize(
    ("query", "proved"),
    [
        ("SELECT * FROM orders", True),
        ("SELECT id + 1 AS x FROM orders WHERE qty > 1", True),
        ("SELECT * FROM orders UNION ALL SELECT * FROM orders", True),
        ("SELECT DISTINCT customer FROM orders", True),
        ("SELECT customer FROM orders GROUP BY customer", True),
        ("SELECT o.id FROM orders o JOIN orders p ON o.qty = p.id", True),
        ("SELECT o.id FROM orders o, (VALUES (1), (2)) AS v (x) WHERE o.qty = v.x", True),
        ("SELECT id FROM orders INTERSECT SELECT qty FROM orders", False),
        ("SELECT o.id FROM orders o JOIN customers c ON o.customer = c.id", False),
        ("SELECT * FROM customers", False),
        ("SELECT customer, max(qty) AS m FROM orders GROUP BY customer", False),
        ("SELECT count(*) AS n FROM orders", False),
        ("SELECT id FROM orders EXCEPT SELECT id FROM customers", False),
        ("SELECT o.id FROM orders o LEFT JOIN orders p ON o.qty = p.id", False),
        ("SELECT id FROM orders ORDER BY qty LIMIT 1", False),
    ],
)
def test_proof(query: str, proved: bool) -> None:
    planned = plan_views(SOURCES, {"v": query, "over": "SELECT * FROM v"})
    assert append_only(planned.plans["v"], {"orders"}) is proved
    flow = build_dataflow(
        plan_views(
            SOURCES, {"v": query, "over": "SELECT DISTINCT * FROM (SELECT * FROM v UNION ALL SELECT * FROM v) AS u"}
        ),
        SOURCES,
        {"customers": (0,)},
        {},
        lambda: 0.0,
        append_only=SOURCES,
    )
    assert ("distinct, append-only" in flow.explain().partition("view over")[2]) is proved


def test_a_source_with_an_upsert_envelope_is_never_append_only() -> None:
    planned = plan_views(SOURCES, {"v": "SELECT max(qty) AS m FROM orders"})
    keyed = build_dataflow(planned, SOURCES, {"orders": (0,)}, {}, lambda: 0.0, append_only=SOURCES)
    assert "append-only" not in keyed.explain()
    appended = build_dataflow(planned, SOURCES, {}, {}, lambda: 0.0, append_only=SOURCES)
    assert "max(#0), append-only: keeps the winners" in appended.explain()


def test_corpus() -> None:
    planned = plan_views(oracle.TABLES, {f"v{i}": query for i, query in enumerate(CORPUS)})
    indexes = dict.fromkeys(planned.order, (0,))
    flow = build_dataflow(planned, oracle.TABLES, {}, indexes, lambda: 0.0, append_only=oracle.TABLES)
    assert flow.explain().count("append-only") > 10
    for step, tables in zip(STEPS, oracle.accumulated(STEPS), strict=True):
        flow.step({name: oracle.delta_of(name, changes) for name, changes in step.items() if changes})
        flow.maintain(1000)
        found: list[Counter[oracle.Row]] = [
            oracle.view_rows(flow.view(f"v{i}").snapshot().rows()) for i in range(len(CORPUS))
        ]
        for query, rows, expected in zip(CORPUS, found, oracle.duckdb_answers(tables, CORPUS), strict=True):
            assert rows == expected, query
