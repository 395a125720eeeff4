"""Rows as bytes: the kernel against psycopg's own loaders and against csv, value by value."""

from __future__ import annotations

import csv
import datetime as dt
import io
import struct
import uuid
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.adapt import PyFormat, Transformer

from dataflow.types import BIGINT, DATE, NESTED, NUMERIC, TEXT, TIMESTAMP, ColumnType, Kind
from planner.compile import compile_scalar
from planner.scalar import Literal
from serve.kernels import _pg_rows
from serve.pg import rows, values
from serve.pg.commands import Copy
from serve.sql.errors import QueryError
from serve.sql.types import oid
from tests.serve.pg.door import KINDS, VALUES

TYPES = list(KINDS.values())


def cells(data: bytes) -> list[list[bytes | None]]:
    """The plain twin of the kernel's output: DataRow messages read by hand."""
    found, at = [], 0
    while at < len(data):
        kind, length, count = struct.unpack_from("!cih", data, at)
        assert kind == b"D"
        at, row, end = at + 7, list[bytes | None](), at + 1 + length
        for _ in range(count):
            (size,) = struct.unpack_from("!i", data, at)
            at += 4
            row.append(None if size < 0 else data[at : at + size])
            at += max(size, 0)
        assert at == end
        found.append(row)
    return found


def encoded(columns: list[list[Any]], types: list[ColumnType], format_: int) -> list[list[bytes | None]]:
    arrays = [pa.array(column, type_.arrow) for column, type_ in zip(columns, types, strict=True)]
    formats = [format_] * len(types)
    return cells(rows.data_rows(arrays, len(columns[0]), types, rows.forms(types, formats)))


def read(cell: bytes | None, type_: ColumnType, format_: int) -> Any:
    """A value as psycopg reads it; jsonb as its text."""
    if cell is None:
        return None
    if type_.kind is Kind.JSONB:
        assert format_ == 0 or cell[:1] == b"\1"
        return cell[format_:].decode()
    loader = Transformer().get_loader(oid(type_), psycopg.pq.Format(format_))
    return loader.load(cell)


def shown(value: Any, type_: ColumnType) -> Any:
    """A value of VALUES as psycopg shows it."""
    if value is None:
        return None
    if type_.kind is Kind.TIME:
        return (dt.datetime(2000, 1, 1) + value).time()
    if type_.kind is Kind.UUID:
        return uuid.UUID(bytes=value)
    return value.ljust(type_.length) if type_.kind is Kind.CHAR and type_.length else value


@pytest.mark.parametrize("format_", [0, 1])
def test_every_type_is_what_psycopg_reads(format_: int) -> None:
    columns = [list(column) for column in zip(*VALUES, strict=True)]
    got = encoded(columns, TYPES, format_)
    for row, expected in zip(got, VALUES, strict=True):
        for cell, value, type_ in zip(row, expected, TYPES, strict=True):
            found = read(cell, type_, format_)
            if type_.kind is Kind.INTERVAL and value is not None:
                value = dt.timedelta(days=value.days, microseconds=value.nanoseconds)
            value = shown(value, type_)
            if type_.kind is Kind.TIMESTAMPTZ and found is not None:
                found = found.replace(tzinfo=None)
            assert found == pytest.approx(value, rel=1e-6) if type_.kind is Kind.REAL and value else found == value


DECIMALS = st.decimals(-(10**20), 10**20, places=10, allow_nan=False)


@settings(max_examples=150)
@given(st.lists(DECIMALS, min_size=1, max_size=5), st.sampled_from([NUMERIC, ColumnType(Kind.NUMERIC, 31, 10)]))
def test_numerics_keep_their_value_and_scale(numbers: list[Decimal], type_: ColumnType) -> None:
    for format_ in (0, 1):
        for cell, number in zip(encoded([numbers], [type_], format_), numbers, strict=True):
            found = read(cell[0], type_, format_)
            assert found == number
            assert (-found.as_tuple().exponent == 10) or type_.trims
    for number in numbers:
        dumped = Transformer().get_dumper(number, PyFormat.BINARY).dump(number)
        assert dumped is not None
        assert Decimal(str(values.literal(bytes(dumped), True, NUMERIC, 1).value)) == number


@settings(max_examples=100)
@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=4))
def test_the_ends_of_numbers_and_times_do_not_break(numbers: list[int]) -> None:
    assert [int(row[0] or 0) for row in encoded([numbers], [BIGINT], 0)] == numbers
    assert [struct.unpack("!q", row[0] or b"")[0] for row in encoded([numbers], [BIGINT], 1)] == numbers
    for row in (
        pa.array(numbers, pa.int64()).view(TIMESTAMP.arrow),
        pa.array([-(1 << 31)], pa.int32()).view(DATE.arrow),
    ):
        type_ = TIMESTAMP if row.type == TIMESTAMP.arrow else DATE
        assert len(cells(rows.data_rows([row], len(row), [type_], rows.forms([type_], [1])))) == len(row)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.none() | st.text(max_size=6), st.text(max_size=6)), min_size=1, max_size=5))
