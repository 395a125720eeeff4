"""Folds that keep values: all those of a frame in order (array_agg, string_agg ...), or the one that is best by another.

Always true: a result is that of the aggregate over the frame's rows in the window's order. What all rows up to one come to is
stored only where a frame begins with the partition: it is as large as the result. Deliberately unknown here: frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflow.operators.base import Types
from dataflow.operators.ordered import Members, OrderedAggregate, put_together
from dataflow.operators.window_folds import Fold, based, extremes, pick
from dataflow.operators.window_frames import Places, Ranges
from dataflow.rows import Columns, Int64s
from dataflow.types import TEXT, ColumnType

_PIECE = 1 << 20
"""The most rows of frames that are laid out at once, beyond one frame's own."""


@dataclass(frozen=True, slots=True)
class Collected(Fold):
    """All values, one after the other, and the error of those that do not fit together.

    prefix: whether it is kept for all rows up to one.
    """

    aggregate: OrderedAggregate
    prefix: bool

    @property
    def stored(self) -> Types:
        return (self.aggregate.type, TEXT) if self.prefix else ()

    def over(self, places: Places, stored: Columns, ranges: Ranges) -> Columns:
        own = self.aggregate
        values = places.take(own.column)
        broken = pa.nulls(len(places), TEXT.arrow)
        if stored and len(places.bases):
            values = based(values, stored[0], places.bases)
            broken = based(broken, stored[1], places.bases)
        counted = values.is_valid().to_numpy(zero_copy_only=False)
        columns = {own.column: values}
        if own.other is not None:
            columns[own.other] = places.take(own.other)
        results, errors = [], []
        for size, ids, where in _laid_out(ranges):
            bad = np.flatnonzero(broken.is_valid().to_numpy(zero_copy_only=False)[where])
            error = np.full(size, len(broken), np.int64)
            error[ids[bad]] = where[bad]
            kept = counted[where]
            made, failed = put_together(own, columns, Members(ids[kept], where[kept], size))
            before = pick(broken, np.minimum(error, len(broken) - 1), error < len(broken))
            errors.append(before if failed is None else pc.coalesce(before, failed.cast(TEXT.arrow)))
            results.append(made)
        return pa.concat_arrays(results), pa.concat_arrays(errors)


def _laid_out(ranges: Ranges) -> Iterator[tuple[int, Int64s, Int64s]]:
    """All rows of all frames, in pieces: how many frames, and for each row of which of them it is, and its place."""
    lows, highs = (np.stack(ends, axis=1) for ends in zip(*ranges, strict=True))
    sizes = np.maximum(highs - lows, 0)
    ends = np.cumsum(sizes.sum(axis=1))
    begin = 0
    while True:
        done = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + _PIECE, "right")))
        low, size = lows[begin:end].ravel(), sizes[begin:end].ravel()
        count = len(lows[begin:end])
        ids = np.repeat(np.repeat(np.arange(count, dtype=np.int64), lows.shape[1]), size)
        within = np.arange(len(ids), dtype=np.int64) - np.repeat(np.cumsum(size) - size, size)
        yield count, ids, np.repeat(low, size) + within
        begin = end
        if begin >= len(lows):
            return


@dataclass(frozen=True, slots=True)
class Best(Fold):
    """The value of the row whose other column is the least or the greatest; of several the last one's, NULL or not."""

    column: int
    by: int
    types: tuple[ColumnType, ColumnType]
    greatest: bool

    @property
    def stored(self) -> Types:
        return self.types

    def over(self, places: Places, stored: Columns, ranges: Ranges) -> Columns:
        by = based(places.take(self.by), stored[1], places.bases)
        found, there = extremes(by, self.types[1], self.greatest, ranges)
        values = based(places.take(self.column), stored[0], places.bases)
        return pick(values, found, there), pick(by, found, there)
