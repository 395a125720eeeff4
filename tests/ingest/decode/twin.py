"""What the native decoder must equal: the same rules in plain Python over the standard library's json."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Sequence
from datetime import date
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from dataflow.types import Column, ColumnType, Kind, Schema
from ingest.decode.json import MAXIMUM_DEPTH

EPOCH = date(1970, 1, 1).toordinal()
LAST_MICROSECOND = (date.max.toordinal() + 1 - EPOCH) * 86_400_000_000 - 1
FIRST_MICROSECOND = (1 - EPOCH) * 86_400_000_000
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
DECIMAL = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?", re.ASCII)
TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?([Zz]|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
RANGES = {Kind.SMALLINT: 2**15, Kind.INTEGER: 2**31, Kind.BIGINT: 2**63}


class Bad(Exception):
    """The message cannot be decoded."""


class Number(str):
    """A JSON number as it was written."""


class Object(list[tuple[str, Any]]):
    """The members of a JSON object in order, doubles included."""


def parse(message: bytes) -> Any:
    """A JSON text with numbers and objects as written; Bad when it is not RFC 8259 or nested too deep."""

    def refuse(word: str) -> Any:
        raise Bad(word)

    try:
        value = json.loads(
            message.decode(), parse_int=Number, parse_float=Number, parse_constant=refuse, object_pairs_hook=Object
        )
    except (ValueError, RecursionError) as error:
        raise Bad("not JSON") from error
    check(value, 0)
    return value


def check(value: Any, depth: int) -> None:
    """What json lets through: unpaired surrogates and any depth."""
    if isinstance(value, list) and depth >= MAXIMUM_DEPTH:
        raise Bad("too deep")
    if isinstance(value, Object):
        for key, item in value:
            check(key, depth)
            check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check(item, depth + 1)
    elif isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        raise Bad("unpaired surrogate")


def decode_json(schema: Schema, messages: Sequence[bytes | None], nulls: bool, scalar: bool) -> dict[int, list[Any]]:
    """The values of every good message by its place. nulls: a missing message is a row of NULLs."""
    rows: dict[int, list[Any]] = {}
    for place, message in enumerate(messages):
        try:
            if message is None:
                if not nulls:
                    raise Bad("null")
                rows[place] = [None] * len(schema)
            else:
                rows[place] = row(schema, parse(message), scalar)
        except Bad:
            continue
    return rows


def row(schema: Schema, value: Any, scalar: bool) -> list[Any]:
    if not isinstance(value, Object):
        if not scalar:
            raise Bad("not an object")
        return [convert(schema[0], value)]
    found: dict[str, Any] = {}
    names = {column.name for column in schema}
    for key, item in value:
        if key in names and key in found:
            raise Bad("twice")
        found[key] = item
    return [convert(column, found.get(column.name)) for column in schema]


def convert(column: Column, value: Any) -> Any:
    """A JSON value as a value of the column, in pyarrow's Python form."""
    kind = column.type.kind
    if value is None:
        if not column.nullable:
            raise Bad("null")
        return None
    if kind is Kind.JSONB:
        return canonical(value)
    if kind is Kind.BOOLEAN and isinstance(value, bool):
        return value
    if isinstance(value, Number):
        return from_number(column.type, value)
    if isinstance(value, str):
        return from_text(column.type, value)
    raise Bad("another kind")


def from_number(type: ColumnType, text: str) -> Any:
    kind = type.kind
    integral = re.fullmatch(r"-?\d+", text) is not None
    if kind in RANGES and integral:
        return within(int(Decimal(text)), -RANGES[kind], RANGES[kind] - 1)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ) and integral:
        return within(int(Decimal(text)) * 1000, FIRST_MICROSECOND, LAST_MICROSECOND)
    if kind is Kind.NUMERIC:
        return decimal(type, text)
    if kind in (Kind.REAL, Kind.DOUBLE):
        return floating(kind, text)
    raise Bad("a number")


def from_text(type: ColumnType, text: str) -> Any:
    kind = type.kind
    if kind is Kind.TEXT:
        if "\0" in text:
            raise Bad("zero character")
        return text
    if kind is Kind.NUMERIC:
        return decimal(type, text.strip(" \t\n\v\f\r"))
    if kind is Kind.DATE:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            raise Bad("form")
        return days(text)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return timestamp(kind, text)
    if kind is Kind.BYTEA and BASE64.fullmatch(text):
        return base64.b64decode(text)
    raise Bad("a string")


