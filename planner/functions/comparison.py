"""Comparison: `=` `<>` `<` `<=` `>` `>=`, `is_distinct_from`, `is_not_distinct_from`, and `in` (value, then the list).

Always true: numbers compare by value whatever their types and scales; text compares by bytes (PostgreSQL's C collation);
NaN equals itself and is larger than every other number; boolean: false is less than true. jsonb has equality only.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars.codes import Comparison
from dataflow.types import BOOLEAN, ColumnType, Kind
from planner.functions.registry import Function, Implementation, Kernel, Operands, Pattern, Site, fixed, predicate
from planner.functions.types import FLOATS, FunctionError

_C = Pattern.COMPARED
_SMALL_LIST = 3
"""Up to so many alternatives, comparing with each is cheaper than a look-up in a set."""

_EQUALITY = {
    "=": Comparison.EQUAL,
    "<>": Comparison.NOT_EQUAL,
    "is_distinct_from": Comparison.DISTINCT,
    "is_not_distinct_from": Comparison.NOT_DISTINCT,
}
_ORDER = {
    "<": Comparison.LESS,
    "<=": Comparison.LESS_EQUAL,
    ">": Comparison.GREATER,
    ">=": Comparison.GREATER_EQUAL,
}


def _comparison(comparison: Comparison) -> Implementation:
    op, compare = int(comparison), scalars.compare

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        return compare(op, operands[0], operands[1], rows), None

    return fixed(kernel)


def _each_equal(operands: Operands, rows: int) -> tuple[Any, Any]:
    value, op = operands[0], int(Comparison.EQUAL)
    return reduce(pc.or_kleene, [scalars.compare(op, value, item, rows) for item in operands[1:]]), None


def _in(site: Site) -> Kernel:
    value, *items = site.operands
    constants = [item.constant for item in items]
    kinds = {operand.type.arrow for operand in site.operands}
    if len(items) <= _SMALL_LIST or None in constants or len(kinds) > 1 or value.type.kind in (*FLOATS, Kind.INTERVAL):
        return _each_equal
    known = [constant for constant in constants if constant is not None and constant.is_valid]
    options = pc.SetLookupOptions(pa.array([constant.as_py() for constant in known], value.type.arrow))
    look_up = pc.get_function("is_in")
    has_null = len(known) < len(items)
    unknown = pa.scalar(None, pa.bool_())

    def kernel(operands: Operands, _rows: int) -> tuple[Any, Any]:
        values = operands[0]
        found = look_up.call([values], options)
        if has_null:
            found = pc.if_else(found, found, unknown)
        elif values.null_count:
            found = pc.if_else(pc.is_valid(values), found, unknown)
        return found, None

    return kernel


def _ordered(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    if arguments[0].kind is Kind.JSONB:
        raise FunctionError(
            "jsonb values have no order here; only = and <> compare them",
            "take a scalar out first, such as (value ->> 'key')::numeric",
        )
    return BOOLEAN


FUNCTIONS: tuple[Function, ...] = (
    *(predicate(name, _comparison(op), _C, _C) for name, op in _EQUALITY.items()),
    *(Function(name, (_C, _C), _ordered, _comparison(op)) for name, op in _ORDER.items()),
    predicate("in", Implementation(_in), _C, _C, variadic=True),
)
