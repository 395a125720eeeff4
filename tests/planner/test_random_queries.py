"""Random queries over random schemas, asked in three ways over random changes, have PostgreSQL's and DuckDB's answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.planner import fuzz
from tests.planner.written import ours
from tests.servers.postgres import PostgresServer

ROUNDS = range(40)


@pytest.fixture(scope="module")
def judges(postgres: PostgresServer) -> Iterator[fuzz.Judges]:
    asked = fuzz.Judges(postgres)
    yield asked
    asked.close()


@pytest.mark.postgres
@pytest.mark.parametrize("number", ROUNDS)
def test_round(number: int, judges: fuzz.Judges) -> None:
    """As many queries as share a schema; `python -m tests.planner.fuzz --seed N` replays one."""
    round_ = fuzz.Round.of(number)
    seeds = range(number * fuzz.TOGETHER, (number + 1) * fuzz.TOGETHER)
    queries = {seed: fuzz.query_of(seed, round_.kinds) for seed in seeds}
    found = fuzz.check_round(round_, queries, judges)
    assert not {seed: f"{mismatch!r}\n{ours(queries[seed])}" for seed, mismatch in found.items()}
