"""Avro: what fastavro wrote comes back as columns, through a real registry; bytes that nobody wrote are errors."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.types import (
    BIGINT,
    DOUBLE,
    INTEGER,
    INTERVAL,
    JSONB,
    REAL,
    SMALLINT,
    TEXT,
    TIMESTAMP,
    Column,
    ColumnType,
    Schema,
)
from ingest.decode.avro import AvroFields, avro_columns
from ingest.decode.decoded import Fields
from ingest.registry import Registry, RegistryUnavailable, UnknownSchemaError
from tests.examples import examples
from tests.ingest.decode.strategies import corrupt
from tests.servers.registry import TestRegistry, running_registry


def logical(base: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"type": base, "logicalType": kind, **more}


SMALL = ColumnType.parse("numeric(3,2)")
WIDE = ColumnType.parse("numeric(38,0)")


EVERYTHING: dict[str, Any] = {
    "type": "record",
    "name": "shop.Everything",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "small", "type": "int"},
        {"name": "name", "type": ["null", "string"], "default": None},
        {"name": "ratio", "type": "double"},
        {"name": "part", "type": "float"},
        {"name": "ok", "type": ["boolean", "null"]},
        {"name": "raw", "type": "bytes"},
        {"name": "price", "type": logical("bytes", "decimal", precision=12, scale=2)},
        {"name": "fixed_price", "type": logical("fixed", "decimal", precision=10, scale=3, size=5, name="Five")},
        {"name": "day", "type": logical("int", "date")},
        {"name": "at", "type": logical("long", "timestamp-millis")},
        {"name": "exactly", "type": ["null", logical("long", "timestamp-micros")]},
        {"name": "local", "type": logical("long", "local-timestamp-micros")},
        {"name": "uid", "type": logical("string", "uuid")},
        {"name": "color", "type": {"type": "enum", "name": "Color", "symbols": ["RED", "GREEN"]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "counts", "type": {"type": "map", "values": "long"}},
        {
            "name": "inner",
            "type": {
                "type": "record",
                "name": "Inner",
                "fields": [
                    {"name": "sum", "type": logical("bytes", "decimal", precision=9, scale=2)},
                    {"name": "when", "type": ["null", logical("long", "timestamp-millis")]},
                    {"name": "again", "type": "Color"},
                ],
            },
        },
        {"name": "either", "type": ["null", "long", "string"]},
    ],
}
TYPES = {
    "id": "bigint", "small": "integer", "name": "text", "ratio": "double precision", "part": "real", "ok": "boolean",
    "raw": "bytea", "price": "numeric(12,2)", "fixed_price": "numeric(10,3)", "day": "date", "at": "timestamptz",
    "exactly": "timestamptz", "local": "timestamp", "uid": "uuid", "color": "text", "tags": "jsonb", "counts": "jsonb",
    "inner": "jsonb", "either": "jsonb",
}  # fmt: skip
VALUE: dict[str, Any] = {
    "id": 7, "small": -3, "name": None, "ratio": 0.1, "part": 0.5, "ok": True, "raw": b"\0\xff", "price": Decimal("-12.34"),
    "fixed_price": Decimal("1.005"), "day": date(2026, 11, 22), "at": datetime(2026, 11, 22, 14, 51, 53, 123000, UTC),
    "exactly": datetime(1960, 1, 1, 0, 0, 0, 1, UTC), "local": datetime(2026, 1, 1), "uid": UUID(int=5), "color": "GREEN",
    "tags": ["a", "b"], "counts": {"bb": 2, "a": 1}, "either": "x",
    "inner": {"sum": Decimal("1.50"), "when": datetime(2026, 1, 1, tzinfo=UTC), "again": "RED"},
}  # fmt: skip


def register(server: TestRegistry, schema: Any, subject: str = "t-value") -> int:
    """Register as the client would; tests/ingest/test_registry.py does it through the client."""
    status, answer = server.answer(["subjects", subject, "versions"], {"schema": json.dumps(schema)})
    assert status == 200
    return int(answer["id"])


def wire(number: int, schema: Any, value: Any) -> bytes:
    """Confluent's wire format."""
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return b"\0" + number.to_bytes(4, "big") + out.getvalue()


def decode(columns: Schema, registry: Registry, *entries: bytes | None, scalar: bool = False) -> Fields:
    return AvroFields(columns, registry, "null value", scalar).decode(pa.array(entries, pa.large_binary()))


