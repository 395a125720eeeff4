"""Comparison: `=` `<>` `<` `<=` `>` `>=`, `is_distinct_from`, `is_not_distinct_from`, and `in` (value, then the list).

Always true: numbers compare by value whatever their types and scales; text compares by bytes (PostgreSQL's C collation);
NaN equals itself and is larger than every other number; boolean: false is less than true. jsonb has equality only.
"""

from __future__ import annotations

from dataflow.types import BOOLEAN, ColumnType, Kind
from planner.functions.registry import Function, Pattern, predicate
from planner.functions.types import FunctionError

_C = Pattern.COMPARED
EQUALITY = ("=", "<>", "is_distinct_from", "is_not_distinct_from")
ORDER = ("<", "<=", ">", ">=")


def _ordered(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    if arguments[0].kind is Kind.JSONB:
        raise FunctionError(
            "jsonb values have no order here; only = and <> compare them",
            "take a scalar out first, such as (value ->> 'key')::numeric",
        )
    return BOOLEAN


FUNCTIONS: tuple[Function, ...] = (
    *(predicate(name, _C, _C) for name in EQUALITY),
    *(Function(name, (_C, _C), _ordered) for name in ORDER),
    predicate("in", _C, _C, variadic=True),
)
