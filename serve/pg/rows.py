"""Result rows as bytes of the wire: DataRow and CopyData messages for whole columns at once, by the native kernel.

Always true: text is PostgreSQL's own spelling with DateStyle ISO and TimeZone UTC; binary is PostgreSQL's send format. Nothing
here runs by row. Deliberately unknown: queries.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.types import STRINGS, ColumnType, Kind
from dataflow.types import TEXT as STRING
from serve.kernels import _pg_rows
from serve.sql.results import Batch

TEXT, BINARY = 0, 1
"""Format codes."""

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
}
_TEXT_FORMS = {Kind.BOOLEAN: 13, Kind.SMALLINT: 14, Kind.INTEGER: 15, Kind.BIGINT: 16}
"""Kinds whose text the kernel writes itself."""

_AS_TEXT = (*STRINGS, Kind.JSONB)


def forms(types: Sequence[ColumnType], formats: Sequence[int]) -> list[tuple[int, bool]]:
    """How the kernel writes each column; made once for each portal."""
    return [
        (_TEXT_FORMS.get(type_.kind, 0), False) if format_ == TEXT else (_FORMS[type_.kind], type_.trims)
        for type_, format_ in zip(types, formats, strict=True)
    ]


def data_rows(
    columns: Sequence[pa.Array],
    rows: int,
    types: Sequence[ColumnType],
    formats: Sequence[int],
    how: list[tuple[int, bool]],
) -> bytes:
    """A DataRow message for each row. `how` is `forms(types, formats)`."""
    values = [
        _shown(column, rows, type_, binary=format_ == BINARY or type_.kind in _TEXT_FORMS)
        for column, type_, format_ in zip(columns, types, formats, strict=True)
    ]
    return _pg_rows.data_rows(values, how, rows)


def copy_rows(
    columns: Sequence[pa.Array], rows: int, types: Sequence[ColumnType], csv: bool, delimiter: str, null: str
) -> bytes:
    """A CopyData message for each row, in COPY's text or csv format."""
    values = [_shown(column, rows, type_, binary=False) for column, type_ in zip(columns, types, strict=True)]
    return _pg_rows.copy_rows(values, rows, csv, delimiter, null)


def text_batch(lines: Sequence[Sequence[str | None]], width: int) -> Batch:
    """Rows of text."""
    return Batch(tuple(pa.array([line[i] for line in lines], STRING.arrow) for i in range(width)), len(lines))


def _shown(column: pa.Array, rows: int, type_: ColumnType, binary: bool) -> pa.Array:
    """A column as the kernel takes it: text where it is sent as text, char with the blanks that it is declared with."""
    if type_.kind is Kind.CHAR and type_.length is not None:
        return pc.utf8_rpad(column, type_.length)
    if binary or type_.kind in _AS_TEXT:
        return column
    return scalars.format(column, rows, type_, short_boolean=True)