def record(**fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": type} for name, type in fields.items()]}


def test_columns_of_the_newest_schema(server: TestRegistry, registry: Registry) -> None:
    register(server, EVERYTHING, "all-value")
    columns = avro_columns(registry, "all")
    assert {column.name: str(column.type) for column in columns} == TYPES
    assert [column.name for column in columns if column.nullable] == ["name", "ok", "exactly", "either"]


def test_every_type(server: TestRegistry, registry: Registry) -> None:
    number = register(server, EVERYTHING, "all-value")
    columns = avro_columns(registry, "all")
    fields = decode(columns, registry, wire(number, EVERYTHING, VALUE))
    assert fields.errors == []
    for column, array in zip(columns, fields.columns, strict=True):
        array.validate(full=True)
        assert array.type == column.type.arrow
    got = {column.name: array.to_pylist()[0] for column, array in zip(columns, fields.columns, strict=True)}
    assert got == {
        **VALUE,
        "uid": VALUE["uid"].bytes,
        "tags": '["a", "b"]',
        "counts": '{"a": 1, "bb": 2}',
        "inner": '{"sum": 1.5, "when": "2026-01-01T00:00:00Z", "again": "RED"}',
        "either": '"x"',
    }


def test_declared_columns_by_name_and_several_schemas(server: TestRegistry, registry: Registry) -> None:
    old, new = record(id="int", gone="string"), record(note=["null", "string"], id="long")
    first, second = register(server, old), register(server, new)
    columns = (Column("id", BIGINT, False), Column("note", TEXT))
    entries = [
        wire(second, new, {"id": 1, "note": "n"}),
        wire(first, old, {"id": 2, "gone": "g"}),
        wire(second, new, {"id": 3}),
    ]
    fields = decode(columns, registry, *entries)
    assert [array.to_pylist() for array in fields.columns] == [[1, 2, 3], ["n", None, None]]
    assert fields.rows.tolist() == [0, 1, 2]


def reasons(fields: Fields) -> list[str]:
    return [error.reason for error in fields.errors]


def test_bad_messages(server: TestRegistry, registry: Registry) -> None:
    schema = record(id="long")
    number = register(server, schema)
    good = wire(number, schema, {"id": 1})
    columns = (Column("id", BIGINT, False),)
    fields = decode(
        columns, registry, good, None, b"", b"\1" + good[1:], good[:3], good[:-1], good + b"x", b"\0\0\0\3\xe7x", good
    )
    assert fields.rows.tolist() == [0, 8]
    format_error = "not in Confluent's wire format: a zero byte, a schema id of four bytes, then the value"
    assert reasons(fields) == [
        "null value",
        format_error,
        format_error,
        format_error,
        "not what its avro schema describes",
        "not what its avro schema describes: bytes follow the value",
        f"registry {server.url} has no schema 999: Schema 999 not found",
    ]


def test_columns_that_the_schema_cannot_fill(server: TestRegistry, registry: Registry) -> None:
    schema = record(id="string", n=["null", "int"])
    entry = wire(register(server, schema), schema, {"id": "x", "n": None})
    number = int.from_bytes(entry[1:5], "big")
    assert reasons(decode((Column("id", BIGINT),), registry, entry)) == [
        f"column id: expected bigint, schema {number} has avro string"
    ]
    assert reasons(decode((Column("z", BIGINT, False),), registry, entry)) == [
        f"column z: missing in schema {number}, but must not be null"
    ]
    assert reasons(decode((Column("n", INTEGER, False),), registry, entry)) == ["column n: null, but must not be null"]


@pytest.mark.parametrize(
    ("written", "value", "type", "expected"),
    [
        ("long", 2**15, SMALLINT, None),
        ("long", -(2**15), SMALLINT, -(2**15)),
        ("long", 2**31, INTEGER, None),
        ("int", 5, DOUBLE, 5.0),
        ("long", 5, SMALL, Decimal("5.00")),
        ("long", 10, SMALL, None),
        (logical("bytes", "decimal", precision=20, scale=4), Decimal("-1.0050"), SMALL, Decimal("-1.01")),
        (logical("bytes", "decimal", precision=20, scale=4), Decimal("9.995"), SMALL, None),
        (logical("bytes", "decimal", precision=50, scale=0), Decimal(10**38), WIDE, None),
        (logical("bytes", "decimal", precision=50, scale=0), Decimal(10**38 - 1), WIDE, Decimal(10**38 - 1)),
        (logical("long", "timestamp-millis"), 1, TIMESTAMP, datetime(1970, 1, 1, 0, 0, 0, 1000)),
        (logical("long", "timestamp-millis"), 2**60, TIMESTAMP, None),
        (logical("int", "date"), 2**30, ColumnType.parse("date"), None),
        ("string", "a\0", TEXT, None),
        ("string", "a\0", JSONB, None),
        ("double", float("nan"), JSONB, '"NaN"'),
        ("bytes", b"\0", JSONB, '"AA=="'),
        (logical("int", "time-millis"), 61, INTEGER, 61),
        ("float", 0.25, REAL, 0.25),
        ("string", "1 mon 02:00", INTERVAL, (1, 0, 7_200_000_000)),
        ("string", "soon", INTERVAL, None),
        (logical("fixed", "duration", name="D", size=12), bytes([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]), INTERVAL, (1, 2, 3000)),
        (logical("int", "time-millis"), time(1, 2, 3), ColumnType.parse("time"), timedelta(hours=1, minutes=2, seconds=3)),
        (logical("long", "time-micros"), time(1, 2, 3, 4), JSONB, '"01:02:03.000004"'),
        (logical("string", "uuid"), UUID(int=1), ColumnType.parse("uuid"), bytes(15) + b"\1"),
        ("string", "no uuid", ColumnType.parse("uuid"), None),
        ("string", "abcd", ColumnType.parse("varchar(3)"), None),
    ],
)  # fmt: skip
def test_conversions(
    server: TestRegistry, registry: Registry, written: Any, value: Any, type: ColumnType, expected: Any
) -> None:
    schema = record(x=written)
    plain = record(x=written["type"]) if isinstance(value, int) and isinstance(written, dict) else schema
    body = wire(register(server, schema), plain, {"x": value})
    fields = decode((Column("x", type),), registry, body)
    if expected is None:
        assert len(fields.errors) == 1
        assert fields.errors[0].reason.startswith(f"column x: expected {type}, read ")
    else:
        assert fields.columns[0].to_pylist() == [expected]


def test_bare_keys(server: TestRegistry, registry: Registry) -> None:
    bare, whole = register(server, "long", "t-key"), register(server, record(id="long"), "t-key")
    entries = [wire(bare, "long", 5), wire(whole, record(id="long"), {"id": 6})]
    assert decode((Column("id", BIGINT),), registry, *entries, scalar=True).columns[0].to_pylist() == [5, 6]
    assert reasons(decode((Column("id", BIGINT),), registry, entries[0])) == [
        f"schema {bare} is avro long, not a record"
    ]


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (record(next=["null", "R"]), "record R contains itself"),
        (record(nothing={"type": "array", "items": "null"}), "items have no bytes"),
    ],
)
def test_schemas_that_bound_nothing_are_refused(
    server: TestRegistry, registry: Registry, schema: Any, why: str
) -> None:
    number = register(server, schema, "bomb-value")
    body = b"\0" + number.to_bytes(4, "big") + b"\2" * 200_000
    (reason,) = reasons(decode((Column("x", JSONB),), registry, body))
    assert why in reason
    with pytest.raises(ValueError, match=why):
        avro_columns(registry, "bomb")