def test_csv_is_what_the_csv_module_reads(lines: list[tuple[str | None, str]]) -> None:
    arrays = [pa.array([line[i] for line in lines], TEXT.arrow) for i in (0, 1)]
    data = rows.copy_rows(arrays, len(lines), [TEXT, TEXT], Copy("", "csv", False, ",", ""))
    text, at = "", 0
    while at < len(data):
        (length,) = struct.unpack_from("!i", data, at + 1)
        text += data[at + 5 : at + 1 + length].decode()
        at += 1 + length
    found = list(csv.reader(io.StringIO(text, newline="")))
    assert [tuple(line) for line in found] == [(a or "", b) for a, b in lines]
    assert text.startswith('"",') == (lines[0][0] == ""), "NULL is empty, the empty text is quoted"


def test_text_format_escapes() -> None:
    copy = Copy("", "text", False, "\t", "\\N")
    data = rows.copy_rows([pa.array(["a\tb\n\\", None], TEXT.arrow)], 2, [TEXT], copy)
    assert data == b"d\x00\x00\x00\x0da\\tb\\n\\\\\nd\x00\x00\x00\x07\\N\n"


def test_a_column_that_does_not_fit_its_form_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit its form"):
        _pg_rows.data_rows([pa.array([1], pa.int32())], [(4, False)], 1)
    with pytest.raises(ValueError, match="no such form"):
        _pg_rows.data_rows([pa.array([1], pa.int32())], [(99, False)], 1)
    with pytest.raises(ValueError, match="one form for each column"):
        _pg_rows.data_rows([], [(0, False)], 1)


def test_every_type_has_its_place_on_the_wire() -> None:
    assert {type_.kind for type_ in TYPES} == set(Kind) - {Kind.ARRAY, *NESTED}
    assert all(values.declared(oid(type_)) is not None for type_ in TYPES)


@pytest.mark.parametrize("format_", [PyFormat.TEXT, PyFormat.BINARY])
def test_parameters_are_read_as_psycopg_writes_them(format_: PyFormat) -> None:
    for row in VALUES[::2]:
        for value, type_ in zip(row, TYPES, strict=True):
            if type_.kind is Kind.JSONB:
                data = (b"\1" if format_ is PyFormat.BINARY else b"") + value.encode()
            elif type_.kind is Kind.INTERVAL:
                span = dt.timedelta(days=value.days, microseconds=value.nanoseconds)
                data = bytes(Transformer().get_dumper(span, format_).dump(span) or b"")
            elif type_.kind is Kind.BYTEA and format_ is PyFormat.TEXT:
                data = b"\\x" + value.hex().encode()  # psycopg asks its connection how to escape
            else:
                dumper = Transformer().get_dumper(shown(value, type_), format_)
                dumped = dumper.dump(shown(value, type_))
                assert dumped is not None
                if format_ is PyFormat.BINARY and (type_.kind in (Kind.REAL, Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)):
                    code = {Kind.REAL: "f", Kind.SMALLINT: "h", Kind.INTEGER: "i", Kind.BIGINT: "q"}[type_.kind]
                    dumped = struct.pack(f"!{code}", value)
                data = bytes(dumped)
            found = values.literal(data, format_ is PyFormat.BINARY, type_, 1)
            arrays = [pa.array([value], type_.arrow)]
            expected = rows.data_rows(arrays, 1, [type_], rows.forms([type_], [0]))
            made = compile_scalar(found).evaluate((), 1).values
            assert rows.data_rows([made], 1, [type_], rows.forms([type_], [0])) == expected


@pytest.mark.parametrize(
    ("data", "binary", "type_", "code"),
    [
        (b"x", False, "bigint", "22P02"),
        (b"99999", False, "smallint", "22003"),
        (b"\0\0", True, "bigint", "22P03"),
        (b"2020-13-01", False, "date", "22008"),
        (b"\xff", False, "text", "22021"),
        (b"a\0b", False, "text", "22021"),
        (b"{", False, "jsonb", "22P02"),
        (b"\0\1\0\0\0\0\0\0\x27\x10", True, "numeric", "22P03"),
        (b"\0\1\0\0\xc0\0\0\0", True, "numeric", "22P03"),
    ],
)
def test_bytes_that_are_no_value_are_refused(data: bytes, binary: bool, type_: str, code: str) -> None:
    with pytest.raises(QueryError) as raised:
        values.literal(data, binary, ColumnType.parse(type_), 1)
    assert raised.value.code == code


def test_null_is_null_in_both_formats() -> None:
    assert values.literal(None, True, BIGINT, 1) == Literal(None, BIGINT)
