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
from dataflow.scalars import arrays, precision_of
from dataflow.scalars.codes import TextFunction
from dataflow.types import STRINGS, TEXT, ColumnType, Kind
from planner.functions.types import NUMBERS, TIMES, FunctionError, can_cast, type_name

CastKernel = Callable[[Any, int], tuple[Any, Any]]
"""(values, rows) -> (values, errors)."""

_ZERO = pa.scalar(0, pa.int32())
_BLANK = pa.array([" "], pa.large_string())


def _same_memory(source: ColumnType, target: ColumnType) -> bool:
    if target.kind in STRINGS and source.kind in (*STRINGS, Kind.JSONB):
        if target.length is not None and (source.length is None or source.length > target.length):
            return False
        return target.kind is not Kind.CHAR or source.kind is Kind.CHAR
    if source.element is not None and target.element is not None:
        return _same_memory(source.element, target.element)
    if source.kind is not target.kind:
        return False
    return source.kind is not Kind.NUMERIC or (
        source.decimal_scale == target.decimal_scale and precision_of(source) <= precision_of(target)
    )


def _to_string(source: ColumnType, target: ColumnType) -> CastKernel:
    """The value's text, cut to the length; a char without the blanks at its end."""
    shown = None if source.kind in (*STRINGS, Kind.JSONB) else source
    length = None if target.length is None else pa.array([target.length], pa.int32())
    trims = target.kind is Kind.CHAR

    def kernel(values: Any, rows: int) -> tuple[Any, Any]:
        if shown is not None:
            values = scalars.format(values, rows, shown)
        if length is not None:
            values, _ = scalars.text(TextFunction.LEFT, [values, length], rows)
        if trims:
            values, _ = scalars.text(TextFunction.RTRIM, [values, _BLANK], rows)
        return values, None

    return kernel


def _to_array(source: ColumnType, element: ColumnType) -> CastKernel:
    """An array's elements, or those that its text names, each cast."""
    if source.element is not None:
        change = cast_kernel(source.element, element)
        assert change is not None
        return lambda values, rows: arrays.each(values, rows, source, change)
    inner = cast_kernel(TEXT, element)

    def kernel(values: Any, rows: int) -> tuple[Any, Any]:
        found, errors = arrays.read(values, rows)
        if inner is None:
            return found, errors
        made, failed = arrays.each(found, rows, arrays.TEXTS, inner)
        return made, failed if errors is None else errors if failed is None else pc.coalesce(errors, failed)

    return kernel


def cast_kernel(source: ColumnType, target: ColumnType) -> CastKernel | None:
    """How to cast; None when the values stay as they are. FunctionError when there is no such cast."""
    if not can_cast(source, target):
        raise FunctionError(f"cannot cast type {type_name(source)} to {type_name(target)}")
    if _same_memory(source, target):
        return None
    if target.kind in STRINGS:
        return _to_string(source, target)
    if target.element is not None:
        return _to_array(source, target.element)
    if source.kind in STRINGS:
        return lambda values, rows: scalars.parse(values, rows, target)
    if source.kind is Kind.JSONB:
        return lambda values, rows: scalars.json_cast(values, rows, target)
    if target.kind is Kind.BOOLEAN:
        return lambda values, _rows: (pc.not_equal(values, _ZERO), None)
    if Kind.TIME in (source.kind, target.kind):
        return lambda values, rows: scalars.cast_time(values, rows, target.kind)
    if source.kind in TIMES and target.kind in TIMES:
        if Kind.DATE in (source.kind, target.kind):
            return lambda values, rows: scalars.cast_time(values, rows, target.kind)
        data = target.arrow
        return lambda values, _rows: (values.view(data), None)
    if target.kind in NUMBERS:
        return lambda values, rows: scalars.cast_number(values, rows, target)
    raise FunctionError(f"cannot cast type {type_name(source)} to {type_name(target)}")
