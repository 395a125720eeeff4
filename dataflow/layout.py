"""What the rows of a spine are and how they are sorted, and the runs that are sorted so.

A run is sorted by (hash of the key, second, full comparison), where `second` is the row's hash, or, in an ordered layout,
an order-preserving prefix of the first order column. Always true: a run never changes, no two of its rows are equal and no
diff is 0. Deliberately unknown: which runs make a collection (spine.py), and what a column means.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataflow.delta import Delta, Diffs
from dataflow.kernels import _rows
from dataflow.rows import Columns, _columns
from dataflow.types import ColumnType


@dataclass(frozen=True, slots=True)
class Order:
    """One term of an order. Values ascend (PostgreSQL's order: NaN is greatest, text bytewise) unless `descending`."""

    column: int
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True)
class Layout:
    """What the rows of a spine are and how they are sorted.

    key: columns that probes look up, in the order of a probe's key columns; empty: every row has the same key.
    order: how rows of one key are sorted; ties are broken by the other columns, ascending. Without it: by row hash.
    """

    types: tuple[ColumnType, ...]
    key: tuple[int, ...]
    order: tuple[Order, ...] = ()

    @cached_property
    def shape(self) -> _rows.Shape:
        """The kernels' form of it; ValueError when a column does not exist."""
        empty = [pa.array([], type=t.arrow) for t in self.types]
        return _rows.Shape.make(empty, self.key, [(o.column, o.descending, o.nulls_first) for o in self.order])

    def sort(self, delta: Delta) -> _rows.Run:
        """The delta as a run; ValueError when its columns are not of the layout's types."""
        return _rows.Run.make(self.shape, delta.columns, delta.diffs)

    @cached_property
    def arrow_types(self) -> list[pa.DataType]:
        """The Arrow types of the columns."""
        return [kind.arrow for kind in self.types]

    @cached_property
    def all_columns(self) -> tuple[int, ...]:
        """The indices of every column."""
        return tuple(range(len(self.types)))


class Run:
    """An immutable, sorted, consolidated piece of a collection."""

    __slots__ = ("_run",)

    def __init__(self, run: _rows.Run) -> None:
        self._run = run

    def __len__(self) -> int:
        return self._run.rows

    @property
    def nbytes(self) -> int:
        """Bytes of its columns and of the 16 to 25 per row beside them: fewest where all diffs are 1."""
        return self._run.bytes

    @property
    def columns(self) -> Columns:
        """The columns, in sorted order; they share the run's memory."""
        return _columns(self._run.columns())

    @property
    def diffs(self) -> Diffs:
        """int64, shape (n,), none of them 0."""
        return self._run.diffs()

    @property
    def key_hashes(self) -> npt.NDArray[np.uint64]:
        """uint64, shape (n,), ascending: the hash of each row's key."""
        return self._run.hashes()

    @property
    def seconds(self) -> npt.NDArray[np.uint64]:
        """uint64, shape (n,), ascending within equal key hashes."""
        return self._run.seconds()
