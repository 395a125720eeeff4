"""Folds: what window functions make of the rows of a frame, and what they remember of all rows up to one.

Always true: a fold over ranges is that of their rows together, exact (floats included); the place of a row in front of a stretch
counts for all rows up to it, by what is stored with it. Deliberately unknown here: frames, and results' types.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataflow import rows
from dataflow.delta import Delta
from dataflow.layout import Layout, Order, Run
from dataflow.operators.accumulators import ExactSums, IntervalSums
from dataflow.operators.base import Types
from dataflow.operators.exact import Mask, Wide, add, decimals, limbs, split, subtract
from dataflow.operators.window_frames import Places, Ranges
from dataflow.rows import Columns, Int64s
from dataflow.types import BIGINT, BYTEA, ColumnType, Kind


class Fold(ABC):
    """What is folded, and the columns in which the fold over all rows up to one is stored with it."""

    @property
    @abstractmethod
    def stored(self) -> Types:
        """The types of the columns it is stored in."""

    @abstractmethod
    def over(self, places: Places, stored: Columns, ranges: Ranges) -> Columns:
        """The fold of each row's ranges, as it would be stored. `stored`: the stored columns, by place; right at the bases."""


@dataclass(frozen=True, slots=True)
class Count(Fold):
    """How many rows there are, or how many values that are not NULL."""

    column: int | None

    @property
    def stored(self) -> Types:
        return (BIGINT,)

    def over(self, places: Places, stored: Columns, ranges: Ranges) -> Columns:
        if self.column is None:
            ones = np.ones(len(places), np.int64)
        else:
            ones = places.take(self.column).is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
        ones[places.bases] = longs_at(stored[0], places.bases)
        through = np.concatenate([[0], np.cumsum(ones)])
        return (pa.array(sum((through[high] - through[low] for low, high in ranges), start=np.int64(0))),)


@dataclass(frozen=True, slots=True)
class Groups(Fold):
    """The number of the row's group of peers in its partition. Only for the whole of what is before a row."""

    @property
    def stored(self) -> Types:
        return (BIGINT,)

    def over(self, places: Places, stored: Columns, ranges: Ranges) -> Columns:
        ((begin, _),) = ranges
        before = np.ones(len(places), np.int64)
        before[places.bases] = longs_at(stored[0], places.bases)
        return (pa.array(places.group - places.group[begin] + before[begin]),)


@dataclass(frozen=True, slots=True)
class First(Fold):
    """The value of the first row, NULL or not."""

    column: int
    type: ColumnType

    @property
    def stored(self) -> Types:
        return (self.type,)

    def over(self, places: Places, stored: Columns, ranges: Ranges) -> Columns:
        values = based(places.take(self.column), stored[0], places.bases)
        return (pick(values, *nth(ranges, np.zeros(len(ranges[0][0]), np.int64))),)


@dataclass(frozen=True, slots=True)
class Extreme(Fold):
    """The least or the greatest value; NULL where there is none."""

    column: int
    type: ColumnType
    greatest: bool

    @property
    def stored(self) -> Types:
        return (self.type,)

    def over(self, places: Places, stored: Columns, ranges: Ranges) -> Columns:
        values = based(places.take(self.column), stored[0], places.bases)
        return (pick(values, *extremes(values, self.type, self.greatest, ranges)),)


@dataclass(frozen=True, slots=True)
class ExactSum(Fold):
    """The sum of integers, decimals or intervals, as `ExactSums` and `IntervalSums` store it."""

    column: int
    kind: ExactSums | IntervalSums

    @property
    def stored(self) -> Types:
        return self.kind.stored

    def over(self, places: Places, stored: Columns, ranges: Ranges) -> Columns:
        values = places.take(self.column)
        parts: Columns = (values,)
        if pa.types.is_interval(values.type):
            records, nulls = rows.interval_parts(values), values.is_null().to_numpy(zero_copy_only=False)
            parts = tuple(pa.array(records[name], mask=nulls) for name in rows.INTERVAL_PARTS)
        elif pa.types.is_decimal(values.type) and len(self.stored) > 1:
            parts = split(values)
        out = []
        for part, base in zip(parts, stored, strict=True):
            whole = _wide(part)
            whole[places.bases] = limbs(base)[places.bases]
            through = _running(whole)
            total = np.zeros((len(ranges[0][0]), 2), np.uint64)
            for low, high in ranges:
                total = add(total, subtract(through[high], through[low]))
            out.append(decimals(total, 0))
        return tuple(out)


@dataclass(frozen=True, slots=True)
class FloatSum(Fold):
    """The sum of floats, exact, as a packed accumulator."""

    column: int

    @property
    def stored(self) -> Types:
        return (BYTEA,)

    def over(self, places: Places, stored: Columns, ranges: Ranges) -> Columns:
        return (self.sums(places, stored, ranges)[0],)

    def sums(self, places: Places, stored: Columns, ranges: Ranges) -> tuple[pa.Array, npt.NDArray[np.float64], Mask]:
        """The packed sums, the rounded ones, and where finite numbers add up to more than a float64 holds."""
        known = np.zeros(len(places), np.bool_)
        known[places.bases] = True
        bases = pc.if_else(pa.array(known), stored[0], pa.scalar(None, pa.large_binary()))
        packed, rounded, large = rows.float_frames(places.take(self.column), bases, ranges)
        return packed, rounded.to_numpy(zero_copy_only=False), large


