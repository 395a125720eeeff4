"""Keys as text equal their twin; keys and values together; the deltas of both envelopes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import Source
from dataflow.types import BIGINT, BOOLEAN, BYTEA, DATE, INTEGER, JSONB, TEXT, TIMESTAMPTZ, Column, Schema
from ingest.decode import Decoded, make_decoder
from ingest.decode.keys import TextFields, make_key_fields
from ingest.envelope import error_delta, input_delta
from ingest.messages import Messages
from tests.examples import examples
from tests.ingest.decode import twin
from tests.ingest.decode.strategies import columns, literals, texts
from tests.ingest.decode.test_json import check_equals, plain_values

ORDERS = (Column("note", TEXT), Column("id", BIGINT), Column("n", INTEGER, False))


def messages(*pairs: tuple[bytes | None, bytes | None]) -> Messages:
    """Messages of (key, value) at offsets 100, 101, ... of partition 3."""
    count = len(pairs)
    return Messages(
        pa.array([value for _, value in pairs], pa.large_binary()),
        pa.array([key for key, _ in pairs], pa.large_binary()),
        np.arange(100, 100 + count, dtype=np.int64),
        np.full(count, 3, np.int32),
        np.zeros(count, np.int64),
        np.zeros(count, np.uint64),
    )


def source(**more: Any) -> Source:
    return Source(**{"kafka": "main", "topic": "orders", "format": "json", **more})


def upsert(pairs: list[tuple[bytes | None, bytes | None]], schema: Schema = ORDERS, **more: Any) -> Decoded:
    settings = source(**{"envelope": "upsert", "key": ("id",), **more})
    return make_decoder(settings, schema, None).decode(messages(*pairs))


def rows(decoded: Decoded) -> list[tuple[Any, ...]]:
    return list(zip(*(array.to_pylist() for array in decoded.columns), decoded.diffs.tolist(), strict=True))


@settings(max_examples=examples(200), deadline=None)
@given(st.data(), columns)
def test_text_equals_twin(data: st.DataObject, column: Column) -> None:
    one = st.one_of(st.none(), texts.map(str.encode), st.binary(max_size=8), literals(False).map(str.encode))
    entries = data.draw(st.lists(one, max_size=8))
    fields = TextFields((column,), "null").decode(pa.array(entries, pa.large_binary()))
    check_equals(fields, twin.decode_text(column, entries, False), (column,), len(entries))


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        (Column("k", BIGINT), b"-42", -42),
        (Column("k", BIGINT), b"007", None),
        (Column("k", BIGINT), b'"7"', None),
        (Column("k", BIGINT), b"", None),
        (Column("k", BIGINT), b"null", None),
        (Column("k", TEXT), b"null", "null"),
        (Column("k", TEXT), b"", ""),
        (Column("k", TEXT), b"\xff", None),
        (Column("k", TEXT), b"a\0", None),
        (Column("k", BOOLEAN), b"true", True),
        (Column("k", BYTEA), b"\0\xff", b"\0\xff"),
        (Column("k", DATE), b"1970-01-03", 2),
        (Column("k", TIMESTAMPTZ), b"1970-01-01T01:00:00+01", 0),
        (Column("k", JSONB), b'{"b":1,"a":2}', '{"a": 2, "b": 1}'),
    ],
)
def test_text_forms(column: Column, text: bytes, expected: Any) -> None:
    fields = TextFields((column,), "null").decode(pa.array([text], pa.large_binary()))
    assert plain_values(fields.columns[0]) == ([] if expected is None else [expected])


def test_upsert_rows_in_arrival_order() -> None:
    decoded = upsert(
        [(b"1", b'{"n": 1, "note": "a"}'), (b'{"id": 2}', b'{"n": 2}'), (b"1", None), (b" 1 ", b'{"n": 3}')]
    )
    assert rows(decoded) == [("a", 1, 1, 1), (None, 2, 2, 1), (None, 1, None, -1), (None, 1, 3, 1)]
    assert decoded.rows.tolist() == [0, 1, 2, 3]
    assert decoded.diffs.dtype == np.int64


def test_the_key_wins() -> None:
    assert rows(upsert([(b"1", b'{"id": 2, "n": 1}'), (b"3", b'{"id": "not even a number", "n": 1}')])) == [
        (None, 1, 1, 1),
        (None, 3, 1, 1),
    ]


def test_errors_of_keys_and_values() -> None:
    pairs: list[tuple[bytes | None, bytes | None]] = [
        (b"1", b"{}"),
        (None, b'{"n": 1}'),
        (b'"x"', b'{"n": 1}'),
        (b"{}", b'{"n": 1}'),
        (b"null", b'{"n": 1}'),
        (b"x", b"y"),
        (b"[1]", None),
        (b"5", b'{"n": 5}'),
    ]
    decoded = upsert(pairs)
    assert rows(decoded) == [(None, 5, 5, 1)]
    assert decoded.rows.tolist() == [7]
    assert [tuple(error) for error in decoded.errors] == [
        (0, "column n: missing, but must not be null"),
        (1, "null key under envelope upsert"),
        (2, "key: column id: expected bigint, read a string"),
        (3, "key: column id: missing, but must not be null"),
        (4, "key: column id: null, but must not be null"),
        (5, "key: not JSON at byte 0: unexpected character"),
        (6, "key: column id: expected bigint, read an array"),
    ]


def test_composite_keys() -> None:
    decoded = upsert(
        [(b'{"n": 1, "id": 2, "more": []}', b"{}"), (b'{"n": 1, "id": 2}', None), (b"1", b"{}")], key=("n", "id")
    )
    assert rows(decoded) == [(None, 2, 1, 1), (None, 2, 1, -1)]
    assert decoded.errors[0].reason == "key: expected a JSON object, read a number"


def test_all_columns_in_the_key() -> None:
    decoded = upsert([(b"7", b"{}"), (b"7", None), (b"8", b"[")], (Column("id", BIGINT),))
    assert rows(decoded) == [(7, 1), (7, -1)]


def test_text_keys() -> None:
    assert rows(upsert([(b"12", b'{"n": 1}'), (b"12", None)], key_format="text")) == [
        (None, 12, 1, 1),
        (None, 12, None, -1),
    ]
    with pytest.raises(ValueError, match="key_format text holds one column, not 2"):
        make_key_fields("text", ORDERS[:2], None)


def test_plain_envelope() -> None:
    decoder = make_decoder(source(), ORDERS, None)
    batch = messages((None, b'{"n": 1, "id": 4}'), (b"k", None), (b"k", b'{"n": "x"}'))
    decoded = decoder.decode(batch)
    assert rows(decoded) == [(None, 4, 1, 1)]
    delta, errors = input_delta(decoded), error_delta(decoded, batch, "orders")
    assert delta.columns == decoded.columns
    assert delta.diffs.tolist() == [1]
    assert errors.columns[0].type == pa.large_string()
    assert errors.columns[0].to_pylist() == [
        "orders[3] offset 101: null value under envelope none; a topic with tombstones needs envelope upsert",
        "orders[3] offset 102: column n: expected integer, read a string",
    ]
    assert errors.diffs.tolist() == [1, 1]


def test_no_errors_is_an_empty_delta() -> None:
    decoded = make_decoder(source(), ORDERS, None).decode(messages())
    assert len(error_delta(decoded, messages(), "orders")) == 0
    assert [len(array) for array in decoded.columns] == [0, 0, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"key": ("id",)}, "`key` is for envelope upsert"),
        ({"envelope": "upsert"}, "envelope upsert needs `key`"),
        ({"envelope": "upsert", "key": ("ident",)}, "key column 'ident' is not among the columns note, id, n"),
        ({"envelope": "upsert", "key": ("id", "id")}, "`key` names a column twice: id, id"),
        ({"format": "avro"}, r"topic 'orders' is avro but connection 'main' has no schema\.registry\.url"),
        ({"envelope": "upsert", "key": ("id",), "key_format": "avro"}, "is avro but connection"),
    ],
)
def test_settings_that_contradict(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_decoder(source(**settings), ORDERS, None)
