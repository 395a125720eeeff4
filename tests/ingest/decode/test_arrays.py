"""Columns of array types from JSON and Avro: arrays read element by element, and what is none is an error of its message."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow import scalars
from dataflow.json import encode_rows
from dataflow.types import BIGINT, TEXT, Column, ColumnType, Schema
from ingest.decode.decoded import Fields
from ingest.decode.json import JsonFields
from ingest.registry import Registry
from tests.examples import examples
from tests.ingest.decode.test_avro import decode, record, register, wire
from tests.servers.registry import TestRegistry

SCHEMA: Schema = (
    Column("id", BIGINT, False),
    *(
        Column(name, ColumnType.parse(f"{name}[]"))
        for name in ("bigint", "text", "timestamp", "numeric(6,2)", "boolean")
    ),
)


def shown(fields: Fields, schema: Schema) -> list[tuple[Any, ...]]:
    columns = [
        (scalars.format(values, len(values), column.type) if column.type.element else values).to_pylist()
        for values, column in zip(fields.columns, schema, strict=True)
    ]
    return list(zip(*columns, strict=True))


def test_arrays_of_json() -> None:
    values: list[Any] = [
        {"id": 1, "bigint": [1, None], "text": ["x", "y,z", "NULL"], "timestamp": ["2024-02-29T10:00:00"]},
        {"id": 2, "numeric(6,2)": [1.5, "2"], "boolean": [], "bigint": None},
        {"id": 3, "bigint": [1, "x"]},
        {"id": 4, "text": 7},
        {"id": 5, "bigint": [[1]]},
        {"id": 6, "numeric(6,2)": [123456]},
        {"id": 7, "bigint": {"a": 1}},
        {"id": 8},
    ]
    fields = JsonFields(SCHEMA, "no value").decode(
        pa.array([json.dumps(v).encode() for v in values], pa.large_binary())
    )
    assert shown(fields, SCHEMA) == [
        (1, "{1,NULL}", '{x,"y,z","NULL"}', '{"2024-02-29 10:00:00"}', None, None),
        (2, None, None, None, "{1.50,2.00}", "{}"),
        (8, None, None, None, None, None),
    ]
    assert fields.rows.tolist() == [0, 1, 7]
    assert [(error.row, error.reason.split(":")[0]) for error in fields.errors] == [
        (2, "column bigint"),
        (3, "column text"),
        (4, "column bigint"),
        (5, "column numeric(6,2)"),
        (6, "column bigint"),
    ]
    assert "found no array" in fields.errors[1].reason
    assert "x" not in fields.errors[0].reason.removeprefix(
        "column bigint: an element of bigint[]: expected bigint, read a string"
    )


INNER = {"bigint": st.integers(-(1 << 63), (1 << 63) - 1), "text": st.text(max_size=5), "double precision": st.floats()}


def _shown(value: Any) -> Any:
    """A value as JSON has it; what JSON has no number for is a text."""
    return (
        {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
        if isinstance(value, float) and not math.isfinite(value)
        else value
    )


@settings(max_examples=examples(60))
@given(st.sampled_from(sorted(INNER)), st.data())
def test_what_is_written_is_read(element: str, data: st.DataObject) -> None:
    """Sinks write what sources read."""
    schema = (Column("a", ColumnType.parse(f"{element}[]")),)
    lists = data.draw(st.lists(st.none() | st.lists(st.none() | INNER[element], max_size=4), min_size=1, max_size=4))
    if element == "text":
        lists = [None if one is None else [t and t.replace("\0", "") for t in one] for one in lists]
    texts = [None if one is None else [_shown(value) for value in one] for one in lists]
    given = pa.array([json.dumps({"a": one}).encode() for one in texts], pa.large_binary())
    fields = JsonFields(schema, None).decode(given)
    assert not fields.errors
    written = encode_rows(list(fields.columns), schema)
    again = JsonFields(schema, None).decode(written)
    assert again.columns[0].equals(fields.columns[0])


def test_arrays_of_avro(server: TestRegistry, registry: Registry) -> None:
    schema = record(
        id="long",
        n={"type": "array", "items": ["null", "long"]},
        t=["null", {"type": "array", "items": "string"}],
        d={"type": "array", "items": {"type": "int", "logicalType": "date"}},
    )
    number = register(server, schema)
    columns = (Column("id", BIGINT), Column("n", BIGINT.array), Column("t", TEXT.array))
    fields = decode(
        columns,
        registry,
        wire(number, schema, {"id": 1, "n": [1, None, -5], "t": ["a", "b,c"], "d": []}),
        wire(number, schema, {"id": 2, "n": [], "t": None, "d": []}),
    )
    assert not fields.errors
    assert shown(fields, columns) == [(1, "{1,NULL,-5}", '{a,"b,c"}'), (2, "{}", None)]
    for column, of in (("n", "text"), ("d", "date"), ("id", "bigint")):
        refused = decode(
            (Column(column, ColumnType.parse(f"{of}[]")),),
            registry,
            wire(number, schema, {"id": 1, "n": [1], "t": None, "d": []}),
        )
        assert f"expected {of}[]" in refused.errors[0].reason


NESTED = (
    Column("id", BIGINT),
    Column("l", ColumnType.parse("bigint list list")),
    Column("m", ColumnType.parse("map[text=>timestamp list]")),
)


def test_lists_and_maps_of_json() -> None:
    values: list[Any] = [
        {"id": 1, "l": [[1, None], [], None], "m": {"b": ["2024-02-29T10:00:00"], "a": None}},
        {"id": 2, "l": None, "m": {}},
        {"id": 3, "l": [1]},
        {"id": 4, "m": [1]},
        {"id": 5, "l": [["x"]]},
        {"id": 6},
    ]
    fields = JsonFields(NESTED, "no value").decode(
        pa.array([json.dumps(v).encode() for v in values], pa.large_binary())
    )
    assert [
        scalars.format(column, len(column), of.type).to_pylist()
        for column, of in zip(fields.columns[1:], NESTED[1:], strict=True)
    ] == [["{{1,NULL},{},NULL}", None, None], ['{a=>NULL,b=>{"2024-02-29 10:00:00"}}', "{}", None]]
    assert fields.rows.tolist() == [0, 1, 5]
    assert [(error.row, error.reason.split(":")[0]) for error in fields.errors] == [
        (2, "column l"),
        (3, "column m"),
        (4, "column l"),
    ]
    assert "found no object" in fields.errors[1].reason


def test_lists_and_maps_of_avro(server: TestRegistry, registry: Registry) -> None:
    schema = record(
        id="long",
        l={"type": "array", "items": {"type": "array", "items": ["null", "long"]}},
        m={"type": "map", "values": "string"},
    )
    number = register(server, schema)
    columns = (NESTED[0], NESTED[1], Column("m", ColumnType.parse("map[text=>text]")))
    message = wire(number, schema, {"id": 1, "l": [[1, None], []], "m": {"k": "v", "a": "b,"}})
    fields = decode(columns, registry, message)
    assert not fields.errors
    assert [
        scalars.format(c, 1, of.type)[0].as_py() for c, of in zip(fields.columns[1:], columns[1:], strict=True)
    ] == [
        "{{1,NULL},{}}",
        '{a=>"b,",k=>v}',
    ]
    refused = decode((Column("m", ColumnType.parse("text list")),), registry, message)
    assert "expected text list" in refused.errors[0].reason