def extremes(values: pa.Array, kind: ColumnType, greatest: bool, ranges: Ranges) -> tuple[Int64s, Mask]:
    """The place of the least or greatest value in each row's ranges, of equal ones the last, and where there is one."""
    ranks = _ranks(values, kind)
    if not greatest:
        ranks = np.where(ranks < 0, ranks, len(ranks) - ranks)
    # Rank and place in one number: the best number says where the value is.
    size = max(len(ranks), 1)
    best = _best_of(np.where(ranks < 0, -1, ranks * size + np.arange(len(ranks))), ranges)
    return best % size, best >= 0


def longs_at(column: pa.Array, places: Int64s) -> Int64s:
    """The bigints at some places, none of them NULL."""
    return np.asarray(rows.take((column,), places)[0].to_numpy(zero_copy_only=False), np.int64)


def based(values: pa.Array, stored: pa.Array, bases: Int64s) -> pa.Array:
    """The values, at bases the stored ones."""
    if not len(bases):
        return values
    slots = np.arange(len(values), dtype=np.int64)
    slots[bases] += len(values)
    return rows.take((pa.concat_arrays([values, stored]),), slots)[0]


def pick(values: pa.Array, places: Int64s, there: Mask) -> pa.Array:
    """The values at places, NULL where there is none."""
    if there.all():
        return rows.take((values,), places)[0]
    return rows.take((pa.concat_arrays([values, pa.nulls(1, values.type)]),), np.where(there, places, len(values)))[0]


def nth(ranges: Ranges, number: Int64s) -> tuple[Int64s, Mask]:
    """The place of the row of this number (from 0) in each row's ranges, and where there is one."""
    place = np.zeros(len(number), np.int64)
    there = np.zeros(len(number), np.bool_)
    left = number.copy()
    for low, high in ranges:
        size = np.maximum(high - low, 0)
        here = ~there & (left >= 0) & (left < size)
        place = np.where(here, low + left, place)
        there |= here
        left = np.where(there, left, left - size)
    return place, there


def sizes(ranges: Ranges) -> Int64s:
    """How many places each row's ranges have."""
    return np.asarray(sum((np.maximum(high - low, 0) for low, high in ranges), start=np.int64(0)), np.int64)


def _ranks(values: pa.Array, kind: ColumnType) -> Int64s:
    """Numbers from 0 that compare as the values do, -1 for NULL."""
    if not len(values):
        return np.empty(0, np.int64)
    layout = Layout((kind, BIGINT), (), (Order(0),))
    ones = np.ones(len(values), np.int64)
    ordered = layout.sort(Delta((values, pa.array(np.arange(len(values), dtype=np.int64))), ones))
    sorted_values, where = Run(ordered).columns
    ids, _ = rows.group((sorted_values,))
    ranks = np.empty(len(values), np.int64)
    ranks[where.to_numpy()] = ids
    return np.where(values.is_null().to_numpy(zero_copy_only=False), -1, ranks)


def _best_of(numbers: Int64s, ranges: Ranges) -> Int64s:
    """The greatest number in each row's ranges, -1 where they are empty: from the greatest of each 1, 2, 4, ... neighbours."""
    best = np.full(len(ranges[0][0]), -1, np.int64)
    widths = [np.maximum(high - low, 0) for low, high in ranges]
    width, most = 1, max((int(w.max(initial=0)) for w in widths), default=0)
    while width <= most:
        for (low, _), size in zip(ranges, widths, strict=True):
            now = np.flatnonzero((size >= width) & (size < 2 * width))
            first, last = low[now], low[now] + size[now] - width
            best[now] = np.maximum(best[now], np.maximum(numbers[first], numbers[last]))
        numbers = np.maximum(numbers[:-width], numbers[width:])
        width *= 2
    return best


def _wide(values: pa.Array) -> Wide:
    """Integers or unscaled decimals in 128 bits, 0 for NULL."""
    nulls = values.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_decimal(values.type):
        out = limbs(values).copy()
    else:
        small = values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        out = np.stack([small, small >> 63], axis=1).view(np.uint64)
    out[nulls] = 0
    return out


def _running(values: Wide) -> Wide:
    """The sum of the first i values, for i from 0 to n, modulo 2^128."""
    out = np.zeros((len(values) + 1, 2), np.uint64)
    low = np.cumsum(values[:, 0], out=out[1:, 0])
    carries = low < values[:, 0]
    out[1:, 1] = np.cumsum(values[:, 1]) + np.cumsum(carries, dtype=np.uint64)
    return out


def fold_of_sum(column: int, kind: ColumnType) -> ExactSum | FloatSum:
    """What adds up a column of this type."""
    if kind.kind in (Kind.REAL, Kind.DOUBLE):
        return FloatSum(column)
    if kind.kind is Kind.INTERVAL:
        return ExactSum(column, IntervalSums())
    return ExactSum(column, ExactSums(kind))
