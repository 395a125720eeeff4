"""Texts of SQL types against Python: parsing, printing, jsonb, and the functions of text, over random values."""

from __future__ import annotations

import hashlib
import json
import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import pyarrow as pa
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dataflow import scalars
from dataflow.scalars.codes import TextFunction
from dataflow.types import BIGINT, DATE, DOUBLE, JSONB, NESTED, REAL, STRINGS, TEXT, TIMESTAMP, ColumnType, Kind
from tests.planner.functions.domains import type_of

EXACT = Context(prec=200, rounding=ROUND_HALF_UP)
text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)
near = st.text("aéX%_\\ .", max_size=8)


def column(*values: str | None) -> pa.Array:
    return pa.array(values, pa.large_string())


def parsed(value: str, type_: ColumnType) -> Any:
    """The value, or None when it was refused."""
    values, errors = scalars.parse(column(value), 1, type_)
    assert (errors is None) == values[0].is_valid
    return values[0].as_py()


@given(st.one_of(st.integers(), st.integers(-(2**63) - 2, -(2**63) + 2), st.integers(2**63 - 2, 2**63 + 2)))
def test_integers(value: int) -> None:
    wanted = value if -(2**63) <= value < 2**63 else None
    assert parsed(f" {value}\n", BIGINT) == wanted
    assert parsed(f"{value}x", BIGINT) is None


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30), st.integers(0, 38))
@example(Decimal("0.5"), 0)
@example(Decimal("9.9999999999999999999999999999999999999999"), 37)
def test_decimals(value: Decimal, scale: int) -> None:
    exact = value.quantize(Decimal(1).scaleb(-scale), context=EXACT)
    wanted = exact if abs(exact) < Decimal(10) ** (38 - scale) else None
    for shown in (str(value), f"{value:f}"):
        assert parsed(shown, ColumnType(Kind.NUMERIC, None, scale)) == wanted
    if wanted is not None:
        columns = pa.array([wanted], pa.decimal128(38, scale))
        for type_ in (ColumnType(Kind.NUMERIC, None, scale), ColumnType(Kind.NUMERIC, 38, scale)):
            printed = scalars.format(columns, 1, type_)[0].as_py()
            assert printed == f"{abs(wanted) if wanted == 0 else wanted:f}"


@given(st.floats())
def test_doubles(value: float) -> None:
    printed = scalars.format(pa.array([value], pa.float64()), 1, DOUBLE)[0].as_py()
    back = parsed(printed, DOUBLE)
    assert (
        math.isnan(back) if math.isnan(value) else (back == value and math.copysign(1, back) == math.copysign(1, value))
    )
    if math.isfinite(value):
        # Python's repr is the shortest text too; only its layout differs.
        assert Decimal(printed) == Decimal(repr(value))
        assert len(Decimal(printed).normalize().as_tuple().digits) == len(
            Decimal(repr(value)).normalize().as_tuple().digits
        )


@given(st.floats(width=32))
def test_reals(value: float) -> None:
    printed = scalars.format(pa.array([value], pa.float32()), 1, REAL)[0].as_py()
    back = parsed(printed, REAL)
    assert math.isnan(back) if math.isnan(value) else back == value


@given(st.dates())
def test_dates(value: date) -> None:
    assert parsed(value.isoformat(), DATE) == value
    assert parsed(value.strftime("%Y").zfill(4) + value.strftime("%m%d"), DATE) == value
    assert scalars.format(pa.array([value], pa.date32()), 1, DATE)[0].as_py() == value.isoformat()


@given(st.datetimes(), st.integers(-15 * 60, 15 * 60))
def test_timestamps(value: datetime, minutes: int) -> None:
    assert parsed(value.isoformat(sep=" "), TIMESTAMP) == value
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    assume(datetime(2, 1, 1) < value < datetime(9998, 1, 1))
    instant = parsed(value.isoformat() + zone, ColumnType(Kind.TIMESTAMPTZ))
    assert instant == value.replace(tzinfo=UTC) - timedelta(minutes=minutes)


@given(st.text("0123456789-+:. TZeEnaifBC", max_size=24))
def test_nonsense_is_refused_or_read_but_never_breaks(value: str) -> None:
    for kind in Kind:
        if kind not in (*STRINGS, *NESTED):
            parsed(value, type_of(kind))


