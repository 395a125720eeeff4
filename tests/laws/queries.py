"""The law of queries: after every step a view holds what the query says of the rows that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from dataflow.types import Schema
from planner import build_dataflow, plan_views
from tests.planner import oracle

Steps = list[list[tuple[Any, bool]]]
Wanted = Callable[[list[Any]], Mapping[str, Counter[Any]]]
"""All rows of the table to the rows of each query."""


def steps_of(rows: st.SearchStrategy[Any]) -> st.SearchStrategy[Steps]:
    """Steps of rows that come or, where there is one to take, are taken away."""
    return st.lists(st.lists(st.tuples(rows, st.booleans()), max_size=6), min_size=1, max_size=4)


def nulls_last(value: Any) -> tuple[bool, Any]:
    """A key that orders as PostgreSQL does."""
    return (value is None, 0 if value is None else value)


def check_steps(schema: Schema, queries: Mapping[str, str], steps: Sequence[Sequence[Any]], wanted: Wanted) -> None:
    """Play the steps into the table `t` and compare after each; no query may have errors."""
    tables = {"t": schema}
    flow = build_dataflow(plan_views(tables, queries), tables, {}, dict.fromkeys(queries, (0,)), lambda: 0.0)
    there: Counter[Any] = Counter()
    for step in steps:
        changes = []
        for row, taken in step:
            diff = -1 if taken and there[row] > 0 else 1
            there[row] += diff
            changes.append((row, diff))
        flow.step({"t": oracle.delta_of("t", changes, tables)} if changes else {})
        flow.maintain(1000)
        for name, expected in wanted(list(there.elements())).items():
            held = flow.view(name).snapshot().rows()
            rows = zip(*(column.to_pylist() for column in held.columns), strict=True)
            found = Counter[Any]()
            for row, diff in zip(rows, held.diffs.tolist(), strict=True):
                found[row] += diff
            assert found == expected, name
            assert not len(flow.view(name).errors().rows())


def by_first(rows: Sequence[Any]) -> dict[Any, list[Any]]:
    """Rows by their first value."""
    return {key: [row for row in rows if row[0] == key] for key in {row[0] for row in rows}}
