"""Delta: a change as a Z-set, in columns.

Always true: every column has as many rows as `diffs`; a delta is immutable. A delta need not be consolidated: the same row
may stand in it twice, and its order means nothing, except on the way into an upsert operator, where it is arrival order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.types import ColumnType

Diffs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Delta:
    """Rows with integer weights.

    columns: one Arrow array for each column, each of length n, never chunked.
    diffs: int64, shape (n,): how many times each row is added (or, if negative, taken away).
    """

    columns: tuple[pa.Array, ...]
    diffs: Diffs

    def __len__(self) -> int:
        return len(self.diffs)

    @classmethod
    def empty(cls, types: Sequence[ColumnType]) -> Delta:
        """The zero of the group: no rows of these types."""
        return cls(tuple(pa.array([], type=t.arrow) for t in types), np.empty(0, np.int64))
