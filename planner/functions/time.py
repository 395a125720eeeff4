"""Dates and timestamps: arithmetic with days, `date_trunc`, `extract`, `date_part`, `to_timestamp`.

Always true: timestamptz is an instant and its fields are those of UTC. Arithmetic with intervals is in
`planner.functions.intervals`. Result types of `extract`: numeric, with PostgreSQL's scale when the field is a
literal (epoch and second 6, milliseconds 3, else 0), unconstrained when it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars.codes import FIELD_CODE
from dataflow.types import DATE, DOUBLE, INTEGER, NUMERIC, TIMESTAMP, TIMESTAMPTZ, ColumnType, Kind
from planner.functions.calendar import instant, local, zone_name
from planner.functions.constants import specialised
from planner.functions.registry import Function, Implementation, Kernel, Operands, Site, fixed
from planner.functions.types import FunctionError, derived_numeric, type_name

FIELDS: dict[str, int] = {
    "microseconds": 0,
    "milliseconds": 3,
    "second": 6,
    "minute": 0,
    "hour": 0,
    "day": 0,
    "week": 0,
    "month": 0,
    "quarter": 0,
    "year": 0,
    "decade": 0,
    "century": 0,
    "millennium": 0,
    "isoyear": 0,
    "dow": 0,
    "isodow": 0,
    "doy": 0,
    "epoch": 6,
}
"""What `extract` knows, each with the scale of its result."""

DATE_FIELDS = frozenset(FIELDS) - {"microseconds", "milliseconds", "second", "minute", "hour"}
UNITS = (
    "microseconds",
    "milliseconds",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "quarter",
    "year",
    "decade",
    "century",
    "millennium",
)
"""What `date_trunc` knows."""

_SPELLED = {
    "microseconds": "microsecond us usec usecs usecond useconds",
    "milliseconds": "millisecond ms msec msecs msecond mseconds",
    "second": "seconds s sec secs",
    "minute": "minutes m min mins",
    "hour": "hours h hr hrs",
    "day": "days d",
    "week": "weeks w isoweek",
    "month": "months mon mons",
    "quarter": "qtr",
    "year": "years y yr yrs",
    "decade": "decades dec decs",
    "century": "centuries c cent",
    "millennium": "millennia mil mils",
}
_ALIASES = {other: name for name, others in _SPELLED.items() for other in others.split()}


def field_name(text: str) -> str:
    """A field's name as PostgreSQL folds it: any case, plural forms and abbreviations."""
    name = text.lower()
    return _ALIASES.get(name, name)


def field_error(text: str, type_: ColumnType) -> str:
    """PostgreSQL's message for a field that is unknown or that the type does not have."""
    verb = "not supported" if field_name(text) in FIELDS else "not recognized"
    return f'unit "{text.lower()}" {verb} for type {type_name(type_)}'


def _fields_of(name: str, type_: ColumnType) -> ColumnType:
    """date_part sees a date as the timestamp of its midnight; extract does not."""
    return TIMESTAMP if name == "date_part" and type_.kind is Kind.DATE else type_


def _checked(field: object, type_: ColumnType) -> str | None:
    if not isinstance(field, str):
        return None
    name = field_name(field)
    if name not in (DATE_FIELDS if type_.kind is Kind.DATE else FIELDS):
        raise FunctionError(field_error(field, type_), f"the fields are {', '.join(FIELDS)}")
    return name


