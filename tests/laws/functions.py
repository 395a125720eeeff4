"""Row functions for the laws, each usable by the engine (as an Expression) and by the oracle (as a function of a row)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dataflow.expression import Evaluated, Produced
from dataflow.types import BIGINT, BOOLEAN, ColumnType
from tests.laws.zsets import Row, RowError

DIVISION = "division by zero"


@dataclass(frozen=True)
class Function:
    """A function of a row that may fail with a RowError."""

    name: str
    function: Callable[[Row], Any]
    type: ColumnType

    def __call__(self, row: Row) -> Any:
        return self.function(row)

    def __str__(self) -> str:
        return self.name

    def evaluate(self, columns: tuple[pa.Array, ...], rows: int) -> Evaluated:
        values: list[Any] = []
        errors: list[str | None] = []
        for row in zip(*(column.to_pylist() for column in columns), strict=True) if columns else [()] * rows:
            try:
                values.append(self.function(row))
                errors.append(None)
            except RowError as error:
                values.append(None)
                errors.append(str(error))
        failed = pa.array(errors, pa.large_string()) if any(errors) else None
        return Evaluated(pa.array(values, self.type.arrow), failed)


def divide(left: int, right: int) -> Function:
    """#left / #right, rounded down; an error where #right is 0."""

    def function(row: Row) -> Any:
        if row[left] is None or row[right] is None:
            return None
        if row[right] == 0:
            raise RowError(DIVISION)
        return row[left] // row[right] % 1000

    return Function(f"(#{left} / #{right})", function, BIGINT)


def above(column: int, bound: int) -> Function:
    """#column > bound."""

    def function(row: Row) -> Any:
        return None if row[column] is None else row[column] > bound

    return Function(f"(#{column} > {bound})", function, BOOLEAN)


def ratio_above(left: int, right: int, bound: int) -> Function:
    """#left / #right > bound, which fails where #right is 0."""
    ratio = divide(left, right)

    def function(row: Row) -> Any:
        value = ratio(row)
        return None if value is None else value > bound

    return Function(f"({ratio} > {bound})", function, BOOLEAN)


def refuse(column: int, value: int) -> Function:
    """TRUE, but an error with a message of its own where #column is `value`."""

    def function(row: Row) -> Any:
        if row[column] == value:
            raise RowError(f"{value} is refused")
        return True

    return Function(f"refuse(#{column}, {value})", function, BOOLEAN)


@dataclass(frozen=True)
class Rows:
    """A table function: a function from a row to a list of rows of these types, that may fail with a RowError."""

    name: str
    function: Callable[[Row], list[Row]]
    types: tuple[ColumnType, ...]

    def __call__(self, row: Row) -> list[Row]:
        return self.function(row)

    def __str__(self) -> str:
        return self.name

    def evaluate(self, columns: tuple[pa.Array, ...], rows: int) -> Produced:
        made: list[list[Row]] = []
        errors: list[str | None] = [None] * rows
        for i, row in enumerate(zip(*(column.to_pylist() for column in columns), strict=True)):
            try:
                made.append(self.function(row))
            except RowError as error:
                made.append([])
                errors[i] = str(error)
        return Made(self.types, made, pa.array(errors, pa.large_string()) if any(errors) else None)


@dataclass(frozen=True)
class Made:
    """The rows that `Rows` made."""

    types: tuple[ColumnType, ...]
    rows: list[list[Row]]
    errors: pa.Array | None

    @property
    def counts(self) -> Any:
        return np.array([len(made) for made in self.rows], np.int64)

    def take(self, of: Any, place: Any, there: Any) -> tuple[pa.Array, ...]:
        nothing = (None,) * len(self.types)
        found = [self.rows[i][j] if yes else nothing for i, j, yes in zip(of, place, there, strict=True)]
        return tuple(pa.array([row[k] for row in found], t.arrow) for k, t in enumerate(self.types))


def repeat(column: int, most: int) -> Rows:
    """(i, #column) for each i below #column modulo `most`; an error where #column is -1, nothing where it is NULL."""

    def function(row: Row) -> list[Row]:
        if row[column] == -1:
            raise RowError("-1 is refused")
        return [] if row[column] is None else [(i, row[column]) for i in range(row[column] % most)]

    return Rows(f"repeat(#{column}, {most})", function, (BIGINT, BIGINT))
