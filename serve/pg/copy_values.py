"""The cells of COPY FROM as columns of their types, text or binary.

Always true: whole columns are read, nothing by row; NULL stays NULL. A cell that cannot be read is told by its row: FormatError for
what is no value of the binary format, an array of errors for what is no value of the type.
Deliberately unknown: where cells come from, and the table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import scalars
from dataflow.types import JSONB, STRINGS, ColumnType, Kind
from serve.kernels import _pg_copy
from serve.pg.values import EPOCH_DAYS, EPOCH_MICROS
from serve.sql.errors import QueryError


class FormatError(Exception):
    """A value whose bytes are not of the binary format."""

    def __init__(self, row: int, message: str = "incorrect binary data format", code: str = "22P03") -> None:
        super().__init__(message)
        self.row, self.code = row, code


def bad_bytes(line: bytes) -> str:
    """The first bytes that are no UTF-8, as PostgreSQL shows them."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        bad = line[error.start : max(error.end, error.start + 1)]
        return " ".join(f"0x{byte:02x}" for byte in bad)
    return "0x00"


Typed = tuple[pa.Array, pa.Array | None]
"""A column, and the error of each cell that is wrong; None where none can be."""


def from_text(cells: pa.Array, type_: ColumnType) -> Typed:
    """Cells of the formats text and csv, which are texts."""
    if type_.kind in STRINGS:
        return limited(cells, type_)
    return scalars.parse(cells, len(cells), type_)


def limited(values: pa.Array, type_: ColumnType) -> Typed:
    """Texts as values of a type that may bound their length: blanks beyond it are cut off, and anything else is an error."""
    errors = None
    if type_.length is not None:
        long = pc.greater(pc.utf8_length(values), type_.length)
        if pc.any(long).as_py():
            cut = pc.utf8_slice_codeunits(values, 0, type_.length)
            lost = pc.and_(long, pc.not_equal(pc.utf8_rtrim(values, " "), pc.utf8_rtrim(cut, " ")))
            name = "character varying" if type_.kind is Kind.VARCHAR else "character"
            message = f"value too long for type {name}({type_.length})"
            errors = pc.if_else(lost, pa.scalar(message, pa.large_string()), pa.scalar(None, pa.large_string()))
            values = pc.if_else(long, cut, values)
    return (pc.utf8_rtrim(values, " ") if type_.kind is Kind.CHAR else values), errors


def from_binary(cells: pa.Array, type_: ColumnType) -> Typed:
    """Cells of the binary format, which are bytes. FormatError with the first that is no value; QueryError where none is read."""
    read = _BINARY.get(type_.kind)
    if read is None:
        raise QueryError("0A000", f"COPY of {type_} in binary is not supported", hint="use text or csv")
    return read(cells, type_)


def _fixed(dtype: str, cells: pa.Array, _: ColumnType) -> np.ndarray:
    """Values of one width as numbers, 0 for NULL."""
    width = np.dtype(dtype).itemsize
    there = np.asarray(cells.is_valid())
    wrong = there & (np.asarray(pc.binary_length(cells).fill_null(0)) != width)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        if len(cells[row].as_py()) < width:
            raise FormatError(row, "insufficient data left in message", "08P01")
        raise FormatError(row)
    _, offsets, data = cells.buffers()
    begin = int(np.frombuffer(offsets, np.int64)[cells.offset]) if len(cells) else 0
    count = int(there.sum())
    packed = np.frombuffer(data or b"", dtype, count, begin) if count else np.zeros(0, dtype)
    values = np.zeros(len(cells), packed.dtype.newbyteorder("="))
    values[there] = packed
    return values


