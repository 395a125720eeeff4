"""docs/functions.md is what the registry makes of it, and its examples have PostgreSQL's results."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from planner.bind_window import WINDOW_FUNCTIONS
from planner.document import page, result_of, rows_of
from planner.functions import AGGREGATE_NAMES, SCALARS
from planner.functions.described import DESCRIBED
from planner.functions.described import OWN as OWN_SCALARS
from planner.functions.described_rows import AGGREGATES_TABLE, OWN, TABLES_TABLE, WINDOWS_TABLE, lines, queries
from planner.functions.tables import TABLE_FUNCTIONS
from tests.planner.functions.oracle import ask
from tests.servers.postgres import PostgresServer

TABLES = (AGGREGATES_TABLE, WINDOWS_TABLE, TABLES_TABLE)
PAGE = Path(__file__).resolve().parents[3] / "docs" / "functions.md"


def test_every_function_is_described() -> None:
    # What clients ask the catalog for is not for views.
    known = {name for name in SCALARS if not name.startswith("pg_catalog.")}
    assert set(DESCRIBED) == known, "write a line for it in planner/functions/described.py"


def test_every_aggregate_window_and_table_function_is_described() -> None:
    described = [name.partition("(")[0] for table in TABLES for name, _, _ in lines(table)]
    assert len(set(described)) == len(described)
    public = {name for name in TABLE_FUNCTIONS if not name.startswith("pg_catalog.")}
    assert set(described) == AGGREGATE_NAMES | WINDOW_FUNCTIONS | public, (
        "write a line in planner/functions/described_rows.py"
    )


def test_the_page_is_in_step() -> None:
    assert PAGE.read_text() == page(), "run `make generate`"


@pytest.mark.postgres
def test_examples_have_the_results_of_postgresql(postgres: PostgresServer) -> None:
    examples = [entry.example for name, entry in DESCRIBED.items() if name not in OWN_SCALARS]
    with postgres.connect() as connection:
        theirs = ask(connection, examples)
    # A transcendental numeric has more digits there, by a rule of its own.
    wrong = [
        (example, result_of(example), answer.value or answer.error)
        for example, answer in zip(examples, theirs, strict=True)
        if not _same(result_of(example), answer.value)
    ]
    assert not wrong


@pytest.mark.postgres
def test_examples_over_rows_have_the_results_of_postgresql(postgres: PostgresServer) -> None:
    wrong = []
    with postgres.connect() as connection:
        for name, query in queries().items():
            theirs = [] if name in OWN else sorted(connection.execute(query.encode()).fetchall(), key=repr)
            ours = rows_of(query)
            pairs = (
                [(a, b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)]
                if theirs
                else []
            )
            wrong += [(name, a, b) for a, b in pairs if not _near(a, b)]
            assert ours
    assert not wrong


def _near(ours: str | None, theirs: str | None) -> bool:
    """As `_same`, but for the last digits of a statistic, which is rounded once here."""
    try:
        return _same(ours, theirs) or math.isclose(float(ours or "x"), float(theirs or "x"), rel_tol=1e-14)
    except ValueError:
        return False


def _same(ours: str | None, theirs: str | None) -> bool:
    if ours is None or theirs is None or ours == theirs:
        return ours == theirs
    try:
        return float(ours) == float(theirs)
    except ValueError:
        return False
