"""Functions of doubles from the C library, and of integers: trigonometry, roots, common divisors, buckets.

Always true: they equal PostgreSQL's to the last bit where both use the same C library; what has no value is a row error.
"""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from dataflow import scalars
from dataflow.scalars.codes import Arithmetic
from dataflow.types import DOUBLE, INTEGER, ColumnType, Kind
from planner.functions.registry import Function, Implementation, Kernel, Operands, Site, fixed
from planner.functions.types import derived_numeric

_N, _D, _I, _B = Kind.NUMERIC, Kind.DOUBLE, Kind.INTEGER, Kind.BIGINT
_PI = pa.array([math.pi])


def _real(name: str) -> Implementation:
    return fixed(lambda operands, rows: scalars.real(name, operands[0], rows))


def _common(multiple: bool) -> Implementation:
    return fixed(lambda operands, rows: scalars.common(operands[0], operands[1], rows, multiple))


def _div(_site: Site) -> Kernel:
    """The whole part of a quotient: what is left after the remainder was taken away, divided."""

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        a, b = operands
        scale = max(a.type.scale, b.type.scale)
        rest, errors = scalars.decimal_arithmetic(int(Arithmetic.MODULO), a, b, rows, scale)
        whole, _ = scalars.decimal_arithmetic(int(Arithmetic.SUBTRACT), a, rest, rows, scale)
        made, own = scalars.decimal_arithmetic(int(Arithmetic.DIVIDE), whole, b, rows, 0)
        return made, errors if errors is not None else own

    return kernel


def _whole(_arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return derived_numeric(0)


_REALS = ["sin", "cos", "tan", "cot", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"]
_REALS += ["cbrt", "degrees", "radians"]
_BUCKET = fixed(lambda args, rows: scalars.width_bucket(args[0], args[1], args[2], args[3], rows))

FUNCTIONS: tuple[Function, ...] = (
    *(Function(name, (_D,), DOUBLE, _real(name)) for name in _REALS),
    Function("atan2", (_D, _D), DOUBLE, fixed(lambda args, rows: scalars.atan2(args[0], args[1], rows))),
    Function("pi", (), DOUBLE, fixed(lambda _args, rows: (pa.repeat(_PI[0], rows), None))),
    *(Function("gcd", (kind, kind), ColumnType(kind), _common(False)) for kind in (_I, _B)),
    *(Function("lcm", (kind, kind), ColumnType(kind), _common(True)) for kind in (_I, _B)),
    Function("div", (_N, _N), _whole, Implementation(_div)),
    Function("width_bucket", (_D, _D, _D, _I), INTEGER, _BUCKET),
)
