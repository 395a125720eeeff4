"""What the engine asks of a scalar expression; `planner` compiles SQL expressions into objects of this shape."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import pyarrow as pa


class Evaluated(NamedTuple):
    """The outcome of one expression over n rows.

    values: Arrow array of length n; where a row failed, its value means nothing.
    errors: None when no row failed, else large_string of length n: PostgreSQL's message where a row failed, NULL elsewhere.
    """

    values: pa.Array
    errors: pa.Array | None


class Expression(Protocol):
    """A pure, vectorised function of a row. Called in every tick on the tick thread: never blocks, never reads a clock."""

    def evaluate(self, columns: tuple[pa.Array, ...], rows: int) -> Evaluated:
        """Evaluate over `rows` rows of an input relation's columns. Data errors are returned, never raised."""
        ...

    def __str__(self) -> str:
        """The expression as SQL-like text, for EXPLAIN."""
        ...
