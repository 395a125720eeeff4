"""Table functions: those that make rows of one row: generate_series, date_bin_hopping, the jsonb expansions.

Always true: a NULL argument makes no rows; the rows have an order, that of WITH ORDINALITY. Every function is computed column
by column. Deliberately unknown here: where a call stands (planner.bind_table), and the operator (dataflow.operators.flatmap).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.expression import Produced
from dataflow.operators.linear import first_error, messages
from dataflow.rows import interval_parts
from dataflow.scalars import arrays, nested
from dataflow.scalars.arrays import Measure
from dataflow.types import BIGINT, INTEGER, JSONB, TEXT, ColumnType, Kind
from planner.functions import extracts
from planner.functions.arrays import groups_of, read_pattern, split_of, texts_to_arrays
from planner.functions.listed import Arrays, Int64s, Listed, Mask, Series
from planner.functions.registry import Function, Pattern, choose
from planner.functions.system import PREFIX
from planner.functions.types import FunctionError


@dataclass(frozen=True, slots=True)
class TableFunction:
    """One overload: its typing as of any function, the names and types of its columns, and how it is computed.

    names: of its columns, where PostgreSQL gives them names of their own; None where the call's alias is the name.
    made: what it is for arguments of these types, where its columns' types depend on them. written: what it is for arguments of
    which these are constants (None: computed), where its columns depend on their values.
    """

    typing: Function
    columns: tuple[ColumnType, ...]
    expand: Callable[[Arrays, int], Produced]
    names: tuple[str, ...] | None = None
    made: Callable[[tuple[ColumnType, ...]], TableFunction] | None = None
    written: Callable[[Sequence[object]], TableFunction] | None = None


_STEP_ZERO = "step size cannot equal zero"


def _known(args: Arrays) -> Mask:
    """The rows without a NULL among the arguments."""
    known = np.ones(len(args[0]), np.bool_)
    for arg in args:
        if arg.null_count:
            known &= arg.is_valid().to_numpy(zero_copy_only=False)
    return known


def _integers(args: Arrays, rows: int) -> Produced:
    known = _known(args)
    start, stop = (_int64(arg) for arg in args[:2])
    step = _int64(args[2]) if len(args) > 2 else np.ones(rows, np.int64)
    return _series(start, stop, step, known, args[0].type)


def _int64(values: pa.Array) -> Int64s:
    filled = values.cast(pa.int64()).fill_null(0) if values.null_count else values.cast(pa.int64())
    numbers: Int64s = filled.to_numpy()
    return numbers


def _series(start: Int64s, stop: Int64s, step: Int64s, known: Mask, type_: pa.DataType) -> Series:
    zero = known & (step == 0)
    up = known & (step > 0) & (start <= stop)
    down = known & (step < 0) & (start >= stop)
    # The distance of two bigints needs 64 bits without a sign.
    distance = np.where(up, stop.view(np.uint64) - start.view(np.uint64), start.view(np.uint64) - stop.view(np.uint64))
    size = np.where(step > 0, step.view(np.uint64), np.uint64(0) - step.view(np.uint64))
    steps = np.minimum(distance // np.maximum(size, np.uint64(1)), np.uint64((1 << 62) - 1)).astype(np.int64)
    errors = messages(zero, _STEP_ZERO) if zero.any() else None
    return Series(np.where(up | down, steps + 1, 0), start, step, type_, errors)


_DAY = 86_400_000_000
_IN_MONTHS = "an interval of months has no fixed length here: use days or hours"


def _micros(intervals: pa.Array) -> tuple[Int64s, Mask]:
    """Intervals in microseconds, and where they have months, which are of no fixed length."""
    parts = interval_parts(intervals)
    return parts["days"].astype(np.int64) * _DAY + parts["micros"], parts["months"] != 0


def _times(args: Arrays, _rows: int) -> Produced:
    step, months = _micros(args[2])
    known = _known(args) & ~months
    return _with_months(_series(_int64(args[0]), _int64(args[1]), step, known, args[0].type), months & _known(args))


def _hops(args: Arrays, _rows: int) -> Produced:
    """The starts of the windows of a width, one every hop, that a time lies in."""
    (hop, hop_months), (width, width_months) = _micros(args[0]), _micros(args[1])
    time, known, months = _int64(args[2]), _known(args), hop_months | width_months
    bad = known & ~months & ((hop <= 0) | (width <= 0))
    fine = known & ~months & ~bad
    safe = np.where(fine, hop, 1)
    last = time // safe * safe
    # Windows begin at multiples of the hop; the first one that still covers the time ends after it.
    first = (time - np.where(fine, width, 1)) // safe * safe + safe
    counts = np.where(fine & (first <= last), (last - first) // safe + 1, 0)
    errors = messages(bad, "hop and width must be greater than zero") if bad.any() else None
    return _with_months(Series(counts, first, safe, args[2].type, errors), months & known)


def _with_months(series: Series, months: Mask) -> Series:
    if not months.any():
        return series
    return replace(series, errors=first_error(series.errors, messages(months, _IN_MONTHS)))


def _members(name: str, shown: str, is_object: bool, as_text: bool) -> TableFunction:
    """A jsonb expansion that shows `keys`, `values` or `both`."""

    def expand(args: Arrays, rows: int) -> Produced:
        counts, keys, values, errors = scalars.json_expand(args[0], rows, name, is_object=is_object, as_text=as_text)
        columns = {"keys": (keys,), "values": (values,), "both": (keys, values)}[shown]
        return Listed(counts.to_numpy(), columns, errors)

    value = TEXT if as_text else JSONB
    columns, names = {
        "keys": ((TEXT,), None),
        "values": ((value,), ("value",)),
        "both": ((TEXT, value), ("key", "value")),
    }[shown]
    return TableFunction(Function(name, (Kind.JSONB,), columns[0]), columns, expand, names)


def _unnest(types: tuple[ColumnType, ...]) -> TableFunction:
    """The elements of arrays of a type, row by row of their dimensions, or of lists."""

    def expand(args: Arrays, rows: int) -> Produced:
        counts, values = arrays.elements(args[0], rows, types[0])
        return Listed(counts, (values,))

    return replace(_UNNEST, columns=(arrays.element_of(types[0]),), expand=expand)


def _unnest_map(types: tuple[ColumnType, ...]) -> TableFunction:
    """The keys and values of maps of a type."""

    def expand(args: Arrays, _rows: int) -> Produced:
        counts, columns = nested.take_apart(args[0], types[0])
        return Listed(counts, columns)

    return replace(_UNNEST_MAP, columns=(TEXT, types[0].parts[0]), expand=expand)


def _subscripts(args: Arrays, rows: int) -> Produced:
    """The subscripts of a dimension; from the last one on with a third argument that is true."""
    known = _known(args)
    low, high = (arrays.measure(what, args[0], rows, args[1]) for what in (Measure.LOWER, Measure.UPPER))
    known &= low.is_valid().to_numpy(zero_copy_only=False)
    first, last = _int64(low), _int64(high)
    back = pc.fill_null(args[2], False).to_numpy(zero_copy_only=False) if len(args) > 2 else np.zeros(rows, np.bool_)
    counts = np.where(known, last - first + 1, 0)
    return Series(counts, np.where(back, last, first), np.where(back, -1, 1), pa.int32())


def _matches(args: Arrays, rows: int) -> Produced:
    """Of each match of a pattern what its parentheses hold, or all of it: the first match, or with the flag g all."""

    def find(pattern: re.Pattern[str], every: bool, text: str) -> list[list[str | None]]:
        return [groups_of(match) for match in itertools.islice(pattern.finditer(text), None if every else 1)]

    lists, errors = _by_pattern(args, rows, find)
    made = texts_to_arrays(match for found in lists for match in found)
    return Listed(np.array([len(found) for found in lists], np.int64), (made,), errors)


def _split_by_pattern(args: Arrays, rows: int) -> Produced:
    lists, errors = _by_pattern(args, rows, lambda pattern, _every, text: split_of(pattern, text))
    values = pa.array([part for found in lists for part in found], TEXT.arrow)
    return Listed(np.array([len(found) for found in lists], np.int64), (values,), errors)


def _by_pattern(
    args: Arrays, rows: int, find: Callable[[re.Pattern[str], bool, str], list[Any]]
) -> tuple[list[list[Any]], pa.Array | None]:
    """What is found in each row's text by its pattern and flags, and the patterns that are none; Python for each row."""
    found: list[list[Any]] = []
    failed: list[str | None] = []
    flags = args[2].to_pylist() if len(args) > 2 else [""] * rows
    for text, pattern, flag in zip(args[0].to_pylist(), args[1].to_pylist(), flags, strict=True):
        message = None
        rest: list[Any] = []
        if text is not None and pattern is not None and flag is not None:
            try:
                rest = find(*read_pattern(pattern, flag), text)
            except FunctionError as error:
                message = error.message
        found.append(rest)
        failed.append(message)
    return found, pa.array(failed, TEXT.arrow) if any(failed) else None