def within(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise Bad("range")
    return value


def days(text: str) -> int:
    try:
        return date.fromisoformat(text).toordinal() - EPOCH
    except ValueError as error:
        raise Bad("range") from error


def timestamp(kind: Kind, text: str) -> int:
    found = TIMESTAMP.fullmatch(text)
    if not found:
        raise Bad("form")
    hour, minute, second = int(found[2] or 0), int(found[3] or 0), int(found[4] or 0)
    digits = (found[5] or "").ljust(7, "0")
    fraction = int(digits[:6]) + (digits[6] >= "5")
    zone = (found[6] or "").replace(":", "")
    east = 0
    if zone not in ("", "Z", "z"):
        hours, minutes = int(zone[1:3]), int(zone[3:] or 0)
        within(hours, 0, 15)
        within(minutes, 0, 59)
        east = (hours * 60 + minutes) * (-60 if zone[0] == "-" else 60)
        if kind is Kind.TIMESTAMP and east:
            raise Bad("offset")
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second or fraction)):
        raise Bad("range")
    micros = ((days(found[1]) * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + fraction
    return within(micros - east * 1_000_000, FIRST_MICROSECOND, LAST_MICROSECOND)


def decimal(type: ColumnType, text: str) -> Decimal:
    """The exact value at the column's scale, rounded half away from zero."""
    found = DECIMAL.fullmatch(text)
    if not found or not (found[2] or found[3]):
        raise Bad("form")
    digits = found[2] + (found[3] or "")
    exponent = min(max(int(Decimal(found[4] or 0)), -5000), 5000) - len(found[3] or "") + type.decimal_scale
    number = Fraction(int(digits)) * Fraction(10) ** exponent
    count = math.floor(number + Fraction(1, 2))
    if count >= 10 ** (type.precision or 38):
        raise Bad("range")
    return Decimal(-count if found[1] == "-" else count).scaleb(-type.decimal_scale, Context(prec=60))


def floating(kind: Kind, text: str) -> float:
    """The nearest double or real, rounded once; overflow and a value that vanishes to zero are out of range."""
    value = float(text)
    if kind is Kind.REAL:
        value = nearest_real(text, value)
    if math.isinf(value) or (value == 0 and re.search("[1-9]", re.split("[eE]", text)[0])):
        raise Bad("range")
    return value


def nearest_real(text: str, near: float) -> float:
    """Rounding a double again would round twice: choose among the neighbours by the exact distance."""
    if not 1e-60 < abs(near) < 1e60:
        return math.copysign(0.0 if abs(near) < 1 else math.inf, near)
    exact = Fraction(text)
    if abs(exact) >= 2**128 - 2**103:
        return math.inf
    with np.errstate(over="ignore"):
        middle = (
            np.float32(near) if np.isfinite(np.float32(near)) else np.copysign(np.finfo("f4").max, np.float32(near))
        )
        around = (np.nextafter(middle, np.float32(-np.inf)), middle, np.nextafter(middle, np.float32(np.inf)))
    candidates = [np.float32(c) for c in around if np.isfinite(c)]
    return float(min(candidates, key=lambda c: (abs(Fraction(float(c)) - exact), int(c.view("u4")) & 1)))


def canonical(value: Any) -> str:
    """Canonical jsonb text."""
    if isinstance(value, Object):
        members = {key: canonical(item) for key, item in value}
        if len(members) < len(value):
            raise Bad("twice")
        ordered = sorted(members, key=lambda key: (len(key.encode()), key.encode()))
        return "{" + ", ".join(f"{quoted(key)}: {members[key]}" for key in ordered) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(canonical, value)) + "]"
    if isinstance(value, Number):
        return plain(value)
    if isinstance(value, str):
        return quoted(value)
    return "null" if value is None else "true" if value else "false"


def quoted(text: str) -> str:
    if "\0" in text:
        raise Bad("zero character")
    return json.dumps(text, ensure_ascii=False)


def plain(text: str) -> str:
    """A number without exponent, leading or trailing zeros."""
    found = DECIMAL.fullmatch(text)
    assert found
    whole, fraction, exponent = found[2], found[3] or "", int(Decimal(found[4] or 0))
    digits = (whole + fraction).lstrip("0")
    point = len(digits) - len(fraction) + exponent
    digits = digits.rstrip("0")
    if not digits:
        return "0"
    if len(digits) > 1000 or not -1000 <= point <= 1000:
        raise Bad("range")
    if point <= 0:
        body = "0." + "0" * -point + digits
    elif point >= len(digits):
        body = digits + "0" * (point - len(digits))
    else:
        body = digits[:point] + "." + digits[point:]
    return found[1] + body


def decode_text(column: Column, messages: Sequence[bytes | None], nulls: bool) -> dict[int, list[Any]]:
    """The same for key_format text."""
    rows: dict[int, list[Any]] = {}
    for place, message in enumerate(messages):
        try:
            if message is None:
                if not nulls:
                    raise Bad("null")
                rows[place] = [None]
            else:
                rows[place] = [plain_text(column, message)]
        except Bad:
            continue
    return rows


def plain_text(column: Column, message: bytes) -> Any:
    kind = column.type.kind
    if kind is Kind.BYTEA:
        return message
    if kind in (Kind.TEXT, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        try:
            return from_text(column.type, message.decode())
        except UnicodeDecodeError as error:
            raise Bad("UTF-8") from error
    if kind is not Kind.JSONB and message.lstrip(b" \t\n\r")[:1] in (b"", b'"', b"n", b"\0"):
        raise Bad("form")
    return convert(column, parse(message))
