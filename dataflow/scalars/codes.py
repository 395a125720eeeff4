"""Numbers by which the kernels of `dataflow.scalars` know kinds of types, operators and functions.

Always true: the order of each is the contract with the kernel.
"""

from __future__ import annotations

from enum import IntEnum

from dataflow.types import Kind

_KINDS = (
    Kind.BOOLEAN,
    Kind.SMALLINT,
    Kind.INTEGER,
    Kind.BIGINT,
    Kind.NUMERIC,
    Kind.REAL,
    Kind.DOUBLE,
    Kind.TEXT,
    Kind.DATE,
    Kind.TIMESTAMP,
    Kind.TIMESTAMPTZ,
    Kind.JSONB,
    Kind.BYTEA,
    Kind.INTERVAL,
    Kind.TIME,
    Kind.UUID,
    Kind.CHAR,
    Kind.VARCHAR,
)
KIND_CODE = {kind: code for code, kind in enumerate(_KINDS)}


class Comparison(IntEnum):
    """The comparison operators; the last two treat NULL as a value and never give NULL."""

    EQUAL = 0
    NOT_EQUAL = 1
    LESS = 2
    LESS_EQUAL = 3
    GREATER = 4
    GREATER_EQUAL = 5
    DISTINCT = 6
    NOT_DISTINCT = 7


class Arithmetic(IntEnum):
    """The arithmetic operators; MODULO is not for floats."""

    ADD = 0
    SUBTRACT = 1
    MULTIPLY = 2
    DIVIDE = 3
    MODULO = 4


class Sign(IntEnum):
    """Functions of a number's sign; SIGN of a decimal has scale 0, the others keep the scale."""

    NEGATE = 0
    ABSOLUTE = 1
    SIGN = 2


class Rounding(IntEnum):
    """Ways to drop digits of a decimal; NEAREST takes halves away from zero."""

    NEAREST = 0
    TRUNCATE = 1
    FLOOR = 2
    CEILING = 3


class Math(IntEnum):
    """Functions of a double; ROUND takes halves to even."""

    CEIL = 0
    FLOOR = 1
    ROUND = 2
    TRUNC = 3
    SQRT = 4
    EXP = 5
    LN = 6
    LOG10 = 7


class TextFunction(IntEnum):
    """Functions of text and integers, with PostgreSQL's arguments in PostgreSQL's order, none left out but SUBSTRING's last."""

    SUBSTRING = 0
    LEFT = 1
    RIGHT = 2
    BTRIM = 3
    LTRIM = 4
    RTRIM = 5
    REPLACE = 6
    SPLIT_PART = 7
    LPAD = 8
    RPAD = 9
    REPEAT = 10
    REVERSE = 11
    LIKE_ESCAPE = 12


FIELD_CODE = {
    "microseconds": 0,
    "milliseconds": 1,
    "second": 2,
    "minute": 3,
    "hour": 4,
    "day": 5,
    "week": 6,
    "month": 7,
    "quarter": 8,
    "year": 9,
    "decade": 10,
    "century": 11,
    "millennium": 12,
    "isoyear": 13,
    "dow": 14,
    "isodow": 15,
    "doy": 16,
    "epoch": 17,
}
"""Fields of a date or timestamp; those up to millennium are also units of truncation."""
