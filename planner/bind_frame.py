"""Frames of window functions, from sqlglot's tree: ROWS, RANGE and GROUPS, and what PostgreSQL refuses of them.

Always true: a frame's offsets are numbers in the units of the order's column.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from sqlglot import exp

from dataflow.operators.window_frames import DEFAULT, Exclusion, Frame, Unit
from dataflow.types import BIGINT, INTERVAL, NUMERIC, ColumnType, Kind
from planner.compile import compile_scalar
from planner.literals import Untyped
from planner.rules.fold_constants import fold
from planner.scalar import Literal, Scalar

if TYPE_CHECKING:
    from planner.bind import Binder

_INTEGERS = (Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT)
_FLOATS = (Kind.REAL, Kind.DOUBLE)
_TIMES = (Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.DATE)
_DAY = 86_400_000_000


def frame_of(
    binder: Binder, spec: exp.Expr | None, order: tuple[tuple[Scalar, bool, bool], ...], node: exp.Expr
) -> Frame:
    """The frame that a window's clause says; DEFAULT without one."""
    if spec is None:
        return DEFAULT
    text = binder.text
    text.only(spec, "kind", "start", "start_side", "end", "end_side", "exclude")
    unit = cast(Unit, str(spec.args["kind"]).lower())
    if unit == "groups" and not order:
        raise text.error(node, "GROUPS mode requires an ORDER BY clause")
    start = _bound(binder, spec, "start", unit, order, node)
    # One bound alone is where the frame starts; it ends with the row.
    end: int | float | None = _bound(binder, spec, "end", unit, order, node) if spec.args.get("end") is not None else 0
    low = -math.inf if start is None else start
    if start is None and spec.args.get("start_side") == "FOLLOWING":
        raise text.error(node, "frame start cannot be UNBOUNDED FOLLOWING")
    if end is None and spec.args.get("end_side") == "PRECEDING":
        raise text.error(node, "frame end cannot be UNBOUNDED PRECEDING")
    starts, ends = (_side(spec, part) for part in ("start", "end"))
    if starts == "CURRENT ROW" and ends == "PRECEDING":
        raise text.error(node, "frame starting from current row cannot have preceding rows")
    if starts == "FOLLOWING" and low > -math.inf and ends in ("PRECEDING", "CURRENT ROW"):
        raise text.error(
            node,
            f"frame starting from following row cannot have {'preceding rows' if ends == 'PRECEDING' else 'current row'}",
        )
    exclude = spec.args.get("exclude")
    words = "no others" if exclude is None else str(exclude.name if isinstance(exclude, exp.Expr) else exclude).lower()
    return Frame(unit, start, end, cast(Exclusion, words))


def _side(spec: exp.Expr, part: str) -> str:
    value = spec.args.get(part)
    if value is None or value == "CURRENT ROW":
        return "CURRENT ROW"
    return str(spec.args.get(f"{part}_side"))


def _bound(
    binder: Binder, spec: exp.Expr, part: str, unit: str, order: tuple[tuple[Scalar, bool, bool], ...], node: exp.Expr
) -> int | float | None:
    """An end of a frame, relative to the row; None where it is unbounded."""
    value = spec.args.get(part)
    if value == "CURRENT ROW":
        return 0
    if value == "UNBOUNDED":
        return None
    assert isinstance(value, exp.Expr)
    text = binder.text
    sign = -1 if spec.args.get(f"{part}_side") == "PRECEDING" else 1
    word = "starting" if part == "start" else "ending"
    if unit == "range":
        if len(order) != 1:
            raise text.error(node, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column")
        return _range_offset(binder, value, order[0][0].type, sign, part == "start", word)
    found = fold(binder.cast(binder.bind(value), BIGINT, value))
    if not isinstance(found, Literal):
        raise text.unsupported(value, "a frame offset that is no constant", "write the number itself")
    if found.value is None:
        raise text.error(value, f"frame {word} offset must not be null")
    assert isinstance(found.value, int)
    if found.value < 0:
        raise text.error(value, f"frame {word} offset must not be negative")
    return sign * min(found.value, 2**40)


def _range_offset(binder: Binder, node: exp.Expr, column: ColumnType, sign: int, start: bool, word: str) -> int | float:
    """An offset in the units of the order's column."""
    text, kind = binder.text, column.kind
    bound = binder.bind(node)
    given = INTERVAL if kind in _TIMES else column if kind in _FLOATS or kind in _INTEGERS else NUMERIC
    fits = kind in (*_INTEGERS, *_FLOATS, *_TIMES, Kind.NUMERIC)
    if fits and not isinstance(bound, Untyped):
        same = (
            bound.type.kind in _INTEGERS
            if kind in _INTEGERS
            else (bound.type.kind is Kind.INTERVAL) == (kind in _TIMES)
        )
        fits = same and bound.type.kind in (*_INTEGERS, *_FLOATS, Kind.NUMERIC, Kind.INTERVAL)
    if not fits:
        offset = "" if isinstance(bound, Untyped) else f" and offset type {bound.type}"
        raise text.error(
            node, f"RANGE with offset PRECEDING/FOLLOWING is not supported for column type {column}{offset}"
        )
    if kind in _INTEGERS:
        given = BIGINT
    found = fold(binder.cast(bound, given, node))
    if not isinstance(found, Literal):
        raise text.unsupported(node, "a frame offset that is no constant", "write the value itself")
    value = compile_scalar(found).evaluate((), 1).values[0].as_py()
    if value is None:
        raise text.error(node, f"frame {word} offset must not be null")
    if kind in _TIMES:
        months, days, micros = value
        if months:
            raise text.unsupported(node, "a frame offset with months", "write it in days: '30 days'")
        units: int | float | Decimal = days * _DAY + micros
        if kind is Kind.DATE:
            units = Decimal(units) / _DAY
    elif kind is Kind.NUMERIC:
        units = value.scaleb(column.decimal_scale)
    else:
        units = value
    if units < 0 or units != units:
        raise text.error(
            node, f"invalid preceding or following size in window function: {word} offset must not be negative"
        )
    units = sign * units
    if isinstance(units, Decimal):
        # Between two values of the column: the nearest one inside the frame.
        return math.ceil(units) if start else math.floor(units)
    return units
