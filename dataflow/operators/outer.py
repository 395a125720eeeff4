"""Outer joins: what stands in the place of a partner that is not there.

    SELECT * FROM a LEFT JOIN b ON a.k = b.k        join(a, b) + (anti-join(a, b), NULL ...)

An outer join is put together by `GraphBuilder.outer_join` of the operators that there are: it keeps the arrangements that the
inner join keeps anyway, and the keys of the other side. Here is only the NULL column.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from dataflow.expression import Evaluated
from dataflow.types import ColumnType


@dataclass(frozen=True, slots=True)
class Null:
    """The Expression that is NULL in every row."""

    type: ColumnType

    def evaluate(self, columns: tuple[pa.Array, ...], rows: int) -> Evaluated:  # noqa: ARG002 - an Expression's signature
        """As many NULLs as there are rows."""
        return Evaluated(pa.nulls(rows, self.type.arrow), None)

    def __str__(self) -> str:
        return "NULL"
