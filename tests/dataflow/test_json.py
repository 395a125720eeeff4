"""The row encoder equals a plain twin on Python's json, and reads back to the same values."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflow import types
from dataflow.json import encode_rows
from dataflow.types import Column, ColumnType, Kind

unhurried = settings(deadline=None)  # time is measured elsewhere, and other tests run beside these
NUMERIC_4 = ColumnType(Kind.NUMERIC, 38, 4)
NUMERIC_38 = ColumnType(Kind.NUMERIC, 38, 38)
TYPES = (
    types.BOOLEAN,
    types.SMALLINT,
    types.INTEGER,
    types.BIGINT,
    types.REAL,
    types.DOUBLE,
    NUMERIC_4,
    NUMERIC_38,
    types.NUMERIC,
    types.DATE,
    types.TIMESTAMP,
    types.TIMESTAMPTZ,
    types.TEXT,
    types.JSONB,
    types.BYTEA,
)


def signed(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def decimals(scale: int) -> st.SearchStrategy[Decimal]:
    return st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(f"{n}E-{scale}"))


JSON_TEXT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
).map(lambda value: json.dumps(value, ensure_ascii=False))

VALUES: dict[ColumnType, st.SearchStrategy[Any]] = {
    types.BOOLEAN: st.booleans(),
    types.SMALLINT: signed(16),
    types.INTEGER: signed(32),
    types.BIGINT: signed(64),
    types.REAL: st.floats(width=32),
    types.DOUBLE: st.floats(),
    NUMERIC_4: decimals(4),
    NUMERIC_38: decimals(38),
    types.NUMERIC: decimals(16),
    types.DATE: st.dates(),
    types.TIMESTAMP: st.datetimes(),
    types.TIMESTAMPTZ: st.datetimes(),
    types.TEXT: st.text(),
    types.JSONB: JSON_TEXT,
    types.BYTEA: st.binary(),
}


def iso(value: datetime) -> str:
    if not value.microsecond:
        return value.isoformat(timespec="seconds")
    return value.isoformat(timespec="microseconds" if value.microsecond % 1000 else "milliseconds")


def float_text(value: float, kind: Kind) -> str:
    """The shortest digits as numpy finds them; the encoder may lay them out differently."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(np.float32(value)) if kind is Kind.REAL else str(value)


def twin(value: Any, type_: ColumnType) -> Any:
    """What json.loads should find for one value."""
    if value is None:
        return None
    match type_.kind:
        case Kind.NUMERIC:
            text = f"{value:.{type_.decimal_scale}f}"
            return text.rstrip("0").rstrip(".") if type_.trims else text
        case Kind.REAL | Kind.DOUBLE:
            text = float_text(value, type_.kind)
            return text if text[-1].isalpha() else float(text)
        case Kind.DATE:
            return value.isoformat()
        case Kind.TIMESTAMP:
            return iso(value)
        case Kind.TIMESTAMPTZ:
            return iso(value) + "Z"
        case Kind.JSONB:
            return json.loads(value)
        case Kind.BYTEA:
            return base64.b64encode(value).decode()
        case _:
            return value


def array(values: list[Any], type_: ColumnType) -> pa.Array:
    if type_.kind is Kind.TIMESTAMPTZ:
        values = [value if value is None else value.replace(tzinfo=UTC) for value in values]
    return pa.array(values, type=type_.arrow)


@st.composite
def relations(draw: st.DrawFn) -> tuple[list[Column], list[list[Any]], int]:
    columns = [
        Column(f"{draw(st.text(max_size=4))}_{i}", draw(st.sampled_from(TYPES))) for i in range(draw(st.integers(1, 4)))
    ]
    rows = draw(st.integers(0, 12))
    values = [draw(st.lists(st.none() | VALUES[column.type], min_size=rows, max_size=rows)) for column in columns]
    return columns, values, draw(st.integers(0, rows))


@unhurried
@given(relations())
@example(([Column("z", types.DOUBLE)], [[-0.0, 5e-324, 1.7976931348623157e308, 1e22, 1e16, 123456789012345680.0]], 0))
@example(([Column("t", types.TEXT)], [['\x00\x1f\x7f"\\/\b\f\n\r\t é€😀\u2028 and a longer run of plain text']], 0))
@example(([Column('quote"\n', types.BIGINT)], [[1]], 0))
def test_encoder_equals_its_twin(relation: tuple[list[Column], list[list[Any]], int]) -> None:
    """Also on slices: the arrays' offsets are honoured."""
    schema, values, skipped = relation
    arrays = [array(column, c.type).slice(skipped) for column, c in zip(values, schema, strict=True)]
    encoded = encode_rows(arrays, tuple(schema))
    encoded.validate(full=True)
    got = [json.loads(row) for row in encoded.to_pylist()]
    expected = [
        {c.name: twin(v, c.type) for c, v in zip(schema, row, strict=True)}
        for row in list(zip(*values, strict=True))[skipped:]
    ]
    assert got == expected
    for row, want in zip(got, expected, strict=True):
        assert {name: type(value) for name, value in row.items()} == {name: type(value) for name, value in want.items()}