def _made(cells: pa.Array, type_: ColumnType, values: np.ndarray) -> Typed:
    """Numbers in memory as a column, NULL where the cells are."""
    valid = np.packbits(np.asarray(cells.is_valid()), bitorder="little").tobytes()
    buffers = [pa.py_buffer(valid), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(type_.arrow, len(cells), buffers), None


def _number(dtype: str, cells: pa.Array, type_: ColumnType) -> Typed:
    return _made(cells, type_, _fixed(dtype, cells, type_))


def _boolean(cells: pa.Array, type_: ColumnType) -> Typed:
    return _made(cells, type_, np.packbits(_fixed("u1", cells, type_) != 0, bitorder="little"))


def _since(dtype: str, origin: int, ends: bool, cells: pa.Array, type_: ColumnType) -> Typed:
    values = _fixed(dtype, cells, type_)
    bounds = np.iinfo(values.dtype)
    infinite = (values == bounds.max) | (values == bounds.min) | (values > bounds.max - origin) if ends else values < 0
    if not ends:
        infinite |= values > 86_400_000_000
    if infinite.any():
        raise FormatError(int(np.flatnonzero(infinite)[0]), f"{type_} out of range", "22008")
    return _made(cells, type_, values + values.dtype.type(origin))


def _interval(cells: pa.Array, type_: ColumnType) -> Typed:
    read = _fixed("V16", cells, type_).view([("micros", ">i8"), ("days", ">i4"), ("months", ">i4")])
    values = np.zeros(len(cells), [("months", "i4"), ("days", "i4"), ("micros", "i8")])
    for name in ("months", "days", "micros"):
        values[name] = read[name]
    return _made(cells, type_, values)


def _texts(cells: pa.Array, type_: ColumnType) -> Typed:
    try:
        values = pc.cast(cells, pa.large_string())
    except pa.ArrowInvalid:
        row = next(row for row, cell in enumerate(cells) if cell.is_valid and not _is_text(cell.as_py()))
        bad = bad_bytes(cells[row].as_py())
        raise FormatError(row, f'invalid byte sequence for encoding "UTF8": {bad}', "22021") from None
    zero = pc.match_substring(values, "\0")
    if pc.any(zero).as_py():
        row = int(np.flatnonzero(np.asarray(zero.fill_null(False)))[0])
        raise FormatError(row, 'invalid byte sequence for encoding "UTF8": 0x00', "22021")
    return limited(values, type_) if type_.kind in STRINGS else (values, None)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _jsonb(cells: pa.Array, type_: ColumnType) -> Typed:
    validity, offsets, data = cells.buffers()
    begins = (
        np.frombuffer(offsets, np.int64)[cells.offset : cells.offset + len(cells)] if len(cells) else np.zeros(0, int)
    )
    there = np.flatnonzero(np.asarray(pc.greater(pc.binary_length(cells), 0).fill_null(False)))
    content = np.frombuffer(data or b"", np.uint8).copy()
    wrong = np.flatnonzero(content[begins[there]] != 1)
    if len(wrong):
        raise FormatError(int(there[wrong[0]]), "unsupported jsonb version number", "XX000")
    content[begins[there]] = ord(" ")
    buffers = [validity, offsets, pa.py_buffer(content)]
    values, _ = _texts(pa.Array.from_buffers(cells.type, len(cells), buffers, offset=cells.offset), JSONB)
    return scalars.parse(values, len(values), type_)


def _numeric(cells: pa.Array, type_: ColumnType) -> Typed:
    texts = pa.Array._import_from_c_capsule(*_pg_copy.numeric_texts(cells))
    wrong = pc.equal(texts, "?").fill_null(False)
    if pc.any(wrong).as_py():
        raise FormatError(int(np.flatnonzero(np.asarray(wrong))[0]))
    return scalars.parse(texts, len(texts), type_)


_BINARY: dict[Kind, Callable[[pa.Array, ColumnType], Typed]] = {
    Kind.BOOLEAN: _boolean,
    Kind.SMALLINT: partial(_number, ">i2"),
    Kind.INTEGER: partial(_number, ">i4"),
    Kind.BIGINT: partial(_number, ">i8"),
    Kind.REAL: partial(_number, ">f4"),
    Kind.DOUBLE: partial(_number, ">f8"),
    Kind.NUMERIC: _numeric,
    Kind.DATE: partial(_since, ">i4", EPOCH_DAYS, True),
    Kind.TIMESTAMP: partial(_since, ">i8", EPOCH_MICROS, True),
    Kind.TIMESTAMPTZ: partial(_since, ">i8", EPOCH_MICROS, True),
    Kind.TIME: partial(_since, ">i8", 0, False),
    Kind.INTERVAL: _interval,
    Kind.UUID: partial(_number, "V16"),
    Kind.BYTEA: lambda cells, _: (cells, None),
    Kind.JSONB: _jsonb,
    **dict.fromkeys(STRINGS, _texts),
}
