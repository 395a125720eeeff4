"""Row functions for the laws, each usable by the engine (as an Expression) and by the oracle (as a function of a row)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dataflow.expression import Evaluated
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
