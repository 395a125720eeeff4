"""Plain Python twins of the row kernels and of the spine, and the strategies that feed both.

A row is a tuple of canonical values: NULL is None, every NaN is NAN, and the two zeros of floats are one (Python says so).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from dataflow.delta import Delta
from dataflow.layout import Order
from dataflow.snapshot import Probe
from dataflow.types import (
    BIGINT,
    BOOLEAN,
    BYTEA,
    DATE,
    DOUBLE,
    INTEGER,
    INTERVAL,
    JSONB,
    REAL,
    SMALLINT,
    TEXT,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    ColumnType,
    Kind,
)

Row = tuple[Any, ...]

NAN = "NaN, which equals itself"
NUMERIC_12_2 = ColumnType(Kind.NUMERIC, 12, 2)
WIDE_NUMERIC = ColumnType(Kind.NUMERIC, 38, 0)
TYPES = (
    BOOLEAN,
    SMALLINT,
    INTEGER,
    BIGINT,
    NUMERIC_12_2,
    WIDE_NUMERIC,
    REAL,
    DOUBLE,
    TEXT,
    DATE,
    TIMESTAMP,
    TIMESTAMPTZ,
    JSONB,
    BYTEA,
    INTERVAL,
    TIME,
    UUID,
)

_FLOATS = [0.0, -0.0, 1.5, -1.5, math.nan, -math.nan, math.inf, -math.inf, 2.0**-126]
_TEXTS = ["", "a", "a\0", "ab", "abcdefgh", "abcdefgh\0", "abcdefghi", "abcdefghj", "é", "\U0001f600"]
_VALUES: dict[Kind, Sequence[Any]] = {
    Kind.BOOLEAN: [False, True],
    Kind.SMALLINT: [0, 1, -1, 32767, -32768],
    Kind.INTEGER: [0, 1, -1, 2**31 - 1, -(2**31)],
    Kind.BIGINT: [0, 1, -1, 2**63 - 1, -(2**63)],
    Kind.REAL: _FLOATS,
    Kind.DOUBLE: [*_FLOATS, 5e-324, -5e-324, 1.7976931348623157e308],
    Kind.TEXT: _TEXTS,
    Kind.JSONB: _TEXTS,
    Kind.BYTEA: [b"", b"\0", b"\0\0", b"\xff", b"abcdefgh\xff", b"abcdefgh\0"],
    Kind.DATE: [0, -1, 20000],
    Kind.TIMESTAMP: [0, -1, 1_700_000_000_000_000],
    Kind.TIMESTAMPTZ: [0, -1, 1_700_000_000_000_000],
    Kind.TIME: [timedelta(0), timedelta(microseconds=1), timedelta(hours=24)],
    Kind.UUID: [bytes(16), b"\xff" * 16, b"\0" * 15 + b"\1"],
    Kind.INTERVAL: [(0, 0, 0), (1, 0, 0), (0, 30, 0), (0, 29, 86_400_000_000), (-1, 0, 1), (2**31 - 1, 0, -(2**63))],
}


def values_of(kind: ColumnType) -> st.SearchStrategy[Any]:
    """Few values of a type, so that rows meet often; extremes among them; NULL too."""
    if kind == NUMERIC_12_2:
        values: Sequence[Any] = [Decimal(0), Decimal("0.01"), Decimal("-1.00"), Decimal("9999999999.99")]
    elif kind == WIDE_NUMERIC:
        values = [Decimal(0), Decimal(10**38 - 1), Decimal(-(10**38) + 1), Decimal(2**64), Decimal(2**64 + 1)]
    else:
        values = _VALUES[kind.kind]
    return st.sampled_from([None, *values])


def column(values: Iterable[Any], kind: ColumnType) -> pa.Array:
    """An Arrow column; dates and timestamps are given as integers."""
    if kind.kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        bits = pa.int32() if kind.kind is Kind.DATE else pa.int64()
        return pa.array(list(values), bits).cast(kind.arrow)
    return pa.array(list(values), kind.arrow)


def column_values(array: pa.Array) -> list[Any]:
    """The canonical values of a column; of intervals their length in microseconds."""
    if pa.types.is_interval(array.type):
        return [
            None if v is None else (v.months * 30 + v.days) * 86_400_000_000 + v.nanoseconds for v in array.to_pylist()
        ]
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        array = array.cast(pa.int64() if pa.types.is_timestamp(array.type) else pa.int32())
    return [NAN if isinstance(v, float) and math.isnan(v) else v for v in array.to_pylist()]


def rows_of(columns: Sequence[pa.Array], count: int) -> list[Row]:
    """The rows of columns; `count` empty tuples when there are none."""
    if not columns:
        return [()] * count
    return list(zip(*(column_values(array) for array in columns), strict=True))


def bag(delta: Delta) -> Counter[Row]:
    """A delta as row -> sum of diffs, zeros dropped."""
    total: Counter[Row] = Counter()
    for row, diff in zip(rows_of(delta.columns, len(delta)), delta.diffs.tolist(), strict=True):
        total[row] += diff
    return Counter({row: diff for row, diff in total.items() if diff})


def group(columns: Sequence[pa.Array], count: int) -> tuple[list[int], list[int]]:
    """Twin of rows.group."""
    seen: dict[Row, int] = {}
    ids, representatives = [], []
    for index, row in enumerate(rows_of(columns, count)):
        if row not in seen:
            seen[row] = len(seen)
            representatives.append(index)
        ids.append(seen[row])
    return ids, representatives


def sum_by(ids: Sequence[int], groups: int, values: Sequence[Any], diffs: Sequence[int]) -> list[Fraction]:
    """Twin of rows.sum_by and of the float sums, for finite values."""
    sums = [Fraction(0)] * groups
    for group_id, value, diff in zip(ids, values, diffs, strict=True):
        if value is not None:
            sums[group_id] += Fraction(value) * diff
    return sums


def float_sum(values: Sequence[float | None], diffs: Sequence[int]) -> float | str:
    """The sum as PostgreSQL's sum, but rounded only once."""
    counts: Counter[str] = Counter()
    exact = Fraction(0)
    for value, diff in zip(values, diffs, strict=True):
        if value is None:
            continue
        if math.isfinite(value):
            exact += Fraction(value) * diff
        else:
            counts[str(abs(value) if math.isnan(value) else value)] += diff
    if counts["nan"] or (counts["inf"] and counts["-inf"]):
        return NAN
    if counts["inf"] or counts["-inf"]:
        return math.inf if counts["inf"] else -math.inf
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def _compare(a: Any, b: Any) -> int:
    if isinstance(a, str) and isinstance(b, str) and NAN not in (a, b):
        a, b = a.encode(), b.encode()
    if a == b:
        return 0
    if NAN in (a, b):
        return 1 if a == NAN else -1
    return -1 if a < b else 1


