"""Arrays over columns by PostgreSQL's rules: the typed face of the kernel module `_arrays`.

Always true: as of `dataflow.scalars`; a column of an array type is one of bytes that compare as arrays do
(docs/adr/0020-arrays.md), so that an element is compared with one by handing over an array of it (`make`). What is done to each
element is done to all elements of all rows at once, which lie one after another (`elements`), and put back (`rebuild`).
Deliberately unknown here: the names of SQL functions and which types they take (planner.functions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars import Result
from dataflow.scalars.kernels import _arrays
from dataflow.types import STRINGS, ColumnType, Kind

TEXTS = ColumnType(Kind.TEXT).array
"""text[], in which texts of any type of elements are put together and taken apart."""

_import = pa.Array._import_from_c_capsule
_ONE = pa.array([1], pa.int32())


class Measure(IntEnum):
    """What `measure` gives; the order is the contract with the kernel. The last three are of a dimension."""

    DIMENSIONS = 0
    CARDINALITY = 1
    LENGTH = 2
    LOWER = 3
    UPPER = 4


def _result(raw: Any) -> Result:
    values, errors = raw
    return _import(*values), None if errors is None else _import(*errors)


@lru_cache(256)
def format_of(type_: pa.DataType) -> str:
    """The format string of a type in Arrow's C data interface."""
    names = {
        pa.bool_(): "b",
        pa.int16(): "s",
        pa.int32(): "i",
        pa.int64(): "l",
        pa.float32(): "f",
        pa.float64(): "g",
        pa.large_string(): "U",
        pa.large_binary(): "Z",
        pa.date32(): "tdD",
        pa.timestamp("us"): "tsu:",
        pa.timestamp("us", tz="UTC"): "tsu:UTC",
        pa.duration("us"): "tDu",
        pa.binary(16): "w:16",
        pa.month_day_nano_interval(): "tin",
    }
    if pa.types.is_decimal128(type_):
        return f"d:38,{type_.scale}"
    return names[type_]


def element_of(type_: ColumnType) -> ColumnType:
    """The type of the elements of an array, or of a list. ValueError when it is neither."""
    if type_.kind is Kind.LIST:
        return type_.parts[0]
    if type_.element is None:
        raise ValueError(f"{type_} is no array")
    return type_.element


def make(elements: Sequence[pa.Array], rows: int) -> pa.Array:
    """For each row an array of one value of each column."""
    return _import(*_arrays.make(elements, rows))


def stack(arrays: Sequence[pa.Array], rows: int) -> Result:
    """For each row an array of one array of each column, which has a dimension more."""
    return _result(_arrays.stack(arrays, rows))


def group(values: pa.Array, counts: npt.NDArray[np.int64]) -> Result:
    """Values, one after another, as arrays of so many each."""
    return _result(_arrays.group(values, pa.array(counts, pa.int64())))


def merge(parts: pa.Array, counts: npt.NDArray[np.int64]) -> Result:
    """Arrays, one after another, as one of so many each, along the first dimension."""
    return _result(_arrays.merge(parts, pa.array(counts, pa.int64())))


def elements(arrays: pa.Array, rows: int, type_: ColumnType) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """How many elements each row has (a NULL none), and those of all rows one after another. type_: of the arrays."""
    counts, values = _arrays.elements(arrays, rows, format_of(element_of(type_).arrow))
    return _import(*counts).to_numpy(), _import(*values)


def rebuild(arrays: pa.Array, values: pa.Array) -> pa.Array:
    """Arrays of the same shapes, of other elements."""
    return _import(*_arrays.rebuild(arrays, values))


def spread(errors: pa.Array | None, counts: npt.NDArray[np.int64]) -> pa.Array | None:
    """Errors of elements as errors of their rows, the first one counting."""
    if errors is None or errors.null_count == len(errors):
        return None
    owners = np.repeat(np.arange(len(counts)), counts)
    failed = np.flatnonzero(errors.is_valid().to_numpy(zero_copy_only=False))
    rows, first = np.unique(owners[failed], return_index=True)
    places = np.zeros(len(counts), np.int64)
    missing = np.ones(len(counts), np.bool_)
    places[rows], missing[rows] = failed[first], False
    return errors.take(pa.array(places, mask=missing))


def each(arrays: pa.Array, rows: int, type_: ColumnType, change: Callable[[pa.Array, int], tuple[Any, Any]]) -> Result:
    """Every element changed by `change(values, how many) -> (values, errors)`."""
    if len(arrays) != rows:
        arrays = pa.repeat(arrays[0], rows)
    counts, values = elements(arrays, rows, type_)
    changed, errors = change(values, len(values))
    made, failed = rebuild(arrays, changed), spread(errors, counts)
    return (made if failed is None else pc.if_else(failed.is_null(), made, pa.scalar(None, made.type))), failed


def fill(values: pa.Array, lengths: pa.Array, lower: pa.Array | None, rows: int) -> Result:
    """Arrays of one value, which `values` have as arrays of one."""
    return _result(_arrays.fill(values, lengths, lower, rows))


def measure(what: Measure, arrays: pa.Array, rows: int, dimensions: pa.Array = _ONE) -> pa.Array:
    """A measure of each array, or of the dimension (int32) of each; int32."""
    return _import(*_arrays.measure(what, arrays, dimensions, rows))


