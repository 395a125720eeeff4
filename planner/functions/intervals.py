"""Intervals and times of day: arithmetic with each other, with numbers, dates and timestamps; fields, units, `date_bin`.

Always true: months, days and time are kept apart, so that `date + interval '1 month'` is the same day of the next month (or
its last); fractions of a month become days (30 to a month), of a day time. A date beside an interval counts as the timestamp of
its midnight. Days of timestamptz are 24 hours, for its time zone is UTC. `age` with one argument reads the clock and is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from dataflow import scalars
from dataflow.scalars.codes import FIELD_CODE
from dataflow.types import DOUBLE, INTERVAL, NUMERIC, TIME, TIMESTAMP, ColumnType, Kind
from planner.functions.constants import specialised
from planner.functions.logic import first_errors
from planner.functions.registry import Function, Implementation, Operands, ResultRule, Site, fixed
from planner.functions.time import FIELDS, UNITS, field_error, field_name
from planner.functions.types import FunctionError, derived_numeric

INTERVAL_FIELDS = tuple(field for field in FIELDS if field not in ("week", "isoyear", "dow", "isodow", "doy"))
CLOCK_FIELDS = ("microseconds", "milliseconds", "second", "minute", "hour", "epoch")
INTERVAL_UNITS = tuple(unit for unit in UNITS if unit != "week")

_NOTHING = pa.array([(0, 0, 0)], INTERVAL.arrow)


def _checked(known: tuple[str, ...], text: object, type_: ColumnType = INTERVAL) -> str | None:
    """The folded name of a field that is known; None when it varies by row."""
    if not isinstance(text, str):
        return None
    if field_name(text) not in known:
        raise FunctionError(field_error(text, type_), f"{type_} has {', '.join(known)}")
    return field_name(text)


def _extracted(_arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
    name = _checked(INTERVAL_FIELDS, literals[0])
    return NUMERIC if name is None else derived_numeric(FIELDS[name])


def _part(_arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
    _checked(INTERVAL_FIELDS, literals[0])
    return DOUBLE


def _truncated(_arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
    _checked(INTERVAL_UNITS, literals[0])
    return INTERVAL


def _extract(site: Site, field: str) -> Callable[[Any, int], tuple[Any, Any]]:
    code = FIELD_CODE[_checked(INTERVAL_FIELDS, field) or ""]
    scale = site.result.decimal_scale if site.result.kind is Kind.NUMERIC else -1
    return lambda values, rows: (scalars.interval_extract(code, values, rows, scale), None)


def _truncate(_site: Site, unit: str) -> Callable[[Any, int], tuple[Any, Any]]:
    code = FIELD_CODE[_checked(INTERVAL_UNITS, unit) or ""]
    return lambda values, rows: scalars.interval_trunc(code, values, rows)


def _add(sign: int) -> Implementation:
    return fixed(lambda args, rows: scalars.interval_add(args[0], args[1], sign, rows))


def _scale(value: int, factor: int, divide: bool = False) -> Implementation:
    return fixed(lambda args, rows: scalars.interval_scale(args[value], args[factor], divide, rows))


def _shift(time: int, interval: int, sign: int) -> Implementation:
    """A date, as the timestamp of its midnight, or a timestamp, moved."""

    def kernel(args: Operands, rows: int) -> tuple[Any, Any]:
        value, errors = args[time], None
        if value.type == pa.date32():
            value, errors = scalars.cast_time(value, len(value), Kind.TIMESTAMP)
            if errors is not None and len(errors) != rows:
                errors = pa.repeat(errors[0], rows)
        moved, own = scalars.timestamp_shift(value, args[interval], sign, rows)
        return moved, first_errors([errors, own])

    return fixed(kernel)


def _needs_two(_arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    raise FunctionError("age() of one time reads the clock, which a view cannot", "give both: age(later, earlier)")


_NEGATE = fixed(lambda args, rows: scalars.interval_add(_NOTHING, args[0], -1, rows))
_DIFFERENCE = fixed(lambda args, rows: scalars.timestamp_difference(args[0], args[1], rows))
_AGE = fixed(lambda args, rows: scalars.age(args[0], args[1], rows))
_BIN = fixed(lambda args, rows: scalars.date_bin(args[0], args[1], args[2], rows))


def _justify(part: int) -> Implementation:
    return fixed(lambda args, rows: scalars.justify(part, args[0], rows))


def _make(args: Operands, rows: int) -> tuple[Any, Any]:
    none, zero = pa.array([0], pa.int32()), pa.array([0.0], pa.float64())
    return scalars.make_interval([*args, *[none, none, none, none, none, none, zero][len(args) :]], rows)


def _clock(time: int, interval: int, sign: int) -> Implementation:
    return fixed(lambda args, rows: scalars.time_shift(args[time], args[interval], sign, rows))


def _date_time(date: int, time: int) -> Implementation:
    return fixed(lambda args, rows: scalars.date_time(args[date], args[time], rows))


def _clock_field(exact: bool) -> ResultRule:
    def rule(_arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
        name = _checked(CLOCK_FIELDS, literals[0], TIME)
        return DOUBLE if not exact else NUMERIC if name is None else derived_numeric(FIELDS[name])

    return rule


def _extract_clock(site: Site, field: str) -> Callable[[Any, int], tuple[Any, Any]]:
    code = FIELD_CODE[_checked(CLOCK_FIELDS, field, TIME) or ""]
    scale = site.result.decimal_scale if site.result.kind is Kind.NUMERIC else -1

    def kernel(values: Any, rows: int) -> tuple[Any, Any]:
        spans, _ = scalars.cast_time(values, len(values), Kind.INTERVAL)
        return scalars.interval_extract(code, spans, rows, scale), None

    return kernel


def _truncate_clock(site: Site, unit: str) -> Callable[[Any, int], tuple[Any, Any]]:
    cut = _truncate(site, unit)
    return lambda values, rows: cut(scalars.cast_time(values, len(values), Kind.INTERVAL)[0], rows)


_CLOCKS = fixed(lambda args, rows: scalars.time_difference(args[0], args[1], rows))

_C, _V, _T, _D, _S, _Z, _F, _I = (
    Kind.TIME,
    Kind.INTERVAL,
    Kind.TEXT,
    Kind.DATE,
    Kind.TIMESTAMP,
    Kind.TIMESTAMPTZ,
    Kind.DOUBLE,
    Kind.INTEGER,
)


def _moves(kind: Kind) -> tuple[Function, ...]:
    result = TIMESTAMP if kind is _D else ColumnType(kind)
    return (
        Function("+", (kind, _V), result, _shift(0, 1, 1)),
        Function("+", (_V, kind), result, _shift(1, 0, 1)),
        Function("-", (kind, _V), result, _shift(0, 1, -1)),
    )


FUNCTIONS: tuple[Function, ...] = (
    Function("+", (_C, _V), TIME, _clock(0, 1, 1)),
    Function("+", (_V, _C), TIME, _clock(1, 0, 1)),
    Function("-", (_C, _V), TIME, _clock(0, 1, -1)),
    Function("-", (_C, _C), INTERVAL, _CLOCKS),
    Function("+", (_D, _C), TIMESTAMP, _date_time(0, 1)),
    Function("+", (_C, _D), TIMESTAMP, _date_time(1, 0)),
    Function("extract", (_T, _C), _clock_field(exact=True), specialised(0, 1, _extract_clock)),
    Function("date_part", (_T, _C), _clock_field(exact=False), specialised(0, 1, _extract_clock)),
    Function("date_trunc", (_T, _C), _truncated, specialised(0, 1, _truncate_clock)),
    Function("-", (_V,), INTERVAL, _NEGATE),
    Function("+", (_V, _V), INTERVAL, _add(1)),
    Function("-", (_V, _V), INTERVAL, _add(-1)),
    Function("*", (_V, _F), INTERVAL, _scale(0, 1)),
    Function("*", (_F, _V), INTERVAL, _scale(1, 0)),
    Function("/", (_V, _F), INTERVAL, _scale(0, 1, divide=True)),
    *(function for kind in (_D, _S, _Z) for function in _moves(kind)),
    *(Function("-", (kind, kind), INTERVAL, _DIFFERENCE) for kind in (_S, _Z)),
    *(Function("age", (kind, kind), INTERVAL, _AGE) for kind in (_S, _Z)),
    *(Function("age", (kind,), _needs_two, _AGE) for kind in (_S, _Z)),
    *(Function("date_bin", (_V, kind, kind), ColumnType(kind), _BIN) for kind in (_S, _Z)),
    Function("justify_hours", (_V,), INTERVAL, _justify(0)),
    Function("justify_days", (_V,), INTERVAL, _justify(1)),
    Function("justify_interval", (_V,), INTERVAL, _justify(2)),
    Function("make_interval", (_I, _I, _I, _I, _I, _I, _F), INTERVAL, fixed(_make), optional=7),
    Function("extract", (_T, _V), _extracted, specialised(0, 1, _extract)),
    Function("date_part", (_T, _V), _part, specialised(0, 1, _extract)),
    Function("date_trunc", (_T, _V), _truncated, specialised(0, 1, _truncate)),
)
