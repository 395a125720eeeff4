"""Random queries over random schemas, maintained over random changes, equal PostgreSQL's answer after every step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.planner import fuzz
from tests.servers.postgres import PostgresServer

ROUNDS = range(8)


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with fuzz.connect(postgres) as database:
        yield database


@pytest.mark.postgres
@pytest.mark.parametrize("number", ROUNDS)
def test_round(number: int, database: psycopg.Connection[Any]) -> None:
    """As many queries as share a schema; `python -m tests.planner.fuzz --seed N` replays one."""
    round_ = fuzz.Round.of(number)
    round_.load(database)
    found = {}
    for seed in range(number * fuzz.TOGETHER, (number + 1) * fuzz.TOGETHER):
        query = fuzz.query_of(seed, round_.kinds)
        try:
            fuzz.check(round_, query, fuzz.expected(database, query))
        except fuzz.Mismatch as mismatch:
            found[seed] = f"{mismatch}\n{query}"
    assert not found