def _extracted(arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
    name = _checked(literals[0], arguments[1])
    if name is None:
        return NUMERIC
    return derived_numeric(0 if arguments[1].kind is Kind.DATE else FIELDS[name])


def _part(arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
    _checked(literals[0], _fields_of("date_part", arguments[1]))
    return DOUBLE


def _truncated(arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
    unit = literals[0]
    if isinstance(unit, str) and field_name(unit) not in UNITS:
        raise FunctionError(field_error(unit, arguments[1]), f"the units are {', '.join(UNITS)}")
    return arguments[1]


def _extract(site: Site, field: str) -> Callable[[Any, int], tuple[Any, Any]]:
    type_ = _fields_of(site.name, site.operands[1].type)
    name = field_name(field)
    if name not in (DATE_FIELDS if type_.kind is Kind.DATE else FIELDS):
        raise FunctionError(field_error(field, type_))
    code = FIELD_CODE[name]
    scale = site.result.decimal_scale if site.result.kind is Kind.NUMERIC else -1
    return lambda values, rows: (scalars.extract(code, values, rows, scale), None)


def _truncate(site: Site, unit: str) -> Callable[[Any, int], tuple[Any, Any]]:
    name = field_name(unit)
    if name not in UNITS:
        raise FunctionError(field_error(unit, site.operands[1].type))
    code = FIELD_CODE[name]
    return lambda values, rows: scalars.date_trunc(code, values, rows)


def _zone(site: Site, zone: str) -> Callable[[Any, int], tuple[Any, Any]]:
    """AT TIME ZONE: between the wall clock of a zone and the instant; in UTC both have equal bits."""
    data, name = site.result.arrow, zone_name(zone)
    if name is None:
        return lambda values, _rows: (values.view(data), None)
    if site.result.kind is Kind.TIMESTAMP:
        return lambda values, _rows: (local(values, name), None)
    return lambda values, _rows: (instant(values, name), None)


def _truncate_there(site: Site) -> Kernel:
    """By the wall clock of a zone, as the instant at which it shows that."""
    unit, zone = (site.operands[place].constant for place in (0, 2))
    if unit is None or zone is None:
        raise FunctionError("date_trunc in a zone needs a constant unit and zone", "write them as texts in quotes")
    if not unit.is_valid or not zone.is_valid:
        return lambda _operands, rows: (pa.nulls(rows, site.result.arrow), None)
    cut, name = _truncate(site, unit.as_py()), zone_name(zone.as_py())
    # Units up to an hour keep the offset, which tells apart the two hours that show alike.
    small = field_name(unit.as_py()) in UNITS[:5]

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        if name is None:
            return cut(operands[1], rows)
        shown = local(operands[1], name)
        values, errors = cut(shown, rows)
        if small:
            return pc.subtract(operands[1], pc.subtract(shown, values)), errors
        return instant(values, name), errors

    return kernel


def _add(sign: int, dates: int, days: int) -> Implementation:
    return fixed(lambda args, rows: scalars.date_add(args[dates], args[days], sign, rows))


_DAYS = fixed(lambda args, rows: scalars.date_difference(args[0], args[1], rows))
_SECONDS = fixed(lambda args, rows: scalars.to_timestamp(args[0], rows))
_EXTRACT, _TRUNCATE, _ZONE = specialised(0, 1, _extract), specialised(0, 1, _truncate), specialised(0, 1, _zone)
_T, _D, _S, _Z, _I = Kind.TEXT, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.INTEGER

FUNCTIONS: tuple[Function, ...] = (
    Function("+", (_D, _I), DATE, _add(1, 0, 1)),
    Function("+", (_I, _D), DATE, _add(1, 1, 0)),
    Function("-", (_D, _I), DATE, _add(-1, 0, 1)),
    Function("-", (_D, _D), INTEGER, _DAYS),
    Function("date_trunc", (_T, _S), _truncated, _TRUNCATE),
    Function("date_trunc", (_T, _Z), _truncated, _TRUNCATE),
    Function("date_trunc", (_T, _Z, _T), _truncated, Implementation(_truncate_there)),
    *(Function("extract", (_T, kind), _extracted, _EXTRACT) for kind in (_D, _S, _Z)),
    *(Function("date_part", (_T, kind), _part, _EXTRACT) for kind in (_D, _S, _Z)),
    Function("to_timestamp", (Kind.DOUBLE,), TIMESTAMPTZ, _SECONDS),
    Function("timezone", (_T, _S), TIMESTAMPTZ, _ZONE),
    Function("timezone", (_T, _Z), TIMESTAMP, _ZONE),
)
