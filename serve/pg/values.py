"""Types and parameters on the wire: oids, sizes, and the bytes of a parameter as a typed literal.

Always true: what a parameter's bytes say is what the same value says in a row; bytes that are no value of the type are refused
with PostgreSQL's words and code. Deliberately unknown: queries and messages.
"""

from __future__ import annotations

import math
import re
import struct
import uuid
from collections.abc import Callable

import pyarrow as pa

from dataflow import scalars
from dataflow.types import (
    BIGINT,
    BOOLEAN,
    BYTEA,
    CHAR,
    DATE,
    DOUBLE,
    INTEGER,
    INTERVAL,
    JSONB,
    NESTED,
    NUMERIC,
    REAL,
    SMALLINT,
    STRINGS,
    TEXT,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    VARCHAR,
    ColumnType,
    Kind,
)
from planner.functions.system import ARRAY_OIDS, OIDS
from planner.scalar import Literal
from serve.sql.errors import QueryError, code_of

UNKNOWN = 705

_TYPES = {
    OIDS[type_.kind]: type_
    for type_ in (
        BOOLEAN, SMALLINT, INTEGER, BIGINT, NUMERIC, REAL, DOUBLE, TEXT, DATE, TIMESTAMP, TIMESTAMPTZ, JSONB, BYTEA, INTERVAL,
        TIME, UUID, CHAR, VARCHAR,
    )
} | {
    number: ColumnType(kind).array for kind, number in ARRAY_OIDS.items() if kind is not Kind.RECORD
} | {19: TEXT, 26: BIGINT, 114: JSONB, 2205: BIGINT}  # fmt: skip
"""What a client may declare a parameter to be; name, oid, json and regclass as what is nearest here."""

EPOCH_DAYS = 10_957
EPOCH_MICROS = EPOCH_DAYS * 86_400_000_000


def declared(number: int) -> ColumnType | None:
    """The type of a parameter that the client declares; None when it leaves that to the server. QueryError for other types."""
    if number in (0, UNKNOWN):
        return None
    if (type_ := _TYPES.get(number)) is None:
        raise QueryError(
            "0A000",
            f"a parameter of the type with oid {number} is not supported",
            hint="send it as text with no type, and cast it in the query",
        )
    return type_


def literal(data: bytes | None, binary: bool, type_: ColumnType, number: int) -> Literal:
    """The value of parameter `number`. QueryError when the bytes are no value of the type."""
    if data is None:
        return Literal(None, type_)
    try:
        if binary and (type_.parts or (type_.element is not None and type_.element.parts)):
            raise QueryError("0A000", f"a parameter of type {type_} in binary is not supported", hint="send it as text")
        if binary and type_.element is not None:
            return _from_text(_array(data, type_.element), type_, number)
        if binary:
            return Literal(_BINARY[type_.kind](data), type_)
        return _from_text(data.decode(), type_, number)
    except UnicodeDecodeError:
        raise QueryError("22021", f'invalid byte sequence for encoding "UTF8" in parameter ${number}') from None
    except (struct.error, ValueError, OverflowError):
        raise QueryError("22P03", f"incorrect binary data format in bind parameter {number}") from None


def _from_text(text: str, type_: ColumnType, number: int) -> Literal:
    if "\0" in text:
        raise QueryError("22021", f'invalid byte sequence for encoding "UTF8": 0x00 in parameter ${number}')
    if type_.kind in STRINGS:
        return Literal(text.rstrip(" ") if type_.kind is Kind.CHAR else text, type_)
    if len(text) <= _DIGITS.get(type_.kind, 0) and text.isascii() and text.removeprefix("-").isdigit():
        return Literal(int(text), type_)
    values, errors = scalars.parse(pa.array([text], pa.large_string()), 1, type_)
    if errors is not None and errors[0].is_valid:
        message = str(errors[0])
        raise QueryError(code_of(message, "22P02"), message, detail=f"in the value of parameter ${number}")
    if type_.kind in (
        Kind.NUMERIC,
        Kind.DATE,
        Kind.TIMESTAMP,
        Kind.TIMESTAMPTZ,
        Kind.INTERVAL,
        Kind.TIME,
        Kind.UUID,
        Kind.ARRAY,
        *NESTED,
    ):
        return Literal(scalars.format(values, 1, type_)[0].as_py(), type_)
    return Literal(values[0].as_py(), type_)


_DIGITS = {Kind.SMALLINT: 4, Kind.INTEGER: 9, Kind.BIGINT: 18}
"""So many digits are a value of the type whatever they are."""


def _written(value: object, type_: ColumnType) -> str:
    """A value of an Arrow type as PostgreSQL's text."""
    return str(scalars.format(pa.array([value], _MICROS.get(type_.kind, pa.int32())).view(type_.arrow), 1, type_)[0])


_MICROS = {Kind.TIMESTAMP: pa.int64(), Kind.TIMESTAMPTZ: pa.int64(), Kind.TIME: pa.int64()}


def _number(code: str) -> Callable[[bytes], int | float]:
    unpack = struct.Struct(f"!{code}").unpack
    return lambda data: unpack(data)[0]


