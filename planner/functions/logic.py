"""Three-valued logic and the functions that choose between their arguments.

Lenient ones (`and`, `or`, `coalesce`): an error in an argument that cannot change the result is no error: FALSE AND error is
false, TRUE OR error is true, COALESCE(1, error) is 1. CASE is its own node of the plan, not a function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars.codes import Comparison
from dataflow.types import TEXT, ColumnType, Kind
from planner.functions.registry import Function, Implementation, Kernel, Operands, Pattern, Site, fixed, predicate
from planner.functions.types import INTEGERS, FunctionError

TRUE, FALSE, UNKNOWN = pa.scalar(True), pa.scalar(False), pa.scalar(None, pa.bool_())


def first_errors(errors: list[Any]) -> Any:
    """Of several error columns, some of them None, the first message of each row; None when there is none at all."""
    some = [error for error in errors if error is not None]
    return None if not some else some[0] if len(some) == 1 else pc.coalesce(*some)


def _lenient(fold: Callable[[Any, Any], Any], decided: pa.Scalar) -> Implementation:
    """AND and OR: `decided` is the value of one argument that settles the result whatever the others are."""

    def kernel(operands: Operands, _rows: int) -> tuple[Any, Any]:
        errors = first_errors([error for _, error in operands])
        if errors is None:
            return reduce(fold, [value for value, _ in operands]), None
        values = [v if e is None else pc.if_else(pc.is_valid(e), UNKNOWN, v) for v, e in operands]
        result = reduce(fold, values)
        settled = pc.fill_null(pc.equal(result, decided), FALSE)
        return result, pc.if_else(settled, pa.scalar(None, pa.large_string()), errors)

    return fixed(kernel, lenient=True)


def _test(test: Callable[[Any], Any]) -> Implementation:
    return fixed(lambda operands, _rows: (test(operands[0]), None), scalars=True)


def coalesce(operands: Operands, _rows: int) -> tuple[Any, Any]:
    """The first value of each row that is not NULL; errors behind it do not count."""
    if all(error is None for _, error in operands):
        return pc.coalesce(*(value for value, _ in operands)), None
    message = pa.scalar(None, pa.large_string())
    values: Any = None
    errors: Any = None
    for value, error in reversed(operands):
        # From the back: what stands before overrides what stands behind.
        if values is None:
            values, errors = value, error
            continue
        has = pc.is_valid(value)
        values = pc.if_else(has, value, values)
        if errors is not None:
            errors = pc.if_else(has, message, errors)
        if error is not None:
            errors = error if errors is None else pc.coalesce(error, errors)
    return values, errors


def _nullif(site: Site) -> Kernel:
    null = pa.scalar(None, site.result.arrow)
    equal = int(Comparison.EQUAL)

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        value, other = operands
        same = scalars.compare(equal, value, other, rows)
        if len(value) != rows:
            value = value[0]
        return pc.if_else(pc.fill_null(same, FALSE), null, value), None

    return kernel


def _error_if_null(operands: Operands, rows: int) -> tuple[Any, Any]:
    values, messages = (one if len(one) == rows else pa.repeat(one[0], rows) for one in operands)
    missing = pc.is_null(values)
    if not pc.any(missing).as_py():
        return values, None
    said = pc.fill_null(messages, pa.scalar("null value", TEXT.arrow))
    return values, pc.if_else(missing, said, pa.scalar(None, TEXT.arrow))


def _extreme(site: Site) -> Kernel:
    """GREATEST and LEAST: NULLs are passed over; NaN is the greatest."""
    greatest = site.name == "greatest"
    if site.result.kind in (*INTEGERS, Kind.NUMERIC, Kind.DATE, Kind.TIMESTAMP):
        function = pc.max_element_wise if greatest else pc.min_element_wise
        return lambda operands, _rows: (function(*operands), None)
    op = int(Comparison.GREATER_EQUAL if greatest else Comparison.LESS_EQUAL)

    def better(rows: int, a: Any, b: Any) -> Any:
        wins = scalars.compare(op, _array(a), _array(b), rows)
        return pc.coalesce(pc.if_else(wins, a, b), a, b)

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        return reduce(lambda a, b: better(rows, a, b), operands), None

    return kernel


def _array(value: Any) -> Any:
    return pa.array([value.as_py()], value.type) if isinstance(value, pa.Scalar) else value


def _first(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arguments[0]


def _left(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    """The left operand's type in the comparison that nullif makes: varchar compares as text."""
    return TEXT if arguments[0].kind is Kind.VARCHAR else arguments[0]


_CROSSED = (
    frozenset({Kind.SMALLINT, Kind.INTEGER, Kind.BIGINT}),
    frozenset({Kind.REAL, Kind.DOUBLE}),
    frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}),
)
"""Kinds that PostgreSQL compares with each other without a cast."""


def nullif_type(left: ColumnType | None, compared: ColumnType) -> ColumnType:
    """The type of nullif's result, which is its left operand's where the comparison needs no cast of that."""
    crossed = left is not None and any({left.kind, compared.kind} <= kinds for kinds in _CROSSED)
    return left if left is not None and crossed else compared


def _ordered(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    if arguments[0].kind is Kind.JSONB:
        raise FunctionError("jsonb values have no order here", "take a scalar out first: (value ->> 'key')::numeric")
    return arguments[0]


_B = Kind.BOOLEAN
_invert = pc.invert
_EXTREME = Implementation(_extreme, scalars=True)

FUNCTIONS: tuple[Function, ...] = (
    predicate("and", _lenient(pc.and_kleene, FALSE), _B, variadic=True),
    predicate("or", _lenient(pc.or_kleene, TRUE), _B, variadic=True),
    predicate("not", _test(_invert), _B),
    predicate("is_null", _test(pc.is_null), Pattern.ANYTHING),
    predicate("is_not_null", _test(pc.is_valid), Pattern.ANYTHING),
    predicate("is_true", _test(lambda x: pc.fill_null(x, FALSE)), _B),
    predicate("is_not_true", _test(lambda x: pc.invert(pc.fill_null(x, FALSE))), _B),
    predicate("is_false", _test(lambda x: pc.invert(pc.fill_null(x, TRUE))), _B),
    predicate("is_not_false", _test(lambda x: pc.fill_null(x, TRUE)), _B),
    predicate("is_unknown", _test(pc.is_null), _B),
    predicate("is_not_unknown", _test(pc.is_valid), _B),
    Function("coalesce", (Pattern.UNIFIED,), _first, fixed(coalesce, lenient=True), variadic=True),
    Function("nullif", (Pattern.COMPARED, Pattern.COMPARED), _left, Implementation(_nullif)),
    Function("mz_error_if_null", (Pattern.ANYTHING, Kind.TEXT), _first, fixed(_error_if_null)),
    Function("greatest", (Pattern.UNIFIED,), _ordered, _EXTREME, variadic=True),
    Function("least", (Pattern.UNIFIED,), _ordered, _EXTREME, variadic=True),
)
