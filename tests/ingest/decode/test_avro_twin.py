"""The native Avro reader equals its twin on what fastavro wrote, and takes nothing that its twin does not."""

from __future__ import annotations

import json
import random
from io import BytesIO
from itertools import count
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.types import (
    BIGINT,
    BOOLEAN,
    BYTEA,
    DATE,
    DOUBLE,
    INTEGER,
    JSONB,
    NUMERIC,
    REAL,
    SMALLINT,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    Column,
    ColumnType,
    Schema,
)
from ingest.decode.avro import AvroFields
from ingest.registry import Registry
from tests.examples import examples
from tests.ingest.decode.avro_twin import decode_avro, without_logical
from tests.ingest.decode.strategies import corrupt
from tests.ingest.decode.test_json import check_equals
from tests.ingest.decode.twin import Bad
from tests.servers.registry import TestRegistry

Typed = tuple[Any, st.SearchStrategy[Any], list[ColumnType]]
"""A schema, values to write (logical types as what lies beneath), and the column types that take them."""

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
longs = st.one_of(st.integers(-200, 200), st.integers(-(2**63), 2**63 - 1))
ints = st.one_of(st.integers(-200, 200), st.integers(-(2**31), 2**31 - 1))
MONEY = [NUMERIC, ColumnType.parse("numeric(12,2)"), ColumnType.parse("numeric(38,0)")]
INTEGERS = [SMALLINT, INTEGER, BIGINT, *MONEY]


def logical(base: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"type": base, "logicalType": kind, **more}


def two_complement(limit: int) -> st.SearchStrategy[bytes]:
    return st.integers(-limit, limit).map(
        lambda number: number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    )


def scalars(name: str) -> list[Typed]:
    """Every Avro type without parts; `name` makes named ones unique."""
    moments = st.one_of(st.integers(-(10**14), 10**14), longs)
    decimal = {"precision": 30, "scale": 3}
    return [
        ("boolean", st.booleans(), [BOOLEAN]),
        ("int", ints, [*INTEGERS, DOUBLE]),
        ("long", longs, INTEGERS),
        ("float", st.floats(width=32), [REAL, DOUBLE]),
        ("double", st.floats(), [DOUBLE]),
        ("bytes", st.binary(max_size=7), [BYTEA]),
        ("string", text, [TEXT]),
        (logical("string", "uuid"), st.uuids().map(str), [TEXT]),
        ({"type": "fixed", "name": f"F{name}", "size": 4}, st.binary(min_size=4, max_size=4), [BYTEA]),
        ({"type": "enum", "name": f"E{name}", "symbols": ["A", "B"]}, st.sampled_from(["A", "B"]), [TEXT]),
        (logical("int", "date"), st.one_of(st.integers(-800_000, 3_000_000), ints), [DATE]),
        (logical("long", "timestamp-millis"), moments, [TIMESTAMP, TIMESTAMPTZ]),
        (logical("long", "timestamp-micros"), longs, [TIMESTAMP, TIMESTAMPTZ]),
        (logical("long", "local-timestamp-millis"), moments, [TIMESTAMP]),
        (logical("long", "local-timestamp-micros"), longs, [TIMESTAMP]),
        (logical("bytes", "decimal", **decimal), st.one_of(two_complement(10**6), two_complement(10**39)), MONEY),
        (logical("bytes", "decimal", precision=50, scale=38), two_complement(10**39), MONEY),
    ]


def union(inner: Typed) -> Typed:
    return (["null", inner[0]], st.none() | inner[1], inner[2])


