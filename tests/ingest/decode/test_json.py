"""The native JSON decoder equals its twin, and says briefly what is wrong."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow.types import (
    BIGINT,
    BYTEA,
    DATE,
    INTEGER,
    INTERVAL,
    JSONB,
    REAL,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    Column,
    ColumnType,
    Schema,
)
from ingest.decode.decoded import Fields
from ingest.decode.json import MAXIMUM_DEPTH, JsonFields
from tests.examples import examples
from tests.ingest.decode import twin
from tests.ingest.decode.strategies import columns, corrupt, literals, messages, schemas

MONEY = ColumnType.parse("numeric(12,2)")


def binary(entries: Sequence[bytes | None]) -> pa.LargeBinaryArray:
    return pa.array(entries, pa.large_binary())


def plain_values(array: pa.Array) -> list[Any]:
    """Python values; times as counts, so that nothing is lost."""
    if pa.types.is_timestamp(array.type):
        array = array.view(pa.int64())
    elif pa.types.is_date32(array.type):
        array = array.view(pa.int32())
    return list(array.to_pylist())


def same(left: Any, right: Any) -> bool:
    """Equal with type and sign of zero; NaN equals NaN."""
    if isinstance(left, float) and isinstance(right, float):
        return (left == right and math.copysign(1, left) == math.copysign(1, right)) or (
            left != left and right != right
        )
    return type(left) is type(right) and bool(left == right)


def check_equals(fields: Fields, expected: dict[int, list[Any]], schema: Schema, count: int) -> None:
    """The decoder's result is valid Arrow, of the declared types, and the twin's rows."""
    assert fields.rows.tolist() == sorted(expected)
    assert [error.row for error in fields.errors] == [place for place in range(count) if place not in expected]
    assert all(0 < len(error.reason) < 300 for error in fields.errors)
    assert len(fields.columns) == len(schema)
    for place, (array, column) in enumerate(zip(fields.columns, schema, strict=True)):
        array.validate(full=True)
        assert array.type == column.type.arrow
        wanted = [expected[row][place] for row in fields.rows.tolist()]
        got = plain_values(array)
        assert all(map(same, got, wanted)), (column, got, wanted)


@settings(max_examples=examples(120), deadline=None)
@given(st.data(), schemas, st.booleans())
def test_equals_twin(data: st.DataObject, schema: Schema, nulls: bool) -> None:
    entries = data.draw(
        st.lists(st.one_of(st.none(), messages(schema), messages(schema), messages(schema)), max_size=8)
    )
    fields = JsonFields(schema, None if nulls else "null").decode(binary(entries))
    check_equals(fields, twin.decode_json(schema, entries, nulls, False), schema, len(entries))


@settings(max_examples=examples(80), deadline=None)
@given(st.data(), columns)
def test_bare_values_equal_twin(data: st.DataObject, column: Column) -> None:
    one = st.one_of(literals().map(lambda text: text.encode("utf-8", "surrogatepass")), messages((column,)))
    entries = data.draw(st.lists(one, max_size=6))
    fields = JsonFields((column,), "null", scalar=True).decode(binary(entries))
    check_equals(fields, twin.decode_json((column,), entries, False, True), (column,), len(entries))


@settings(max_examples=examples(100), deadline=None)
@given(schemas, st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_equal_twin(schema: Schema, entries: list[bytes]) -> None:
    fields = JsonFields(schema, "null").decode(binary(entries))
    check_equals(fields, twin.decode_json(schema, entries, False, False), schema, len(entries))


@settings(max_examples=examples(30), deadline=None)
@given(st.randoms(use_true_random=False))
def test_flipped_bits_and_truncation_equal_twin(choose: Any) -> None:
    schema = (
        Column("id", BIGINT, False),
        Column("name", TEXT),
        Column("amount", MONEY),
        Column("at", TIMESTAMPTZ),
        Column("doc", JSONB),
    )
    whole = json.dumps(
        {
            "id": 12,
            "name": "Zoë \\ \u20ac",
            "amount": "12.345",
            "at": "2026-11-22T14:51:53.123+01:00",
            "doc": {"b": [1.50, "x"], "a": {}},
        },
        ensure_ascii=False,
    ).encode()
    entries: list[bytes] = [corrupt(whole, choose) for _ in range(100)] + [whole[:end] for end in range(len(whole))]
    fields = JsonFields(schema, "null").decode(binary(entries))
    check_equals(fields, twin.decode_json(schema, entries, False, False), schema, len(entries))


def reason(message: bytes | None, *declared: Column) -> str:
    fields = JsonFields(declared, "null value").decode(binary([message]))
    assert not len(fields.rows)
    return fields.errors[0].reason


ID = Column("id", BIGINT, False)


@pytest.mark.parametrize(
    ("message", "column", "expected"),
    [
        (b'{"id": "1"}', ID, "column id: expected bigint, read a string"),
        (b'{"id": 1.0}', ID, "column id: expected bigint, read a number with a fraction or an exponent"),
        (b'{"id": 9223372036854775808}', ID, "column id: expected bigint, read a value out of range"),
        (b'{"id": [1]}', ID, "column id: expected bigint, read an array"),
        (b'{"id": true}', ID, "column id: expected bigint, read a boolean"),
        (b'{"id": null}', ID, "column id: null, but must not be null"),
        (b"{}", ID, "column id: missing, but must not be null"),
        (b'{"id": 1, "id": 1}', ID, "column id: stands twice in the object"),
        (b'{"id": 1, "i\\u0064": 1}', ID, "column id: stands twice in the object"),
        (b'{"id": 1', ID, "not JSON at byte 8: the text ends too early"),
        (b"", ID, "not JSON at byte 0: the text ends too early"),
        (b'{"id": 1} {}', ID, "not JSON at byte 10: something follows the value"),
        (b'{"id": 01}', ID, "not JSON at byte 8: unexpected character"),
        (b'{"id": 1, "x": NaN}', ID, "not JSON at byte 15: unexpected character"),
        (b'{"x": "\xc3("}', ID, "not JSON at byte 7: invalid UTF-8"),
        (b"\xef\xbb\xbf{}", ID, "not JSON at byte 0: unexpected character"),
        (b"[1]", ID, "expected a JSON object, read an array"),
        (b"null", ID, "expected a JSON object, read null"),
        (None, ID, "null value"),
        (b'{"m": 12345678901}', Column("m", MONEY), "column m: expected numeric(12,2), read a value out of range"),
        (b'{"m": "x"}', Column("m", MONEY), "column m: expected numeric(12,2), read text that is not one"),
        (b'{"d": "2026-11-22T10:00:00"}', Column("d", DATE), "column d: expected date, read text that is not one"),
        (b'{"d": "2026-02-30"}', Column("d", DATE), "column d: expected date, read a value out of range"),
        (
            b'{"t": "2026-02-03T04:05+02:00"}',
            Column("t", TIMESTAMP),
            "column t: expected timestamp, read text with an offset from UTC, for which timestamptz is made",
        ),
        (b'{"t": "a\\u0000"}', Column("t", TEXT), "column t: expected text, read text with a zero character"),
        (b'{"r": 1e39}', Column("r", REAL), "column r: expected real, read a value out of range"),
        (b'{"y": "a"}', Column("y", BYTEA), "column y: expected bytea, read text that is not base64"),
        (b'{"j": {"a": 1, "a": 1}}', Column("j", JSONB), "column j: expected jsonb, read an object with a key twice"),
    ],
)
def test_reasons(message: bytes | None, column: Column, expected: str) -> None:
    assert reason(message, column) == expected


def test_reasons_never_show_the_message() -> None:
    secret = b"s3cret" * 1000
    for text in (b'{"id": "' + secret + b'"}', b'{"id": ' + secret, b'{"' + secret + b'": 1}', b'{"id": 1}' + secret):
        assert b"s3cret" not in reason(text, ID).encode()


def test_depth_is_limited() -> None:
    schema = (Column("doc", JSONB),)
    for depth in (MAXIMUM_DEPTH - 1, MAXIMUM_DEPTH, 100_000):
        entry = b'{"doc": ' + b"[" * depth + b"]" * depth + b"}"
        fields = JsonFields(schema, "null").decode(binary([entry]))
        assert len(fields.rows) == (depth < MAXIMUM_DEPTH)


def test_numeric_rounds_half_away_from_zero() -> None:
    schema = (Column("m", MONEY), Column("n", ColumnType.parse("numeric")))
    texts = ["0.005", "-0.005", "0.0049999999999999999999", '"1.995"', "1e2", "9999999999.994"]
    fields = JsonFields(schema, "null").decode(binary([b'{"m": ' + text.encode() + b"}" for text in texts]))
    assert [str(value) for value in fields.columns[0].to_pylist()] == [
        "0.01",
        "-0.01",
        "0.00",
        "2.00",
        "100.00",
        "9999999999.99",
    ]


def test_intervals_are_texts() -> None:
    column = Column("i", INTERVAL)
    texts = [b'{"i": "1 year 2 mons -3 days"}', b'{"i": "PT1.5S"}', b'{"i": null}']
    decoded = JsonFields((column,), "null").decode(binary(texts))
    assert decoded.columns[0].to_pylist() == [(14, -3, 0), (0, 0, 1_500_000), None]
    assert "read text that is not one" in reason(b'{"i": "soon"}', column)
    assert "read a value out of range" in reason(b'{"i": "9999999999 days"}', column)
    assert "read a number" in reason(b'{"i": 5}', column)


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        ("time", "12:34:56.5", timedelta(hours=12, minutes=34, seconds=56.5)),
        ("time", "24:00", timedelta(hours=24)),
        ("time", "24:01", "a value out of range"),
        ("time", "noon", "text that is not one"),
        ("uuid", "A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11", bytes.fromhex("a0eebc999c0b4ef8bb6d6bb9bd380a11")),
        ("uuid", "a0eebc99", "text that is not one"),
        ("varchar(3)", "\u00e9\u00e9\u00e9  ", "\u00e9\u00e9\u00e9"),
        ("varchar(3)", "a ", "a "),
        ("varchar(3)", "abcd", "a text that is too long"),
        ("char(3)", "a  ", "a"),
        ("char(3)", "abcd", "a text that is too long"),
        ("varchar", "any", "any"),
    ],
)
def test_types_written_as_text(type_: str, text: str, expected: Any) -> None:
    column = Column("x", ColumnType.parse(type_))
    message = json.dumps({"x": text}).encode()
    decoded = JsonFields((column,), "null").decode(binary([message]))
    if len(decoded.rows):
        assert decoded.columns[0].to_pylist() == [expected]
    else:
        assert reason(message, column).endswith(f"read {expected}")


def test_slices_keep_their_place() -> None:
    entries = [b'{"id": 1}', None, b'{"id": 3}', b"bad", b'{"id": 5}']
    fields = JsonFields((ID,), None).decode(binary(entries).slice(1, 4))
    assert fields.columns[0].to_pylist() == [None, 3, 5]
    assert fields.rows.tolist() == [0, 1, 3]
    assert [error.row for error in fields.errors] == [2]


def test_no_columns_and_no_messages() -> None:
    assert JsonFields((), "null").decode(binary([b"{}", b"{"])).rows.tolist() == [0]
    empty = JsonFields((ID,), "null").decode(binary([]))
    assert len(empty.columns[0]) == 0
    assert empty.columns[0].type == pa.int64()


def test_other_arrays_are_refused() -> None:
    with pytest.raises(TypeError):
        JsonFields((ID,), "null").decode(pa.array([1, 2]))


def test_one_decoder_in_many_threads() -> None:
    decoder = JsonFields((ID, Column("n", INTEGER)), "null")
    entries = binary([json.dumps({"id": i, "n": -i}).encode() for i in range(20_000)])
    totals: list[int] = []

    def work() -> None:
        totals.append(int(np.sum(decoder.decode(entries).columns[0].to_numpy())))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [sum(range(20_000))] * 4
