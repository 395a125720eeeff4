"""Arrays on the wire: every type of element in text and binary against psycopg, as rows and as parameters."""

from __future__ import annotations

import datetime as dt
import struct
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from psycopg.adapt import PyFormat, Transformer

from dataflow import scalars
from dataflow.scalars import arrays
from dataflow.types import INTEGER, TEXT, ColumnType, Kind
from planner.compile import compile_scalar
from serve.pg import rows, values
from serve.sql.errors import QueryError
from serve.sql.types import oid
from tests.serve.pg.door import KINDS, VALUES
from tests.serve.pg.test_rows import cells, shown

ELEMENTS = [type_ for type_ in KINDS.values() if type_.kind is not Kind.JSONB]
LITERALS = ["{}", "{1,NULL,-3}", "{{1,2},{3,4}}", "[0:1]={7,8}", None]


def sent(column: pa.Array, type_: ColumnType, format_: int) -> list[bytes | None]:
    return [row[0] for row in cells(rows.data_rows([column], len(column), [type_], rows.forms([type_], [format_])))]


@pytest.mark.parametrize("format_", [0, 1])
@pytest.mark.parametrize("type_", ELEMENTS, ids=str)
def test_arrays_of_every_type_are_what_psycopg_reads(type_: ColumnType, format_: int) -> None:
    place = list(KINDS.values()).index(type_)
    given = [row[place] for row in VALUES]
    column, _ = arrays.group(pa.array(given, type_.arrow), np.array([len(given)]))
    (cell,) = sent(column, type_.array, format_)
    assert cell is not None
    found = Transformer().get_loader(oid(type_.array), psycopg.pq.Format(format_)).load(cell)
    if type_.kind is Kind.INTERVAL:
        given = [None if v is None else dt.timedelta(days=v.days, microseconds=v.nanoseconds) for v in given]
    expected = [shown(value, type_) for value in given]
    if type_.kind is Kind.TIMESTAMPTZ:
        found = [None if value is None else value.replace(tzinfo=None) for value in found]
    for a, b in zip(found, expected, strict=True):
        assert a == (pytest.approx(b, rel=1e-6) if type_.kind is Kind.REAL and b else b)


def test_shapes_and_nulls_are_sent_and_read() -> None:
    column, _ = scalars.parse(pa.array(LITERALS, TEXT.arrow), len(LITERALS), INTEGER.array)
    assert sent(column, INTEGER.array, 0) == [None if text is None else text.encode() for text in LITERALS]
    for cell, text in zip(sent(column, INTEGER.array, 1), LITERALS, strict=True):
        assert values.literal(cell, True, INTEGER.array, 1).value == text


@pytest.mark.parametrize("format_", [PyFormat.TEXT, PyFormat.BINARY])
@pytest.mark.parametrize(
    "given", [[1, None, 70000], [], ["a", 'q"\\', None, "NULL", ""], [[1.5, 2.0], [3.0, 4.0]], [True, False]]
)
def test_parameters_are_read_as_psycopg_writes_them(given: list[Any], format_: PyFormat) -> None:
    dumper = Transformer().get_dumper(given, format_)
    dumped = dumper.dump(given)
    element = {int: ColumnType(Kind.BIGINT), str: TEXT, list: ColumnType(Kind.DOUBLE), bool: ColumnType(Kind.BOOLEAN)}
    type_ = (element[type(given[0])] if given else INTEGER).array
    assert dumped is not None
    data = bytes(dumped)
    if format_ is PyFormat.BINARY and type_.element == ColumnType(Kind.BIGINT):
        # psycopg takes the smallest integer type; the oid of what it sends is in the bytes.
        type_ = next(t for t in map(values.declared, (1005, 1007, 1016)) if t and _holds(data, t))
    literal = values.literal(data, dumper.format is psycopg.pq.Format.BINARY, type_, 1)
    (cell,) = sent(compile_scalar(literal).evaluate((), 1).values, type_, 0)
    assert Transformer().get_loader(oid(type_), psycopg.pq.Format.TEXT).load(cell or b"") == given


def _holds(data: bytes, type_: ColumnType) -> bool:
    assert type_.element is not None
    number: int = struct.unpack_from("!I", data, 8)[0]
    return number == oid(type_.element)


@pytest.mark.parametrize(
    ("data", "binary", "code"),
    [
        (b"{1", False, "22P02"),
        (b"{x}", False, "22P02"),
        (struct.pack("!iiI", 7, 0, 23), True, "22P03"),
        (struct.pack("!iiI", 1, 0, 25), True, "22P03"),
        (struct.pack("!iiIiii", 1, 0, 23, 2, 1, 4) + b"\0\0\0\1", True, "22P03"),
        (struct.pack("!iiIiii", 1, 0, 23, 1, 1, 99), True, "22P03"),
        (struct.pack("!iiIiii", 1, 0, 23, -1, 1, -1), True, "22P03"),
    ],
)
def test_bytes_that_are_no_array_are_refused(data: bytes, binary: bool, code: str) -> None:
    with pytest.raises(QueryError) as raised:
        values.literal(data, binary, INTEGER.array, 1)
    assert raised.value.code == code
