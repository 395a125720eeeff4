"""Casts: the kernel of `value::target` for every pair that `can_cast` allows.

Always true: numbers round half away from zero (floats to integers half to even, as PostgreSQL does); what does not fit is a
row error; casts that change nothing in memory have no kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars import precision_of
from dataflow.types import ColumnType, Kind
from planner.functions.types import NUMBERS, TIMES, FunctionError, can_cast, type_name

CastKernel = Callable[[Any, int], tuple[Any, Any]]
"""(values, rows) -> (values, errors)."""

_WITHOUT_KERNEL = {(Kind.JSONB, Kind.TEXT)}
_ZERO = pa.scalar(0, pa.int32())


def _same_memory(source: ColumnType, target: ColumnType) -> bool:
    if (source.kind, target.kind) in _WITHOUT_KERNEL:
        return True
    if source.kind is not target.kind:
        return False
    return source.kind is not Kind.NUMERIC or (
        source.decimal_scale == target.decimal_scale and precision_of(source) <= precision_of(target)
    )


def cast_kernel(source: ColumnType, target: ColumnType) -> CastKernel | None:
    """How to cast; None when the values stay as they are. FunctionError when there is no such cast."""
    if not can_cast(source, target):
        raise FunctionError(f"cannot cast type {type_name(source)} to {type_name(target)}")
    if _same_memory(source, target):
        return None
    if target.kind is Kind.TEXT:
        return lambda values, rows: (scalars.format(values, rows, source), None)
    if source.kind is Kind.TEXT:
        return lambda values, rows: scalars.parse(values, rows, target)
    if source.kind is Kind.JSONB:
        return lambda values, rows: scalars.json_cast(values, rows, target)
    if target.kind is Kind.BOOLEAN:
        return lambda values, _rows: (pc.not_equal(values, _ZERO), None)
    if source.kind in TIMES and target.kind in TIMES:
        if Kind.DATE in (source.kind, target.kind):
            return lambda values, rows: scalars.cast_time(values, rows, target.kind)
        data = target.arrow
        return lambda values, _rows: (values.view(data), None)
    if target.kind in NUMBERS:
        return lambda values, rows: scalars.cast_number(values, rows, target)
    raise FunctionError(f"cannot cast type {type_name(source)} to {type_name(target)}")
