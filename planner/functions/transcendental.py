"""Roots, exponentials, logarithms and powers of numerics, by Python's decimal arithmetic: 60 digits, then 16 after the point.

Evaluated row by row in Python, for nothing vectorised has this precision. Cast to double precision where
speed matters more than the digits. Results are exactly rounded; PostgreSQL's have fewer or more digits by a rule of its own.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa

from dataflow.types import NUMERIC, NUMERIC_PRECISION, UNCONSTRAINED_SCALE
from planner.functions.registry import Implementation, Kernel, Operands, Site

_CONTEXT = decimal.Context(
    prec=60,
    rounding=decimal.ROUND_HALF_UP,
    Emax=10_000,
    Emin=-10_000,
    traps=[decimal.Overflow, decimal.InvalidOperation],
)
_QUANTUM = Decimal(1).scaleb(-UNCONSTRAINED_SCALE)
_LIMIT = Decimal(10) ** (NUMERIC_PRECISION - UNCONSTRAINED_SCALE)


class _RowError(Exception):
    """A row that has no result; its text is PostgreSQL's message."""


def _sqrt(x: Decimal) -> Decimal:
    if x < 0:
        raise _RowError("cannot take square root of a negative number")
    return _CONTEXT.sqrt(x)


def _positive(x: Decimal) -> Decimal:
    if x <= 0:
        raise _RowError(f"cannot take logarithm of {'zero' if x == 0 else 'a negative number'}")
    return x


def _ln(x: Decimal) -> Decimal:
    return _CONTEXT.ln(_positive(x))


def _log(x: Decimal, y: Decimal | None = None) -> Decimal:
    """The logarithm of x to base 10 or, with two arguments, of the second to the base of the first."""
    if y is None:
        return _CONTEXT.log10(_positive(x))
    base, value = _ln(x), _ln(y)
    if base == 0:
        raise _RowError("division by zero")
    return _CONTEXT.divide(value, base)


def _power(x: Decimal, y: Decimal) -> Decimal:
    if x == 0 and y < 0:
        raise _RowError("zero raised to a negative power is undefined")
    if x == 0:
        return Decimal(1 if y == 0 else 0)
    if x < 0 and y != y.to_integral_value():
        raise _RowError("a negative number raised to a non-integer power yields a complex result")
    return _CONTEXT.power(x, y)


def _finish(compute: Callable[[], Decimal]) -> tuple[Decimal | None, str | None]:
    try:
        value = compute()
    except _RowError as error:
        return None, str(error)
    except decimal.Overflow:
        return None, "numeric field overflow"
    if abs(value) >= _LIMIT:
        return None, "numeric field overflow"
    return value.quantize(_QUANTUM, context=_CONTEXT), None


def _by_row(function: Callable[..., Decimal]) -> Implementation:
    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        columns = [column.to_pylist() * (rows if len(column) == 1 else 1) for column in operands]
        done = [(None, None) if None in row else _finish(partial(function, *row)) for row in zip(*columns, strict=True)]
        errors = [error for _, error in done]
        failed = any(error is not None for error in errors)
        values = pa.array([value for value, _ in done], NUMERIC.arrow)
        return values, pa.array(errors, pa.large_string()) if failed else None

    def build(_site: Site) -> Kernel:
        return kernel

    return Implementation(build)


TRANSCENDENTAL = {
    "sqrt": _by_row(_sqrt),
    "exp": _by_row(_CONTEXT.exp),
    "ln": _by_row(_ln),
    "log": _by_row(_log),
    "log10": _by_row(_log),
    "power": _by_row(_power),
}

PER_ROW = frozenset(TRANSCENDENTAL)
"""Functions whose numeric overload is Python per row."""
