"""COPY FROM's bytes to typed columns, piece by piece: the native kernel cuts rows, whole columns are read as their types.

Always true: what comes out is in the order of what came in; the first row that is wrong is the one that is told, with its line and
column as PostgreSQL tells them. A row has at most MAX_ROW bytes. Nothing here runs by row.
Deliberately unknown: sessions, constraints between rows, and what becomes of the rows.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dataflow.types import Column
from serve.kernels import _pg_copy
from serve.pg.commands import CopyFrom
from serve.pg.copy_values import FormatError, bad_bytes, from_binary, from_text
from serve.pg.rows import SIGNATURE
from serve.sql.errors import QueryError, code_of
from serve.sql.results import Batch

MAX_ROW = 64 << 20
"""Bytes of one row."""

MAX_COLUMNS = 1601
"""One more than a header may have fields, as in PostgreSQL."""

_FORMATS = ("text", "csv", "binary")
_ESCAPES = {"r": '"\\r"', "n": '"\\n"'}
_SHOWN = 100
"""Bytes of a line or a value that an error shows."""


class _Wrong(IntEnum):
    """What is wrong with a row: the contract with Wrong in kernels/pg_copy.cpp."""

    FINE = 0
    MISSING = 1
    EXTRA = 2
    CARRIAGE_RETURN = 3
    NEWLINE = 4
    MARKER = 5
    UNTERMINATED = 6
    ENCODING = 7
    FIELDS = 8
    FIELD_SIZE = 9
    CUT_OFF = 10
    AFTER_END = 11
    ESCAPED = 12


class _Mistake(NamedTuple):
    """What is wrong with a row; the least one is told. column: beyond the last one for what is found once a row is whole.

    of_row: it is no single value's.
    """

    row: int
    column: int
    code: str
    message: str
    of_row: bool = False


class CopyReader:
    """Reads what one COPY FROM is sent."""

    def __init__(self, table: str, columns: tuple[Column, ...], copy: CopyFrom) -> None:
        """columns: those that the rows have, in their order."""
        self._table, self._columns, self._copy = table, columns, copy
        self._form = _FORMATS.index(copy.format)
        self._rest = b""
        self._wanted = 0
        self._ends = 0
        self._lines = 0
        self._header_lines = 1 if copy.header else 0
        self._begun = self._done = False

    def read(self, data: bytes, last: bool = False) -> Batch:
        """The rows that more bytes complete. last: nothing comes behind them. QueryError with the first mistake."""
        data = self._rest + data if self._rest else data
        self._rest = b""
        if self._done or (len(data) < self._wanted and not last):
            self._rest = b"" if self._done else data
            return self._nothing()
        if self._form == 2 and not self._begun:
            begin = self._header(data, last)
            if begin is None:
                self._rest = data
                return self._nothing()
            data = data[begin:]
        if self._header_lines and self._copy.match and not self._begun:
            self._match(data)
        self._begun = True
        if self._done and not data:
            return self._nothing()
        return self._cut(data, last)

    def _nothing(self) -> Batch:
        return Batch(tuple(pa.array([], column.type.arrow) for column in self._columns), 0)

    def _cut(self, data: bytes, last: bool) -> Batch:
        copy = self._copy
        made, begins, ends, lines, taken, passed, self._ends, self._done, wrong, column, end, bad = _pg_copy.fields(
            data, len(self._columns), self._form, copy.delimiter, copy.quote, copy.escape, copy.null, self._ends,
            self._header_lines, last,
        )  # fmt: skip
        if passed:
            self._header_lines = 0
        cells = [pa.Array._import_from_c_capsule(*raw) for raw in made]
        starts = np.asarray(pa.Array._import_from_c_capsule(*begins))
        stops = np.asarray(pa.Array._import_from_c_capsule(*ends))
        numbers = np.asarray(pa.Array._import_from_c_capsule(*lines)) + self._lines
        columns = []
        mistakes: list[_Mistake] = []
        for place, (cell, one) in enumerate(zip(cells, self._columns, strict=True)):
            values, mistake = self._typed(cell, place, one)
            columns.append(values)
            if mistake is not None:
                mistakes.append(mistake)
        if wrong == _Wrong.MISSING:
            message = f'missing data for column "{self._columns[column].name}"'
            mistakes.append(_Mistake(len(starts) - 1, column, "22P04", message, of_row=True))
        if mistakes:
            first = min(mistakes)
            row = first.row
            if not first.of_row:
                where = self._of_value(int(numbers[row]), first.column, cells[first.column][row])
            else:
                where = self._of_line(int(numbers[row]), data[int(starts[row]) : int(stops[row])])
            raise QueryError(first.code, first.message, context=where)
        if wrong:
            self._refuse(wrong, column, data[taken:end], self._lines + passed, bad)
        self._lines += passed
        self._rest = data[taken:] if not self._done else b""
        self._wanted = 0 if taken else 2 * len(self._rest)  # a row that is long is not looked at again for every byte
        if len(self._rest) > MAX_ROW:
            raise QueryError(
                "54000", f"a row of COPY may have {MAX_ROW >> 20} MiB", context=self._of_line(self._lines + 1)
            )
        if last and self._form == 2 and not self._done:
            self._refuse(_Wrong.CUT_OFF, 0, b"", self._lines)
        return Batch(tuple(columns), len(starts))

    # Values.

    def _typed(self, cells: pa.Array, place: int, column: Column) -> tuple[pa.Array, _Mistake | None]:
        """A column's cells as its type, and the first that is wrong."""
        binary = self._form == 2
        try:
            values, errors = (from_binary if binary else from_text)(cells, column.type)
        except FormatError as error:
            return cells, _Mistake(error.row, place, error.code, str(error))
        found: list[_Mistake] = []
        if errors is not None and errors.null_count < len(errors):
            row = int(np.flatnonzero(np.asarray(errors.is_valid()))[0])
            message = errors[row].as_py()
            found.append(_Mistake(row, place, code_of(message, "22P02"), message))
        if not column.nullable and cells.null_count:
            row = int(np.flatnonzero(np.asarray(cells.is_null()))[0])
            message = f'null value in column "{column.name}" of relation "{self._table}" violates not-null constraint'
            found.append(_Mistake(row, len(self._columns) + place, "23502", message, of_row=True))
        return values, min(found, default=None)

    # Headers.

    def _header(self, data: bytes, last: bool) -> int | None:
        """Where the rows of the binary format begin; None while its header is not whole."""
        if data[: len(SIGNATURE)] != SIGNATURE[: len(data)] or (last and len(data) < 19):
            raise QueryError("22P04", "COPY file signature not recognized")
        if len(data) < 19:
            return None
        if int.from_bytes(data[11:15], "big") >> 16:
            raise QueryError("22P04", "unrecognized critical flags in COPY file header")
        end = 19 + int.from_bytes(data[15:19], "big")
        if end > MAX_ROW:
            raise QueryError("22P04", "invalid COPY file header (wrong length)")
        return end if len(data) >= end else None

    def _match(self, data: bytes) -> None:
        """Check HEADER MATCH: the names have to be those of the columns."""
        copy = self._copy
        line = re.split(rb"\r\n|\n|\r", data, maxsplit=1)[0]
        count = len(self._columns)
        made, *_, wrong, column, _, _ = _pg_copy.fields(
            line, MAX_COLUMNS, self._form, copy.delimiter, copy.quote, copy.escape, copy.null, 0, 0, True
        )
        if wrong == _Wrong.MISSING and column == count:
            made, *_, wrong, _, _, _ = _pg_copy.fields(
                line, count, self._form, copy.delimiter, copy.quote, copy.escape, copy.null, 0, 0, True
            )
        elif wrong == _Wrong.MISSING:
            raise QueryError(
                "22P04", f"wrong number of fields in header line: got {column}, expected {count}",
                context=self._of_line(1, line),
            )  # fmt: skip
        if wrong:
            self._refuse(wrong, column, line, 0)
        for place, (raw, expected) in enumerate(zip(made, self._columns, strict=True), 1):
            name = pa.Array._import_from_c_capsule(*raw)[0].as_py()
            if name != expected.name:
                got = f'null value ("{copy.null}")' if name is None else f'"{name}"'
                raise QueryError(
                    "22P04", f'column name mismatch in header line field {place}: got {got}, expected "{expected.name}"',
                    context=self._of_line(1, line),
                )  # fmt: skip

    # Errors.

    def _of_line(self, number: int, line: bytes | None = None) -> str:
        where = f"COPY {self._table}, line {number}"
        if self._form == 2 or line is None:
            return where
        return f'{where}: "{line[:_SHOWN].decode(errors="ignore")}{"..." if len(line) > _SHOWN else ""}"'

    def _of_value(self, number: int, place: int, cell: pa.Scalar) -> str:
        where = f"COPY {self._table}, line {number}, column {self._columns[place].name}"
        if self._form == 2:
            return where
        text = cell.as_py()
        if text is None:
            return f"{where}: null input"
        return f'{where}: "{text[:_SHOWN]}{"..." if len(text) > _SHOWN else ""}"'

    def _refuse(self, wrong: int, column: int, line: bytes, passed: int, bad: bytes = b"") -> None:
        """QueryError for a row that cannot be cut; `passed` lines come before it."""
        names = [one.name for one in self._columns]
        csv, hint = self._form == 1, None
        shown: bytes | None = line
        match wrong:
            case _Wrong.EXTRA:
                message = "extra data after last expected column"
                passed -= 1
            case _Wrong.CARRIAGE_RETURN:
                shown = None
                message = "unquoted carriage return found in data" if csv else "literal carriage return found in data"
                hint = f"Use {'quoted CSV field' if csv else _ESCAPES['r']} to represent carriage return."
            case _Wrong.NEWLINE:
                shown = None
                message = "unquoted newline found in data" if csv else "literal newline found in data"
                hint = f"Use {'quoted CSV field' if csv else _ESCAPES['n']} to represent newline."
            case _Wrong.MARKER:
                shown = None
                message = "end-of-copy marker corrupt"
            case _Wrong.UNTERMINATED:
                message = "unterminated CSV quoted field"
            case _Wrong.ENCODING:
                raise QueryError(
                    "22021", f'invalid byte sequence for encoding "UTF8": {bad_bytes(line)}',
                    context=f"COPY {self._table}, line {passed + 1}",
                )  # fmt: skip
            case _Wrong.ESCAPED:
                raise QueryError(
                    "22021", f'invalid byte sequence for encoding "UTF8": {bad_bytes(bad)}',
                    context=self._of_line(passed, line),
                )  # fmt: skip
            case _Wrong.FIELDS:
                message = f"row field count is {column - (column >> 15 << 16)}, expected {len(names)}"
            case _Wrong.FIELD_SIZE:
                message = "invalid field size"
            case _Wrong.CUT_OFF:
                message = "unexpected EOF in COPY data"
            case _:
                message = "received copy data after EOF marker"
        raise QueryError("22P04", message, hint=hint, context=self._of_line(passed + 1, shown))
