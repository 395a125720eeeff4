"""Lists, maps and records over columns: taken apart into columns of what they hold, put together, and their texts.

Always true: as of `dataflow.scalars`. A list is held as an array of one dimension is, of elements that may be lists again; a record
as an array of its fields; a map as an array of its keys and values in turns, in the order of the keys; fields and a map's values
as bytes that compare as they do (`pack`). So values are equal if their bytes are, and in order as these are: lists and records as
the first elements or fields that differ, maps as lists of their pairs, NULL behind every value (docs/adr/0020-arrays.md).
Deliberately unknown here: the names of SQL functions and which types they take (planner.functions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars import Result, arrays
from dataflow.scalars.arrays import format_of
from dataflow.scalars.kernels import _arrays
from dataflow.types import BYTEA, NESTED, STRINGS, TEXT, ColumnType, Kind

_import = pa.Array._import_from_c_capsule
_PACKED = BYTEA.array
Counts = npt.NDArray[np.int64]
Change = Callable[[Any, int], tuple[Any, Any]]
"""(values, how many) -> (values, errors)."""


class Form(IntEnum):
    """How literals are written; the order is the contract with the kernel. OBJECT: pairs of JSON as JSON objects."""

    LIST = 0
    MAP = 1
    RECORD = 2
    OBJECT = 3


_NO_LITERALS = "input of anonymous composite types is not implemented"
_FORMS = {Kind.LIST: Form.LIST, Kind.MAP: Form.MAP, Kind.RECORD: Form.RECORD}


def _result(raw: Any) -> Result:
    values, errors = raw
    return _import(*values), None if errors is None else _import(*errors)


def pack(values: pa.Array) -> pa.Array:
    """Values of any one type as bytes that compare as they do; NULL stays NULL."""
    return _import(*_arrays.pack(values))


def unpack(packed: pa.Array, type_: ColumnType) -> pa.Array:
    """The values of a type that were packed."""
    return _import(*_arrays.unpack(packed, format_of(type_.arrow)))


def whole(values: pa.Array, rows: int) -> pa.Array:
    """A column of so many rows, of one that may be one value for all."""
    return values if len(values) == rows else pa.repeat(values[0], rows)


def take_apart(values: pa.Array, type_: ColumnType) -> tuple[Counts, tuple[pa.Array, ...]]:
    """What lists, maps or records hold: so many of each row, and columns of `type_.parts`, of maps their keys before that."""
    if type_.kind is Kind.LIST:
        counts, elements = arrays.elements(values, len(values), type_)
        return counts, (elements,)
    counts, packed = arrays.elements(values, len(values), _PACKED)
    if type_.kind is Kind.MAP:
        keys, inner = _strided(packed, 2)
        return counts // 2, (unpack(keys, TEXT), unpack(inner, type_.parts[0]))
    number = len(type_.parts)
    fields = (unpack(one, part) for one, part in zip(_strided(packed, number), type_.parts, strict=True))
    return counts // number, tuple(fields)


def put_together(like: pa.Array, type_: ColumnType, columns: Sequence[pa.Array]) -> pa.Array:
    """Values of a type that hold what the columns have, as many in each row, and of maps with the same keys, as `like`."""
    if type_.kind is Kind.LIST:
        return arrays.rebuild(like, columns[0])
    return arrays.rebuild(like, _in_turns([pack(column) for column in columns]))


def _strided(values: pa.Array, step: int) -> list[pa.Array]:
    return [values.take(pa.array(np.arange(first, len(values), step))) for first in range(step)]


def _in_turns(columns: Sequence[pa.Array]) -> pa.Array:
    """One column with the first row of each, then the second of each, and so on."""
    number, rows = len(columns), len(columns[0])
    places = np.arange(number * rows).reshape(number, rows).T.ravel()
    return pa.concat_arrays(columns).take(pa.array(places))


def records(fields: Sequence[pa.Array], rows: int) -> pa.Array:
    """For each row a record of one value of each column."""
    return arrays.make([pack(field) for field in fields], rows)


def field(values: pa.Array, rows: int, type_: ColumnType, place: int) -> pa.Array:
    """A field of records, from 0."""
    at = pa.array([place + 1], pa.int32())
    return unpack(arrays.subscript(values, [at], rows, _PACKED), type_.parts[place])


def maps(keys: pa.Array, values: pa.Array, counts: Counts) -> Result:
    """Keys and values, one after another, as maps of so many each: of equal keys the last counts, a NULL one does not."""
    return _result(_arrays.maps(keys, pack(values), pa.array(counts, pa.int64())))


def merge(parts: pa.Array, counts: Counts) -> Result:
    """Maps, one after another, as one of so many each: of equal keys that of the last map counts."""
    sizes, packed = arrays.elements(parts, len(parts), _PACKED)
    keys, values = _strided(packed, 2)
    ends = np.append(0, np.cumsum(sizes // 2))[np.append(0, np.cumsum(counts))]
    return _result(_arrays.maps(keys, values, pa.array(np.diff(ends), pa.int64())))


def lookup(values: pa.Array, keys: pa.Array, rows: int, type_: ColumnType) -> pa.Array:
    """What maps have of a key; NULL where they have none."""
    return unpack(_import(*_arrays.lookup(values, keys, rows)), type_.parts[0])


def has_keys(values: pa.Array, keys: pa.Array, rows: int, every: bool) -> pa.Array:
    """Whether maps have some, or every one, of the keys of a text[]."""
    return _import(*_arrays.has_keys(values, keys, rows, every))


def contains(wholes: pa.Array, parts: pa.Array, rows: int) -> pa.Array:
    """Whether maps have all pairs of others, NULL being a value."""
    return _import(*_arrays.map_contains(wholes, parts, rows))


def length(values: pa.Array, rows: int) -> pa.Array:
    """How many pairs maps have; int32."""
    return pc.shift_right(arrays.measure(arrays.Measure.CARDINALITY, values, rows), pa.scalar(1, pa.int32()))


def longest(values: pa.Array, rows: int, type_: ColumnType, layer: int) -> pa.Array:
    """The length of the longest list in a layer, the first being the list itself; NULL where there is none; int32."""
    values = whole(values, rows)
    owners = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
    values = values.drop_null()
    for _ in range(layer - 1):
        counts, values = arrays.elements(values, len(values), type_)
        owners, type_ = np.repeat(owners, counts), type_.parts[0]
        owners = owners[values.is_valid().to_numpy(zero_copy_only=False)]
        values = values.drop_null()
    found = np.full(rows, -1, np.int32)
    np.maximum.at(found, owners, arrays.measure(arrays.Measure.CARDINALITY, values, len(values)).to_numpy())
    return pa.array(found, mask=found < 0)


def change(
    values: pa.Array, rows: int, source: ColumnType, target: ColumnType, changes: Sequence[Change | None]
) -> Result:
    """Values of `source` as values of `target` of the same kind: each part changed, None being what stays as it is."""
    values = whole(values, rows)
    counts, columns = take_apart(values, source)
    keys, made, failed = columns[: len(columns) - len(changes)], [], None
    for column, one in zip(columns[len(keys) :], changes, strict=True):
        changed, errors = (column, None) if one is None else one(column, len(column))
        made.append(changed)
        failed = errors if failed is None else failed if errors is None else pc.coalesce(failed, errors)
    result, spread = put_together(values, target, (*keys, *made)), arrays.spread(failed, counts)
    return (result if spread is None else pc.if_else(spread.is_null(), result, pa.scalar(None, result.type))), spread


def _of_texts(type_: ColumnType) -> ColumnType:
    return ColumnType(type_.kind, parts=(TEXT,) * len(type_.parts))


def read(values: pa.Array, rows: int, target: ColumnType, changes: Sequence[Change | None]) -> Result:
    """Literals of lists or maps, each text within them changed to what the target holds."""
    within = target.parts[0].kind in (*NESTED, Kind.ARRAY)
    texts, errors = _result(_arrays.split_literals(values, rows, _FORMS[target.kind], within))
    if target.kind is Kind.LIST:
        made, failed = change(texts, rows, TEXT.list, target, changes)
    else:
        counts, members = arrays.elements(texts, rows, arrays.TEXTS)
        keys, inner = _strided(members, 2)
        inner, failed = (inner, None) if changes[0] is None else changes[0](inner, len(inner))
        made, large = maps(keys, inner, counts // 2)
        failed = arrays.spread(failed, counts // 2)
        failed = large if failed is None else failed if large is None else pc.coalesce(failed, large)
        absent = texts.is_null() if failed is None else pc.or_(texts.is_null(), failed.is_valid())
        made = pc.if_else(absent, pa.scalar(None, made.type), made)
    return made, errors if failed is None else failed if errors is None else pc.coalesce(errors, failed)


def parse(values: pa.Array, rows: int, target: ColumnType) -> Result:
    """Literals as lists or maps of any type; texts in them are not cut to a length. Records have none: each is an error."""
    if target.kind is Kind.RECORD:
        values = whole(values, rows)
        absent = pa.scalar(None, TEXT.arrow)
        return pa.nulls(rows, target.arrow), pc.if_else(values.is_valid(), pa.scalar(_NO_LITERALS, TEXT.arrow), absent)
    part = target.parts[0]
    if part.kind is Kind.CHAR:
        return read(values, rows, target, [lambda inner, _: (pc.utf8_rtrim(inner, " "), None)])
    if part.kind in STRINGS:
        return read(values, rows, target, [None])
    return read(values, rows, target, [lambda inner, count: scalars.parse(inner, count, part)])


def format(values: pa.Array, rows: int, source: ColumnType) -> pa.Array:
    """Lists, maps and records as literals; truth is t or f."""
    texts, _ = change(values, rows, source, _of_texts(source), [_shown(part) for part in source.parts])
    within = any(part.kind in (Kind.LIST, Kind.MAP, Kind.ARRAY) for part in source.parts)
    return _import(*_arrays.write_literals(texts, rows, _FORMS[source.kind], within))


def _shown(part: ColumnType) -> Change | None:
    if part.kind is Kind.CHAR and part.length is not None:
        length_ = part.length
        return lambda inner, _: (pc.utf8_rpad(inner, length_), None)
    if part.kind in (*STRINGS, Kind.JSONB):
        return None
    return lambda inner, count: (scalars.format(inner, count, part, short_boolean=True), None)


def json(values: pa.Array, type_: ColumnType, of: Callable[[ColumnType], Callable[[pa.Array], pa.Array]]) -> pa.Array:
    """Lists as JSON arrays, maps and records as objects, the fields f1, f2 ...; NULL stays NULL.

    of: what makes JSON texts of values of a type, NULL of NULL.
    """

    def written(part: ColumnType) -> Change:
        make = of(part)
        return lambda inner, _: (make(inner), None)

    rows = len(values)
    if type_.kind is Kind.LIST:
        return arrays.json(change(values, rows, type_, TEXT.list, [written(type_.parts[0])])[0], rows)
    counts, columns = take_apart(values, type_)
    if type_.kind is Kind.MAP:
        pairs = [of(TEXT)(columns[0]), of(type_.parts[0])(columns[1])]
    else:
        pairs, number = [], len(columns[0])
        for place, (part, column) in enumerate(zip(type_.parts, columns, strict=True), 1):
            pairs += [pa.repeat(pa.scalar(f'"f{place}"', TEXT.arrow), number), of(part)(column)]
    flat, _ = arrays.group(_in_turns(pairs), counts * len(pairs))
    flat = pc.if_else(values.is_valid(), flat, pa.scalar(None, flat.type))
    return _import(*_arrays.write_literals(flat, rows, Form.OBJECT, False))
