"""Arithmetic: `+` `-` `*` `/` `%` `^` with one or two operands, and functions of numbers.

Integers truncate on division and fail on overflow. Numerics are exact: + - % keep the larger scale, * has the sum of the
scales (at most the largest of 16 and the operands' scales), / and the transcendental functions give an unconstrained
numeric; all round half away from zero. Floats fail where PostgreSQL fails: overflow, underflow, division by zero.
"""

from __future__ import annotations

from dataflow.types import DOUBLE, NUMERIC, NUMERIC_PRECISION, UNCONSTRAINED_SCALE, ColumnType, Kind
from planner.functions.registry import Function, ResultRule
from planner.functions.types import INTEGERS, NUMBERS, derived_numeric, numeric_with_scale


def _same(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arguments[0]


def _widest(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return numeric_with_scale(max(argument.decimal_scale for argument in arguments), arguments)


def _product(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    scales = [argument.decimal_scale for argument in arguments]
    return numeric_with_scale(min(sum(scales), max(*scales, UNCONSTRAINED_SCALE)), arguments)


def _own_scale(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arguments[0] if arguments[0].trims else derived_numeric(arguments[0].decimal_scale)


def _whole(_arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return derived_numeric(0)


def _rounded(arguments: tuple[ColumnType, ...], literals: tuple[object, ...]) -> ColumnType:
    """round(x, 2) with a literal 2 has scale 2; where the digits vary by row, it prints without trailing zeros."""
    digits = literals[1]
    if isinstance(digits, int):
        return derived_numeric(min(max(digits, 0), NUMERIC_PRECISION))
    scale = arguments[0].decimal_scale
    return NUMERIC if scale <= UNCONSTRAINED_SCALE else derived_numeric(scale)


def _overloads(
    name: str, count: int, kinds: tuple[Kind, ...], numeric: ResultRule | ColumnType
) -> tuple[Function, ...]:
    return tuple(Function(name, (kind,) * count, numeric if kind is Kind.NUMERIC else _same) for kind in kinds)


_N, _D, _I = Kind.NUMERIC, Kind.DOUBLE, Kind.INTEGER
_EXACT = (*INTEGERS, _N)

FUNCTIONS: tuple[Function, ...] = (
    *_overloads("+", 1, NUMBERS, _own_scale),
    *_overloads("-", 1, NUMBERS, _own_scale),
    *_overloads("+", 2, NUMBERS, _widest),
    *_overloads("-", 2, NUMBERS, _widest),
    *_overloads("*", 2, NUMBERS, _product),
    *_overloads("/", 2, NUMBERS, NUMERIC),
    *_overloads("%", 2, _EXACT, _widest),
    *_overloads("mod", 2, _EXACT, _widest),
    *_overloads("abs", 1, NUMBERS, _own_scale),
    *(
        Function(name, (kind,), _whole if kind is _N else DOUBLE)
        for name in ("ceil", "ceiling", "floor")
        for kind in (_N, _D)
    ),
    *(
        Function(name, (kind,), _whole if kind is _N else DOUBLE)
        for name in ("round", "trunc", "sign")
        for kind in (_N, _D)
    ),
    *(Function(name, (_N, _I), _rounded) for name in ("round", "trunc")),
    *(
        Function(name, (kind,), NUMERIC if kind is _N else DOUBLE)
        for name in ("sqrt", "exp", "ln", "log", "log10")
        for kind in (_N, _D)
    ),
    *(
        Function(name, (kind, kind), NUMERIC if kind is _N else DOUBLE)
        for name in ("power", "pow", "^")
        for kind in (_N, _D)
    ),
    Function("log", (_N, _N), NUMERIC),
)
