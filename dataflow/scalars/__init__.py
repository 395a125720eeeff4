"""Scalar functions over columns by PostgreSQL's rules: the typed face of the kernel module `_scalars`.

Always true: an argument has `rows` rows, or one that stands for all of them; the result has `rows` rows. NULL in, NULL out,
except where a function says otherwise. A row that fails is NULL in `values` and has its message in `errors` (None when no
row failed). ValueError means a caller's mistake (wrong type or length), never bad data.
Deliberately unknown here: the names of SQL functions and which types they take (planner.functions).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import TypeAlias

import pyarrow as pa

from dataflow.scalars.codes import KIND_CODE
from dataflow.scalars.kernels import _scalars
from dataflow.types import NESTED, NUMERIC_PRECISION, ColumnType, Kind

Result: TypeAlias = tuple[pa.Array, pa.Array | None]
"""(values, errors): what `dataflow.expression.Evaluated` names; a plain tuple is cheaper to make on every call."""

_import = pa.Array._import_from_c_capsule


def _column(raw: tuple[object, object]) -> pa.Array:
    return _import(*raw)


def _result(raw: tuple[tuple[object, object], tuple[object, object] | None]) -> Result:
    values, errors = raw
    return _import(*values), None if errors is None else _import(*errors)


def compare(op: int, a: pa.Array, b: pa.Array, rows: int) -> pa.Array:
    """Compare two columns of one kind (decimals of any scales) by a `Comparison`; boolean."""
    return _column(_scalars.compare(op, a, b, rows))


def arithmetic(op: int, a: pa.Array, b: pa.Array, rows: int) -> Result:
    """An `Arithmetic` of two columns of the same integer or float type; errors: overflow, underflow, division by zero."""
    return _result(_scalars.arithmetic(op, a, b, rows))


def decimal_arithmetic(op: int, a: pa.Array, b: pa.Array, rows: int, scale: int) -> Result:
    """An `Arithmetic` of two decimals of any scales, exact, rounded half away from zero to `scale`.

    Add, subtract and modulo need the larger of both scales; multiply takes at most their sum.
    """
    return _result(_scalars.decimal_arithmetic(op, a, b, rows, scale))


def sign(op: int, values: pa.Array, rows: int) -> Result:
    """A `Sign` function of a number."""
    return _result(_scalars.sign(op, values, rows))


def decimal_round(mode: int, values: pa.Array, digits: pa.Array, rows: int, scale: int) -> Result:
    """Round decimals by a `Rounding` to `digits` (int32; negative: before the point), into decimals of `scale`."""
    return _result(_scalars.decimal_round(mode, values, digits, rows, scale))


def math(function: int, values: pa.Array, rows: int) -> Result:
    """A `Math` function of doubles."""
    return _result(_scalars.math(function, values, rows))


def power(base: pa.Array, exponent: pa.Array, rows: int) -> Result:
    """base to the exponent, doubles."""
    return _result(_scalars.power(base, exponent, rows))


def shift(values: pa.Array, distances: pa.Array, rows: int, right: bool) -> Result:
    """Bits of integers shifted by int32 distances, modulo 64 for bigint and 32 for the others."""
    return _result(_scalars.shift(values, distances, rows, right))


def precision_of(type_: ColumnType) -> int:
    """Digits that a numeric may have in all."""
    return type_.precision or NUMERIC_PRECISION


def cast_number(values: pa.Array, rows: int, target: ColumnType) -> Result:
    """Any number (or boolean, to integers) as another number type; rounds, and fails where the range ends."""
    code = KIND_CODE[target.kind]
    if target.kind is Kind.NUMERIC:
        return _result(_scalars.cast_number(values, rows, code, precision_of(target), target.decimal_scale))
    return _result(_scalars.cast_number(values, rows, code, 0, 0))


def cast_time(values: pa.Array, rows: int, target: Kind) -> Result:
    """date -> timestamp or timestamptz (midnight), and back (the day); timestamps or intervals -> time; time -> interval."""
    return _result(_scalars.cast_time(values, rows, KIND_CODE[target]))


def _made_of_others(type_: ColumnType) -> ModuleType | None:
    """What reads and writes the types that are made of others, whose values are read and written by this module."""
    if type_.kind is not Kind.ARRAY and type_.kind not in NESTED:
        return None
    from dataflow.scalars import arrays, nested

    return arrays if type_.kind is Kind.ARRAY else nested


def parse(values: pa.Array, rows: int, target: ColumnType) -> Result:
    """Text as any other type but texts and records, with PostgreSQL's messages."""
    if (made_of := _made_of_others(target)) is not None:
        result: Result = made_of.parse(values, rows, target)
        return result
    precision, scale = (precision_of(target), target.decimal_scale) if target.kind is Kind.NUMERIC else (0, 0)
    return _result(_scalars.parse(values, rows, KIND_CODE[target.kind], precision, scale))


