"""Three-valued logic and the functions that choose between their arguments.

Lenient ones (`and`, `or`, `coalesce`): an error in an argument that cannot change the result is no error: FALSE AND error is
false, TRUE OR error is true, COALESCE(1, error) is 1. CASE is its own node of the plan, not a function.
"""

from __future__ import annotations

from dataflow.types import ColumnType, Kind
from planner.functions.registry import Function, Pattern, predicate


def _first(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arguments[0]


_B = Kind.BOOLEAN

FUNCTIONS: tuple[Function, ...] = (
    predicate("and", _B, variadic=True),
    predicate("or", _B, variadic=True),
    predicate("not", _B),
    predicate("is_null", Pattern.ANYTHING),
    predicate("is_not_null", Pattern.ANYTHING),
    predicate("is_true", _B),
    predicate("is_not_true", _B),
    predicate("is_false", _B),
    predicate("is_not_false", _B),
    predicate("is_unknown", _B),
    predicate("is_not_unknown", _B),
    Function("coalesce", (Pattern.UNIFIED,), _first, variadic=True),
    Function("nullif", (Pattern.COMPARED, Pattern.COMPARED), _first),
    Function("greatest", (Pattern.UNIFIED,), _first, variadic=True),
    Function("least", (Pattern.UNIFIED,), _first, variadic=True),
)
