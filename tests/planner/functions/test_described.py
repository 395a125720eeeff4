"""docs/functions.md is what the registry makes of it, and its examples have PostgreSQL's results."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.document import page, result_of
from planner.functions import SCALARS
from planner.functions.described import DESCRIBED
from tests.planner.functions.oracle import ask
from tests.servers.postgres import PostgresServer

PAGE = Path(__file__).resolve().parents[3] / "docs" / "functions.md"


def test_every_function_is_described() -> None:
    # What clients ask the catalog for is not for views.
    known = {name for name in SCALARS if not name.startswith("pg_catalog.")}
    assert set(DESCRIBED) == known, "write a line for it in planner/functions/described.py"


def test_the_page_is_in_step() -> None:
    assert PAGE.read_text() == page(), "run `make generate`"


@pytest.mark.postgres
def test_examples_have_the_results_of_postgresql(postgres: PostgresServer) -> None:
    examples = [entry.example for entry in DESCRIBED.values()]
    with postgres.connect() as connection:
        theirs = ask(connection, examples)
    # A transcendental numeric has more digits there, by a rule of its own.
    wrong = [
        (example, result_of(example), answer.value or answer.error)
        for example, answer in zip(examples, theirs, strict=True)
        if not _same(result_of(example), answer.value)
    ]
    assert not wrong


def _same(ours: str | None, theirs: str | None) -> bool:
    if ours is None or theirs is None or ours == theirs:
        return ours == theirs
    try:
        return float(ours) == float(theirs)
    except ValueError:
        return False
