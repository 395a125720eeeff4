"""Lists, maps, records and arrays of intervals as laws: bytes compare as values do, and views of them are right at every step."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow import scalars
from dataflow.rows import interval_parts
from dataflow.scalars import arrays, nested
from dataflow.types import INTEGER, INTERVAL, TEXT, ColumnType, record
from tests.examples import examples
from tests.laws.queries import Steps, by_first, check_steps, nulls_last, steps_of
from tests.planner import oracle

TABLES = {"t": oracle.schema(k="integer", v="integer", s="text")}
QUERIES = {
    "lists": "SELECT k, list_agg(v ORDER BY v DESC NULLS LAST)::text AS l FROM t GROUP BY k",
    "maps": "SELECT k, map_agg(s, v ORDER BY v NULLS LAST)::text AS m FROM t GROUP BY k",
    "by_list": "SELECT LIST[k, v]::text AS l, n FROM (SELECT k, v, count(*) AS n FROM t GROUP BY LIST[k, v], k, v) x",
    "by_record": "SELECT (r).f1 AS k, (r).f2 AS s, n FROM (SELECT ROW(k, s) AS r, count(*) AS n FROM t GROUP BY ROW(k, s)) x",
    "joined": "SELECT a.k, b.v FROM (SELECT DISTINCT k, MAP['k' => k] AS m FROM t) a JOIN t AS b ON a.m = MAP['k' => b.k]",
    "apart": "SELECT k, u FROM (SELECT k, list_agg(v) AS a FROM t GROUP BY k) x, unnest(a) AS u",
}
ROWS = st.tuples(
    st.integers(0, 2) | st.none(), st.integers(-2, 3) | st.none(), st.sampled_from(["a", "b c", ""]) | st.none()
)


def _shown(values: list[int | None]) -> str:
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


def _map(rows: list[Any]) -> str:
    pairs = {row[2]: row[1] for row in sorted(rows, key=lambda row: nulls_last(row[1])) if row[2] is not None}
    key = {"a": "a", "b c": '"b c"', "": '""'}
    return "{" + ",".join(f"{key[k]}=>{'NULL' if pairs[k] is None else pairs[k]}" for k in sorted(pairs)) + "}"


def _wanted(rows: list[Any]) -> dict[str, Counter[Any]]:
    groups = by_first(rows)
    return {
        "lists": Counter(
            (k, _shown(sorted((r[1] for r in of), key=lambda v: (v is None, -(v or 0))))) for k, of in groups.items()
        ),
        "maps": Counter((k, _map(of)) for k, of in groups.items()),
        "by_list": Counter((_shown(list(r)), n) for r, n in Counter(row[:2] for row in rows).items()),
        "by_record": Counter((*r, n) for r, n in Counter((row[0], row[2]) for row in rows).items()),
        "joined": Counter(r[:2] for r in rows),
        "apart": Counter((k, r[1]) for k, of in groups.items() for r in of),
    }


@settings(max_examples=examples(25))
@given(steps_of(ROWS))
def test_every_step_is_the_query_over_what_is_there(steps: Steps) -> None:
    check_steps(TABLES["t"], QUERIES, steps, _wanted)


LAYERS = st.none() | st.lists(st.none() | st.lists(st.none() | st.integers(-300, 300), max_size=3), max_size=3)


def _key(value: Any) -> Any:
    """What orders as lists do, NULL behind every value."""
    if value is None:
        return (1, ())
    return (0, tuple(map(_key, value)) if isinstance(value, list) else value)


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return "{" + ",".join(map(_literal, value)) + "}" if isinstance(value, list) else str(value)


@settings(max_examples=examples(100))
@given(st.lists(LAYERS, min_size=2, max_size=2))
def test_lists_compare_layer_by_layer(pair: list[Any]) -> None:
    type_ = INTEGER.list.list
    values, errors = scalars.parse(pa.array(["{" + _literal(one) + "}" for one in pair], TEXT.arrow), 2, type_.list)
    assert errors is None
    a, b = values.to_pylist()
    assert (a < b, a == b) == (_key(pair[0]) < _key(pair[1]), _key(pair[0]) == _key(pair[1]))
    assert scalars.format(values, 2, type_.list).to_pylist() == ["{" + _literal(one) + "}" for one in pair]


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)


@settings(max_examples=examples(100))
@given(st.lists(st.tuples(st.none() | TEXTS, st.none() | st.floats(allow_nan=False)), max_size=5))
def test_maps_are_what_dictionaries_are(pairs: list[tuple[str | None, float | None]]) -> None:
    type_ = ColumnType.parse("map[text=>double precision]")
    keys, values = pa.array([k for k, _ in pairs], TEXT.arrow), pa.array([v for _, v in pairs], pa.float64())
    made, errors = nested.maps(keys, values, np.array([len(pairs)]))
    assert errors is None
    expected = {k: v for k, v in pairs if k is not None}
    _, (names, held) = nested.take_apart(made, type_)
    assert dict(zip(names.to_pylist(), held.to_pylist(), strict=True)) == expected
    assert names.to_pylist() == sorted(expected, key=str.encode)
    again, wrong = scalars.parse(scalars.format(made, 1, type_), 1, type_)
    assert wrong is None
    assert again.equals(made)
    for key in [*expected, "none of them"]:
        one = pa.array([key], TEXT.arrow)
        assert nested.lookup(made, one, 1, type_).to_pylist() == [expected.get(key)]
        assert nested.has_keys(made, arrays.make([one], 1), 1, True).to_pylist() == [key in expected]
    assert nested.contains(made, made, 1).to_pylist() == [True]
    assert nested.length(made, 1).to_pylist() == [len(expected)]


@settings(max_examples=examples(100))
@given(
    st.lists(st.tuples(st.none() | TEXTS, st.none() | st.integers(-(1 << 31), (1 << 31) - 1)), min_size=2, max_size=2)
)
def test_records_compare_field_by_field(pair: list[tuple[str | None, int | None]]) -> None:
    type_ = record(TEXT, INTEGER)
    fields = [pa.array([r[0] for r in pair], TEXT.arrow), pa.array([r[1] for r in pair], pa.int32())]
    made = nested.records(fields, 2)
    a, b = made.to_pylist()
    keys = [((r[0] is None, (r[0] or "").encode()), (r[1] is None, r[1] or 0)) for r in pair]
    assert (a < b, a == b) == (keys[0] < keys[1], keys[0] == keys[1])
    for place, column in enumerate(fields):
        assert nested.field(made, 2, type_, place).equals(column)
    assert all(x.equals(y) for x, y in zip(nested.take_apart(made, type_)[1], fields, strict=True))


PARTS = st.tuples(
    st.integers(-(1 << 31), (1 << 31) - 1), st.integers(-(1 << 31), (1 << 31) - 1), st.integers(-(1 << 62), 1 << 62)
)


@settings(max_examples=examples(100))
@given(st.lists(PARTS | st.none(), min_size=2, max_size=2))
def test_intervals_in_arrays_keep_their_parts_and_compare_by_length(pair: list[tuple[int, int, int] | None]) -> None:
    column = pa.array([None if one is None else pa.MonthDayNano(list(one)) for one in pair], INTERVAL.arrow)
    made = arrays.make([column], 2)
    counts, back = arrays.elements(made, 2, INTERVAL.array)
    assert counts.tolist() == [1, 1]
    assert back.is_valid().equals(column.is_valid())
    for before, after, one in zip(interval_parts(column), interval_parts(back), pair, strict=True):
        assert one is None or (before == after).all()
    lengths = [None if one is None else (one[0] * 30 + one[1]) * 86_400_000_000 + one[2] for one in pair]
    a, b = made.to_pylist()
    if None not in lengths and lengths[0] != lengths[1]:
        assert (a < b) == (lengths[0] < lengths[1])  # type: ignore[operator]
    assert (a == b) == (pair[0] == pair[1])