@unhurried
@given(st.lists(VALUES[types.DOUBLE] | signed(53).map(float), min_size=1), st.sampled_from([types.REAL, types.DOUBLE]))
def test_floats_are_shortest(values: list[float], type_: ColumnType) -> None:
    column = pa.array(np.asarray(values, np.float64)).cast(type_.arrow, safe=False)
    dtype = np.float32 if type_.kind is Kind.REAL else np.float64
    for text, value in zip(encode_rows([column], (Column("f", type_),)).to_pylist(), column.to_pylist(), strict=True):
        shown = text[5:-1].decode()
        if shown.startswith('"'):
            assert not math.isfinite(value)
            continue
        exact = dtype(shown)
        assert exact == dtype(value)
        assert math.copysign(1, exact) == math.copysign(1, value)
        assert len(shown) <= len(str(dtype(value))) + len(".0")


@pytest.mark.parametrize(
    ("micros", "expected"),
    [
        (0, "1970-01-01T00:00:00"),
        (-1, "1969-12-31T23:59:59.999999"),
        (1795359113123000, "2026-11-22T14:51:53.123"),
        (-62135596800000000, "0001-01-01T00:00:00"),
        (-62135596800000001, "0000-12-31T23:59:59.999999"),
        (-62167219200000001, "-000001-12-31T23:59:59.999999"),
        (-63517824000000000, "-000043-03-15T00:00:00"),
        (253402300800000000, "+010000-01-01T00:00:00"),
        (2**63 - 1, "+294247-01-10T04:00:54.775807"),
        (-(2**63), "-290308-12-21T19:59:05.224192"),
    ],
)
def test_timestamps_beyond_python(micros: int, expected: str) -> None:
    column = pa.array([micros], pa.int64())
    plain = encode_rows([column.cast(pa.timestamp("us"))], (Column("t", types.TIMESTAMP),))
    zoned = encode_rows([column.cast(pa.timestamp("us", tz="UTC"))], (Column("t", types.TIMESTAMPTZ),))
    assert plain[0].as_py() == f'{{"t":"{expected}"}}'.encode()
    assert zoned[0].as_py() == f'{{"t":"{expected}Z"}}'.encode()


def test_dates_beyond_python() -> None:
    days = pa.array([-719163, -719528, -719529, 2932897, 2**31 - 1, -(2**31)], pa.int32()).cast(pa.date32())
    got = [json.loads(row)["d"] for row in encode_rows([days], (Column("d", types.DATE),)).to_pylist()]
    assert got == ["0000-12-31", "0000-01-01", "-000001-12-31", "+010000-01-01", "+5881580-07-11", "-5877641-06-23"]


@unhurried
@given(st.integers(0, 3652058))
def test_every_date(day: int) -> None:
    value = date(1, 1, 1) + timedelta(days=day)
    assert encode_rows([pa.array([value], pa.date32())], (Column("d", types.DATE),))[0].as_py() == (
        f'{{"d":"{value.isoformat()}"}}'.encode()
    )


def test_intervals_are_postgresql_text() -> None:
    column = pa.array([(14, -3, 14_706_700_000), (0, 0, 0), None, (0, 0, -500_000)], types.INTERVAL.arrow)
    got = [json.loads(row)["i"] for row in encode_rows([column], (Column("i", types.INTERVAL),)).to_pylist()]
    assert got == ["1 year 2 mons -3 days +04:05:06.7", "00:00:00", None, "-00:00:00.5"]


def test_times_uuids_and_chars() -> None:
    char_4 = ColumnType(Kind.CHAR, length=4)
    schema = (Column("t", types.TIME), Column("u", types.UUID), Column("c", char_4), Column("v", types.VARCHAR))
    columns = [
        pa.array([timedelta(hours=24), timedelta(hours=1, microseconds=500_000), None], types.TIME.arrow),
        pa.array([bytes(16), bytes(range(16)), None], types.UUID.arrow),
        pa.array(["a\u00e9", "abcd", None], char_4.arrow),
        pa.array(["x ", "", None], types.VARCHAR.arrow),
    ]
    assert [tuple(json.loads(row).values()) for row in encode_rows(columns, schema).to_pylist()] == [
        ("24:00:00", "00000000-0000-0000-0000-000000000000", "a\u00e9  ", "x "),
        ("01:00:00.5", "00010203-0405-0607-0809-0a0b0c0d0e0f", "abcd", ""),
        (None, None, None, None),
    ]


def test_wrong_columns_are_refused() -> None:
    schema = (Column("a", types.BIGINT), Column("b", types.TEXT))
    numbers, texts = pa.array([1, 2], pa.int64()), pa.array(["x"], pa.large_string())
    with pytest.raises(ValueError, match="do not fit"):
        encode_rows([numbers], schema)
    with pytest.raises(ValueError, match="column b holds int64"):
        encode_rows([numbers, numbers], schema)
    with pytest.raises(ValueError, match="columns have 2 and 1 rows"):
        encode_rows([numbers, texts], schema)
