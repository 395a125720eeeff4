"""Lists, maps and records on the wire: as text, under Materialize's oids, and refused in binary."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dataflow import scalars
from dataflow.json import encode_rows
from dataflow.scalars import nested
from dataflow.types import INTEGER, TEXT, Column, ColumnType, record
from serve.pg import rows, values
from serve.sql.errors import QueryError
from serve.sql.types import oid, type_name
from tests.serve.pg.test_rows import cells

LITERALS = {"integer list list": "{{1,2},{},NULL}", "map[text=>text list]": '{a=>{x,"y z"},b=>NULL}'}


@pytest.mark.parametrize("name", LITERALS)
def test_they_are_sent_and_read_as_text(name: str) -> None:
    type_ = ColumnType.parse(name)
    column, _ = scalars.parse(pa.array([LITERALS[name], None], TEXT.arrow), 2, type_)
    sent = cells(rows.data_rows([column], 2, [type_], rows.forms([type_], [rows.TEXT])))
    assert sent == [[LITERALS[name].encode()], [None]]
    assert values.literal(LITERALS[name].encode(), False, type_, 1).value == LITERALS[name]
    with pytest.raises(QueryError, match="malformed"):
        values.literal(b"{", False, type_, 1)
    with pytest.raises(QueryError, match="in binary is not supported"):
        rows.forms([type_], [rows.BINARY])
    with pytest.raises(QueryError, match="in binary is not supported"):
        values.literal(b"", True, type_, 1)


def test_records_are_sent_as_postgresql_writes_them() -> None:
    type_ = record(INTEGER, TEXT)
    column = nested.records([pa.array([1, None], pa.int32()), pa.array(["a b", None], TEXT.arrow)], 2)
    assert cells(rows.data_rows([column], 2, [type_], rows.forms([type_], [rows.TEXT]))) == [[b'(1,"a b")'], [b"(,)"]]
    with pytest.raises(QueryError, match="in binary is not supported"):
        rows.forms([type_.array], [rows.BINARY])


def test_types_have_the_names_and_numbers_of_postgresql_and_materialize() -> None:
    known = [(type_name(type_), oid(type_)) for type_ in (record(TEXT), record(TEXT).array, TEXT.list, TEXT.map)]
    assert known == [("record", 2249), ("_record", 2287), ("list", 16384), ("map", 16385)]


def test_as_json_they_are_arrays_and_objects() -> None:
    lists, _ = scalars.parse(pa.array(["{{1},NULL,{}}", None], TEXT.arrow), 2, INTEGER.list.list)
    maps, _ = scalars.parse(pa.array(['{b=>1,"q\\""=>NULL}', "{}"], TEXT.arrow), 2, INTEGER.map)
    records = nested.records([lists, pa.array(["x", None], TEXT.arrow)], 2)
    schema = (
        Column("l", INTEGER.list.list),
        Column("m", INTEGER.map),
        Column("r", record(INTEGER.list.list, TEXT)),
    )
    assert encode_rows([lists, maps, records], schema).to_pylist() == [
        b'{"l":[[1], null, []],"m":{"b": 1, "q\\"": null},"r":{"f1": [[1], null, []], "f2": "x"}}',
        b'{"l":null,"m":{},"r":{"f1": null, "f2": null}}',
    ]
