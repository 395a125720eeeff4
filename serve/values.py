"""Values in URLs: text to a typed scalar, the inverse of how values are written in JSON answers (`dataflow.json`).

Always true: what an answer shows, `?column=` and a key's path segment find again. Text that is no value of the type is
refused with PostgreSQL's words and code. Deliberately unknown: columns and views.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation

import pyarrow as pa

from dataflow.types import NUMERIC_PRECISION, ColumnType, Kind


class BadValue(ValueError):  # noqa: N818  (the value is bad; nothing went wrong here)
    """The text is no value of the type. `code` is the SQLSTATE, `hint` what to write instead."""

    def __init__(self, message: str, code: str = "22P02", hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


_BITS = {Kind.SMALLINT: 16, Kind.INTEGER: 32, Kind.BIGINT: 64}
_INTEGER = re.compile(r"[+-]?[0-9]{1,100}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?")
_SPECIAL = {"nan", "infinity", "-infinity", "inf", "-inf"}
_BOOLEANS = {"true": True, "t": True, "yes": True, "on": True, "1": True} | {
    "false": False,
    "f": False,
    "no": False,
    "off": False,
    "0": False,
}
_DIGITS = Context(prec=200)
_ISO = "write it as ISO 8601, as in answers; in a query a + has to be written %2B"


def parse_value(text: str, type_: ColumnType) -> pa.Scalar | None:
    """The value, of the type's Arrow type; None when it is a value that no row of the type can equal. BadValue else."""
    value = _READERS[type_.kind](text, type_)
    return None if value is None else pa.scalar(value, type_.arrow)


def _bad(text: str, type_: ColumnType, hint: str | None = None) -> BadValue:
    return BadValue(f'invalid input syntax for type {type_.kind.value}: "{text}"', hint=hint)


def _text(text: str, _: ColumnType) -> str:
    if "\0" in text:
        raise BadValue("a text holds no zero byte", "22021")
    return text


def _boolean(text: str, type_: ColumnType) -> bool:
    if (value := _BOOLEANS.get(text.lower())) is None:
        raise _bad(text, type_, "write true or false")
    return value


def _integer(text: str, type_: ColumnType) -> int:
    if not _INTEGER.fullmatch(text):
        raise _bad(text, type_)
    value, limit = int(text), 1 << (_BITS[type_.kind] - 1)
    if not -limit <= value < limit:
        raise BadValue(f'value "{text}" is out of range for type {type_.kind.value}', "22003")
    return value


def _numeric(text: str, type_: ColumnType) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        raise _bad(text, type_)
    value = Decimal(text)
    try:
        fitted = value.quantize(Decimal(1).scaleb(-type_.decimal_scale), context=_DIGITS)
    except InvalidOperation:  # more digits than any numeric has
        return None
    return fitted if fitted == value and len(fitted.as_tuple().digits) <= NUMERIC_PRECISION else None


def _float(text: str, type_: ColumnType) -> float:
    if not (_NUMBER.fullmatch(text) or text.lower() in _SPECIAL):
        raise _bad(text, type_)
    return float(text)


def _date(text: str, type_: ColumnType) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _bad(text, type_, "write it as ISO 8601, as in answers") from None


def _timestamp(text: str, type_: ColumnType) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise _bad(text, type_, _ISO) from None
    if type_.kind is Kind.TIMESTAMP:
        if value.tzinfo is not None:
            raise _bad(text, type_, "the column has no time zone; leave it out")
        return value
    try:
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise _bad(text, type_, _ISO) from None


def _bytea(text: str, type_: ColumnType) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _bad(text, type_, "write it as base64, as in answers; in a path / has to be written %2F") from None


def _jsonb(_: str, __: ColumnType) -> None:
    raise BadValue(
        "jsonb columns cannot be compared in a URL", "0A000", "give the view a column with the part to look for"
    )


_READERS: dict[Kind, Callable[[str, ColumnType], object]] = {
    Kind.BOOLEAN: _boolean,
    Kind.SMALLINT: _integer,
    Kind.INTEGER: _integer,
    Kind.BIGINT: _integer,
    Kind.NUMERIC: _numeric,
    Kind.REAL: _float,
    Kind.DOUBLE: _float,
    Kind.TEXT: _text,
    Kind.DATE: _date,
    Kind.TIMESTAMP: _timestamp,
    Kind.TIMESTAMPTZ: _timestamp,
    Kind.JSONB: _jsonb,
    Kind.BYTEA: _bytea,
}
