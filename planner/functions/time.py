"""Dates and timestamps: arithmetic without intervals, `date_trunc`, `extract`, `date_part`, `to_timestamp`.

Always true: timestamptz is an instant and its fields are those of UTC. There is no interval type, so timestamp - timestamp
is refused with what to write instead. Result types of `extract`: numeric, with PostgreSQL's scale when the field is a
literal (epoch and second 6, milliseconds 3, else 0), unconstrained when it is not.
"""

from __future__ import annotations

from dataflow.types import DATE, DOUBLE, INTEGER, NUMERIC, TIMESTAMP, TIMESTAMPTZ, ColumnType, Kind
from planner.functions.registry import Function
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

_ALIASES = {"isoweek": "week", "years": "year", "months": "month", "days": "day", "hours": "hour", "minutes": "minute"}
_ALIASES |= {"seconds": "second", "weeks": "week", "decades": "decade", "centuries": "century"}


def field_name(text: str) -> str:
    """A field's name as PostgreSQL folds it: any case, and plural forms."""
    name = text.lower()
    return _ALIASES.get(name, name)


def field_error(text: str, type_: ColumnType) -> str:
    """PostgreSQL's message for a field that is unknown or that the type does not have."""
    verb = "not supported" if field_name(text) in FIELDS else "not recognized"
    return f'unit "{text.lower()}" {verb} for type {type_name(type_)}'


def _checked(arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> str | None:
    field, type_ = literals[0], arguments[1]
    if not isinstance(field, str):
        return None
    name = field_name(field)
    if name not in (DATE_FIELDS if type_.kind is Kind.DATE else FIELDS):
        raise FunctionError(field_error(field, type_), f"the fields are {', '.join(FIELDS)}")
    return name


def _extracted(arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
    name = _checked(arguments, literals)
    if name is None:
        return NUMERIC
    return derived_numeric(0 if arguments[1].kind is Kind.DATE else FIELDS[name])


def _part(arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
    _checked(arguments, literals)
    return DOUBLE


def _truncated(arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
    unit = literals[0]
    if isinstance(unit, str) and field_name(unit) not in UNITS:
        raise FunctionError(field_error(unit, arguments[1]), f"the units are {', '.join(UNITS)}")
    return arguments[1]


def _no_interval(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    raise FunctionError(
        f"operator does not exist: {type_name(arguments[0])} - {type_name(arguments[1])} (there is no interval type)",
        "subtract seconds: extract(epoch from a) - extract(epoch from b)",
    )


_T, _D, _S, _Z = Kind.TEXT, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ

FUNCTIONS: tuple[Function, ...] = (
    Function("+", (_D, Kind.INTEGER), DATE),
    Function("+", (Kind.INTEGER, _D), DATE),
    Function("-", (_D, Kind.INTEGER), DATE),
    Function("-", (_D, _D), INTEGER),
    Function("-", (_S, _S), _no_interval),
    Function("-", (_Z, _Z), _no_interval),
    Function("date_trunc", (_T, _S), _truncated),
    Function("date_trunc", (_T, _Z), _truncated),
    *(Function("extract", (_T, kind), _extracted) for kind in (_D, _S, _Z)),
    *(Function("date_part", (_T, kind), _part) for kind in (_D, _S, _Z)),
    Function("to_timestamp", (Kind.DOUBLE,), TIMESTAMPTZ),
    Function("timezone", (_T, _S), TIMESTAMPTZ),
    Function("timezone", (_T, _Z), TIMESTAMP),
)
