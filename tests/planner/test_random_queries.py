"""Random queries, maintained over random changes, equal PostgreSQL's answer after every step."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from planner import plan_views
from tests.planner import oracle
from tests.planner.queries import Queries
from tests.planner.test_sql_oracle import maintain
from tests.servers.postgres import PostgresServer

STEPS = oracle.random_steps(seed=11, count=4)


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """The tables after each step, in the schemas step0, step1 ..."""
    with postgres.connect() as database:
        for number, tables in enumerate(oracle.accumulated(STEPS)):
            database.execute(f"CREATE SCHEMA step{number}")
            database.execute(f"SET search_path = step{number}")
            oracle.load_postgres(database, tables)
        yield database


def answers(database: psycopg.Connection[Any], query: str) -> list[Counter[oracle.Row]] | None:
    """PostgreSQL's answer after each step; None when it is an error."""
    found = []
    for number in range(len(STEPS)):
        database.execute(f"SET search_path = step{number}")
        try:
            found.append(oracle.multiset(database.execute(query).fetchall()))
        except psycopg.errors.DataError:
            return None
    return found


@pytest.mark.postgres
@pytest.mark.parametrize("seed", range(150))
def test_random_query(seed: int, database: psycopg.Connection[Any]) -> None:
    query, _ = Queries(random.Random(seed)).query()
    expected = answers(database, query)
    planned = plan_views(oracle.TABLES, {"v": query})
    if expected is not None:
        assert [now["v"] for now in maintain(planned, STEPS)] == expected, query
