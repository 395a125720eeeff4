"""Every query of corpus.sql, maintained over random changes, equals DuckDB's and PostgreSQL's answer after every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from psycopg.types.string import TextLoader

from dataflow.types import Kind, Schema
from planner import PlannedViews, build_dataflow, plan_views
from tests.planner import oracle
from tests.servers.postgres import PostgresServer

CORPUS = oracle.corpus()
STEPS = oracle.random_steps(seed=7, count=6)
DUCKDB_ALONE = [
    # PostgreSQL 15 wants a name for each subquery, no output column within an expression of ORDER BY, and an equality in FULL JOIN.
    "SELECT id, n FROM (SELECT id, qty + 1 AS n FROM orders), (SELECT max(id) AS m FROM customers) WHERE id < m",
    "SELECT * FROM (SELECT id FROM orders) JOIN (SELECT id AS other FROM customers) ON id = other",
    "SELECT id, qty * 2 AS twice FROM orders ORDER BY CASE WHEN twice > 4 THEN -twice END, 1, 2 LIMIT 3",
    "SELECT customer, grouping(customer) AS g, count(*) AS n FROM orders GROUP BY ROLLUP (customer) "
    "ORDER BY g + 0 DESC, n * 2, customer LIMIT 4",
    "SELECT id, rank() OVER (ORDER BY qty, id) AS r FROM orders ORDER BY -r, id LIMIT 2",
    "SELECT o.id, c.id AS other FROM orders o FULL JOIN customers c ON o.customer < c.id",
    "SELECT o.id, c.id AS other FROM orders o FULL JOIN customers c ON o.ok",
    "SELECT o.id, c.id AS other FROM orders o FULL JOIN customers c ON c.region IS NULL AND o.qty > 2",
]
IN_DUCKDB = [*(query for query, in_duckdb in CORPUS if in_duckdb), *DUCKDB_ALONE]


def maintain(planned: PlannedViews, steps: Sequence[oracle.Step]) -> list[dict[str, Counter[oracle.Row]]]:
    """The rows of every view after every step; errors of rows are failures."""
    flow = build_dataflow(planned, oracle.TABLES, {}, dict.fromkeys(planned.order, (0,)), lambda: 0.0)
    history = []
    for step in steps:
        flow.step({name: oracle.delta_of(name, changes) for name, changes in step.items() if changes})
        flow.maintain(1000)
        now = {}
        for name in planned.order:
            view = flow.view(name)
            assert not len(view.errors().rows()), view.errors().rows().columns[0].to_pylist()
            now[name] = oracle.view_rows(view.snapshot().rows())
        history.append(now)
    return history


@pytest.fixture(scope="module")
def duckdb_history() -> dict[str, list[Counter[oracle.Row]]]:
    queries = IN_DUCKDB
    answers = [oracle.duckdb_answers(tables, queries) for tables in oracle.accumulated(STEPS)]
    return {query: [answer[i] for answer in answers] for i, query in enumerate(queries)}


@pytest.fixture(scope="module")
def postgres_history(postgres: PostgresServer) -> dict[str, tuple[list[tuple[str, str]], list[Counter[oracle.Row]]]]:
    """Query to its columns (name, type) and its rows after every step."""
    columns: dict[str, list[tuple[str, str]]] = {}
    answers: dict[str, list[Counter[oracle.Row]]] = {query: [] for query, _ in CORPUS}
    with postgres.connect() as database:
        database.adapters.register_loader("jsonb", TextLoader)
        for tables in oracle.accumulated(STEPS):
            oracle.load_postgres(database, tables)
            for query in answers:
                cursor = database.execute(query)
                answers[query].append(oracle.multiset(cursor.fetchall()))
                columns[query] = [_column(database, item) for item in cursor.description or []]
    return {query: (columns[query], rows) for query, rows in answers.items()}


def _column(database: Any, item: Any) -> tuple[str, str]:
    info = database.adapters.types.get(item.type_code)
    return item.name, info.name


@pytest.mark.parametrize("query", IN_DUCKDB)
def test_duckdb(query: str, duckdb_history: dict[str, list[Counter[oracle.Row]]]) -> None:
    history = maintain(plan_views(oracle.TABLES, {"v": query}), STEPS)
    assert [now["v"] for now in history] == duckdb_history[query]


@pytest.mark.postgres
@pytest.mark.parametrize("query", [query for query, _ in CORPUS])
def test_postgres(
    query: str, postgres_history: dict[str, tuple[list[tuple[str, str]], list[Counter[oracle.Row]]]]
) -> None:
    planned = plan_views(oracle.TABLES, {"v": query})
    columns, rows = postgres_history[query]
    assert described(planned.schemas["v"]) == [(name, oracle.POSTGRES_KINDS[type_]) for name, type_ in columns]
    assert [now["v"] for now in maintain(planned, STEPS)] == rows


def described(columns: Schema) -> list[tuple[str, Kind]]:
    return [(column.name, column.type.kind) for column in columns]


def test_all_views_in_one_dataflow_and_over_views() -> None:
    """Sharing operators between views changes nothing, nor does reading a view that reads the tables."""
    queries = {f"v{i}": query for i, (query, _) in enumerate(CORPUS)}
    over = {f"over_{name}": f"SELECT * FROM {name}" for name in queries}
    planned = plan_views(oracle.TABLES, {**over, **queries})
    history = maintain(planned, STEPS)
    alone = maintain(plan_views(oracle.TABLES, {"v": queries["v1"]}), STEPS)
    assert [now["v1"] for now in history] == [now["v"] for now in alone]
    for now in history:
        assert all(now[f"over_{name}"] == now[name] for name in queries)