def dims(arrays: pa.Array, rows: int) -> pa.Array:
    """The bounds of each dimension as text."""
    return _import(*_arrays.dims(arrays, rows))


def subscript(arrays: pa.Array, places: Sequence[pa.Array], rows: int, type_: ColumnType) -> pa.Array:
    """The element at one place (int32) in each dimension; NULL where there is none. type_: of the arrays."""
    return _import(*_arrays.subscript(arrays, places, rows, format_of(element_of(type_).arrow)))


def slice(arrays: pa.Array, lows: Sequence[pa.Array | None], highs: Sequence[pa.Array | None], rows: int) -> pa.Array:
    """The part between two places (int32) in each dimension; None is the array's own bound."""
    return _import(*_arrays.slice(arrays, lows, highs, rows))


def contains(wholes: pa.Array, parts: pa.Array, rows: int) -> pa.Array:
    """`@>`."""
    return _import(*_arrays.contains(wholes, parts, rows, True))


def overlaps(a: pa.Array, b: pa.Array, rows: int) -> pa.Array:
    """`&&`."""
    return _import(*_arrays.contains(a, b, rows, False))


def position(arrays: pa.Array, wanted: pa.Array, start: pa.Array | None, rows: int) -> Result:
    """The first place of what `wanted` have as arrays of one."""
    return _result(_arrays.position(arrays, wanted, start, rows))


def positions(arrays: pa.Array, wanted: pa.Array, rows: int) -> Result:
    """All places of it, as integer[]."""
    return _result(_arrays.positions(arrays, wanted, rows))


def fold(tests: pa.Array, counts: npt.NDArray[np.int64], every: bool) -> pa.Array:
    """Booleans, so many for each row, as one: whether some, or every one, is true; three-valued."""
    return _import(*_arrays.fold(tests, pa.array(counts, pa.int64()), every))


def cat(first: pa.Array, second: pa.Array, rows: int) -> Result:
    """Arrays one after the other; a NULL adds nothing."""
    return _result(_arrays.cat(first, second, rows))


def push(arrays: pa.Array, added: pa.Array, rows: int, front: bool) -> Result:
    """Arrays with one element more, which `added` have as arrays of one, at the end or the front."""
    return _result(_arrays.push(arrays, added, rows, front))


def remove(arrays: pa.Array, taken: pa.Array, rows: int) -> Result:
    """Without the elements that `taken` have as arrays of one."""
    return _result(_arrays.remove(arrays, taken, rows))


def replace(arrays: pa.Array, old: pa.Array, new: pa.Array, rows: int) -> Result:
    """One element in the place of another, both handed over as arrays of one."""
    return _result(_arrays.replace(arrays, old, new, rows))


def trim(arrays: pa.Array, numbers: pa.Array, rows: int) -> Result:
    """Without the last so many (int32)."""
    return _result(_arrays.trim(arrays, numbers, rows))


def join(arrays: pa.Array, delimiters: pa.Array, nulls: pa.Array | None, rows: int) -> pa.Array:
    """The texts of text[] with delimiters between them; NULLs as `nulls` or, where that is None or NULL, left out."""
    return _import(*_arrays.join(arrays, delimiters, nulls, rows))


def split(values: pa.Array, delimiters: pa.Array, nulls: pa.Array | None, rows: int) -> pa.Array:
    """Texts as text[], cut at delimiters, or by character where that is NULL."""
    return _import(*_arrays.split(values, delimiters, nulls, rows))


def read(values: pa.Array, rows: int) -> Result:
    """Array literals as text[]."""
    return _result(_arrays.parse(values, rows))


def literals(arrays: pa.Array, rows: int) -> pa.Array:
    """text[] as array literals."""
    return _import(*_arrays.format(arrays, rows, False))


def json(arrays: pa.Array, rows: int) -> pa.Array:
    """text[] of JSON as JSON arrays, spaced as canonical jsonb is."""
    return _import(*_arrays.format(arrays, rows, True))


def parse(values: pa.Array, rows: int, target: ColumnType) -> Result:
    """Array literals as arrays of any type; elements are not cut to a length."""
    texts, errors = read(values, rows)
    element = element_of(target)
    if element.kind is Kind.CHAR:
        return each(texts, rows, TEXTS, lambda inner, _: (pc.utf8_rtrim(inner, " "), None))[0], errors
    if element.kind in STRINGS:
        return texts, errors
    made, failed = each(texts, rows, TEXTS, lambda inner, count: scalars.parse(inner, count, element))
    return made, errors if failed is None else failed if errors is None else pc.coalesce(errors, failed)


def format(values: pa.Array, rows: int, source: ColumnType) -> pa.Array:
    """Arrays of any type as array literals."""
    return literals(texts(values, rows, source), rows)


def texts(values: pa.Array, rows: int, source: ColumnType) -> pa.Array:
    """Arrays of any type as text[]; truth is t or f."""
    element = element_of(source)
    if element.kind is Kind.CHAR and element.length is not None:
        length = element.length
        return each(values, rows, source, lambda inner, _: (pc.utf8_rpad(inner, length), None))[0]
    if element.kind in (*STRINGS, Kind.JSONB):
        return values if len(values) == rows else pa.repeat(values[0], rows)
    made, _ = each(values, rows, source, lambda v, count: (scalars.format(v, count, element, short_boolean=True), None))
    return made
