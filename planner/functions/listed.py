"""What a table function makes of its input rows: rows that lie in columns, or a series that is computed when asked for.

Always true: both are `dataflow.expression.Produced`. Deliberately unknown here: which functions there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Int64s = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Arrays = Sequence[pa.Array]
"""Arguments, each of n rows."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows that lie one after another in columns, as many for each input row as `counts` says."""

    counts: Int64s
    columns: tuple[pa.Array, ...]
    errors: pa.Array | None = None

    def take(self, of: Int64s, place: Int64s, there: Mask) -> tuple[pa.Array, ...]:
        """See `Produced`."""
        starts = np.cumsum(self.counts) - self.counts
        indices = pa.array(starts[of] + place, mask=None if there.all() else ~there)
        return tuple(pc.take(column, indices) for column in self.columns)


@dataclass(frozen=True, slots=True)
class Series:
    """`start + place * step`, computed when a place is asked for; `type` is that of the values."""

    counts: Int64s
    start: Int64s
    step: Int64s
    type: pa.DataType
    errors: pa.Array | None = None

    def take(self, of: Int64s, place: Int64s, there: Mask) -> tuple[pa.Array, ...]:
        """See `Produced`."""
        values = pa.array(self.start[of] + place * self.step[of], mask=None if there.all() else ~there)
        return (values.cast(self.type),)