@st.composite
def typed(draw: st.DrawFn, name: str, depth: int = 2) -> Typed:
    """Some type, nullable or with parts now and then."""
    form = draw(st.sampled_from(["scalar", "scalar", "union", "array", "map", "record", "many"])) if depth else "scalar"
    if form == "scalar":
        return draw(st.sampled_from(scalars(name)))
    if form == "many":
        return (["null", "long", "string", "boolean"], st.none() | longs | text | st.booleans(), [])
    if form == "union":
        return union(draw(st.sampled_from(scalars(name))))
    schema, value, _ = draw(typed(f"{name}i", depth - 1))
    if form == "array":
        return ({"type": "array", "items": schema}, st.lists(value, max_size=3), [])
    if form == "map":
        return ({"type": "map", "values": schema}, st.dictionaries(text, value, max_size=3), [])
    other, other_value, _ = draw(typed(f"{name}j", depth - 1))
    parts = [{"name": "bb", "type": schema}, {"name": "a", "type": other}]
    return (
        {"type": "record", "name": f"R{name}", "fields": parts},
        st.fixed_dictionaries({"bb": value, "a": other_value}),
        [],
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Schema, Any, list[bytes]]:
    """Columns, a record's schema, and values as fastavro writes them."""
    types = [draw(typed(str(place))) for place in range(draw(st.integers(1, 4)))]
    schema = {
        "type": "record",
        "name": "Top",
        "fields": [{"name": f"f{place}", "type": each[0]} for place, each in enumerate(types)],
    }
    columns = tuple(
        Column(f"f{place}", draw(st.sampled_from([*each[2], *each[2], JSONB])), draw(st.booleans()))
        for place, each in enumerate(types)
        if draw(st.integers(0, 4))
    )
    written: list[bytes] = []
    for _ in range(draw(st.integers(1, 4))):
        out = BytesIO()
        value = {f"f{place}": draw(each[1]) for place, each in enumerate(types)}
        fastavro.schemaless_writer(out, fastavro.parse_schema(without_logical(schema)), value)
        written.append(out.getvalue())
    return columns, schema, written


subjects = count()


@settings(max_examples=examples(200), deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_equals_twin(
    server: TestRegistry, registry: Registry, case: tuple[Schema, Any, list[bytes]], choose: random.Random
) -> None:
    columns, schema, written = case
    _, answer = server.answer(["subjects", f"s{next(subjects)}", "versions"], {"schema": json.dumps(schema)})
    head = b"\0" + int(answer["id"]).to_bytes(4, "big")
    decoder = AvroFields(columns, registry, "null")
    expected = twins(columns, schema, written)
    fields = decoder.decode(pa.array([head + body for body in written], pa.large_binary()))
    check_equals(fields, expected, columns, len(written))
    # fastavro is laxer on corrupt bytes: what the kernel takes must be taken, and read alike.
    bad = [corrupt(body, choose) for body in written for _ in range(8)]
    fields = decoder.decode(pa.array([head + body for body in bad], pa.large_binary()))
    lax = twins(columns, schema, bad)
    good = fields.rows.tolist()
    assert set(good) <= set(lax)
    check_equals(fields, {row: lax[row] for row in good}, columns, len(bad))


def twins(columns: Schema, schema: Any, bodies: list[bytes]) -> dict[int, list[Any]]:
    rows: dict[int, list[Any]] = {}
    for place, body in enumerate(bodies):
        try:
            rows[place] = decode_avro(columns, schema, body)
        except Bad:
            continue
    return rows


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        ("boolean", b"\2"),
        (["null", "long"], b"\1"),
        (["null", "long"], b"\4"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\1"),
        ("long", b"\xff" * 9 + b"\2"),
        ("long", b"\x80" * 10 + b"\0"),
        ("int", b"\x80\x80\x80\x80\x10"),
        ("string", b"\1"),
        ("string", b"\2\xff"),
        ("bytes", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1"),
        ({"type": "array", "items": "long"}, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1"),
        ({"type": "array", "items": "long"}, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0"),
        ({"type": "map", "values": "long"}, b"\4\2a\2\2a\2\0"),
        ("double", b"\0" * 7),
    ],
)
def test_bytes_that_no_writer_makes(server: TestRegistry, registry: Registry, schema: Any, body: bytes) -> None:
    whole = {"type": "record", "name": "R", "fields": [{"name": "x", "type": schema}]}
    _, answer = server.answer(["subjects", "odd", "versions"], {"schema": json.dumps(whole)})
    entry = b"\0" + int(answer["id"]).to_bytes(4, "big") + body
    fields = AvroFields((Column("x", JSONB),), registry, "null").decode(pa.array([entry], pa.large_binary()))
    assert len(fields.rows) == 0
    assert fields.errors[0].reason in (
        "not what its avro schema describes",
        "column x: expected jsonb, read a map with a key twice",
    )
