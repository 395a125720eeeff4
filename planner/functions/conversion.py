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
from dataflow.scalars import arrays, nested, precision_of
from dataflow.scalars.arrays import Measure
from dataflow.scalars.codes import TextFunction
from dataflow.types import NESTED, STRINGS, TEXT, ColumnType, Kind
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
    if source.parts and target.parts:
        return all(map(_same_memory, source.parts, target.parts))
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


_LAYERS = "arrays of more than one dimension are no lists"


def _list_of_array(source: ColumnType, part: ColumnType) -> CastKernel:
    """An array of one dimension, or an empty one, as a list of its elements, each cast."""
    assert source.element is not None
    inner = cast_kernel(source.element, part)

    def kernel(values: Any, rows: int) -> tuple[Any, Any]:
        values = nested.whole(values, rows)
        layered = pc.fill_null(
            pc.greater(arrays.measure(Measure.DIMENSIONS, values, rows), pa.scalar(1, pa.int32())), False
        )
        flat = pc.if_else(layered, pa.scalar(None, values.type), values)
        counts, elements = arrays.elements(flat, rows, source)
        made, errors = (elements, None) if inner is None else inner(elements, len(elements))
        lists, _ = arrays.group(made, counts)
        failed = arrays.spread(errors, counts)
        if pc.any(layered).as_py():
            messages = pc.if_else(layered, pa.scalar(_LAYERS, pa.large_string()), pa.scalar(None, pa.large_string()))
            failed = messages if failed is None else pc.coalesce(messages, failed)
        kept = flat.is_valid() if failed is None else pc.and_(flat.is_valid(), failed.is_null())
        return pc.if_else(kept, lists, pa.scalar(None, lists.type)), failed

    return kernel


def _to_nested(source: ColumnType, target: ColumnType) -> CastKernel:
    """A list, map or record of what another one holds, or the text of a list or map names, each cast."""
    if source.element is not None:
        return _list_of_array(source, target.parts[0])
    if source.parts:
        changes = [cast_kernel(a, b) for a, b in zip(source.parts, target.parts, strict=True)]
        return lambda values, rows: nested.change(values, rows, source, target, changes)
    inner = cast_kernel(TEXT, target.parts[0])
    return lambda values, rows: nested.read(values, rows, target, [inner])


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
    if target.kind in NESTED:
        return _to_nested(source, target)
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