def test_columns_that_sql_cannot_have(server: TestRegistry, registry: Registry) -> None:
    register(server, record(x=logical("bytes", "decimal", precision=60, scale=2)), "wide-value")
    with pytest.raises(
        ValueError, match=r"field x: decimal\(60,2\) has more than 38 digits; declare `columns` instead"
    ):
        avro_columns(registry, "wide")
    register(server, "long", "bare-value")
    with pytest.raises(ValueError, match="is avro long, not a record"):
        avro_columns(registry, "bare")
    with pytest.raises(UnknownSchemaError):
        avro_columns(registry, "nowhere")


def test_unavailable_is_not_a_message_error() -> None:
    with running_registry() as server:
        registry = Registry(server.url)
        schema = record(id="long")
        entry = wire(register(server, schema), schema, {"id": 1})
        decoder = AvroFields((Column("id", BIGINT),), registry, None)
        server.fail_with = 503
        with pytest.raises(RegistryUnavailable):
            decoder.decode(pa.array([None, entry], pa.large_binary()))
        server.fail_with = None
        assert decoder.decode(pa.array([None, entry], pa.large_binary())).columns[0].to_pylist() == [None, 1]
        registry.close()


money = st.integers(-(10**12) + 1, 10**12 - 1).map(lambda cents: Decimal(cents).scaleb(-2))
moments = st.datetimes(timezones=st.just(UTC))
values = st.fixed_dictionaries(
    {
        "id": st.integers(-(2**63), 2**63 - 1),
        "name": st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        "price": money,
        "day": st.dates(),
        "at": moments.map(lambda moment: moment - timedelta(microseconds=moment.microsecond % 1000)),
        "exactly": st.none() | moments,
        "raw": st.binary(),
        "tags": st.lists(st.text("ab", max_size=3), max_size=3),
    }
)


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(values, max_size=5), st.randoms(use_true_random=False))
def test_round_trip_and_corruption(
    server: TestRegistry, registry: Registry, rows: list[dict[str, Any]], choose: random.Random
) -> None:
    names = ("id", "name", "price", "day", "at", "exactly", "raw", "tags")
    fields = [field for field in EVERYTHING["fields"] if field["name"] in names]
    schema = {"type": "record", "name": "Some", "fields": fields}
    number = register(server, schema, "some-value")
    columns = tuple(Column(name, ColumnType.parse(TYPES[name])) for name in (field["name"] for field in fields))
    good = [wire(number, schema, row) for row in rows]
    bad = [entry[:5] + corrupt(entry[5:], choose) for entry in good]
    entries = [entry for pair in zip(good, bad, strict=True) for entry in pair]
    decoded = decode(columns, registry, *entries)
    assert {*decoded.rows.tolist(), *(error.row for error in decoded.errors)} == set(range(len(entries)))
    assert len(decoded.rows) + len(decoded.errors) == len(entries)
    places = {row: place for place, row in enumerate(decoded.rows.tolist())}
    lists = {column.name: array.to_pylist() for column, array in zip(columns, decoded.columns, strict=True)}
    for index, row in enumerate(rows):
        got = {name: items[places[2 * index]] for name, items in lists.items()}
        assert got == {**row, "tags": json.dumps(row["tags"])}