def canonical(value: Any) -> str:
    """One text for one jsonb value, from Python's."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return "{" + ", ".join(f"{canonical(key)}: {canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(canonical, value)) + "]"
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        shown = f"{Decimal(value):f}"
        shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
        return "0" if shown in ("-0", "") else shown
    return json.dumps(value, ensure_ascii=False)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | text | st.decimals(-1000, 1000, places=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
)


@given(documents)
def test_jsonb(document: Any) -> None:
    def plain(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ",".join(f"{json.dumps(key)} :{plain(inner)}" for key, inner in value.items()) + "}"
        if isinstance(value, list):
            return "[ " + ",\n".join(map(plain, value)) + "]"
        return str(value) if isinstance(value, Decimal) else json.dumps(value)

    shown = parsed(f"\t{plain(document)} ", JSONB)
    assert shown == canonical(document)
    assert parsed(shown, JSONB) == shown
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    assert scalars.json_typeof(column(shown), 1)[0].as_py() == kinds.get(type(document), "number")
    if isinstance(document, dict):
        for key in [*document, "missing"]:
            got = scalars.json_get(column(shown), column(key), 1, False)[0].as_py()
            assert got == (canonical(document[key]) if key in document else None)
            as_text = scalars.json_get(column(shown), column(key), 1, True)[0].as_py()
            inner = document.get(key)
            assert as_text == (inner if isinstance(inner, str) else None if inner is None else canonical(inner))
    check_expanded(document, shown)
    if isinstance(document, list):
        assert scalars.json_array_length(column(shown), 1)[0][0].as_py() == len(document)
        for index in range(-len(document) - 1, len(document) + 1):
            got = scalars.json_get(column(shown), pa.array([index], pa.int32()), 1, False)[0].as_py()
            inside = -len(document) <= index < len(document)
            assert got == (canonical(document[index]) if inside else None)


def check_expanded(document: Any, shown: str) -> None:
    """The members of a document among NULLs, as jsonb and as text."""
    for is_object, as_text in ((False, False), (False, True), (True, False), (True, True)):
        counts, keys, values, errors = scalars.json_expand(
            pa.array([None, shown, shown, None], TEXT.arrow), 4, "jsonb_each", is_object=is_object, as_text=as_text
        )
        if not isinstance(document, dict if is_object else list):
            assert counts.to_pylist() == [0] * 4
            assert errors is not None
            assert errors.is_valid().to_pylist() == [False, True, True, False]
            continue
        assert errors is None
        assert counts.to_pylist() == [0, len(document), len(document), 0]
        order = sorted(document, key=lambda k: (len(k.encode()), k.encode())) if is_object else range(len(document))
        inner = [document[place] for place in order]
        texts = [value if isinstance(value, str) else None if value is None else canonical(value) for value in inner]
        assert values.to_pylist() == 2 * (texts if as_text else [canonical(value) for value in inner])
        assert keys.to_pylist() == (2 * list(order) if is_object else [])


def run(function: TextFunction, *args: str | int) -> str:
    columns = [column(arg) if isinstance(arg, str) else pa.array([arg], pa.int32()) for arg in args]
    values, errors = scalars.text(int(function), columns, 1)
    assert errors is None
    return str(values[0].as_py())


@given(text, st.integers(-15, 15), st.integers(0, 15), near)
def test_cutting_and_padding(value: str, n: int, length: int, fill: str) -> None:
    assert run(TextFunction.LEFT, value, n) == (value[:n] if n >= 0 else value[: max(len(value) + n, 0)])
    assert run(TextFunction.RIGHT, value, n) == (value[max(len(value) - n, 0) :] if n >= 0 else value[-n:])
    window = [c for place, c in enumerate(value, 1) if n <= place < n + length]
    assert run(TextFunction.SUBSTRING, value, n, length) == "".join(window)
    assert run(TextFunction.SUBSTRING, value, n) == value[max(n, 1) - 1 :]
    assert run(TextFunction.REVERSE, value) == value[::-1]
    assert run(TextFunction.REPEAT, value, n) == value * max(n, 0)
    missing = max(length - len(value), 0)
    filling = (fill * (missing + 1))[:missing]
    assert run(TextFunction.LPAD, value, length, fill) == (filling + value)[: len(filling) + min(len(value), length)]
    assert run(TextFunction.RPAD, value, length, fill) == value[:length] + filling
    assert scalars.length(column(value), 1, False)[0][0].as_py() == len(value)
    assert scalars.length(column(value), 1, True)[0][0].as_py() == len(value.encode())
    assert scalars.digest(column(value), 1, False)[0][0].as_py() == hashlib.md5(value.encode()).hexdigest()
    assert scalars.digest(column(value), 1, True)[0][0].as_py() == hashlib.sha256(value.encode()).digest()


@given(st.binary(max_size=300))
def test_digests_of_every_length(value: bytes) -> None:
    data = pa.array([value], pa.large_binary())
    assert scalars.digest(data, 1, False)[0][0].as_py() == hashlib.md5(value).hexdigest()
    assert scalars.digest(data, 1, True)[0][0].as_py() == hashlib.sha256(value).digest()


@given(near, near, near)
def test_searching(value: str, part: str, other: str) -> None:
    assert run(TextFunction.REPLACE, value, part, other) == (value.replace(part, other) if part else value)
    assert run(TextFunction.BTRIM, value, part) == (value.strip(part) if part else value)
    assert run(TextFunction.LTRIM, value, part) == (value.lstrip(part) if part else value)
    assert run(TextFunction.RTRIM, value, part) == (value.rstrip(part) if part else value)
    assert scalars.position(column(value), column(part), 1)[0][0].as_py() == value.find(part) + 1
    assert scalars.starts_with(column(value), column(part), 1)[0][0].as_py() is value.startswith(part)
    fields = value.split(part) if part else [value]
    for n in range(-len(fields) - 1, len(fields) + 2):
        if n != 0:
            place = n - 1 if n > 0 else len(fields) + n
            assert run(TextFunction.SPLIT_PART, value, part, n) == (fields[place] if 0 <= place < len(fields) else "")


@given(near, near)
def test_like(value: str, pattern: str) -> None:
    assume(not re.search(r"(?<!\\)(\\\\)*\\$", pattern))
    expression, at = "", 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            at += 1
            expression += re.escape(pattern[at])
        else:
            expression += {"%": "(?s:.*)", "_": "(?s:.)"}.get(character, re.escape(character))
        at += 1
    wanted = re.fullmatch(expression, value) is not None
    assert scalars.like(column(value), column(pattern), 1, False)[0].to_pylist() == [wanted]
    assert scalars.like(column(value), column(pattern), 1, True)[0].to_pylist() == [not wanted]
