"""Result rows as bytes of the wire: DataRow and CopyData messages for whole columns at once, by the native kernel.

Always true: text is PostgreSQL's own spelling with DateStyle ISO and TimeZone UTC; binary is PostgreSQL's send format. Nothing
here runs by row. Deliberately unknown: queries.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.scalars import arrays
from dataflow.types import NESTED, STRINGS, ColumnType, Kind
from dataflow.types import TEXT as STRING
from serve.kernels import _pg_copy, _pg_rows
from serve.pg.commands import Copy
from serve.sql.errors import QueryError
from serve.sql.results import Batch
from serve.sql.types import oid

TEXT, BINARY = 0, 1
"""Format codes."""

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
BINARY_HEADER, BINARY_END = SIGNATURE + bytes(8), b"\xff\xff"
"""What COPY's binary format begins and ends with."""

# The order is the contract with Form in kernels/pg_rows.cpp.
_FORMS: dict[Kind, int] = {
    Kind.TEXT: 0,
    Kind.BYTEA: 0,
    Kind.BOOLEAN: 1,
    Kind.SMALLINT: 2,
    Kind.INTEGER: 3,
    Kind.BIGINT: 4,
    Kind.REAL: 5,
    Kind.DOUBLE: 6,
    Kind.NUMERIC: 7,
    Kind.DATE: 8,
    Kind.TIMESTAMP: 9,
    Kind.TIMESTAMPTZ: 9,
    Kind.JSONB: 10,
    Kind.INTERVAL: 11,
    Kind.UUID: 12,
    Kind.TIME: 4,
    Kind.CHAR: 0,
    Kind.VARCHAR: 0,
    Kind.ARRAY: 27,
}
_ARRAY = _FORMS[Kind.ARRAY]
_TEXT_FORMS: dict[Kind, int] = {
    **dict.fromkeys((*STRINGS, Kind.JSONB, Kind.ARRAY, *NESTED), 0),
    Kind.BOOLEAN: 13,
    Kind.SMALLINT: 14,
    Kind.INTEGER: 15,
    Kind.BIGINT: 16,
    Kind.REAL: 17,
    Kind.DOUBLE: 18,
    Kind.NUMERIC: 19,
    Kind.DATE: 20,
    Kind.TIMESTAMP: 21,
    Kind.TIMESTAMPTZ: 22,
    Kind.INTERVAL: 23,
    Kind.UUID: 24,
    Kind.TIME: 25,
    Kind.BYTEA: 26,
}


def has_layers(type_: ColumnType) -> bool:
    """Whether values are lists, maps or records, or arrays of records: they are sent and read as text only."""
    return bool(type_.parts) or (type_.element is not None and has_layers(type_.element))


def forms(types: Sequence[ColumnType], formats: Sequence[int]) -> list[tuple[int, bool]]:
    """How the kernel writes each column; made once for each portal. QueryError for what has no binary form here."""
    for type_, format_ in zip(types, formats, strict=True):
        if format_ == BINARY and has_layers(type_):
            raise QueryError(
                "0A000", f"{type_} in binary is not supported", hint="ask for text, or cast it to text or jsonb"
            )
    return [
        ((_TEXT_FORMS if format_ == TEXT else _FORMS)[type_.kind], type_.trims)
        for type_, format_ in zip(types, formats, strict=True)
    ]


def data_rows(
    columns: Sequence[pa.Array],
    rows: int,
    types: Sequence[ColumnType],
    how: list[tuple[int, bool]],
) -> bytes:
    """A DataRow message for each row. `how` is `forms(types, formats)`."""
    taken = [_taken(column, rows, type_, form) for column, type_, (form, _) in zip(columns, types, how, strict=True)]
    return _pg_rows.data_rows(taken, how, rows)


def copy_rows(columns: Sequence[pa.Array], rows: int, types: Sequence[ColumnType], copy: Copy) -> bytes:
    """A CopyData message for each row."""
    if copy.format == "binary":
        return _pg_copy.copy_data(data_rows(columns, rows, types, forms(types, (BINARY,) * len(types))))
    values = [_shown(column, rows, type_) for column, type_ in zip(columns, types, strict=True)]
    return _pg_rows.copy_rows(values, rows, copy.format == "csv", copy.delimiter, copy.null)


def text_batch(lines: Sequence[Sequence[str | None]], width: int) -> Batch:
    """Rows of text."""
    return Batch(tuple(pa.array([line[i] for line in lines], STRING.arrow) for i in range(width)), len(lines))


def as_stored(types: Sequence[ColumnType]) -> bool:
    """Whether the kernel takes columns of these types as they are."""
    return not any(
        type_.kind in (Kind.ARRAY, *NESTED) or (type_.kind is Kind.CHAR and type_.length is not None) for type_ in types
    )


def _padded(column: pa.Array, type_: ColumnType) -> pa.Array:
    """A column with the blanks that char is declared with."""
    return pc.utf8_rpad(column, type_.length) if type_.kind is Kind.CHAR and type_.length is not None else column


def _taken(column: pa.Array, rows: int, type_: ColumnType, form: int) -> pa.Array:
    """A column as the kernel takes it."""
    if type_.parts:
        return _shown(column, rows, type_)
    if type_.element is None:
        return _padded(column, type_)
    return _array(column, rows, type_, type_.element) if form == _ARRAY else _shown(column, rows, type_)


def _array(column: pa.Array, rows: int, type_: ColumnType, element: ColumnType) -> pa.Array:
    """Arrays as PostgreSQL sends them in binary."""
    _, elements = arrays.elements(column, rows, type_)
    made = _pg_rows.arrays(column, _padded(elements, element), (_FORMS[element.kind], element.trims), oid(element))
    return pa.Array._import_from_c_capsule(*made)


def _shown(column: pa.Array, rows: int, type_: ColumnType) -> pa.Array:
    """A column as text."""
    if type_.kind in STRINGS or type_.kind is Kind.JSONB:
        return _padded(column, type_)
    return scalars.format(column, rows, type_, short_boolean=True)