def _boolean(data: bytes) -> bool:
    if len(data) != 1:
        raise ValueError(len(data))
    return data != b"\0"


def _moment(type_: ColumnType) -> Callable[[bytes], str]:
    def read(data: bytes) -> str:
        micros = struct.unpack("!q", data)[0]
        if micros == (1 << 63) - 1 or micros == -(1 << 63):
            return "infinity" if micros > 0 else "-infinity"
        return _written(micros + EPOCH_MICROS, type_)

    return read


def _date(data: bytes) -> str:
    return _written(struct.unpack("!i", data)[0] + EPOCH_DAYS, DATE)


def _time(data: bytes) -> str:
    micros = struct.unpack("!q", data)[0]
    if not 0 <= micros <= 86_400_000_000:
        raise ValueError(micros)
    return _written(micros, TIME)


def _uuid(data: bytes) -> str:
    return str(uuid.UUID(bytes=data))


def _numeric(data: bytes) -> str:
    """PostgreSQL's numeric as text: groups of four digits, the first one's place, the sign, the digits behind the point."""
    count, weight, sign, scale = struct.unpack_from("!hhHh", data)
    groups = struct.unpack_from(f"!{count}h", data, 8)
    if len(data) != 8 + 2 * count or sign not in (0, 0x4000) or not all(0 <= group < 10_000 for group in groups):
        raise ValueError(sign)
    if scale < 0 or abs(weight) > 1000:
        raise ValueError(weight)
    places = dict(zip(range(weight, weight - count, -1), groups, strict=True))
    whole = "".join(f"{places.get(place, 0):04d}" for place in range(max(weight, 0), -1, -1)).lstrip("0") or "0"
    shown = min((scale + 3) // 4, max(count - 1 - weight, 0))  # behind the last group there is nothing
    fraction = "".join(f"{places.get(-place, 0):04d}" for place in range(1, shown + 1))[:scale]
    return f"{'-' if sign else ''}{whole}{'.' if fraction else ''}{fraction}"


def _text(data: bytes) -> str:
    text = data.decode()
    if "\0" in text:
        raise ValueError(text)
    return text


_DIMENSIONS = 6


def _array(data: bytes, element: ColumnType) -> str:
    """An array as its literal: how many dimensions, a flag, the elements' type, lengths and lower bounds, then the elements."""
    dimensions, _, number = struct.unpack_from("!iiI", data)
    if not 0 <= dimensions <= _DIMENSIONS or (
        dimensions and number != OIDS[element.kind] and _TYPES.get(number) != element
    ):
        raise ValueError(number)
    shape = [struct.unpack_from("!ii", data, 12 + 8 * d) for d in range(dimensions)]
    at, texts = 12 + 8 * dimensions, []
    while at < len(data):
        (size,) = struct.unpack_from("!i", data, at)
        at += 4
        if size > len(data) - at or size < -1:
            raise ValueError(size)
        texts.append(None if size < 0 else _element(data[at : at + size], element))
        at += max(size, 0)
    if len(texts) != (math.prod(length for length, _ in shape) if shape else 0) or any(n < 1 for n, _ in shape):
        raise ValueError(len(texts))
    bounds = "".join(f"[{low}:{low + length - 1}]" for length, low in shape)
    written: list[str] = ["NULL" if text is None else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"' for text in texts]
    for length, _ in reversed(shape):
        written = ["{" + ",".join(written[i : i + length]) + "}" for i in range(0, len(written), length)]
    return f"{bounds}={written[0]}" if shape else "{}"


def _element(data: bytes, element: ColumnType) -> str:
    value = _BINARY[element.kind](data)
    return "\\x" + value.hex() if isinstance(value, bytes) else str(value)


def _interval(data: bytes) -> str:
    micros, days, months = struct.unpack("!qii", data)
    text = f"{months} mons {days} days {micros} microseconds"
    return str(_from_text(text, INTERVAL, 0).value)


def _json(data: bytes) -> str:
    return _from_text(_text(data[1:] if data[:1] == b"\1" else data), JSONB, 0).value  # type: ignore[return-value]


_BINARY: dict[Kind, Callable[[bytes], bool | int | float | str | bytes]] = {
    Kind.BOOLEAN: _boolean,
    Kind.SMALLINT: _number("h"),
    Kind.INTEGER: _number("i"),
    Kind.BIGINT: _number("q"),
    Kind.REAL: _number("f"),
    Kind.DOUBLE: _number("d"),
    Kind.NUMERIC: _numeric,
    Kind.TEXT: _text,
    Kind.DATE: _date,
    Kind.TIMESTAMP: _moment(TIMESTAMP),
    Kind.TIMESTAMPTZ: _moment(TIMESTAMPTZ),
    Kind.JSONB: _json,
    Kind.BYTEA: bytes,
    Kind.INTERVAL: _interval,
    Kind.TIME: _time,
    Kind.UUID: _uuid,
    Kind.CHAR: lambda data: _text(data).rstrip(" "),
    Kind.VARCHAR: _text,
}
