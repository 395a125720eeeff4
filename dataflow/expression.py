"""What the engine asks of a scalar expression; `planner` compiles SQL expressions into objects of this shape."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Evaluated(NamedTuple):
    """The outcome of one expression over n rows.

    values: Arrow array of length n; where a row failed, its value means nothing.
    errors: None when no row failed, else large_string of length n: PostgreSQL's message where a row failed, NULL elsewhere.
    """

    values: pa.Array
    errors: pa.Array | None


class Expression(Protocol):
    """A pure, vectorised function of a row: never blocks, never reads a clock. Threads may call it at once for different rows."""

    def evaluate(self, columns: tuple[pa.Array, ...], rows: int) -> Evaluated:
        """Evaluate over `rows` rows of an input relation's columns. Data errors are returned, never raised."""
        ...

    def __str__(self) -> str:
        """The expression as SQL-like text, for EXPLAIN."""
        ...


class Produced(Protocol):
    """What a table function makes of n rows: a few rows of its own for each.

    counts: int64, shape (n,): how many, 0 where it failed. errors: as in Evaluated.
    """

    @property
    def counts(self) -> npt.NDArray[np.int64]: ...

    @property
    def errors(self) -> pa.Array | None: ...

    def take(
        self, of: npt.NDArray[np.int64], place: npt.NDArray[np.int64], there: npt.NDArray[np.bool_]
    ) -> tuple[pa.Array, ...]:
        """For each k the row at `place[k]` (from 0) of those made of input row `of[k]`; NULLs where `there` is false."""
        ...


class TableExpression(Protocol):
    """A pure, vectorised function from a row to rows; like Expression otherwise."""

    def evaluate(self, columns: tuple[pa.Array, ...], rows: int) -> Produced:
        """Evaluate over `rows` rows of an input relation's columns. Data errors are returned, never raised."""
        ...

    def __str__(self) -> str:
        """The call as SQL-like text, for EXPLAIN."""
        ...
