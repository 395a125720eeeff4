"""Bits of integers: `&` `|` `#` (exclusive or) `~` (one operand) `<<` `>>`, in two's complement.

Always true: none of them fails; a shift keeps the type of its left operand, fills with the sign on the way right, and takes
its distance modulo the number of bits, as PostgreSQL does on common processors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow.compute as pc

from dataflow import scalars
from dataflow.types import ColumnType, Kind
from planner.functions.registry import Function, Implementation, Operands, fixed
from planner.functions.types import INTEGERS


def _same(arguments: tuple[ColumnType, ...], _literals: tuple[object, ...]) -> ColumnType:
    return arguments[0]


def _arrow(function: Callable[..., Any]) -> Implementation:
    def kernel(operands: Operands, _rows: int) -> tuple[Any, Any]:
        return function(*operands), None

    return fixed(kernel, scalars=True)


def _shift(right: bool) -> Implementation:
    return fixed(lambda operands, rows: scalars.shift(operands[0], operands[1], rows, right))


FUNCTIONS: tuple[Function, ...] = (
    *(Function("&", (kind, kind), _same, _arrow(pc.bit_wise_and)) for kind in INTEGERS),
    *(Function("|", (kind, kind), _same, _arrow(pc.bit_wise_or)) for kind in INTEGERS),
    *(Function("#", (kind, kind), _same, _arrow(pc.bit_wise_xor)) for kind in INTEGERS),
    *(Function("~", (kind,), _same, _arrow(pc.bit_wise_not)) for kind in INTEGERS),
    *(Function("<<", (kind, Kind.INTEGER), _same, _shift(False)) for kind in INTEGERS),
    *(Function(">>", (kind, Kind.INTEGER), _same, _shift(True)) for kind in INTEGERS),
)