def leaders(
    ids: Sequence[int], values: Sequence[Any], diffs: Sequence[int], current: Sequence[Any], descending: bool
) -> list[int]:
    """Twin of rows.leaders."""

    def better(value: Any, other: Any) -> bool:
        return other is None or _compare(value, other) * (-1 if descending else 1) < 0

    found = []
    for group, first in enumerate(current):
        rows = [row for row, owner in enumerate(ids) if owner == group and values[row] is not None]
        lead = None
        for row in rows:
            if diffs[row] > 0 and better(values[row], first) and (lead is None or better(values[row], values[lead])):
                lead = row
        lost = first is not None and any(diffs[row] <= 0 and _compare(values[row], first) == 0 for row in rows)
        found.append(lead if lead is not None else -2 if lost else -1)
    return found


def compare_rows(order: Sequence[Order], a: Row, b: Row) -> int:
    """Compare by the order, then by every column."""
    for term in (*order, *(Order(i) for i in range(len(a)))):
        x, y = a[term.column], b[term.column]
        if x is None or y is None:
            if (x is None) != (y is None):
                return -1 if (x is None) == term.nulls_first else 1
        elif sign := _compare(x, y):
            return -sign if term.descending else sign
    return 0


def first(total: Counter[Row], key: Sequence[int], order: Sequence[Order], wanted: Row, limit: int) -> list[Any]:
    """Twin of Snapshot.first for one key: (row, diff), live rows only."""
    live: list[Any] = [(row, diff) for row, diff in total.items() if diff > 0 and tuple(row[c] for c in key) == wanted]
    live.sort(key=cmp_to_key(lambda a, b: compare_rows(order, a[0], b[0])))
    return live[:limit]


def probe(total: Counter[Row], key: Sequence[int], wanted: Sequence[Row], nulls_match: bool) -> Counter[Row]:
    """Twin of Snapshot.probe, consolidated: (probe row, *row) -> diff."""
    return Counter(
        {
            (index, *row): diff
            for index, values in enumerate(wanted)
            for row, diff in total.items()
            if tuple(row[c] for c in key) == values and (nulls_match or None not in values)
        }
    )


def probe_bag(found: Probe) -> Counter[Row]:
    """A probe's matches added up: (probe row, *row) -> diff."""
    return bag(Delta((pa.array(found.probe_rows), *found.columns), found.diffs))


DIFFS = st.sampled_from([1, 1, 1, -1, -1, 2, -2])


@st.composite
def deltas(draw: st.DrawFn, types: Sequence[ColumnType], max_rows: int = 30) -> Delta:
    """A delta of these types whose columns may start at an offset of their buffers."""
    count = draw(st.integers(0, max_rows))
    skip = draw(st.integers(0, 3))
    columns = []
    for kind in types:
        values = draw(st.lists(values_of(kind), min_size=count + skip, max_size=count + skip))
        columns.append(column(values, kind).slice(skip))
    diffs = draw(st.lists(DIFFS, min_size=count, max_size=count))
    return Delta(tuple(columns), np.array(diffs, np.int64))


def column_types(max_columns: int = 3) -> st.SearchStrategy[tuple[ColumnType, ...]]:
    """Types of a relation of at least one column."""
    return st.lists(st.sampled_from(TYPES), min_size=1, max_size=max_columns).map(tuple)
