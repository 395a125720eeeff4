"""Changing documents at a path: jsonb_set, jsonb_insert, `#-`; and `?|`, `?&`.

Always true: what is made is canonical text. A path is an array of texts: keys of objects, places in arrays, negative ones from the
end. All are Python for each different row of arguments (`PER_ROW`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dataflow import scalars
from dataflow.scalars import arrays
from dataflow.scalars.arrays import Measure
from dataflow.types import BOOLEAN, JSONB, TEXT, ColumnType, Kind
from planner.functions.by_row import RowError
from planner.functions.documents import read_document, write_document
from planner.functions.registry import Function, Implementation, Kernel, Operands, Pattern, Site

_Steps = Sequence[str | None]
_Change = Callable[[Any, Any], Any]
"""(object or array, key or place) -> the changed one."""


def _lists(values: pa.Array, type_: ColumnType) -> list[list[str | None] | None]:
    """Arrays of texts as lists."""
    counts, flat = arrays.elements(values, len(values), type_)
    texts, ends = flat.to_pylist(), np.cumsum(counts).tolist()
    known = values.is_valid().to_pylist()
    return [texts[end - count : end] if there else None for end, count, there in zip(ends, counts, known, strict=True)]


def _by_path(function: Callable[..., Any], place: int) -> Implementation:
    """The implementation of an entry whose argument at `place` is a path; documents among the results are made canonical."""

    def build(site: Site) -> Kernel:
        type_, is_path = site.operands[place].type, site.result == JSONB

        def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
            columns = [
                (_lists(column, type_) if at == place else column.to_pylist()) * (rows if len(column) == 1 else 1)
                for at, column in enumerate(operands)
            ]
            path = operands[place]
            dimensions = arrays.measure(Measure.DIMENSIONS, path, len(path)).to_pylist() * (
                rows if len(path) == 1 else 1
            )
            values, messages = [], []
            for row, dimension in zip(zip(*columns, strict=True), dimensions, strict=True):
                value, message = None, None
                if not any(one is None for one in row):
                    try:
                        if is_path and (dimension or 0) > 1:
                            raise RowError("wrong number of array subscripts")
                        value = function(*row)
                    except RowError as error:
                        message = str(error)
                values.append(value)
                messages.append(message)
            errors = pa.array(messages, TEXT.arrow) if any(messages) else None
            if site.result != JSONB:
                return pa.array(values, site.result.arrow), errors
            return scalars.parse(pa.array(values, TEXT.arrow), rows, JSONB)[0], errors

        return kernel

    return Implementation(build)


def _changed(document: str, steps: _Steps, verb: str, change: _Change) -> str:
    """The document, changed where the path ends; as it is where that leads nowhere."""
    value = read_document(document)
    if not isinstance(value, dict | list):
        raise RowError(f"cannot {verb} in scalar")
    if not steps or (not value and verb == "delete path"):
        return document
    return write_document(_walked(value, steps, 0, change))


def _walked(value: Any, steps: _Steps, at: int, change: _Change) -> Any:
    step = steps[at]
    if step is None:
        raise RowError(f"path element at position {at + 1} is null")
    if isinstance(value, dict):
        if at + 1 == len(steps):
            return change(value, step)
        if step in value and isinstance(value[step], dict | list):
            return {**value, step: _walked(value[step], steps, at + 1, change)}
        return value
    if not re.fullmatch(r"\s*[+-]?\d{1,9}", step):
        raise RowError(f'path element at position {at + 1} is not an integer: "{step}"')
    place = int(step)
    if at + 1 == len(steps):
        return change(value, place)
    place += len(value) if place < 0 else 0
    if not 0 <= place < len(value) or not isinstance(value[place], dict | list):
        return value
    return [*value[:place], _walked(value[place], steps, at + 1, change), *value[place + 1 :]]


def _set(document: str, steps: _Steps, new: str, create: bool = True) -> str:
    made = read_document(new)

    def change(value: Any, step: Any) -> Any:
        if isinstance(value, dict):
            return {**value, step: made} if create or step in value else value
        place = step + len(value) if step < 0 else step
        if 0 <= place < len(value):
            return [*value[:place], made, *value[place + 1 :]]
        if not create:
            return value
        return [made, *value] if place < 0 else [*value, made]

    return _changed(document, steps, "set path", change)


def _insert(document: str, steps: _Steps, new: str, after: bool = False) -> str:
    made = read_document(new)

    def change(value: Any, step: Any) -> Any:
        if isinstance(value, dict):
            if step in value:
                raise RowError("cannot replace existing key")
            return {**value, step: made}
        place = step + len(value) if step < 0 else step
        if not 0 <= place < len(value):
            return [made, *value] if place < 0 else [*value, made]
        return [*value[: place + after], made, *value[place + after :]]

    return _changed(document, steps, "set path", change)


def _delete(document: str, steps: _Steps) -> str:
    def change(value: Any, step: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if key != step}
        place = step + len(value) if step < 0 else step
        return [item for at, item in enumerate(value) if at != place]

    return _changed(document, steps, "delete path", change)


def _there(every: bool) -> Callable[[str, _Steps], bool]:
    """Whether all of some keys are there, or one of them; NULLs are passed over."""

    def test(document: str, keys: _Steps) -> bool:
        value = read_document(document)
        # A number is text of a class of its own.
        known = value if isinstance(value, dict) else value if isinstance(value, list) else [value]
        held = {item for item in known if type(item) is str}
        found = [key in held for key in keys if key is not None]
        return all(found) if every else any(found)

    return test


_J, _A = Kind.JSONB, Pattern.TEXTS

FUNCTIONS: tuple[Function, ...] = (
    Function("jsonb_set", (_J, _A, _J, Kind.BOOLEAN), JSONB, _by_path(_set, 1), optional=1),
    Function("jsonb_insert", (_J, _A, _J, Kind.BOOLEAN), JSONB, _by_path(_insert, 1), optional=1),
    Function("#-", (_J, _A), JSONB, _by_path(_delete, 1)),
    Function("?|", (_J, _A), BOOLEAN, _by_path(_there(False), 1)),
    Function("?&", (_J, _A), BOOLEAN, _by_path(_there(True), 1)),
)

PER_ROW = frozenset(("jsonb_set", "jsonb_insert", "#-", "?|", "?&"))
"""Functions that are Python for each row."""