def format(values: pa.Array, rows: int, source: ColumnType, short_boolean: bool = False) -> pa.Array:
    """Any type but texts and jsonb as text; `short_boolean` writes t and f, as concat does."""
    if (made_of := _made_of_others(source)) is not None:
        return made_of.format(values, rows, source)
    return _column(_scalars.format(values, rows, KIND_CODE[source.kind], source.trims, short_boolean))


def text(function: int, values: Sequence[pa.Array], rows: int) -> Result:
    """A `TextFunction`."""
    return _result(_scalars.text(function, values, rows))


def like(value: pa.Array, pattern: pa.Array, rows: int, negated: bool) -> Result:
    """LIKE with a backslash as escape; LIKE_ESCAPE rewrites patterns that have another one."""
    return _result(_scalars.like([value, pattern], rows, negated))


def concat(
    values: Sequence[pa.Array], rows: int, strict: bool, separator: pa.Array | None, data: pa.DataType
) -> pa.Array:
    """Texts or bytes (`data`) in a row. strict: NULL when any is NULL; else NULLs are left out. A NULL separator gives NULL."""
    return _column(_scalars.concat(values, rows, strict, separator, "Z" if data == pa.large_binary() else "U"))


def length(values: pa.Array, rows: int, in_bytes: bool) -> Result:
    """Characters, or bytes, of text or bytes; int32."""
    return _result(_scalars.length(values, rows, in_bytes))


def position(values: pa.Array, parts: pa.Array, rows: int) -> Result:
    """Where `parts` first occurs in `values`, in characters from 1; 0 when it does not."""
    return _result(_scalars.position(values, parts, rows))


def starts_with(values: pa.Array, parts: pa.Array, rows: int) -> Result:
    """Whether `values` start with `parts`, bytewise."""
    return _result(_scalars.starts_with(values, parts, rows))


def digest(values: pa.Array, rows: int, sha256: bool) -> Result:
    """SHA-256 as bytes, or MD5 as hexadecimal text."""
    return _result(_scalars.digest(values, rows, sha256))


def extract(field: int, values: pa.Array, rows: int, scale: int) -> pa.Array:
    """A field (FIELD_CODE) of dates or timestamps, in UTC: a decimal of `scale`, or a double when `scale` is -1."""
    return _column(_scalars.extract(field, values, rows, scale))


def date_trunc(unit: int, values: pa.Array, rows: int) -> Result:
    """Timestamps cut down to a unit (FIELD_CODE up to millennium), in UTC."""
    return _result(_scalars.date_trunc(unit, values, rows))


def date_add(dates: pa.Array, days: pa.Array, sign: int, rows: int) -> Result:
    """Dates plus (sign 1) or minus (sign -1) int32 days."""
    return _result(_scalars.date_add(dates, days, sign, rows))


def date_difference(a: pa.Array, b: pa.Array, rows: int) -> Result:
    """Days from b to a; int32."""
    return _result(_scalars.date_difference(a, b, rows))


def to_timestamp(seconds: pa.Array, rows: int) -> Result:
    """Doubles, seconds since 1970, as timestamptz."""
    return _result(_scalars.to_timestamp(seconds, rows))


def json_get(values: pa.Array, keys: pa.Array, rows: int, as_text: bool) -> pa.Array:
    """`->` or, as text, `->>`: members by text keys, elements by int32 keys; NULL when there is none."""
    return _column(_scalars.json_get(values, keys, rows, as_text))


def json_cast(values: pa.Array, rows: int, target: ColumnType) -> Result:
    """jsonb scalars as boolean or numbers."""
    if target.kind is Kind.NUMERIC:
        return _result(_scalars.json_cast(values, rows, "d", precision_of(target), target.decimal_scale))
    return _result(_scalars.json_cast(values, rows, _FORMATS[target.kind], 0, 0))


_FORMATS = {
    Kind.BOOLEAN: "b",
    Kind.SMALLINT: "s",
    Kind.INTEGER: "i",
    Kind.BIGINT: "l",
    Kind.REAL: "f",
    Kind.DOUBLE: "g",
}


def json_expand(
    values: pa.Array, rows: int, name: str, *, is_object: bool, as_text: bool
) -> tuple[pa.Array, pa.Array, pa.Array, pa.Array | None]:
    """The elements of arrays, or with `is_object` the members of objects: (counts, keys, values, errors).

    counts: int64, one for each row, 0 where it is NULL or failed. keys (text; empty for arrays) and values (jsonb, or text as
    of ->>): those of all rows one after another. name: of the function, for messages.
    """
    counts, keys, members, errors = _scalars.json_expand(values, rows, is_object, as_text, name)
    return _column(counts), _column(keys), _column(members), None if errors is None else _column(errors)


