"""Arithmetic: `+` `-` `*` `/` `%` `^` with one or two operands, and functions of numbers.

Integers truncate on division and fail on overflow. Numerics are exact: + - % keep the larger scale, * has the sum of the
scales (at most the largest of 16 and the operands' scales), / and the transcendental functions give an unconstrained
numeric; all round half away from zero. Floats fail where PostgreSQL fails: overflow, underflow, division by zero.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from dataflow import scalars
from dataflow.scalars.codes import Arithmetic, Math, Rounding, Sign
from dataflow.types import DOUBLE, NUMERIC, NUMERIC_PRECISION, UNCONSTRAINED_SCALE, ColumnType, Kind
from planner.functions.registry import Function, Implementation, Kernel, Operands, ResultRule, Site, fixed
from planner.functions.transcendental import TRANSCENDENTAL
from planner.functions.types import INTEGERS, NUMBERS, derived_numeric, numeric_with_scale


def _same(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arguments[0]


def _widest(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return numeric_with_scale(max(argument.decimal_scale for argument in arguments), arguments)


def _product(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    scales = [argument.decimal_scale for argument in arguments]
    return numeric_with_scale(min(sum(scales), max(*scales, UNCONSTRAINED_SCALE)), arguments)


def _quotient(_arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return NUMERIC


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


def _binary(operator: Arithmetic) -> Implementation:
    op = int(operator)

    def plain(operands: Operands, rows: int) -> tuple[Any, Any]:
        return scalars.arithmetic(op, operands[0], operands[1], rows)

    def build(site: Site) -> Kernel:
        if site.result.kind is not Kind.NUMERIC:
            return plain
        scale = site.result.decimal_scale
        return lambda operands, rows: scalars.decimal_arithmetic(op, operands[0], operands[1], rows, scale)

    return Implementation(build)


def _sign(function: Sign) -> Implementation:
    op = int(function)
    return fixed(lambda operands, rows: scalars.sign(op, operands[0], rows))


def _math(function: Math) -> Implementation:
    op = int(function)
    return fixed(lambda operands, rows: scalars.math(op, operands[0], rows))


def _rounding(mode: Rounding) -> Implementation:
    op, none = int(mode), pa.array([0], pa.int32())

    def build(site: Site) -> Kernel:
        scale = site.result.decimal_scale
        if len(site.operands) == 1:
            return lambda operands, rows: scalars.decimal_round(op, operands[0], none, rows, scale)
        return lambda operands, rows: scalars.decimal_round(op, operands[0], operands[1], rows, scale)

    return Implementation(build)


_IDENTITY = fixed(lambda operands, _rows: (operands[0], None))
_POWER = fixed(lambda operands, rows: scalars.power(operands[0], operands[1], rows))


def _overloads(
    name: str, count: int, kinds: tuple[Kind, ...], numeric: ResultRule, implementation: Implementation
) -> tuple[Function, ...]:
    return tuple(
        Function(name, (kind,) * count, numeric if kind is Kind.NUMERIC else _same, implementation) for kind in kinds
    )


_N, _D, _I = Kind.NUMERIC, Kind.DOUBLE, Kind.INTEGER
_EXACT = (*INTEGERS, _N)


def _whole_numbers(name: str, numeric: Rounding, double: Math) -> tuple[Function, ...]:
    return (
        Function(name, (_N,), _whole, _rounding(numeric)),
        Function(name, (_D,), DOUBLE, _math(double)),
    )


def _real(name: str, double: Math) -> tuple[Function, ...]:
    return (
        Function(name, (_N,), NUMERIC, TRANSCENDENTAL[name]),
        Function(name, (_D,), DOUBLE, _math(double)),
    )


FUNCTIONS: tuple[Function, ...] = (
    *_overloads("+", 1, NUMBERS, _own_scale, _IDENTITY),
    *_overloads("-", 1, NUMBERS, _own_scale, _sign(Sign.NEGATE)),
    *_overloads("+", 2, NUMBERS, _widest, _binary(Arithmetic.ADD)),
    *_overloads("-", 2, NUMBERS, _widest, _binary(Arithmetic.SUBTRACT)),
    *_overloads("*", 2, NUMBERS, _product, _binary(Arithmetic.MULTIPLY)),
    *_overloads("/", 2, NUMBERS, _quotient, _binary(Arithmetic.DIVIDE)),
    *_overloads("%", 2, _EXACT, _widest, _binary(Arithmetic.MODULO)),
    *_overloads("mod", 2, _EXACT, _widest, _binary(Arithmetic.MODULO)),
    *_overloads("abs", 1, NUMBERS, _own_scale, _sign(Sign.ABSOLUTE)),
    *_whole_numbers("ceil", Rounding.CEILING, Math.CEIL),
    *_whole_numbers("ceiling", Rounding.CEILING, Math.CEIL),
    *_whole_numbers("floor", Rounding.FLOOR, Math.FLOOR),
    *_whole_numbers("round", Rounding.NEAREST, Math.ROUND),
    *_whole_numbers("trunc", Rounding.TRUNCATE, Math.TRUNC),
    Function("round", (_N, _I), _rounded, _rounding(Rounding.NEAREST)),
    Function("trunc", (_N, _I), _rounded, _rounding(Rounding.TRUNCATE)),
    Function("sign", (_N,), _whole, _sign(Sign.SIGN)),
    Function("sign", (_D,), DOUBLE, _sign(Sign.SIGN)),
    *_real("sqrt", Math.SQRT),
    *_real("exp", Math.EXP),
    *_real("ln", Math.LN),
    *_real("log", Math.LOG10),
    *_real("log10", Math.LOG10),
    Function("log", (_N, _N), NUMERIC, TRANSCENDENTAL["log"]),
    *(Function(name, (_N, _N), NUMERIC, TRANSCENDENTAL["power"]) for name in ("power", "pow", "^")),
    *(Function(name, (_D, _D), DOUBLE, _POWER) for name in ("power", "pow", "^")),
)