def _expanded(types: tuple[ColumnType, ...]) -> TableFunction:
    """The elements of an array of a type, and their places from 1: a function of information_schema that JDBC drivers ask."""

    def expand(args: Arrays, rows: int) -> Produced:
        counts, values = arrays.elements(args[0], rows, types[0])
        ends = np.cumsum(counts)
        places = np.arange(1, len(values) + 1) - np.repeat(ends - counts, counts)
        return Listed(counts, (values, pa.array(places, pa.int32())))

    return replace(_EXPANDARRAY, columns=(arrays.element_of(types[0]), INTEGER), expand=expand)


def _pieces(args: Arrays, rows: int) -> Produced:
    split = arrays.split(args[0], args[1], args[2] if len(args) > 2 else None, rows)
    counts, values = arrays.elements(split, rows, arrays.TEXTS)
    return Listed(counts, (values,))


def _untyped(_args: Arrays, _rows: int) -> Produced:
    raise ValueError("such a function is made for its arguments")


_UNNEST = TableFunction(Function("unnest", (Pattern.ARRAY,), TEXT), (TEXT,), _untyped, None, _unnest)
_EXPANDARRAY = TableFunction(
    Function(PREFIX + "_pg_expandarray", (Pattern.ARRAY,), TEXT), (TEXT, INTEGER), _untyped, ("x", "n"), _expanded
)
_UNNEST_LIST = replace(_UNNEST, typing=Function("unnest", (Pattern.LIST,), TEXT))
_UNNEST_MAP = TableFunction(
    Function("unnest", (Pattern.MAP,), TEXT), (TEXT, TEXT), _untyped, ("key", "value"), _unnest_map
)