def json_typeof(values: pa.Array, rows: int) -> pa.Array:
    """object, array, string, number, boolean or null."""
    return _column(_scalars.json_typeof(values, rows))


def json_array_length(values: pa.Array, rows: int) -> Result:
    """Elements of arrays; everything else is an error."""
    return _result(_scalars.json_array_length(values, rows))


def json_exists(values: pa.Array, keys: pa.Array, rows: int) -> Result:
    """`?`: whether a text is a member's key, an element, or the value itself."""
    return _result(_scalars.json_exists(values, keys, rows))


def json_contains(values: pa.Array, parts: pa.Array, rows: int) -> Result:
    """`@>`: whether each member and element of `parts` is, at the same depth, within `values`."""
    return _result(_scalars.json_contains(values, parts, rows))


def interval_add(a: pa.Array, b: pa.Array, sign: int, rows: int) -> Result:
    """Intervals plus (sign 1) or minus (sign -1) intervals, part by part."""
    return _result(_scalars.interval_add(a, b, sign, rows))


def interval_scale(values: pa.Array, factors: pa.Array, divide: bool, rows: int) -> Result:
    """Intervals times, or divided by, doubles; fractions of months become days, of days time."""
    return _result(_scalars.interval_scale(values, factors, divide, rows))


def interval_extract(field: int, values: pa.Array, rows: int, scale: int) -> pa.Array:
    """As `extract`, for the fields that intervals have: not those of weeks, of the year's days, nor isoyear."""
    return _column(_scalars.interval_extract(field, values, rows, scale))


def interval_trunc(unit: int, values: pa.Array, rows: int) -> Result:
    """Intervals cut down to a unit (FIELD_CODE up to millennium, but weeks)."""
    return _result(_scalars.interval_trunc(unit, values, rows))


def justify(part: int, values: pa.Array, rows: int) -> Result:
    """0: 24 hours become days, 1: 30 days become months, 2: both."""
    return _result(_scalars.interval_justify(part, values, rows))


def make_interval(parts: Sequence[pa.Array], rows: int) -> Result:
    """Years, months, weeks, days, hours and minutes (int32) and seconds (double)."""
    return _result(_scalars.make_interval(list(parts), rows))


def timestamp_shift(values: pa.Array, intervals: pa.Array, sign: int, rows: int) -> Result:
    """Timestamps plus or minus intervals: months first, a day beyond the month's end being its last, then days, then time."""
    return _result(_scalars.timestamp_shift(values, intervals, sign, rows))


def timestamp_difference(a: pa.Array, b: pa.Array, rows: int) -> Result:
    """a - b as an interval of days and time."""
    return _result(_scalars.timestamp_difference(a, b, rows))


def age(a: pa.Array, b: pa.Array, rows: int) -> Result:
    """a - b as an interval of years, months, days and time by the calendar."""
    return _result(_scalars.age(a, b, rows))


def time_shift(times: pa.Array, intervals: pa.Array, sign: int, rows: int) -> Result:
    """Times of day plus or minus the time of intervals, around midnight; months and days do not count."""
    return _result(_scalars.time_shift(times, intervals, sign, rows))


def time_difference(a: pa.Array, b: pa.Array, rows: int) -> Result:
    """a - b of times of day, as an interval."""
    return _result(_scalars.time_difference(a, b, rows))


def date_time(dates: pa.Array, times: pa.Array, rows: int) -> Result:
    """The timestamp of a date and a time of day."""
    return _result(_scalars.date_time(dates, times, rows))


def date_bin(strides: pa.Array, values: pa.Array, origins: pa.Array, rows: int) -> Result:
    """The start of the bin that each timestamp is in; bins are as long as `strides` and counted from `origins`."""
    return _result(_scalars.date_bin(strides, values, origins, rows))


def real(name: str, values: pa.Array, rows: int) -> Result:
    """A function of doubles by its SQL name: trigonometric and hyperbolic ones, cbrt, degrees, radians."""
    return _result(_scalars.real(name, values, rows))


def atan2(y: pa.Array, x: pa.Array, rows: int) -> Result:
    """The angle of the point (x, y), doubles."""
    return _result(_scalars.atan2(y, x, rows))


def common(a: pa.Array, b: pa.Array, rows: int, multiple: bool) -> Result:
    """The greatest common divisor, or the least common multiple, of int32 or int64."""
    return _result(_scalars.common(a, b, rows, multiple))


def width_bucket(values: pa.Array, lows: pa.Array, highs: pa.Array, counts: pa.Array, rows: int) -> Result:
    """Which of `counts` equal buckets from `lows` to `highs` doubles fall in: 0 below, counts + 1 at the end and beyond."""
    return _result(_scalars.width_bucket(values, lows, highs, counts, rows))
