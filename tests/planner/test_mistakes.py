"""Mistakes that people make, with the messages that they get: `mistakes.txt` is read by people, and compared here.

`python -m tests.planner.test_mistakes` writes the file again for the queries that stand in it. Always true: each message has
a place in the text and says what to write instead.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from planner import PlanErrors, plan_views
from tests.planner import oracle

FILE = Path(__file__).with_name("mistakes.txt")
HEAD = """Mistakes in a view's SQL and what is said of them: the query, a mark under the place, the message, what to do.
Over orders (id, customer, amount, qty, note, ok, placed, day, doc) and customers (id, name, region).
Written by `python -m tests.planner.test_mistakes`; a new mistake is a query at the end, behind an empty line.
"""
TABLES = {name: oracle.TABLES[name] for name in ("orders",)} | {
    "customers": oracle.schema(id="bigint not null", name="text", region="text")
}
BLOCKS = [block.split("\n") for block in FILE.read_text().rstrip("\n").split("\n\n")[1:]]


def said(query: str) -> list[str]:
    """The lines under a query: the mark, the message and the hint of its first mistake."""
    with pytest.raises(PlanErrors) as caught:
        plan_views(TABLES, {"v": query})
    error = caught.value.errors[0]
    assert error.line == 1
    return [" " * (error.column - 1) + "^", f"  {error.message}", f"  -> {error.hint}"]


@pytest.mark.parametrize("block", BLOCKS, ids=[block[0] for block in BLOCKS])
def test_a_mistake_is_told_with_its_place_and_a_way_out(block: list[str]) -> None:
    query, *told = block
    assert said(query) == told
    assert told[2] != "  -> None"
    assert len(told[0]) <= len(query) + 1


def test_there_are_enough_of_them() -> None:
    assert len({block[0] for block in BLOCKS}) >= 60


if __name__ == "__main__":
    FILE.write_text("\n\n".join([HEAD.rstrip(), *("\n".join([b[0], *said(b[0])]) for b in BLOCKS)]) + "\n")
