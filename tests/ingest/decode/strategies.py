"""Random schemas and messages, right and wrong in every way a topic can be."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

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
    Kind,
    Schema,
)

TYPES = [BOOLEAN, SMALLINT, INTEGER, BIGINT, NUMERIC, REAL, DOUBLE, TEXT, DATE, TIMESTAMP, TIMESTAMPTZ, JSONB, BYTEA]
TYPES += [ColumnType.parse("numeric(12,2)"), ColumnType.parse("numeric(38,0)"), ColumnType(Kind.NUMERIC, None, 4)]
NAMES = ["id", "a", "b", "amount", "at", "naïve", 'quo"te']

columns = st.builds(Column, st.sampled_from(NAMES), st.sampled_from(TYPES), st.booleans())
schemas = st.lists(columns, max_size=6, unique_by=lambda column: column.name).map(tuple)

digits = st.text("0123456789", min_size=1, max_size=45)
integers = st.one_of(
    st.integers(-200, 200).map(str),
    st.integers(-(2**65), 2**65).map(str),
    st.integers(-63_000_000_000_000, 254_000_000_000_000).map(str),
    st.sampled_from([2**15, 2**31, 2**63]).flatmap(lambda edge: st.integers(edge - 2, edge + 1)).map(str),
    st.sampled_from([2**15, 2**31, 2**63]).flatmap(lambda edge: st.integers(-edge - 2, -edge + 1)).map(str),
)
numbers = st.one_of(
    integers,
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.builds("{}{}.{}".format, st.sampled_from(["", "-"]), st.integers(0, 10**13).map(str), digits),
    st.builds("{}e{}".format, st.integers(-1000, 1000), st.integers(-400, 400)),
    st.sampled_from(
        ["0.5", "-0.5", "0.005", "0.00499", "9999999999.995", "-0", "-0.0", "1e-400", "1e400", "3.4028236e38"]
    ),
    st.sampled_from(
        ["3.4028235677973366e38", "1.17549428e-38", "7e-46", "5e-324", "2e-324", "1e999999999999", "0e99999999999"]
    ),
    st.sampled_from(
        ["01", "1.", ".5", "+1", "-", "1e", "1e+", "0x1", "NaN", "Infinity", "-Infinity", "1_0", "--1", "00"]
    ),
)
dates = st.one_of(
    st.dates().map(str),
    st.sampled_from(
        ["0000-01-01", "0001-01-01", "9999-12-31", "2023-02-29", "2024-02-29", "2024-13-01", "2024-1-1", "20240101"]
    ),
)
times = st.builds(
    "{:02}:{:02}{}{}".format,
    st.integers(0, 25),
    st.integers(0, 60),
    st.one_of(
        st.just(""), st.builds(":{:02}{}".format, st.integers(0, 61), st.one_of(st.just(""), digits.map(".{}".format)))
    ),
    st.sampled_from(
        ["", "Z", "z", "+00:00", "-0000", "+02:00", "-1130", "+14", "+16:00", "+01:60", "+1", "UTC", " BC", "Z "]
    ),
)
timestamps = st.one_of(dates, st.builds("{}{}{}".format, dates, st.sampled_from(["T", " ", "t", "", "_"]), times))
texts = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0x7F), max_size=40),
    st.sampled_from(
        ["", "\0", "a\0b", '"\\/\b\f\n\r\t', "\u007f\u0080", "\ud7ff\ue000", "😀", "\uffff\U0010ffff", "=" * 4]
    ),
    numbers,
    timestamps,
    st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode()),
    st.text("AQg/+=-_ ", max_size=8),
)


@st.composite
def strings(draw: st.DrawFn) -> str:
    """A string literal with any mix of escapes."""
    pieces: list[str] = []
    for c in draw(texts):
        form = (
            draw(st.sampled_from(["raw", "raw", "raw", "short", "unit"])) if c > "\x1f" and c not in '"\\' else "short"
        )
        if form == "raw":
            pieces.append(c)
        elif form == "short":
            pieces.append("\\/" if c == "/" else json.dumps(c, ensure_ascii=ord(c) < 0x20)[1:-1])
        else:
            pieces.append(json.dumps(c)[1:-1] if ord(c) > 0x7F else f"\\u{ord(c):04X}")
    return '"' + "".join(pieces) + '"'


def literals(nested: bool = True) -> st.SearchStrategy[str]:
    """Texts of JSON values, some of them wrong."""
    flat = st.one_of(
        numbers,
        strings(),
        texts.map(json.dumps),
        timestamps.map(json.dumps),
        st.sampled_from(["true", "false", "null", "nul", "True"]),
    )
    if not nested:
        return flat
    space = st.sampled_from(["", "", " ", "\n\t"])
    return st.recursive(
        flat,
        lambda inner: st.one_of(
            st.builds(lambda items, s: "[" + f"{s},".join(items) + s + "]", st.lists(inner, max_size=4), space),
            st.lists(st.tuples(strings(), inner), max_size=4).flatmap(written),
        ),
        max_leaves=6,
    )


def written(pairs: list[tuple[str, str]]) -> st.SearchStrategy[str]:
    """An object of these keys and values with some white space."""
    space = st.sampled_from(["", "", " ", "\r\n"])
    return st.builds(
        lambda a, b, c: "{" + a + ",".join(f"{k}{b}:{c}{v}{a}" for k, v in pairs) + "}", space, space, space
    )


def fitting(type: ColumnType) -> st.SearchStrategy[str]:
    """Values that mostly are of the type."""
    kind = type.kind
    if kind is Kind.BOOLEAN:
        return st.sampled_from(["true", "false"])
    if kind is Kind.DATE:
        return dates.map(json.dumps)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        whole = st.datetimes().map(lambda moment: json.dumps(moment.isoformat()))
        return st.one_of(whole, timestamps.map(json.dumps), st.integers(-(10**14), 3 * 10**14).map(str))
    if kind is Kind.JSONB:
        return literals()
    if kind is Kind.BYTEA:
        return st.one_of(st.binary(max_size=9).map(lambda data: json.dumps(base64.b64encode(data).decode())), strings())
    if kind is Kind.TEXT:
        return strings()
    if kind in (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT):
        return st.one_of(st.integers(-(2**15), 2**15 - 1).map(str), integers)
    return numbers if kind in (Kind.REAL, Kind.DOUBLE) else st.one_of(numbers, numbers.map(json.dumps))


@st.composite
def messages(draw: st.DrawFn, schema: Schema) -> bytes:
    """One message of the schema, perhaps with faults."""
    ascii_only = draw(st.booleans())
    pairs = [
        (json.dumps(column.name, ensure_ascii=ascii_only), draw(fitting(column.type)))
        for column in schema
        if draw(st.integers(0, 19))
    ]
    extra = st.tuples(st.one_of(st.sampled_from(NAMES).map(json.dumps), strings()), literals())
    pairs += draw(st.lists(extra, max_size=2)) if draw(st.booleans()) else []
    if draw(st.booleans()):
        pairs = draw(st.permutations(pairs))
    text = draw(written(pairs)).encode("utf-8", "surrogatepass")
    return corrupt(text, draw(st.randoms(use_true_random=False))) if draw(st.integers(0, 4)) == 0 else text


def corrupt(text: bytes, choose: random.Random) -> bytes:
    """A few bits flipped, bytes cut, doubled or put in."""
    data = bytearray(text)
    for _ in range(choose.randint(1, 3)):
        place = choose.randrange(len(data) + 1)
        action = choose.choice(["flip", "flip", "cut", "insert", "double", "drop"])
        if action == "flip" and place < len(data):
            data[place] ^= 1 << choose.randrange(8)
        elif action == "cut":
            del data[place:]
        elif action == "insert":
            data[place:place] = choose.choice(
                [b"{", b"}", b"[", b'"', b",", b":", b"\\", b"\xff", b"\xed\xa0\x80", b"\0", b"\\ud800", b"9", b" "]
            )
        elif action == "double":
            data[place:place] = data[place : place + 8]
        else:
            del data[place : place + 1]
    return bytes(data)


def values(rows: dict[int, list[Any]]) -> list[list[Any]]:
    """Rows in order."""
    return [rows[place] for place in sorted(rows)]
