"""Values in URLs: text to one typed value, the inverse of how values are written in JSON answers (`dataflow.json`).

Always true: what an answer shows, `?column=` and a key's path segment find again; PostgreSQL's spellings are read too. Text
that is no value of the type is refused with PostgreSQL's words and code. Deliberately unknown: columns and views.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation

import pyarrow as pa

from dataflow import scalars
from dataflow.types import NUMERIC_PRECISION, TIMESTAMPTZ, ColumnType, Kind


class BadValue(ValueError):  # noqa: N818  (the value is bad; nothing went wrong here)
    """The text is no value of the type. `code` is the SQLSTATE, `hint` what to write instead."""

    def __init__(self, message: str, code: str = "22P02", hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?")
_EXPANDED_YEAR = re.compile(r"([+-])([0-9]{6})(-.*)", re.DOTALL)
_DIGITS = Context(prec=200)
_HINTS = {
    Kind.BOOLEAN: "write true or false",
    Kind.DATE: "write it as ISO 8601, as in answers",
    Kind.TIMESTAMP: "write it as ISO 8601, as in answers",
    Kind.TIMESTAMPTZ: "write it as ISO 8601, as in answers; in a query a + has to be written %2B",
}


def parse_value(text: str, type_: ColumnType) -> pa.Array | None:
    """The value, as an array of one, of the type's Arrow type; None when it is one that no row of the type can equal.

    BadValue when the text is no value of the type.
    """
    if "\0" in text:
        raise BadValue("a value holds no zero byte", "22021")
    return _READERS.get(type_.kind, _parsed)(text, type_)


def parse_time(text: str) -> int:
    """Milliseconds since 1970: that number, or a timestamp. BadValue when the text is neither."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    found = parse_value(text, TIMESTAMPTZ)
    if found is None:
        raise BadValue(f'"{text}" is no time')
    return int(found.view(pa.int64())[0].as_py()) // 1000


_DURATION = re.compile(r"\s*(\d{1,10})\s*(us|ms|s|min|m|h|d)\s*", re.IGNORECASE)
_SECONDS = {"us": 1e-6, "ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(text: str) -> float:
    """A duration with its unit, as 5s or 500ms, above 0. BadValue when the text is none."""
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise BadValue(f'"{text}" is no duration', "22023")
    return int(found[1]) * _SECONDS[found[2].lower()]


def _parsed(text: str, type_: ColumnType) -> pa.Array:
    """Any type's text in PostgreSQL's spelling, which the JSON spelling is too."""
    values, errors = scalars.parse(pa.array([text], pa.large_string()), 1, type_)
    if errors is not None and errors[0].is_valid:
        message = str(errors[0])
        raise BadValue(message, "22003" if "out of range" in message else "22P02", _HINTS.get(type_.kind))
    return values


def _text(text: str, type_: ColumnType) -> pa.Array:
    return pa.array([text], type_.arrow)


def _time(text: str, type_: ColumnType) -> pa.Array:
    if found := _EXPANDED_YEAR.fullmatch(text):
        # ISO 8601 counts a year 0, which is 1 BC; PostgreSQL does not.
        sign, year, rest = found.groups()
        text = f"{int(year):04d}{rest}" if sign == "+" else f"{int(year) + 1:04d}{rest} BC"
    return _parsed(text, type_)


def _numeric(text: str, type_: ColumnType) -> pa.Array | None:
    """Unlike a cast, does not round: 1.005 equals no numeric(12,2)."""
    if not _NUMBER.fullmatch(text):
        raise BadValue(f'invalid input syntax for type numeric: "{text}"')
    value = Decimal(text)
    try:
        fitted = value.quantize(Decimal(1).scaleb(-type_.decimal_scale), context=_DIGITS)
    except InvalidOperation:  # more digits than any numeric has
        return None
    if fitted != value or len(fitted.as_tuple().digits) > NUMERIC_PRECISION:
        return None
    return pa.array([fitted], type_.arrow)


def _bytea(text: str, type_: ColumnType) -> pa.Array:
    try:
        return pa.array([base64.b64decode(text, validate=True)], type_.arrow)
    except (binascii.Error, ValueError):
        hint = "write it as base64, as in answers; in a path / has to be written %2F"
        raise BadValue(f'invalid input syntax for type bytea: "{text}"', hint=hint) from None


_READERS: dict[Kind, Callable[[str, ColumnType], pa.Array | None]] = {
    Kind.NUMERIC: _numeric,
    Kind.TEXT: _text,
    Kind.VARCHAR: _text,
    Kind.CHAR: lambda text, type_: _text(text.rstrip(" "), type_),
    Kind.DATE: _time,
    Kind.TIMESTAMP: _time,
    Kind.TIMESTAMPTZ: _time,
    Kind.BYTEA: _bytea,
}
