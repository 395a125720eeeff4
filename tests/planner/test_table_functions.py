"""Table functions that PostgreSQL does not have, and what their arguments may not be."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from planner import PlanErrors, build_dataflow, plan_views
from tests.planner import oracle

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TABLES = {"t": oracle.schema(at="timestamptz")}


def rows_and_errors(query: str, times: list[datetime | None]) -> tuple[list[Any], list[str]]:
    flow = build_dataflow(plan_views(TABLES, {"v": query}), TABLES, {}, {"v": (0,)}, lambda: 0.0)
    flow.step({"t": oracle.delta_of("t", [((time,), 1) for time in times], TABLES)})
    view = flow.view("v")
    return view.snapshot().rows().columns[0].to_pylist(), view.errors().rows().columns[0].to_pylist()


@pytest.mark.parametrize(("hop", "width"), [(60, 300), (45, 60), (60, 60), (90, 60), (7, 20)])
def test_date_bin_hopping(hop: int, width: int) -> None:
    """Every window [start, start + width) that the time lies in, their starts at multiples of the hop from 1970 on."""
    times = [EPOCH + timedelta(seconds=s) for s in (-1, 0, 1, 44, 45, 59, 60, 61, 1_767_225_661, -86_399)]
    query = f"SELECT w FROM t, date_bin_hopping(interval '{hop} seconds', interval '{width} seconds', t.at) AS w"
    rows, errors = rows_and_errors(query, [*times, None])
    wanted = []
    for time in times:
        start = EPOCH + timedelta(seconds=(time - EPOCH) // timedelta(seconds=1) // hop * hop)
        while start + timedelta(seconds=width) > time:
            wanted.append(start)
            start -= timedelta(seconds=hop)
    assert set(rows) == set(wanted)
    assert not errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("date_bin_hopping(interval '1 month', interval '1 hour', t.at)", "an interval of months has no fixed length"),
        ("date_bin_hopping(interval '1 hour', interval '-1 hour', t.at)", "hop and width must be greater than zero"),
        ("generate_series(t.at, t.at, interval '0')", "step size cannot equal zero"),
        ("generate_series(t.at, t.at, interval '1 month')", "an interval of months has no fixed length"),
    ],
)
def test_errors(call: str, message: str) -> None:
    rows, errors = rows_and_errors(f"SELECT x FROM t, {call} AS x", [EPOCH])
    assert not rows
    assert [error[: len(message)] for error in errors] == [message]


TEXTS = {"t": oracle.schema(x="text")}


def _of_texts(query: str, texts: list[str | None]) -> tuple[list[tuple[Any, ...]], list[str]]:
    flow = build_dataflow(plan_views(TEXTS, {"v": query}), TEXTS, {}, {"v": (0,)}, lambda: 0.0)
    flow.step({"t": oracle.delta_of("t", [((text,), 1) for text in texts], TEXTS)})
    view = flow.view("v")
    columns = [column.to_pylist() for column in view.snapshot().rows().columns]
    return list(zip(*columns, strict=True)), view.errors().rows().columns[0].to_pylist()


def test_csv_extract_has_the_records_of_so_many_fields() -> None:
    texts = ['a,"b,""c"""\n1,\nonly\nx,y,z', None, "", "q,r", "w" * 200_000 + ",v"]
    rows, errors = _of_texts("SELECT c.column1, c.column2 FROM t, csv_extract(2, t.x) AS c", texts)
    assert sorted(rows) == [("1", ""), ("a", 'b,"c"'), ("q", "r")]
    assert errors == ["invalid CSV: field larger than field limit (131072)"]


def test_regexp_extract_has_a_column_for_each_group() -> None:
    query = r"SELECT m.key, m.column2 FROM t, regexp_extract('(?P<key>\w+)=(\d+)?', t.x) AS m"
    rows, errors = _of_texts(query, ["a=1 b=2", "c=", "none", None])
    assert (sorted(rows, key=repr), errors) == ([("a", "1"), ("c", None)], [])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("csv_extract(length(t.x), t.x)", "csv_extract needs a constant number of columns, from 1 to 1600"),
        ("csv_extract(0, t.x)", "csv_extract needs a constant number of columns, from 1 to 1600"),
        ("regexp_extract('a', t.x)", "regexp_extract needs a pattern with at least one group"),
        ("regexp_extract(t.x, t.x)", "regexp_extract needs a constant pattern"),
    ],
)
def test_what_says_no_columns(call: str, message: str) -> None:
    with pytest.raises(PlanErrors, match=re.escape(message)):
        plan_views(TEXTS, {"v": f"SELECT f.* FROM t, {call} AS f"})
