"""Rows as JSON objects: the one way in which values leave as JSON, for sinks and for HTTP.

Always true: each output is one valid JSON object with the columns' names in schema order, and reads back to the same values:
integers are numbers, numerics strings with their scale, floats the shortest text that reads back (NaN and infinities as
strings), timestamps and dates ISO 8601 strings (years outside 0000 to 9999 in the expanded form, `-000043` for 44 BC), intervals,
times and UUIDs PostgreSQL's text, char(n) with its blanks, jsonb inlined as stored, bytea a base64 string, arrays arrays
(nested as their dimensions are), lists arrays, maps objects, records objects with the names f1, f2 ..., NULL null.
Equal values print alike, except 0.0 and -0.0, and intervals of one length.
Deliberately unknown here: keys, envelopes, who reads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import pyarrow as pa
import pyarrow.compute as pc

from dataflow.kernels import _rows
from dataflow.scalars import arrays, nested
from dataflow.scalars.kernels import _json
from dataflow.types import NESTED, STRINGS, Column, ColumnType, Kind, Schema

# The order is the contract with Form in scalars/kernels/json_rows.cpp.
_FORMS = (
    Kind.BOOLEAN,
    Kind.SMALLINT,
    Kind.INTEGER,
    Kind.BIGINT,
    Kind.REAL,
    Kind.DOUBLE,
    Kind.NUMERIC,
    Kind.DATE,
    Kind.TIMESTAMP,
    Kind.TIMESTAMPTZ,
    Kind.INTERVAL,
    Kind.TIME,
    Kind.UUID,
    Kind.TEXT,
    Kind.JSONB,
    Kind.BYTEA,
)
_FORM = {kind: number for number, kind in enumerate(_FORMS)} | {kind: _FORMS.index(Kind.TEXT) for kind in STRINGS}
_FORM |= dict.fromkeys((Kind.ARRAY, *NESTED), _FORMS.index(Kind.JSONB))


def encode_rows(columns: Sequence[pa.Array], schema: Schema) -> pa.LargeBinaryArray:
    """One compact JSON object for each row, as UTF-8 bytes; never null.

    columns: arrays of the schema's Arrow types, all of one length. ValueError if they do not fit the schema.
    """
    if len(columns) != len(schema) or not schema:
        raise ValueError(f"{len(columns)} columns do not fit a schema of {len(schema)}, or there are none")
    specs, types = _plan(schema)
    for array, type_, column in zip(columns, types, schema, strict=True):
        if array.type != type_:
            raise ValueError(f"column {column.name} holds {array.type}, but its type {column.type} is {type_}")
    shown = [_shown(array, column.type) for array, column in zip(columns, schema, strict=True)]
    offsets, data = _json.encode_rows(shown, specs)
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(columns[0]), [None, pa.py_buffer(offsets), pa.py_buffer(data)], null_count=0
    )


ObjectWriter = Callable[[_rows.Found], bytes]
"""Writes the rows of one key, each as often as once, as JSON objects with commas between them."""


def object_writer(schema: Schema) -> ObjectWriter | None:
    """What writes rows as they were found, all their columns; None for char(n), which gets blanks, and what holds other values."""
    if not schema or any(_looked_at(column.type) for column in schema):
        return None
    return partial(_json.encode_found, specs=_plan(schema)[0])


def _looked_at(type_: ColumnType) -> bool:
    return type_.kind in (Kind.ARRAY, *NESTED) or (type_.kind is Kind.CHAR and type_.length is not None)


def _shown(values: pa.Array, type_: ColumnType) -> pa.Array:
    """A column as the kernel takes it: char with its blanks, and what is made of other values as JSON."""
    if type_.kind is Kind.CHAR and type_.length is not None:
        return pc.utf8_rpad(values, type_.length)
    if type_.kind in NESTED:
        return nested.json(values, type_, _written)
    if type_.element is None:
        return values
    write = _written(type_.element)
    made, _ = arrays.each(values, len(values), type_, lambda elements, _count: (write(elements), None))
    return arrays.json(made, len(values))


def _written(type_: ColumnType) -> Callable[[pa.Array], pa.Array]:
    """What makes JSON texts of values of a type."""
    one = (Column("x", type_),)

    def write(values: pa.Array) -> pa.Array:
        made = encode_rows([values], one).cast(pa.large_string())
        return pc.utf8_slice_codeunits(made, start=len('{"x":'), stop=-1)

    return write


@lru_cache(256)
def _plan(schema: Schema) -> tuple[list[_json.Spec], list[pa.DataType]]:
    """How a schema's columns are written, and their Arrow types: made once, for answers of one row are many."""
    specs = [
        _json.Spec(
            f"{',' if i else '{'}{json.dumps(column.name, ensure_ascii=False)}:".encode(),
            _FORM[column.type.kind],
            column.type.trims,
        )
        for i, column in enumerate(schema)
    ]
    return specs, [column.type.arrow for column in schema]