def _of_texts(name: str, column: ColumnType, expand: Callable[[Arrays, int], Produced]) -> TableFunction:
    return TableFunction(Function(name, (Kind.TEXT,) * 3, column, optional=1), (column,), expand)


def _extract(
    name: str,
    first: Kind,
    named: Callable[[Sequence[object]], tuple[str, ...]],
    expand: Callable[[Arrays, int, int], Produced],
) -> TableFunction:
    """One whose first argument says its columns, all of them texts."""
    typing = Function(name, (first, Kind.TEXT), TEXT)

    def written(literals: Sequence[object]) -> TableFunction:
        names = named(literals)
        return TableFunction(typing, (TEXT,) * len(names), lambda args, rows: expand(args, rows, len(names)), names)

    return TableFunction(typing, (TEXT,), _untyped, None, None, written)


def _series_of_times(kind: Kind) -> TableFunction:
    type_ = ColumnType(kind)
    return TableFunction(Function("generate_series", (kind, kind, Kind.INTERVAL), type_), (type_,), _times)


def _hopping(kind: Kind) -> TableFunction:
    type_ = ColumnType(kind)
    return TableFunction(Function("date_bin_hopping", (Kind.INTERVAL, Kind.INTERVAL, kind), type_), (type_,), _hops)


def _series_of(kind: Kind, type_: ColumnType) -> TableFunction:
    return TableFunction(Function("generate_series", (kind, kind, kind), type_, optional=1), (type_,), _integers)


FUNCTIONS: tuple[TableFunction, ...] = (
    _series_of(Kind.INTEGER, INTEGER),
    _series_of(Kind.BIGINT, BIGINT),
    *map(_series_of_times, (Kind.TIMESTAMP, Kind.TIMESTAMPTZ)),
    *map(_hopping, (Kind.TIMESTAMP, Kind.TIMESTAMPTZ)),
    _UNNEST,
    _UNNEST_LIST,
    _UNNEST_MAP,
    _EXPANDARRAY,
    TableFunction(
        Function("generate_subscripts", (Pattern.ARRAY, Kind.INTEGER, Kind.BOOLEAN), INTEGER, optional=1),
        (INTEGER,),
        _subscripts,
    ),
    _of_texts("regexp_matches", arrays.TEXTS, _matches),
    _of_texts("regexp_split_to_table", TEXT, _split_by_pattern),
    _of_texts("string_to_table", TEXT, _pieces),
    _extract("csv_extract", Kind.INTEGER, extracts.csv_columns, extracts.csv_rows),
    _extract("regexp_extract", Kind.TEXT, extracts.groups, extracts.matches),
    _members("jsonb_array_elements", "values", is_object=False, as_text=False),
    _members("jsonb_array_elements_text", "values", is_object=False, as_text=True),
    _members("jsonb_each", "both", is_object=True, as_text=False),
    _members("jsonb_each_text", "both", is_object=True, as_text=True),
    _members("jsonb_object_keys", "keys", is_object=True, as_text=True),
)

_TYPING: dict[str, list[Function]] = {}
for _function in FUNCTIONS:
    _TYPING.setdefault(_function.typing.name, []).append(_function.typing)

TABLE_FUNCTIONS = frozenset(_TYPING)
"""Their names; none is a scalar function too."""


def resolve_table(
    name: str, args: Sequence[ColumnType | None], literals: Sequence[object] = ()
) -> tuple[TableFunction, tuple[ColumnType, ...]]:
    """The overload for arguments of these types, and the types to cast them to. FunctionError as for `resolve`."""
    if name not in _TYPING:
        names = ", ".join(sorted(_TYPING))
        raise FunctionError(f"{name} is not a table function", f"the table functions are {names}")
    resolved = choose(_TYPING, name, args, literals)
    function = next(f for f in FUNCTIONS if f.typing is resolved.function)
    if function.written is not None:
        return function.written(literals or [None] * len(args)), resolved.arguments
    return function if function.made is None else function.made(resolved.arguments), resolved.arguments
